"""Index arrays: where the values of an array lie in another's flattened value, -1 for a zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


def in_order(shape: Sequence[int]) -> Int64:
    """Every place in C order, of a shape."""
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


def is_in_order(indices: Int64, size: int) -> bool:
    """Whether the flattened value stays as it is (a reshape at most) of an input of ``size`` values."""
    return indices.size == size and bool(np.array_equal(indices.reshape(-1), np.arange(size)))


def is_permutation(indices: Int64, size: int) -> bool:
    """Whether every one of ``size`` input values occurs exactly once, and nothing else."""
    flat = indices.reshape(-1)
    if flat.size != size or (flat < 0).any():
        return False
    return bool((np.bincount(flat, minlength=size) == 1).all())


def inverse(indices: Int64, shape: Sequence[int]) -> Int64:
    """The permutation that undoes one, of the shape of its input."""
    flat = indices.reshape(-1)
    back = np.empty(flat.size, dtype=np.int64)
    back[flat] = np.arange(flat.size)
    return back.reshape(shape)


def followed_by(first: Int64 | None, second: Int64) -> Int64:
    """The places of ``second(first(x))`` in x."""
    if first is None:
        return second
    return taken(first, second, -1)


def taken(values: NDArray, indices: Int64, missing: float) -> NDArray:  # type: ignore[type-arg]
    """``values.reshape(-1)[indices]``, ``missing`` where the index is -1."""
    flat = values.reshape(-1)
    if (indices >= 0).all():
        return flat[indices]
    return np.where(indices >= 0, flat[np.maximum(indices, 0)], np.asarray(missing, dtype=flat.dtype))


def by_channel(values: Float64, shape: Sequence[int]) -> Float64:
    """What broadcasts to a shape, as (channels, 1, 1) if it is one value a channel, else in full.

    Values of one axis come as (features,).
    """
    full = np.broadcast_to(values, shape)
    if len(shape) != 3:
        return np.ascontiguousarray(full)
    first = full[:, :1, :1]
    if values.size == 1 or values.shape[-2:] == (1, 1) or (full == first).all():
        return np.ascontiguousarray(first)
    return np.ascontiguousarray(full)


def in_axes_of(values: Float64, shape: Sequence[int]) -> Float64:
    """What broadcasts to a shape, with as many axes as it has."""
    return values.reshape(*[1] * (len(shape) - values.ndim), *values.shape)
