"""The geometry of a window along one image axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventsnn.arguments import check_fields, shown
from eventsnn.errors import InvalidNetwork
from eventsnn.network.synapses.base import Int64, added


@dataclass(frozen=True)
class Axis:
    """Where the taps of a window land along one image axis.

    A source is read in cells of ``pool`` neurons: the neuron ``s`` belongs to the cell ``s // pool``, and
    neurons that fill no whole cell have no synapses. The tap ``k`` takes the cell ``c`` to the target

    - ``(c + pad_before - k * dilation) / stride``, when that is a whole number, in a convolution;
    - ``c * stride - pad_before + k * dilation`` when ``transposed``,

    in both cases only if it lies inside the target.

    Parameters
    ----------
    taps : int
        Kernel size, at least 1.
    stride : int
        Cells between two windows, or, transposed, targets between the windows of two cells.
    pad_before, pad_after : int
        Padding at each end: cells that are not there; transposed, targets cut off.
    dilation : int
        Steps between two taps.
    pool : int
        Neurons a cell sums (folded average pooling; the division is part of the weights).
    transposed : bool
        Scatter instead of gather: PyTorch's ``ConvTranspose2d``, in this axis.
    output_padding : int
        Targets appended at the end of a transposed axis; they may stay without a synapse.

    Raises
    ------
    InvalidNetwork
        A value is not whole, or too small, or ``output_padding`` is given without ``transposed``.
    """

    taps: int
    stride: int = 1
    pad_before: int = 0
    pad_after: int = 0
    dilation: int = 1
    pool: int = 1
    transposed: bool = added(False)
    output_padding: int = added(0)

    def __post_init__(self) -> None:
        check_fields(self, "{} of a window", InvalidNetwork)
        lowest = min(self.taps, self.stride, self.dilation, self.pool)
        if lowest < 1 or min(self.pad_before, self.pad_after, self.output_padding) < 0:
            raise InvalidNetwork(
                f"window geometry {self} is not allowed: taps, stride, dilation and pool must be at "
                "least 1, padding 0 or more"
            )
        if self.output_padding and not self.transposed:
            raise InvalidNetwork(
                f"window geometry {self} is not allowed: output_padding belongs to a transposed axis; "
                "use pad_after"
            )

    def positions(self, source_length: int) -> int:
        """Windows along the axis: one per target, or one per source cell when transposed."""
        cells = source_length // self.pool
        return cells if self.transposed else self.target_length(source_length)

    def target_length(self, source_length: int) -> int:
        """The number of targets, 0 when the window does not fit."""
        cells = source_length // self.pool
        span = (self.taps - 1) * self.dilation + 1
        if cells < 1:
            return 0
        if self.transposed:
            scattered = (cells - 1) * self.stride + span
            return max(0, scattered - self.pad_before - self.pad_after + self.output_padding)
        padded = cells + self.pad_before + self.pad_after
        return (padded - span) // self.stride + 1 if padded >= span else 0

    def target_of_tap(self, source_length: int, target_length: int) -> Int64:
        """Target coordinate reached, int64, shape (source_length, taps), -1 where there is none.

        Along a row the targets that exist ascend with the tap when transposed, and descend otherwise.
        """
        cell = np.arange(source_length, dtype=np.int64) // self.pool
        tap = np.arange(self.taps) * self.dilation
        if self.transposed:
            target = cell[:, None] * self.stride - self.pad_before + tap
            exists = target >= 0
        else:
            reach = cell[:, None] + self.pad_before - tap
            target = reach // self.stride
            exists = (reach % self.stride == 0) & (target >= 0)
        exists &= (target < target_length) & (cell < source_length // self.pool)[:, None]
        return np.where(exists, target, -1)


def check_axes(kind: str, *axes: object) -> None:
    """Refuse what is no geometry where synapses take one."""
    for axis in axes:
        if type(axis) is not Axis:
            raise InvalidNetwork(f"{kind} geometry is {shown(axis)}; give an Axis for y and one for x")
