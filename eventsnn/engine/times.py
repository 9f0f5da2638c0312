"""Tables of equally likely times, as kernels are given them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Times:
    """Tables of times, each once."""

    def __init__(self) -> None:
        self.rows: dict[bytes, int] = {}
        self.found: list[NDArray[np.int64]] = []

    def row(self, table: NDArray[np.int64]) -> int:
        """Where a table stands."""
        key = table.tobytes()
        if key not in self.rows:
            self.rows[key] = len(self.found)
            self.found.append(table)
        return self.rows[key]

    def tables(self) -> NDArray[np.int64]:
        """All tables at one length."""
        length = max((len(table) for table in self.found), default=1)
        rows = [np.resize(table, length) for table in self.found]
        return np.stack(rows) if rows else np.zeros((1, 1), dtype=np.int64)

    def spread(self) -> NDArray[np.int64]:
        """How long each was."""
        return np.array([len(table) for table in self.found] or [1], dtype=np.int64)
