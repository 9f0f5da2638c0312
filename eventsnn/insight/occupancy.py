"""How many jobs wait in front of a server, over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
SIZES = 53


@dataclass(frozen=True)
class Occupancy:
    """A number that changes at ticks: ``number[i]`` from ``ticks[i]`` to the next, 0 before the first.

    Attributes
    ----------
    ticks, number : int64, shape (changes,)
        ``ticks`` ascend.
    """

    ticks: Int64
    number: Int64

    @classmethod
    def of(cls, came: Int64, left: Int64) -> Occupancy:
        """Of who came and left at these ticks; who leaves on coming was never there."""
        ticks, place = np.unique(np.concatenate([came, left]), return_inverse=True)
        change = np.zeros(len(ticks), dtype=np.int64)
        np.add.at(change, place, np.repeat([1, -1], [len(came), len(left)]))
        kept = change != 0
        return cls(ticks[kept], np.cumsum(change[kept]))

    def integral(self, begin: int, end: int) -> int:
        """The number summed over the ticks from ``begin`` to ``end``."""
        upto = self._integrals(np.array([begin, end], dtype=np.int64))
        return int(upto[1] - upto[0])

    def _integrals(self, ticks: Int64) -> Int64:
        """The integral from the beginning up to each tick."""
        if len(self.ticks) == 0:
            return np.zeros(len(ticks), dtype=np.int64)
        done = np.concatenate([[0], np.cumsum(self.number[:-1] * np.diff(self.ticks))])
        at = np.searchsorted(self.ticks, ticks, side="right") - 1
        inside = done[at] + self.number[at] * (ticks - self.ticks[at])
        return np.where(at >= 0, inside, 0).astype(np.int64)

    def at(self, tick: int) -> int:
        """The number from a tick on."""
        place = int(np.searchsorted(self.ticks, tick, side="right")) - 1
        return int(self.number[place]) if place >= 0 else 0

    def most(self, begin: int, end: int) -> int:
        """The largest number from ``begin`` to ``end``, both included."""
        inside = self.number[(self.ticks >= begin) & (self.ticks <= end)]
        return max(self.at(begin), int(inside.max(initial=0)))

    def time_by_size(self, begin: int, end: int) -> Int64:
        """Ticks between ``begin`` and ``end`` at 0, at 1, at 2 or 3, at 4 to 7 ...: shape (SIZES,)."""
        inside = (self.ticks > begin) & (self.ticks < end)
        edges = np.concatenate([[begin], self.ticks[inside], [end]])
        number = np.concatenate([[self.at(begin)], self.number[inside]])
        spent = np.zeros(SIZES, dtype=np.int64)
        np.add.at(spent, np.frexp(number)[1], np.diff(edges))  # the exponent of n is its length in bits
        return spent

    def means(self, edges: Int64) -> NDArray[np.float64]:
        """The mean number between each two of ascending ticks, shape (edges - 1,)."""
        return np.diff(self._integrals(edges)) / np.maximum(np.diff(edges), 1)
