"""The model's own activations, layer by layer and a batch at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from eventsnn.convert.chain import Step
from eventsnn.convert.samples import Samples
from eventsnn.convert.stages import Stage
from eventsnn.errors import InvalidNetwork

Float64 = NDArray[np.float64]

BATCH = 64
"""Samples together; fewer where a layer is large."""

BATCH_VALUES = 2**24
"""Values of a layer, or of the patches that PyTorch unfolds for it, in one batch: 128 MB."""


def batches(samples: Samples, stages: Sequence[Stage]) -> Iterator[Float64]:
    """The samples as the network's input stands for them, some at a time, in order."""
    size = batch_size(stages)
    for begin in range(0, samples.count, size):
        yield samples.values(begin, min(begin + size, samples.count))


def batch_size(stages: Sequence[Stage]) -> int:
    """Samples that are evaluated together: a power of two up to ``BATCH``."""
    size, largest = BATCH, max(map(_values, stages))
    while size > 1 and size * largest > BATCH_VALUES:
        size //= 2
    return size


def _values(stage: Stage) -> int:
    """Values that one sample needs in a layer."""
    source, target = int(np.prod(stage.source)), int(np.prod(stage.target))
    if stage.axes is None:
        return max(source, target)
    patches = int(np.prod(stage.weight.shape[:2])) * stage.source[2] * stage.target[0] * stage.target[1]
    return max(source, target, patches)


def stage_outputs(
    chain: Sequence[Step], stages: Sequence[Stage], values: torch.Tensor
) -> Iterator[tuple[Stage, Float64]]:
    """Every stage with the model's own output there, for one batch.

    Parameters
    ----------
    chain : sequence of Step
    stages : sequence of Stage
    values : float64 tensor, shape (samples, channels, height, width) or (samples, features)
        As the model reads them.

    Yields
    ------
    stage : Stage
    output : float64 array, shape (samples, y, x, channel)
        After the activation; the logits for a readout.

    Raises
    ------
    InvalidNetwork
        A module does not take the values it gets.
    """
    wanted = {stage.last: stage for stage in stages}
    for place, step in enumerate(chain):
        try:
            with torch.no_grad(), warnings.catch_warnings():
                # PyTorch's remark that it copies; the result is the same.
                warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")
                values = step.module(values)
        except (RuntimeError, ValueError) as error:
            raise InvalidNetwork(
                f"module {step.path!r} does not take values of shape {tuple(values.shape[1:])}: {error}"
            ) from error
        if place in wanted:
            stage = wanted[place]
            height, width, channels = stage.target
            image = values.reshape(-1, channels, height, width).permute(0, 2, 3, 1)
            yield stage, np.ascontiguousarray(image.numpy())
