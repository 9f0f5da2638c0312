"""The tables of times that a mapped accelerator draws from, numbered."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class Times:
    """Tables of equally likely times, each once; of one element where a time is constant.

    ``first``: tables that come first.
    """

    def __init__(self, first: Iterable[NDArray[np.int64]] = ()) -> None:
        self.rows: dict[bytes, int] = {}
        self.found: list[NDArray[np.int64]] = []
        for table in first:
            self.row(table)

    def row(self, table: NDArray[np.int64]) -> int:
        """Where a table stands."""
        key = table.tobytes()
        if key not in self.rows:
            self.rows[key] = len(self.found)
            self.found.append(table)
        return self.rows[key]

    def tables(self) -> NDArray[np.int64]:
        """All tables at one length, shape (tables, length)."""
        length = max((len(table) for table in self.found), default=1)
        rows = [np.resize(table, length) for table in self.found]
        return np.stack(rows) if rows else np.zeros((1, 1), dtype=np.int64)

    def spread(self) -> NDArray[np.int64]:
        """How long each was, shape (tables,)."""
        return np.array([len(table) for table in self.found] or [1], dtype=np.int64)
