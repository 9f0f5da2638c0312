"""A chain of operations as one kind of synapses, weights still in floating point and in NIR's units.

What is one convolution, dense layer, pool or scaling, perhaps behind a pool or a flattening, keeps its kind;
everything else is multiplied out and listed one by one. Channels are last here, first in NIR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork
from eventsnn.network import AveragePool, Axis, Conv2d, Dense, Identity, Sparse, SumPool, Synapses
from eventsnn.nir.operations import Floats, NirShape, Operation

Shape = tuple[int, int, int]
Int64 = NDArray[np.int64]
MOST_LISTED = 2**26
"""Synapses that are listed one by one."""


@dataclass(frozen=True)
class Form:
    """Synapses whose weights are still float64.

    Attributes
    ----------
    kind : str
        For messages.
    weight : float64 array
        As the kind of synapses has it.
    target_of_weight : int64 array
        The target neuron (our order) whose units a weight is in; broadcasts to ``weight``. Of kinds that
        share weights between neurons any of them, since they are of one unit.
    build : function
        From int32 quanta of the shape of ``weight`` to synapses.
    bias : float64 array or None
        One a target neuron, in our order.
    """

    kind: str
    weight: Floats
    target_of_weight: Int64
    build: Callable[[NDArray[np.int32]], Synapses]
    bias: Floats | None


def our_shape(shape: NirShape, where: str) -> Shape:
    """A shape of NIR as (y, x, channel)."""
    if len(shape) == 0:
        return (1, 1, 1)
    if len(shape) == 1:
        return (1, 1, shape[0])
    if len(shape) == 2:
        return (1, shape[1], shape[0])
    if len(shape) == 3:
        return (shape[1], shape[2], shape[0])
    raise InvalidNetwork(f"{where} has the shape {shape}; populations have up to (channels, y, x)")


def our_order(shape: NirShape) -> Int64:
    """NIR's index of each neuron in our order, int64, shape (neurons,)."""
    index = np.arange(prod(shape), dtype=np.int64).reshape(shape)
    return (np.moveaxis(index, 0, -1) if len(shape) > 1 else index).reshape(-1)


def form(
    operations: Sequence[Operation], before: NirShape, after: NirShape, scale: Floats, where: str
) -> Form:
    """A chain as synapses.

    Parameters
    ----------
    operations : sequence of Operation
        Delays left out.
    before, after : tuple of int
        NIR's shapes of source and target.
    scale : float64 array, shape (target neurons,), our order
        Units of the target: kinds that share weights between neurons of different units do not fit.
    where : str
        The chain, for messages.
    """
    bias = _bias(operations, after)
    parts = _merged(operations)
    code = "".join(part.kind[0] for part in parts)
    for pattern, make in FORMS:
        if code == pattern:
            found = make(parts, before, after, scale)
            if found is not None:
                return replace(found, bias=bias)
    return replace(_listed(operations, before, after, where), bias=bias)


def _bias(operations: Sequence[Operation], after: NirShape) -> Floats | None:
    """What the chain brings without input, our order; None if nothing."""
    found: Floats | None = None
    for one in operations:
        if found is not None:
            found = _applied(one, found)
        if one.bias is not None:
            own = np.broadcast_to(one.bias.reshape(-1, *[1] * (len(one.after) - 1)), one.after)
            found = own.reshape(-1) + (0 if found is None else found)
    if found is None or not found.any():
        return None
    return found.reshape(-1)[our_order(after)]


def _applied(one: Operation, values: Floats) -> Floats:
    rows, columns, weights = _entries(one)
    found = np.zeros(prod(one.after))
    np.add.at(found, rows, weights * values[columns])
    return found


def _merged(operations: Sequence[Operation]) -> list[Operation]:
    """Scales multiplied into the layer beside them where that keeps its form; what does nothing left out."""
    parts = [one for one in operations if not (one.kind == "flatten" and one.before == one.after)]
    changed = True
    while changed:
        changed = False
        for place in range(len(parts) - 1):
            pair = _pair(parts[place], parts[place + 1])
            if pair is not None:
                parts[place : place + 2] = [pair]
                changed = True
                break
    return parts


