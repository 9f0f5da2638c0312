"""The operations of a trained network's graph, each with its parameters in float64.

Values of one sample have the shape ``(channels, y, x)`` or ``(features,)``; tensors of other ranks occur
between rearrangements only. What importers meet under many names is one operation here: every pool is a
list of windows, and everything that only moves values (flatten, transpose, slice, zero padding, nearest
upsampling, channel shuffle) is a ``Rearrange``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


class Operation:
    """One operation of a graph."""


@dataclass(frozen=True, eq=False)
class Input(Operation):
    """What the network reads."""


@dataclass(frozen=True, eq=False)
class Convolution(Operation):
    """Cross-correlation over (y, x) with zero padding.

    Attributes
    ----------
    weight : float64 array, shape (out_channels, in_channels // groups, kernel_y, kernel_x)
    bias : float64 array
        Broadcasts to the output's shape: (out_channels, 1, 1), or (out_channels, y, x) where borders make
        a difference.
    stride, dilation : tuple of int
        (y, x).
    padding : tuple of tuple of int
        Zeros (before, after) along y and along x.
    groups : int
    """

    weight: Float64
    bias: Float64
    stride: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Dense(Operation):
    """``weight @ x + bias`` on a vector of features.

    Attributes
    ----------
    weight : float64 array, shape (out_features, in_features)
    bias : float64 array, shape (out_features,)
    """

    weight: Float64
    bias: Float64


@dataclass(frozen=True, eq=False)
class LinearMap(Operation):
    """``matrix @ x + bias`` on flattened values: what linear operations one after the other amount to.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array, float64, shape (output values, input values)
        A stored zero is a synapse of weight zero.
    bias : float64 array
        Broadcasts to the output's shape.
    """

    matrix: sparse.csr_array
    bias: Float64


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """``factor x + shift``, element by element: batch norm in evaluation mode, scales, offsets.

    Attributes
    ----------
    factor, shift : float64 array
        Broadcast to the value's shape; (channels, 1, 1) where they are one a channel.
    """

    factor: Float64
    shift: Float64


@dataclass(frozen=True)
class Windows:
    """The windows of a pool along one axis: cell k reads the inputs ``first[k], first[k] + step, ... <
    end[k]`` that exist.

    Attributes
    ----------
    first, end : tuple of int
        One entry a cell, inside the input: padding is never read.
    step : int
        Dilation.
    """

    first: tuple[int, ...]
    end: tuple[int, ...]
    step: int = 1


@dataclass(frozen=True, eq=False)
class AveragePool(Operation):
    """Sums over windows, divided.

    Attributes
    ----------
    rows, columns : Windows
    divisor : float64 array, shape (y, x) of the output
        What the sum of each window is divided by (padding counted or not, ceil mode, an own divisor).
    """

    rows: Windows
    columns: Windows
    divisor: Float64


@dataclass(frozen=True, eq=False)
class MaxPool(Operation):
    """The largest value of each window."""

    rows: Windows
    columns: Windows


@dataclass(frozen=True, eq=False)
class Add(Operation):
    """The sum of two or more values of equal shape."""


@dataclass(frozen=True, eq=False)
class Concatenate(Operation):
    """Values one behind the other along ``axis`` of one sample's shape (0: channels)."""

    axis: int


@dataclass(frozen=True, eq=False)
class Rearrange(Operation):
    """Moves values, repeats or drops them, or puts zeros between them.

    Attributes
    ----------
    indices : int64 array of the output's shape
        Place of each output in the flattened (C order) input; -1 for a zero.
    """

    indices: Int64


@dataclass(frozen=True, eq=False)
class ReLU(Operation):
    """``max(0, x)``, at most ``ceiling``."""

    ceiling: float | None = None


@dataclass(frozen=True, eq=False)
class Quantised(Operation):
    """``unit * clip(round(x / unit + shift), lowest, largest)``: QCFS, ST-BIF, integer-trained neurons.

    Attributes
    ----------
    unit : float64 array
        Value of one level; broadcasts to the value's shape.
    lowest, largest : int
        Levels.
    shift : float
        Added before rounding, in levels.
    rounding : str
        ``"floor"``, ``"half-even"`` (``torch.round``) or ``"half-up"``.
    """

    unit: Float64
    lowest: int
    largest: int
    shift: float = 0.0
    rounding: str = "floor"


@dataclass(frozen=True, eq=False)
class Step(Operation):
    """One of two values: ``high`` where x > 0 (``at_zero`` at 0), else ``low``: sign and Heaviside.

    Attributes
    ----------
    low, high : float
        -1 and 1 (sign), 0 and 1 (Heaviside).
    at_zero : float
        The value at x = 0; ``torch.sign`` gives 0 there.
    """

    low: float
    high: float
    at_zero: float


@dataclass(frozen=True, eq=False)
class Softmax(Operation):
    """Softmax over all values of a sample, or its logarithm: the order of the values stays."""

    logarithm: bool = False


@dataclass(frozen=True, eq=False)
class Spiking(Operation):
    """Neurons that spike already, one for each value, in steps of time: modules of spiking libraries.

    In a step the voltage becomes ``leak v + gain x + drift`` with x what arrives, then it is tested and
    reset, then clamped. Voltages are relative to the one that a reset leads to, and in the module's unit.

    Attributes
    ----------
    threshold, gain, drift, start : float64 array
        Above 0; voltage per input; voltage that each step adds; voltage before the first step. Each
        broadcasts to the value's shape.
    leak : float
        What a step leaves of the voltage; 1 is no leak.
    hard : bool
        A spike sets the voltage to 0, else it takes off the threshold.
    strict : bool
        A neuron fires above the threshold only, else at it, too.
    many : bool
        As many spikes at a test as the voltage holds thresholds; else one.
    lowest : float or None
        The lowest voltage, taken after the reset.
    own_spike : float
        Voltage that a neuron's own spike adds one step later, apart from its reset.
    synapse : float or None
        What a step leaves of a current that takes what arrives, and that the voltage takes.
    fires : bool
        Otherwise there are no spikes, and the voltage is what comes out.
    """

    threshold: Float64
    gain: Float64
    drift: Float64
    start: Float64
    leak: float = 1.0
    hard: bool = True
    strict: bool = False
    many: bool = False
    lowest: float | None = None
    own_spike: float = 0.0
    synapse: float | None = None
    fires: bool = True

    ARRAYS: ClassVar[tuple[str, ...]] = ("threshold", "gain", "drift", "start")

    def with_arrays(self, change: Callable[[Float64], Float64]) -> Spiking:
        """With each array that is more than one number changed."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in self.ARRAYS}
        changed: dict[str, Any] = {name: change(one) for name, one in arrays.items() if one.size > 1}
        return replace(self, **changed)
