"""Synapses listed one by one: any sparse matrix, flattening, permutations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.arguments import shown
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
    blocks,
    sides,
    whole,
)


@dataclass(frozen=True, eq=False)
class Sparse(Weighted):
    """Synapses as the rows of a sparse matrix (CSR), a row per source neuron.

    Neurons are numbered row-major in ``(y, x, channel)``. The synapses of source ``s`` are the places
    ``indptr[s]`` to ``indptr[s + 1]`` of ``indices`` (target neurons) and ``weight``; they are sorted by
    target here if they are not. A listed synapse of weight zero exists.

    Parameters
    ----------
    weight : int32 array, shape (synapses,)
    indptr : int64 array, shape (source neurons + 1,)
    indices : int64 array, shape (synapses,)
    shape : (int, int, int)
        Target shape ``(y, x, channel)``.

    Raises
    ------
    InvalidNetwork
        The arrays do not fit together, a target is outside the shape, or a synapse is listed twice.
    """

    kind: ClassVar[str] = "sparse"
    weight: Int32
    indptr: Int64
    indices: Int64
    shape: Shape

    def __post_init__(self) -> None:
        weight = as_weights(self.weight, 1, self.kind)
        indptr, indices = _whole_array(self.indptr, "indptr"), _whole_array(self.indices, "indices")
        shape = sides(self.shape, 3, "sparse target shape")
        synapses = len(weight)
        if len(indices) != synapses:
            raise InvalidNetwork(
                f"sparse has {synapses} weights and {len(indices)} target indices; give one of each a synapse"
            )
        if len(indptr) < 2 or indptr[0] != 0 or indptr[-1] != synapses or (np.diff(indptr) < 0).any():
            raise InvalidNetwork(
                f"sparse indptr of length {len(indptr)} is no row pointer: it holds one value per source "
                f"neuron and one more, starts at 0, never falls, and ends at the {synapses} synapses"
            )
        _check_range(indices, prod(shape), f"a target of sparse synapses onto shape {shape}")
        if not _rises_within_rows(indices, indptr):
            row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
            order = np.lexsort((indices, row))
            weight, indices = as_weights(weight[order], 1, self.kind), indices[order]
            _check_unique(row, indices)
        for array in (indptr, indices):
            array.flags.writeable = False
        for name, value in (("weight", weight), ("indptr", indptr), ("indices", indices), ("shape", shape)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_scipy(cls, matrix: Any, shape: Shape) -> Self:
        """The stored entries of a SciPy sparse matrix or array of shape (source neurons, target neurons).

        Stored zeros become synapses, except from formats that cannot tell them (``dia``).
        """
        if not hasattr(matrix, "tocoo") or len(matrix.shape) != 2:
            raise InvalidNetwork(
                f"{type(matrix).__name__} is no two-dimensional SciPy sparse matrix or array; wrap it in "
                "scipy.sparse.csr_array or use Dense"
            )
        if matrix.shape[1] != prod(shape):
            raise InvalidNetwork(
                f"sparse matrix of shape {matrix.shape} has {matrix.shape[1]} columns, its target of shape "
                f"{shape} has {prod(shape)} neurons; they must be equal"
            )
        if matrix.format == "csr":
            # Copies: what the network holds is read-only, the caller's matrix is not.
            return cls(matrix.data.copy(), matrix.indptr.copy(), matrix.indices.copy(), shape)
        # Not by way of tocsr(), which adds up duplicates instead of letting them be refused.
        listed = matrix.tocoo()
        return cls.from_edges(listed.row, listed.col, listed.data, matrix.shape[0], shape)

    @classmethod
    def from_edges(
        cls, source: ArrayLike, target: ArrayLike, weight: ArrayLike, source_neurons: int, shape: Shape
    ) -> Self:
        """Synapses given one by one, in any order.

        Parameters
        ----------
        source, target, weight : integer arrays, shape (synapses,)
            Source neuron, target neuron, quanta.
        source_neurons : int
        shape : (int, int, int)
            Target shape ``(y, x, channel)``.
        """
        row, column = _whole_array(source, "source"), _whole_array(target, "target")
        source_neurons = whole(source_neurons, "source_neurons of sparse")
        quanta = np.asarray(weight)
        if not len(row) == len(column) == quanta.size:
            raise InvalidNetwork(
                f"sparse lists {len(row)} sources, {len(column)} targets and {quanta.size} weights; give "
                "one of each a synapse"
            )
        # An empty list has no dtype of its own.
        quanta = quanta if quanta.size else quanta.astype(np.int32)
        _check_range(row, source_neurons, f"a source of sparse synapses from {source_neurons} neurons")
        order = np.lexsort((column, row))
        indptr = np.zeros(source_neurons + 1, dtype=np.int64)
        np.cumsum(np.bincount(row, minlength=source_neurons), out=indptr[1:])
        return cls(quanta[order], indptr, column[order], shape)

    @classmethod
    def permutation(
        cls,
        source: Shape,
        order: tuple[int, int, int],
        weight: int = 1,
        shape: Shape | None = None,
    ) -> Self:
        """One synapse per neuron: ``transpose(order)``, then ``reshape(shape)``, as in NumPy.

        Neurons are row-major in (y, x, channel), so ``order=(0, 1, 2)`` flattens as a channels-last
        framework does, without changing an index; ``order=(2, 0, 1)`` flattens as PyTorch does, whose
        images are (channel, y, x): neuron (y, x, c) becomes neuron (c * rows + y) * columns + x.

        Parameters
        ----------
        source : (int, int, int)
            Source shape ``(y, x, channel)``.
        order : (int, int, int)
            Source axes in the order the target counts them, slowest first.
        weight : int
            Quanta of every synapse.
        shape : (int, int, int) or None
            Target shape, of as many neurons; None flattens to (1, 1, neurons).
        """
        neurons = prod(source)
        shape = (1, 1, neurons) if shape is None else shape
        if sorted(order) != [0, 1, 2] or prod(shape) != neurons:
            raise InvalidNetwork(
                f"no permutation of axes {order} takes shape {source} to {shape}: give the axes 0, 1, 2 "
                f"once each, and a target of {neurons} neurons"
            )
        # At place t of the target stands the source neuron it takes its charge from; we need the inverse.
        taken_from = np.arange(neurons).reshape(source).transpose(order).reshape(-1)
        target = np.empty(neurons, dtype=np.int64)
        target[taken_from] = np.arange(neurons)
        return cls(np.full(neurons, weight), np.arange(neurons + 1), target, shape)

    def equivalent(self, source: Shape) -> Sparse:
        del source
        return self

    def target_shape(self, source: Shape) -> Shape:
        if prod(source) != len(self.indptr) - 1:
            raise InvalidNetwork(
                f"sparse has rows for {len(self.indptr) - 1} source neurons, its source of shape {source} "
                f"has {prod(source)}"
            )
        return self.shape

    def dense_macs(self, source: Shape) -> int:
        """Multiply-accumulates of the layer: one per listed synapse."""
        del source
        return int(self.weight.size)

    def dense_work(self, source: Shape) -> tuple[int, int, int]:
        return self.dense_macs(source), 0, int(self.weight.size)

    def stored_words(self, source: Shape) -> tuple[Int64, Int64]:
        del source
        height, width, channels = self.shape
        cell, channel = np.divmod(self.indices, channels)
        listed = np.bincount(cell // width * channels + channel, minlength=height * channels)
        return np.zeros(channels, dtype=np.int64), listed.reshape(height, channels)

    def heard_by(self, source: Shape, target: Shape, neuron: int) -> Bool:
        del target
        found = np.zeros(prod(source), dtype=np.bool_)
        found[np.searchsorted(self.indptr, np.flatnonzero(self.indices == neuron), side="right") - 1] = True
        return found

    def signed_sums(self, source: Shape) -> tuple[Objects, Objects]:
        del source
        found = [np.zeros(prod(self.shape), dtype=np.int64) for _ in range(2)]
        for part in blocks(len(self.weight)):
            np.add.at(found[0], self.indices[part], np.maximum(self.weight[part], 0))
            np.add.at(found[1], self.indices[part], np.minimum(self.weight[part], 0))
        return found[0].reshape(self.shape).astype(object), found[1].reshape(self.shape).astype(object)

    def summing(self, source: Shape, weights: Callable[[Int32], NDArray[Any]]) -> Callable[[Float], Float]:
        from scipy.sparse import csr_array

        listed = (weights(self.weight), self.indices, self.indptr)
        by_target = csr_array(listed, shape=(prod(source), prod(self.shape))).T

        def summed(values: Float) -> Float:
            return np.ascontiguousarray((by_target @ values.T).T)

        return summed

    def fan_out(self, source: Shape, target: Shape, effective: bool = False, box: Box | None = None) -> Int64:
        del source
        found = np.diff(self.indptr)
        if not effective and box is None:
            return found
        box = box or Box(0, target[0], 0, target[2])
        counted = np.empty(len(self.weight), dtype=bool)
        for part in blocks(len(counted)):
            row, channel = self.indices[part] // (target[1] * target[2]), self.indices[part] % target[2]
            inside = (row >= box.y0) & (row < box.y1) & (channel >= box.c0) & (channel < box.c1)
            counted[part] = inside & (self.weight[part] != 0) if effective else inside
        # Of an empty row reduceat would return the next row's first entry.
        filled = found > 0
        if filled.any():
            found[filled] = np.add.reduceat(counted, self.indptr[:-1][filled], dtype=np.int64)
        return found

    def edges(self, source: Shape, target: Shape) -> tuple[Int64, Int64, Int32]:
        del source, target
        row = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        return row, self.indices, self.weight


def _whole_array(values: ArrayLike, what: str) -> Int64:
    """A one-dimensional int64 array, or a clear refusal."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:  # rows of unequal lengths
        raise InvalidNetwork(
            f"sparse {what} is {shown(values)}; it needs one dimension of integers"
        ) from error
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise InvalidNetwork(
            f"sparse {what} has {array.ndim} dimensions and dtype {array.dtype}; it needs one dimension "
            "of integers"
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def _check_range(index: Int64, limit: int, what: str) -> None:
    if not len(index):
        return
    lowest, highest = int(index.min()), int(index.max())
    if lowest < 0 or highest >= limit:
        wrong = lowest if lowest < 0 else highest
        raise InvalidNetwork(f"{what} is {wrong}; allowed are 0 to {limit - 1}")


def _rises_within_rows(indices: Int64, indptr: Int64) -> bool:
    if len(indices) < 2:
        return True
    rises: NDArray[np.bool_] = indices[1:] > indices[:-1]
    starts = indptr[(indptr > 0) & (indptr < len(indices))]
    rises[starts - 1] = True
    return bool(rises.all())


def _check_unique(row: Int64, indices: Int64) -> None:
    twice = np.nonzero((indices[1:] == indices[:-1]) & (row[1:] == row[:-1]))[0]
    if len(twice):
        raise InvalidNetwork(
            f"the synapse from neuron {row[twice[0]]} to neuron {indices[twice[0]]} is listed twice "
            f"({len(twice)} repeats in all); two neurons share at most one synapse of a projection: add "
            "the weights, or use two projections"
        )