def _pair(first: Operation, second: Operation) -> Operation | None:
    """Two operations as one, if they are one of the two's kind."""
    kinds, one, two = (first.kind, second.kind), first.weight, second.weight
    if kinds == ("flatten", "flatten"):
        return replace(second, before=first.before)
    if one is None or two is None:
        return None
    if kinds == ("scale", "scale"):
        return replace(second, weight=one * two)
    if kinds == ("conv", "scale"):
        by = _by_channel(second)
        return None if by is None else replace(first, weight=one * by[:, None, None, None])
    if kinds == ("scale", "conv") and second.groups == 1:
        by = _by_channel(first)
        return None if by is None else replace(second, weight=two * by[:, None, None])
    if kinds == ("dense", "scale"):
        return replace(first, weight=one * two[:, None])
    if kinds == ("scale", "dense"):
        return replace(second, weight=one * two)
    return None


def _by_channel(scale: Operation) -> Floats | None:
    """One value a channel, if a scale is no more than that."""
    assert scale.weight is not None
    rows = scale.weight.reshape(scale.before[0], -1)
    return rows[:, 0] if (rows == rows[:, :1]).all() else None


# -- kinds of synapses ------------------------------------------------------------------------------------


def _by_target_channel(scale: Floats, channels: int) -> bool:
    rows = scale.reshape(-1, channels)
    return bool((rows == rows[:1]).all())


def _folds(pool: Operation) -> tuple[int, int] | None:
    """A pool's window, if cells of neurons are all there is to it."""
    assert pool.axes is not None
    plain = all(axis == Axis(axis.taps, axis.taps) for axis in pool.axes)
    return (pool.axes[0].taps, pool.axes[1].taps) if plain else None


def _convolution(parts: list[Operation], before: NirShape, after: NirShape, scale: Floats) -> Form | None:
    conv = parts[-1]
    assert conv.weight is not None
    assert conv.axes is not None
    factor, window = 1.0, (1, 1)
    if len(parts) > 1:
        folded = _folds(parts[0])
        if folded is None:
            return None
        window, factor = folded, float(parts[0].weight[0])  # type: ignore[index]
    if not _by_target_channel(scale, after[0]):
        return None
    y, x = (replace(axis, pool=pool) for axis, pool in zip(conv.axes, window, strict=True))
    weight = np.ascontiguousarray(conv.weight.transpose(2, 3, 1, 0)) * factor
    groups = conv.groups
    return Form("conv2d", weight, _channels(after), lambda quanta: Conv2d(quanta, y, x, groups), None)


def _channels(after: NirShape) -> Int64:
    """A neuron of each channel: those of the first pixel."""
    return np.arange(after[0], dtype=np.int64)


def _dense(parts: list[Operation], before: NirShape, after: NirShape, scale: Floats) -> Form | None:
    del scale
    dense, inner = parts[-1], before
    assert dense.weight is not None
    factor, window = 1.0, (1, 1)
    if parts[0].kind == "pool":
        folded = _folds(parts[0])
        if folded is None:
            return None
        window, factor, inner = folded, float(parts[0].weight[0]), parts[0].after  # type: ignore[index]
    # Dense synapses read what comes channel last.
    weight = np.ascontiguousarray(dense.weight.T[our_order(inner)]) * factor
    return Form("dense", weight, np.arange(after[0]), lambda quanta: Dense(quanta, window), None)


def _pools(parts: list[Operation], before: NirShape, after: NirShape, scale: Floats) -> Form | None:
    pool = parts[0]
    assert pool.axes is not None
    assert pool.weight is not None
    by = np.ones(after[0]) if len(parts) == 1 else _by_channel(parts[1])
    if by is None or not _by_target_channel(scale, after[0]):
        return None
    y, x = pool.axes
    made: Any = SumPool if float(pool.weight[0]) == 1.0 else AveragePool
    return Form(made.kind, pool.weight[0] * by, _channels(after), lambda quanta: made(quanta, y, x), None)


