"""All-to-all synapses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork
from eventsnn.network.synapses.base import (
    Bool,
    Box,
    Float,
    Int32,
    Int64,
    Objects,
    Shape,
    Weighted,
    as_weights,
    nonzero_per_row,
    sides,
    signed_column_sums,
)
from eventsnn.network.synapses.windows import pooled


@dataclass(frozen=True, eq=False)
class Dense(Weighted):
    """All-to-all synapses onto a population of shape (1, 1, target neurons).

    Parameters
    ----------
    weight : int32 array, shape (pooled source neurons, target neurons)
        The source is read in row-major ``(y, x, channel)`` order of its pooled cells.
    pool : (int, int)
        Rows and columns of source neurons that share a cell (folded average pooling).
    """

    kind: ClassVar[str] = "dense"
    weight: Int32
    pool: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", as_weights(self.weight, 2, self.kind))
        object.__setattr__(self, "pool", sides(self.pool, 2, "dense pool"))

    def equivalent(self, source: Shape) -> Dense:
        del source
        return self

    def target_shape(self, source: Shape) -> Shape:
        cells = (source[0] // self.pool[0]) * (source[1] // self.pool[1]) * source[2]
        if cells != self.weight.shape[0]:
            raise InvalidNetwork(
                f"dense reads {self.weight.shape[0]} values, its source of shape {source} pooled by "
                f"{self.pool} has {cells}"
            )
        return (1, 1, int(self.weight.shape[1]))

    def rows(self, source: Shape) -> Int64:
        """The weight row each source neuron uses, -1 where it fills no whole cell."""
        pooled = (source[0] // self.pool[0], source[1] // self.pool[1])
        y, x, channel = np.indices(source, dtype=np.int64)
        cell_y, cell_x = y // self.pool[0], x // self.pool[1]
        row = (cell_y * pooled[1] + cell_x) * source[2] + channel
        return np.where((cell_y < pooled[0]) & (cell_x < pooled[1]), row, -1).reshape(-1)

    def dense_macs(self, source: Shape) -> int:
        """Multiply-accumulates of the layer: one per weight."""
        del source
        return int(self.weight.size)

    def dense_work(self, source: Shape) -> tuple[int, int, int]:
        return self.dense_macs(source), prod(source) if max(self.pool) > 1 else 0, int(self.weight.size)

    def stored_words(self, source: Shape) -> tuple[Int64, Int64]:
        del source
        rows, targets = self.weight.shape
        return np.full(targets, rows, dtype=np.int64), np.zeros((1, targets), dtype=np.int64)

    def heard_by(self, source: Shape, target: Shape, neuron: int) -> Bool:
        del target, neuron
        return self.rows(source) >= 0

    def signed_sums(self, source: Shape) -> tuple[Objects, Objects]:
        del source
        positive, negative = signed_column_sums(self.weight)
        return positive * prod(self.pool), negative * prod(self.pool)

    def summing(self, source: Shape, weights: Callable[[Int32], NDArray[Any]]) -> Callable[[Float], Float]:
        weight = weights(self.weight)

        def summed(values: Float) -> Float:
            cells = pooled(values.reshape(-1, *source), self.pool)
            found: Float = cells.reshape(len(values), -1) @ weight
            return found

        return summed

    def fan_out(self, source: Shape, target: Shape, effective: bool = False, box: Box | None = None) -> Int64:
        box = box or Box(0, target[0], 0, target[2])
        # The target has the one row 0, which a box may leave out.
        weight = self.weight[:, box.c0 : box.c1] if box.y0 <= 0 < box.y1 else self.weight[:, :0]
        per_row = nonzero_per_row(weight) if effective else np.full(len(weight), weight.shape[1])
        rows = self.rows(source)
        return np.where(rows >= 0, per_row[rows], 0).astype(np.int64)

    def edges(self, source: Shape, target: Shape) -> tuple[Int64, Int64, Int32]:
        del target
        rows = self.rows(source)
        existing = np.nonzero(rows >= 0)[0]
        n = self.weight.shape[1]
        return (
            np.repeat(existing, n),
            np.tile(np.arange(n, dtype=np.int64), len(existing)),
            self.weight[rows[existing]].reshape(-1),
        )
