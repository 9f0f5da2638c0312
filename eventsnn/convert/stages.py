"""A chain of modules as stages: one weighted layer each, everything linear around it folded in.

A stage becomes one population and the projection into it. Batch norm folds into the weights before it
(Rueckauer et al. 2017, Frontiers in Neuroscience 11:682, section 2.2.3), with the statistics of
evaluation mode; average pooling folds into the weights after it: every spike of the unpooled layer
reaches the targets of its pooled cell with the weight divided by the cell's area. Dropout and identity
leave no trace. Unlike the paper's toolbox, batch norm is never carried back over a pool or activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from eventsnn.convert.batch_norm import BatchNorm, norm_factors
from eventsnn.convert.chain import DROPOUTS, Step
from eventsnn.convert.qcfs import QCFS
from eventsnn.convert.windows import Float64, conv_padding, finite_array, pool_window
from eventsnn.errors import InvalidNetwork, UnsupportedLayer
from eventsnn.network import Axis
from eventsnn.network.synapses import Shape

INPUT = "input"
"""Name of the input population."""


@dataclass(frozen=True)
class Stage:
    """One weighted layer with what folds into it.

    Attributes
    ----------
    name : str
        Of the population: the module's path, after its kind if the path is only a number.
    path : str
        Of the Conv2d or Linear module (of the pooling module if the stage only averages).
    source, target : tuple of int
        Shapes ``(y, x, channel)`` of the populations before and after.
    weight : float64 array
        With ``axes``: ``(kernel_y, kernel_x, in_channels // groups, out_channels)``. Without: ``(pooled
        source neurons, target neurons)``, sources in ``(y, x, channel)`` order.
    bias : float64 array
        One value per target channel, or per target neuron (row-major y, x, channel).
    pool : tuple of int
        Rows and columns of a pooled source cell, its area already divided out of the weights.
    axes : tuple of Axis or None
        Window geometry along y and x; None for an all-to-all stage.
    groups : int
    activation : ReLU, QCFS or None
        None for a readout.
    last : int
        Place in the chain of the module whose output is the stage's activation.
    """

    name: str
    path: str
    source: Shape
    target: Shape
    weight: Float64
    bias: Float64
    pool: tuple[int, int]
    axes: tuple[Axis, Axis] | None
    groups: int
    activation: nn.ReLU | QCFS | None
    last: int


def build_stages(chain: Sequence[Step], input_shape: tuple[int, ...]) -> list[Stage]:
    """Group a chain of modules into stages.

    Parameters
    ----------
    chain : sequence of Step
    input_shape : tuple of int
        ``(channels, height, width)`` of one sample, or ``(features,)``.

    Raises
    ------
    UnsupportedLayer
        A module where it has no faithful conversion, or with such an option.
    InvalidNetwork
        Shapes that do not fit, weights or statistics that are not finite.
    """
    builder = _Builder(input_shape)
    for place, step in enumerate(chain):
        builder.add(place, step)
    return builder.finish(len(chain) - 1)


class _Builder:
    """Walks the chain: ``open`` is the weighted layer still waiting for its activation."""

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        self.flat = len(input_shape) == 1
        channels, height, width = (*input_shape, 1, 1) if self.flat else input_shape
        self.population: Shape = (height, width, channels)  # the population read from
        self.cells: Shape = self.population  # the same after pooling
        self.pool, self.divisor = (1, 1), 1.0
        self.pool_path = ""
        self.open: Stage | None = None
        self.done: list[Stage] = []

    def add(self, place: int, step: Step) -> None:
        """Take one module in."""
        module = step.module
        if isinstance(module, nn.Conv2d):
            self.open = self._convolution(step.path, module, place)
        elif isinstance(module, nn.Linear):
            self.open = self._linear(step.path, module, place)
        elif isinstance(module, BatchNorm):
            self._batch_norm(step.path, module, place)
        elif isinstance(module, nn.ReLU | QCFS):
            self._activation(step.path, module, place)
        elif isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            self._average(step.path, module)
        elif isinstance(module, nn.Flatten):
            self._flatten(step.path, module)
        elif not isinstance(module, (nn.Identity, *DROPOUTS)):
            raise AssertionError(f"no rule for {type(module).__name__}")

    def finish(self, last: int) -> list[Stage]:
        """The stages, the readout closed."""
        if self.open is None and self.done and (self.pool, self.divisor) != ((1, 1), 1.0):
            self.open = self._mean_readout(last)
        if self.open is not None:
            self.done.append(replace(self.open, last=last))
        if not self.done:
            raise UnsupportedLayer("the model has no Conv2d or Linear layer; there is nothing to convert")
        final = self.done[-1]
        if self.flat and final.target[:2] != (1, 1):
            raise UnsupportedLayer(
                f"the model ends by flattening layer {final.path!r} of {final.target[0]} x "
                f"{final.target[1]} pixels: neurons are numbered (y, x, channel), so the classes would be "
                "reordered. Average over the pixels first (AdaptiveAvgPool2d(1)), or end in a Linear layer"
            )
        return self.done

    # -- weighted layers ---------------------------------------------------------------------------

    def _require_activation_before(self, path: str) -> None:
        if self.open is not None:
            raise UnsupportedLayer(
                f"module {path!r} follows {self.open.path!r} with no activation between them; the first of "
                "the two would not spike. Put a ReLU or QCFS between them, or merge the two into one layer"
            )

    def _convolution(self, path: str, module: nn.Conv2d, place: int) -> Stage:
        self._require_activation_before(path)
        if self.flat or module.in_channels != self.cells[2]:
            found = "flattened values" if self.flat else f"{self.cells[2]} channels"
            raise InvalidNetwork(f"module {path!r} reads {module.in_channels} channels, but gets {found}")
        before, after = conv_padding(path, module)
        axes = tuple(
            Axis(
                module.kernel_size[i], module.stride[i], before[i], after[i], module.dilation[i], self.pool[i]
            )
            for i in (0, 1)
        )
        height, width = (axis.target_length(n) for axis, n in zip(axes, self.population[:2], strict=True))
        if min(height, width) < 1:
            raise InvalidNetwork(
                f"module {path!r} has a window of {module.kernel_size} that does not fit its input of "
                f"{self.cells[0]} x {self.cells[1]} pixels"
            )
        weight = finite_array(module.weight, f"the weight of module {path!r}").transpose(2, 3, 1, 0)
        target = (height, width, module.out_channels)
        return self._stage(path, module, place, target, weight, (axes[0], axes[1]), module.groups)

    def _linear(self, path: str, module: nn.Linear, place: int) -> Stage:
        self._require_activation_before(path)
        height, width, channels = self.cells
        if not self.flat:
            raise UnsupportedLayer(
                f"module {path!r} is a Linear layer on an image of {channels} x {height} x {width} values, "
                "where it acts on the last axis alone; put nn.Flatten() before it"
            )
        if module.in_features != height * width * channels:
            raise InvalidNetwork(
                f"module {path!r} reads {module.in_features} values, but gets {channels} x {height} x "
                f"{width} = {height * width * channels}; check the size of the input"
            )
        weight = finite_array(module.weight, f"the weight of module {path!r}")
        by_axis = weight.reshape(-1, channels, height, width).transpose(2, 3, 1, 0)
        target = (1, 1, module.out_features)
        return self._stage(path, module, place, target, by_axis.reshape(-1, module.out_features), None, 1)

    def _stage(
        self,
        path: str,
        module: nn.Conv2d | nn.Linear,
        place: int,
        target: Shape,
        weight: Float64,
        axes: tuple[Axis, Axis] | None,
        groups: int,
    ) -> Stage:
        bias = np.zeros(target[2])
        if module.bias is not None:
            bias = finite_array(module.bias, f"the bias of module {path!r}")
        name = self._name(path, type(module).__name__.lower())
        stage = Stage(
            name,
            path,
            self.population,
            target,
            weight / self.divisor,
            bias,
            self.pool,
            axes,
            groups,
            None,
            place,
        )
        self.population = self.cells = target
        self.pool, self.divisor = (1, 1), 1.0
        return stage

    def _name(self, path: str, kind: str) -> str:
        """A population name: the path, made readable where it is a number and unique where it repeats."""
        name = (path if any(letter.isalpha() for letter in path) else f"{kind}_{path}").replace("/", "_")
        taken = [INPUT, *(stage.name.partition("#")[0] for stage in self.done)]
        return f"{name}#{taken.count(name) + 1}" if name in taken else name

    # -- what folds in -----------------------------------------------------------------------------

    def _batch_norm(self, path: str, module: BatchNorm, place: int) -> None:
        stage = self.open
        if stage is None or (self.flat and stage.axes is not None):
            raise UnsupportedLayer(
                f"module {path!r} is a batch norm that does not directly follow a Conv2d or Linear layer, "
                "so there are no weights to fold it into; move it between the layer and its activation and "
                "train again"
            )
        if module.num_features != stage.target[2]:
            raise InvalidNetwork(
                f"module {path!r} normalises {module.num_features} channels, but gets {stage.target[2]}"
            )
        factor, shift = norm_factors(path, module)
        bias = shift + factor * stage.bias
        self.open = replace(stage, weight=stage.weight * factor, bias=bias, last=place)

    def _activation(self, path: str, module: nn.ReLU | QCFS, place: int) -> None:
        if self.open is None:
            raise UnsupportedLayer(
                f"module {path!r} is an activation that does not follow a Conv2d or Linear layer (and its "
                "batch norm) directly; spiking neurons take its place right after the layer. Move it there "
                "or remove it"
            )
        self.done.append(replace(self.open, activation=module, last=place))
        self.open = None

    def _average(self, path: str, module: nn.AvgPool2d | nn.AdaptiveAvgPool2d) -> None:
        if self.open is not None:
            raise UnsupportedLayer(
                f"module {path!r} averages layer {self.open.path!r} before its activation; a pool folds "
                "into the weights of the layer after it. Put the activation before the pool (for a 1 x 1 "
                "convolution at the end: the pool before the convolution, which computes the same)"
            )
        if self.flat:
            raise InvalidNetwork(f"module {path!r} averages over pixels, but gets flattened values")
        window, divisor = pool_window(path, module, self.cells[:2])
        self.cells = (self.cells[0] // window[0], self.cells[1] // window[1], self.cells[2])
        if min(self.cells) < 1:
            raise InvalidNetwork(f"module {path!r} has a window of {window} pixels, larger than its input")
        self.pool = (self.pool[0] * window[0], self.pool[1] * window[1])
        self.divisor *= divisor
        self.pool_path = path

    def _mean_readout(self, last: int) -> Stage:
        """A readout for a model that ends in an average of spiking neurons."""
        channels = self.cells[2]
        weight = np.full((1, 1, 1, channels), 1 / self.divisor)
        axes = (Axis(1, pool=self.pool[0]), Axis(1, pool=self.pool[1]))
        name, zero = self._name(self.pool_path, "mean"), np.zeros(channels)
        return Stage(
            name,
            self.pool_path,
            self.population,
            self.cells,
            weight,
            zero,
            self.pool,
            axes,
            channels,
            None,
            last,
        )

    def _flatten(self, path: str, module: nn.Flatten) -> None:
        if (module.start_dim, module.end_dim) not in ((1, -1), (1, 3)) and not self.flat:
            raise UnsupportedLayer(
                f"module {path!r} flattens axes {module.start_dim} to {module.end_dim}; only nn.Flatten() "
                "with its defaults, which keeps the batch axis, is supported"
            )
        self.flat = True
