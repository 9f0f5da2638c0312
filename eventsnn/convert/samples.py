"""Calibration data as the model sees it: arrays, or recordings counted into arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from eventsnn.convert.chain import Step
from eventsnn.convert.stages import Stage, build_stages
from eventsnn.errors import InvalidNetwork, InvalidRequest
from eventsnn.events import RecordingSet, event_counts

_ALLOWED = (
    "give an array or tensor of shape (samples, channels, height, width) as the model sees it, a "
    "RecordingSet, or a list of recordings"
)
BATCH = 64


@dataclass(frozen=True)
class Samples:
    """Model inputs.

    Attributes
    ----------
    values : float64 tensor, shape (samples, channels, height, width) or (samples, features)
    duration_us : float or None
        Mean time of the last event, in microseconds; None if the samples are no recordings.
    """

    values: torch.Tensor
    duration_us: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self.values.shape[1:])


def read_samples(
    data: Any, chain: Sequence[Step], input_scale: float, input_shape: tuple[int, ...] | None
) -> Samples:
    """Samples of any accepted form.

    Recordings become their event counts times ``input_scale``: channel 0 OFF, channel 1 ON, or both
    together if the model reads one channel.

    Raises
    ------
    InvalidRequest
        No samples, another type or number of axes, negative values, recordings without a sensor size.
    InvalidNetwork
        Values that are not finite, a shape the model does not take.
    """
    if isinstance(data, torch.Tensor | np.ndarray) and getattr(data.dtype, "names", None) is None:
        samples = Samples(_from_array(data))
    elif isinstance(data, Sequence) and not isinstance(data, str):
        samples = _from_recordings(data, chain, input_scale, input_shape)
    else:
        raise InvalidRequest(f"calibration data is a {type(data).__name__}; {_ALLOWED}")
    if input_shape is not None and samples.shape != tuple(input_shape):
        raise InvalidNetwork(
            f"the samples have shape {samples.shape}, input_shape says {tuple(input_shape)}; both are "
            "(channels, height, width)"
        )
    return samples


def _from_array(data: torch.Tensor | np.ndarray) -> torch.Tensor:
    if isinstance(data, np.ndarray) and data.dtype.kind not in "biuf":
        raise InvalidRequest(f"calibration data has dtype {data.dtype}; {_ALLOWED}")
    tensor = torch.as_tensor(np.array(data) if isinstance(data, np.ndarray) else data.detach())
    values = tensor.to("cpu", torch.float64)
    if values.ndim not in (2, 4) or 0 in values.shape[1:]:
        raise InvalidRequest(
            f"calibration data has shape {tuple(values.shape)}; {_ALLOWED}; (samples, features) for a model "
            "that starts with Linear"
        )
    if len(values) == 0:
        raise InvalidRequest(f"calibration data holds no samples; at least one is needed: {_ALLOWED}")
    finite = torch.isfinite(values).flatten(1).all(1)
    if not finite.all():
        where = int((~finite).nonzero()[0])
        raise InvalidNetwork(f"calibration sample {where} holds NaN or infinite values; remove or repair it")
    if (values < 0).any():
        raise InvalidRequest(
            f"calibration data goes down to {float(values.min()):.4g}; the input counts events, each adding "
            "input_scale, and is never negative. Give event counts times input_scale"
        )
    return values


def _from_recordings(
    data: Sequence[Any], chain: Sequence[Step], input_scale: float, input_shape: tuple[int, ...] | None
) -> Samples:
    if len(data) == 0:
        raise InvalidRequest(f"calibration data holds no samples; at least one is needed: {_ALLOWED}")
    for item in data if not isinstance(data, RecordingSet) else ():
        if not isinstance(getattr(item, "events", item), np.ndarray):
            raise InvalidRequest(f"the calibration list holds a {type(item).__name__}; {_ALLOWED}")
    if input_shape is None:
        if not isinstance(data, RecordingSet):
            raise InvalidRequest(
                "a list of recordings does not tell the size of the sensor; give "
                "input_shape=(channels, height, width)"
            )
        input_shape = (_event_channels(chain, data.height, data.width), data.height, data.width)
    if len(input_shape) != 3 or input_shape[0] not in (1, 2):
        raise InvalidRequest(
            "recordings give 2 channels (OFF, ON) or 1 (both), the model's input has shape "
            f"{tuple(input_shape)}; train a model on event counts"
        )
    counts, ends = [], []
    for item in data:
        events = getattr(item, "events", item)
        image = event_counts(events, input_shape[1], input_shape[2])
        counts.append(image if input_shape[0] == 2 else image.sum(axis=0, keepdims=True))
        if len(events):
            ends.append(int(events["t"][-1]))
    values = torch.from_numpy(np.stack(counts).astype(np.float64) * input_scale)
    return Samples(values, float(np.mean(ends)) if ends else None)


def _event_channels(chain: Sequence[Step], height: int, width: int) -> int:
    """Whether the model reads both polarities apart (2) or together (1)."""
    for step in chain:
        if isinstance(step.module, torch.nn.Conv2d):
            return step.module.in_channels
    try:
        build_stages(chain, (1, height, width))
    except InvalidNetwork:
        return 2
    return 1


def stage_outputs(
    chain: Sequence[Step], stages: Sequence[Stage], values: torch.Tensor
) -> Iterator[tuple[Stage, np.ndarray]]:
    """Every stage with the model's own output there.

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
                values = torch.cat([step.module(batch) for batch in torch.split(values, BATCH)])
        except (RuntimeError, ValueError) as error:
            raise InvalidNetwork(
                f"module {step.path!r} does not take values of shape {tuple(values.shape[1:])}: {error}"
            ) from error
        if place in wanted:
            stage = wanted[place]
            height, width, channels = stage.target
            image = values.reshape(-1, channels, height, width).permute(0, 2, 3, 1)
            yield stage, np.ascontiguousarray(image.numpy())
