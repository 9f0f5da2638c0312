"""The units of a baseline's values, converted once on reading so that a wrong one names its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

from eventsnn.hardware.quantities import Quantity

_TIME = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_OPERATIONS = {"FLOP/s": 1.0, "GFLOP/s": 1e9, "TFLOP/s": 1e12}
_BANDWIDTH = {"B/s": 1.0, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12}
_SHARE = {"1": 1.0, "%": 1e-2}
_SIZE = {"B": 1.0}


class Figure(Quantity):
    """A quantity of a baseline."""

    def seconds(self) -> float:
        """A time in seconds."""
        return self._scaled(_TIME, "time")

    def operations_per_second(self) -> float:
        """A rate of operations; a multiply-accumulate is two."""
        return self._scaled(_OPERATIONS, "operations per second")

    def bytes_per_second(self) -> float:
        """A memory bandwidth in bytes per second."""
        return self._scaled(_BANDWIDTH, "bandwidth")

    def bytes(self) -> float:
        """A size in bytes."""
        return self._scaled(_SIZE, "size")

    def share(self) -> float:
        """A part of a whole, 0 to 1."""
        found = self._scaled(_SHARE, "a share (1 is the whole)")
        if found > 1:
            raise ValueError(f"{self.value:g} {self.unit} is more than the whole")
        return found


def _in(convert: Callable[[Figure], float], lowest: float | None = None) -> AfterValidator:
    """Check that a figure converts; to at least ``lowest``, or None: to more than 0."""

    def check(figure: Figure) -> Figure:
        found = convert(figure)
        if lowest is None and found <= 0:
            raise ValueError(f"{figure.value:g} {figure.unit} must be above 0")
        if lowest is not None and found < lowest:
            raise ValueError(f"{figure.value:g} {figure.unit} must be at least {lowest:g}")
        return figure

    return AfterValidator(check)


Power = Annotated[Figure, _in(Figure.watts)]
RestPower = Annotated[Figure, _in(Figure.watts, 0)]
Time = Annotated[Figure, _in(Figure.seconds)]
Overhead = Annotated[Figure, _in(Figure.seconds, 0)]
Rate = Annotated[Figure, _in(Figure.operations_per_second)]
Bandwidth = Annotated[Figure, _in(Figure.bytes_per_second)]
Energy = Annotated[Figure, _in(Figure.attojoules, 0)]
Size = Annotated[Figure, _in(Figure.bytes)]
Efficiency = Annotated[Figure, _in(Figure.share)]
Share = Annotated[Figure, _in(Figure.share, 0)]
Count = Annotated[Figure, _in(Figure.count, 1)]
LargeBatch = Annotated[Figure, _in(Figure.count, 2)]
