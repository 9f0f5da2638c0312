"""What an exit rule is: a pure function of the readout, so one recorded trace serves any threshold."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from eventsnn.errors import InvalidExitRule


@dataclass(frozen=True)
class ExitRule(ABC):
    """Stop at the first check whose confidence is at least ``threshold``.

    Parameters
    ----------
    threshold : float
        Between 0 and 1.
    """

    threshold: float
    name: ClassVar[str]
    code: ClassVar[int]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and 0.0 <= self.threshold <= 1.0):
            raise InvalidExitRule(
                f"exit rule {self.name!r} has threshold {self.threshold}; allowed is a number from 0 to 1"
            )

    @abstractmethod
    def confidence(self, readout: Sequence[int], scale: float) -> float:
        """How sure a readout is, 0 to 1.

        Parameters
        ----------
        readout : sequence of int
            Charges in quanta, or spike counts, one per class.
        scale : float
            Logit per unit of the readout.
        """

    def __str__(self) -> str:
        return f"{self.name}:{self.threshold!r}"


def softmax(readout: Sequence[int], scale: float) -> list[float]:
    """Probabilities, the sum taken in index order."""
    best = max(readout)
    terms = [math.exp((value - best) * scale) for value in readout]
    total = 0.0
    for term in terms:
        total += term
    return [term / total for term in terms]


def decision(readout: Sequence[int]) -> int:
    """Index of the largest value, ties lowest; -1 (undecided, counted wrong) when all are zero."""
    values = [int(value) for value in readout]
    return values.index(max(values)) if any(values) else -1
