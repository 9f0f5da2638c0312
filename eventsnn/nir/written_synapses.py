"""The synapses of a projection as NIR's nodes: one small function a kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork
from eventsnn.network import Axis, Population, Projection
from eventsnn.nir.file import nir_package
from eventsnn.nir.forms import our_order

Floats = NDArray[np.float64]
NirShape = tuple[int, ...]


def voltage_quanta(population: Population) -> int:
    """Quanta of a voltage of 1: a threshold; of a readout what its unit says, as a whole number."""
    rule = population.neuron.ruled
    if hasattr(rule, "threshold"):
        return int(rule.threshold)
    unit: Any = population.neuron.unit
    return min(max(1, round(1 / float(unit))), 2**20)


def nir_shape(population: Population) -> NirShape:
    """Of a population (y, x, channel): (features,), or (channels, y, x)."""
    y, x, channels = population.shape
    return (channels,) if y == x == 1 else (channels, y, x)


def in_nir_order(values: Floats, shape: NirShape) -> Floats:
    found = np.empty(len(values))
    found[our_order(shape)] = values
    return found.reshape(shape)


def _weights(projection: Projection, quanta: int) -> Floats:
    """In voltages of the target."""
    synapses: Any = projection.synapses
    found = synapses.weight if projection.exact_weight is None else projection.exact_weight
    return found.astype(np.float64) / quanta


def _bias(projection: Projection, quanta: int, count: int) -> Floats:
    """One value a channel (or output), in voltages of the target."""
    if projection.bias is None:
        return np.zeros(count)
    found = projection.bias if projection.exact_bias is None else projection.exact_bias
    if len(found) != count:
        raise InvalidNetwork(
            f"projection {projection.name!r} has a bias for each neuron, and NIR's convolutions have one a "
            "channel"
        )
    return found.astype(np.float64) / quanta


def _folded(window: tuple[int, int]) -> list[Any]:
    if window == (1, 1):
        return []
    return [nir_package().SumPool2d(np.array(window), np.array(window), np.array([0, 0]))]


def _paddings(projection: Projection, axes: tuple[Axis, Axis]) -> Any:
    """NIR's padding of two axes."""
    if any(axis.transposed for axis in axes):
        raise InvalidNetwork(f"projection {projection.name!r} is a transposed convolution, which NIR has not")
    if all(axis.pad_before == axis.pad_after for axis in axes):
        return tuple(axis.pad_before for axis in axes)
    spans = [(axis.taps - 1) * axis.dilation for axis in axes]
    same = [
        axis.stride == 1 and (axis.pad_before, axis.pad_after) == (span // 2, span - span // 2)
        for axis, span in zip(axes, spans, strict=True)
    ]
    if not all(same):
        raise InvalidNetwork(f"projection {projection.name!r} is padded unequally, which NIR cannot say")
    return "same"


def _conv2d(projection: Projection, source: Population, target: Population, quanta: int) -> list[Any]:
    synapses: Any = projection.synapses
    axes = (synapses.y, synapses.x)
    if len(nir_shape(source)) == 1 or len(nir_shape(target)) == 1:
        raise InvalidNetwork(
            f"projection {projection.name!r} is a convolution from or to a single pixel, which NIR would "
            "read as a row of features; use dense synapses"
        )
    weight = _weights(projection, quanta).transpose(3, 2, 0, 1)
    bias = _bias(projection, quanta, target.shape[2])
    before = tuple(n // axis.pool for n, axis in zip(source.shape, axes, strict=False))
    conv = nir_package().Conv2d(
        before, np.ascontiguousarray(weight), tuple(a.stride for a in axes), _paddings(projection, axes),
        tuple(a.dilation for a in axes), synapses.groups, bias,
    )  # fmt: skip
    return [*_folded((axes[0].pool, axes[1].pool)), conv]


def _dense(projection: Projection, source: Population, target: Population, quanta: int) -> list[Any]:
    synapses: Any = projection.synapses
    before = nir_shape(source)
    nodes = _folded(synapses.pool)
    if len(before) > 1:
        inner = (before[0], *(n // p for n, p in zip(before[1:], synapses.pool, strict=True)))
        nodes.append(nir_package().Flatten({"input": np.array(inner)}, 0, -1))
        before = inner
    ours = _weights(projection, quanta)
    weight = np.empty_like(ours)
    weight[our_order(before)] = ours
    if projection.bias is None:
        return [*nodes, nir_package().Linear(weight.T)]
    return [*nodes, nir_package().Affine(weight.T, _bias(projection, quanta, target.shape[2]))]


def _pool(projection: Projection, source: Population, target: Population, quanta: int) -> list[Any]:
    synapses: Any = projection.synapses
    if len(nir_shape(source)) == 1:
        raise InvalidNetwork(
            f"projection {projection.name!r} pools a single pixel, which NIR reads as features"
        )
    if len(nir_shape(target)) == 1:
        raise InvalidNetwork(
            f"projection {projection.name!r} pools to a single pixel, which NIR keeps apart from features; "
            "use dense synapses"
        )
    axes = (synapses.y, synapses.x)
    if any(a.transposed or a.dilation > 1 or a.pool > 1 or a.pad_before != a.pad_after for a in axes):
        raise InvalidNetwork(f"projection {projection.name!r} is a pool of a geometry that NIR has not")
    average = synapses.kind == "average_pool"
    made = nir_package().AvgPool2d if average else nir_package().SumPool2d
    numbers = [np.array([getattr(a, what) for a in axes]) for what in ("taps", "stride", "pad_before")]
    factor = float(np.prod(numbers[0])) if average else 1.0
    return [made(*numbers), _scale(projection, target, quanta, factor)]


def _scale(projection: Projection, target: Population, quanta: int, factor: float = 1.0) -> Any:
    if projection.bias is not None:
        raise InvalidNetwork(
            f"projection {projection.name!r} of kind {projection.synapses.kind} has a bias, which NIR's "
            "nodes for it have not"
        )
    shape = nir_shape(target)
    weight = _weights(projection, quanta) * factor
    by_channel = np.broadcast_to(weight, (shape[0],)).reshape(-1, *[1] * (len(shape) - 1))
    return nir_package().Scale(np.broadcast_to(by_channel, shape).copy())


def _identity(projection: Projection, source: Population, target: Population, quanta: int) -> list[Any]:
    del source
    return [_scale(projection, target, quanta)]


SYNAPSES: dict[str, Callable[[Projection, Population, Population, int], list[Any]]] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "sum_pool": _pool,
    "average_pool": _pool,
    "identity": _identity,
}
"""What NIR can say, by kind of synapses: nodes in the order of the signal, the last with the weights."""
