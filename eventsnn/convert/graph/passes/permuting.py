"""Operations on values in another order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from eventsnn.convert.graph.operations import (
    Affine,
    Dense,
    LinearMap,
    Operation,
    Quantised,
    ReLU,
    Softmax,
    Spiking,
    Step,
)
from eventsnn.convert.graph.places import by_channel

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Shape = tuple[int, ...]
Reorder = Callable[[Float64], Float64]


def permuted(operation: Operation, order: Int64 | None, shape: Shape, stored: Shape) -> Operation:
    """An element-wise operation for values in another order.

    Parameters
    ----------
    operation : Affine, ReLU, Quantised, Step, Spiking or Softmax
    order : int64 array of shape ``stored``, or None
        Which of the operation's flattened values each stored one is; None: the same order.
    shape, stored : tuple of int
        Of the value as the operation knows it, and as it is stored.
    """

    def reorder(values: Float64) -> Float64:
        if values.size == 1:
            return by_channel(values.reshape(()), stored)
        full = np.broadcast_to(values, shape)
        return by_channel(full.reshape(stored) if order is None else full.reshape(-1)[order], stored)

    return ELEMENTWISE[type(operation)](operation, reorder)


def _affine(operation: Affine, reorder: Reorder) -> Operation:
    return Affine(reorder(operation.factor), reorder(operation.shift))


def _quantised(operation: Quantised, reorder: Reorder) -> Operation:
    return operation if operation.unit.size == 1 else replace(operation, unit=reorder(operation.unit))


def _spiking(operation: Spiking, reorder: Reorder) -> Operation:
    return operation.with_arrays(reorder)


def _unchanged(operation: Operation, reorder: Reorder) -> Operation:
    return operation


ELEMENTWISE: dict[type, Callable[..., Operation]] = {
    Affine: _affine,
    Quantised: _quantised,
    ReLU: _unchanged,
    Step: _unchanged,
    Spiking: _spiking,
    Softmax: _unchanged,
}


def permuted_columns(operation: Operation, order: Int64) -> Operation:
    """Dense or LinearMap for inputs of which the j-th is the ``order[j]``-th that the operation knows."""
    if isinstance(operation, Dense):
        return Dense(np.ascontiguousarray(operation.weight[:, order]), operation.bias)
    if isinstance(operation, LinearMap):
        matrix = operation.matrix
        back = np.empty_like(order)
        back[order] = np.arange(order.size)
        moved = sparse.csr_array((matrix.data, back[matrix.indices], matrix.indptr), shape=matrix.shape)
        return LinearMap(moved, operation.bias)
    raise AssertionError(f"{type(operation).__name__} has no columns")