def _identity(parts: list[Operation], before: NirShape, after: NirShape, scale: Floats) -> Form | None:
    by = np.ones(after[0]) if not parts else _by_channel(parts[0])
    if by is None or not _by_target_channel(scale, after[0]):
        return None
    return Form("identity", by, _channels(after), lambda quanta: Identity(quanta), None)


Make = Callable[[list[Operation], NirShape, NirShape, Floats], Form | None]

FORMS: list[tuple[str, Make]] = [
    ("c", _convolution),
    ("pc", _convolution),
    ("d", _dense),
    ("fd", _dense),
    ("pfd", _dense),
    ("p", _pools),
    ("ps", _pools),
    ("", _identity),
    ("s", _identity),
]
"""By the first letters of a chain's operations."""


# -- everything else --------------------------------------------------------------------------------------


def _listed(operations: Sequence[Operation], before: NirShape, after: NirShape, where: str) -> Form:
    """A chain multiplied out; synapses that cancel to 0 stay synapses."""
    from scipy.sparse import csr_array

    def matrix(one: Operation, ones: bool) -> Any:
        rows, columns, weights = _entries(one)
        shape = (prod(one.after), prod(one.before))
        return csr_array((np.ones_like(weights) if ones else weights, (rows, columns)), shape=shape)

    n = prod(before)
    pattern: Any = csr_array((np.ones(n), (np.arange(n), np.arange(n))), shape=(n, n))
    product: Any = pattern.copy()
    for one in operations:
        fan_out = np.bincount(_entries(one)[1], minlength=prod(one.before))
        reached = int(fan_out[pattern.tocoo().row].sum())
        if reached > 4 * MOST_LISTED:
            raise InvalidNetwork(
                f"the operations {where} multiplied out have more than {MOST_LISTED} synapses; put neurons "
                "between"
            )
        pattern, product = matrix(one, True) @ pattern, matrix(one, False) @ product
        pattern.data[:] = 1.0
    if pattern.nnz > MOST_LISTED:
        raise InvalidNetwork(
            f"the operations {where} multiplied out have {pattern.nnz} synapses, at most {MOST_LISTED} are "
            "listed; put neurons between"
        )
    listed = pattern.tocoo()
    weights = np.asarray(product.tocsr()[listed.row, listed.col]).reshape(-1)
    ours_of = [np.empty(prod(shape), dtype=np.int64) for shape in (before, after)]
    for place, shape in enumerate((before, after)):
        ours_of[place][our_order(shape)] = np.arange(prod(shape))
    source, target = ours_of[0][listed.col], ours_of[1][listed.row]
    order = np.lexsort((target, source))
    source, target, weights = source[order], target[order], weights[order]
    shape = our_shape(after, where)
    return Form(
        "sparse",
        weights,
        target,
        lambda quanta: Sparse.from_edges(source, target, quanta, n, shape),
        None,
    )


def _entries(one: Operation) -> tuple[Int64, Int64, Floats]:
    """Output index, input index (NIR's order), weight of every synapse of an operation."""
    if one.kind == "dense":
        assert one.weight is not None
        rows, columns = np.indices(one.weight.shape).reshape(2, -1)
        return rows, columns, one.weight.reshape(-1)
    if one.kind in ("flatten", "scale"):
        index = np.arange(prod(one.before), dtype=np.int64)
        return index, index, np.ones(len(index)) if one.weight is None else one.weight.reshape(-1)
    assert one.weight is not None
    assert one.axes is not None
    before, after = (our_shape(shape, one.name) for shape in (one.before, one.after))
    if one.kind == "conv":
        values = np.ascontiguousarray(one.weight.transpose(2, 3, 1, 0))
        groups = one.groups
    else:
        taps = (one.axes[0].taps, one.axes[1].taps)
        values, groups = np.full((*taps, 1, before[2]), one.weight[0]), before[2]
    # Which weight each synapse has: the geometry is that of the synapses themselves.
    numbered = Conv2d(np.arange(values.size, dtype=np.int32).reshape(values.shape), *one.axes, groups)
    source, target, number = numbered.edges(before, after)
    return our_order(one.after)[target], our_order(one.before)[source], values.reshape(-1)[number]
