"""What an accumulator is: it turns the readouts at the checks into the values that a score looks at."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from eventsnn.decide.base import Check
from eventsnn.decide.parts import Part

Accumulating = Callable[[Check], list[float]]


@dataclass(frozen=True)
class Accumulator(Part):
    """Values per class, asked once at each check of a sample, in order."""

    @abstractmethod
    def start(self) -> Accumulating:
        """A function for one sample."""
