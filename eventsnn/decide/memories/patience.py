"""Memory ``patience``: the same decision at several checks in a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.base import NOT_SURE
from eventsnn.decide.memories.base import Memory, Remembering

MOST = 10_000


@dataclass(frozen=True)
class Patience(Memory):
    """The least score of the last ``patience`` checks, if all of them decided for the same class.

    So it stops once a class has been decided for at so many checks in a row, each of them sure enough; with
    threshold 0 once the decision has been the same for so long (Zhou et al., NeurIPS 2020).
    """

    name: ClassVar[str] = "patience"
    code: ClassVar[int] = 1
    patience: int

    def __post_init__(self) -> None:
        self.whole("patience", 1, MOST)

    def start(self) -> Remembering:
        """Remembers the last scores of the class that leads."""
        scores: list[float] = []
        last = [-1]

        def remember(score: float, best: int) -> float:
            if best != last[0]:
                scores.clear()
            last[0] = best
            scores.append(score)
            return min(scores[-self.patience :]) if len(scores) >= self.patience else NOT_SURE

        return remember
