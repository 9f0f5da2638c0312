"""Rounding and limits as ONNX has them, one operator each, made into quantised activations.

Integer-trained networks write ``s clip(round(x / s), 0, L)`` (ST-BIF: You et al. 2024, SpikeZIP-TF,
arXiv:2406.03470) or ``s / L floor(L clip(x / s, 0, 1) + 1/2)`` (QCFS: Bu et al. 2022, ICLR) in four to seven
operators. They are recognised by their arithmetic: limits before a rounding move behind it (it is
monotone), and scales before and after that cancel become the unit. Rounding without limits is refused;
limits without rounding are a rectifier between two offsets: ``clip(x, a, b)`` is
``min(max(0, x - a), b - a) + a``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from eventsnn.convert.graph.graph import Float64, Node
from eventsnn.convert.graph.operations import Affine, Operation, Quantised, ReLU, Step
from eventsnn.convert.importers.onnx_session import Source
from eventsnn.convert.importers.onnx_walk import Walk
from eventsnn.errors import UnsupportedLayer


@dataclass(frozen=True)
class Rounded(Operation):
    """``round(x)`` or ``floor(x)``: only between operators. ``reason``: the refusal if it stays."""

    rounding: str
    reason: str


@dataclass(frozen=True)
class Limited(Operation):
    """``clip(x, lowest, largest)``, lowest < largest: only between operators."""

    lowest: float
    largest: float


ROUNDINGS = {"floor": np.floor, "half-even": np.rint}
ONE = np.ones(())


def join_quantised(walk: Walk, output: str) -> None:
    """Replace rounding and limits in a walk that is at its end.

    Raises
    ------
    UnsupportedLayer
        One that belongs to no quantised activation.
    """
    for name in list(walk.nodes):
        node = walk.nodes[name]
        if isinstance(node.operation, Rounded):
            _limits_before(walk, node)
        elif _limits(node.operation) is not None:
            _limits_after(walk, node)
        elif isinstance(node.operation, Step):
            _limits_before_step(walk, node)
    for node in list(walk.nodes.values()):
        if isinstance(node.operation, Quantised):
            _scales(walk, node)
    needed = {output}
    for node in reversed(list(walk.nodes.values())):
        if node.name in needed:
            needed.update(node.inputs)
            if isinstance(node.operation, Rounded):
                raise UnsupportedLayer(node.operation.reason)
            if isinstance(node.operation, Limited):
                _rectifier(walk, node, node.operation)


def _rectifier(walk: Walk, node: Node, limits: Limited) -> None:
    """Limits as a rectifier that begins at the lower one, or goes down from the upper one."""
    if math.isfinite(limits.lowest):
        sign, start, ceiling = 1.0, limits.lowest, limits.largest - limits.lowest
    else:
        sign, start, ceiling = -1.0, limits.largest, math.inf
    there = Affine(np.array(sign), np.array(-sign * start))
    back = Affine(np.array(sign), np.array(start))
    read = walk.sources[node.inputs[0]]
    moved = _insert_before(
        walk, node, node.inputs[0], there, "from its limit", replace(read, steps=(*read.steps, there))
    )
    rectifier = ReLU(None if ceiling == math.inf else ceiling)
    own = Source(node.name, node.shape, (there,))
    rectified = _insert_before(walk, node, moved, rectifier, "rectified", own)
    walk.nodes[node.name] = replace(node, operation=back, inputs=(rectified,))


def _limits(operation: Operation) -> tuple[float, float] | None:
    if isinstance(operation, Limited):
        return operation.lowest, operation.largest
    if isinstance(operation, ReLU) and operation.ceiling is not None:
        return 0.0, operation.ceiling
    return None


def _limits_before(walk: Walk, node: Node) -> None:
    """``round(a clip(y, lowest, largest) + b)`` as ``clip(round(a y + b), ...)``, for one a > 0 and one b."""
    assert isinstance(node.operation, Rounded)
    for factor, shift, root in _affines_before(walk, node):
        limits = _limits(walk.nodes[root].operation)
        if limits is None or not (_uniform(factor) and _uniform(shift) and factor.flat[0] > 0):
            continue
        a, b = float(factor.flat[0]), float(shift.flat[0])
        levels = [float(ROUNDINGS[node.operation.rounding](a * limit + b)) for limit in limits]
        if not all(map(math.isfinite, levels)):
            return
        (inner,) = walk.nodes[root].inputs
        scaled = inner
        if (a, b) != (1.0, 0.0):
            scale = Affine(np.array(a), np.array(b))
            read = walk.sources[inner]
            source = replace(read, steps=(*read.steps, scale))
            scaled = _insert_before(walk, node, inner, scale, "before rounding", source)
        operation = Quantised(ONE, int(levels[0]), int(levels[1]), 0.0, node.operation.rounding)
        walk.nodes[node.name] = replace(node, operation=operation, inputs=(scaled,))
        return


def _limits_after(walk: Walk, node: Node) -> None:
    """Limits that are whole numbers, of what was rounded."""
    before = walk.nodes[node.inputs[0]]
    lowest, largest = _limits(node.operation) or (0.0, 0.0)
    if not (math.isfinite(lowest) and math.isfinite(largest)) or lowest % 1 or largest % 1:
        return
    levels = (int(lowest), int(largest))
    if isinstance(before.operation, Rounded):
        operation = Quantised(ONE, *levels, 0.0, before.operation.rounding)
    elif isinstance(before.operation, Quantised) and (before.operation.unit == 1).all():
        known = (before.operation.lowest, before.operation.largest)
        low, high = (min(max(level, levels[0]), levels[1]) for level in known)
        operation = replace(before.operation, lowest=low, largest=high)
    else:
        return
    walk.nodes[node.name] = replace(node, operation=operation, inputs=before.inputs)


def _limits_before_step(walk: Walk, node: Node) -> None:
    """Limits on both sides of zero change no sign."""
    before = walk.nodes[node.inputs[0]]
    if isinstance(before.operation, Limited) and before.operation.lowest < 0 < before.operation.largest:
        walk.nodes[node.name] = replace(node, inputs=before.inputs)


def _scales(walk: Walk, node: Node) -> None:
    """Scales before and after that cancel, as many as there are, as the unit of levels."""
    assert isinstance(node.operation, Quantised)
    known = node.operation
    if (known.unit != 1).any() or known.shift:
        return
    for factor, shift, root in reversed(list(_affines_before(walk, node))):
        if root == node.inputs[0] or not _uniform(shift) or (factor <= 0).any():
            continue
        for unit, last in _scales_after(walk, node):
            if np.allclose(factor * unit, 1, rtol=1e-5, atol=0):
                operation = replace(known, unit=unit, shift=float(shift.flat[0]))
                walk.nodes[last.name] = replace(last, operation=operation, inputs=(root,), origin=node.origin)
                return


def _affines_before(walk: Walk, node: Node) -> Iterator[tuple[Float64, Float64, str]]:
    """What a node reads as ``factor x + shift`` of a node before it, from the nearest on."""
    factor, shift = ONE, np.zeros(())
    name = node.inputs[0]
    yield factor, shift, name
    while isinstance(operation := walk.nodes[name].operation, Affine):
        factor, shift = factor * operation.factor, factor * operation.shift + shift
        (name,) = walk.nodes[name].inputs
        yield factor, shift, name


def _scales_after(walk: Walk, node: Node) -> Iterator[tuple[Float64, Node]]:
    """Nodes that are ``factor`` times a node's value, the farthest first."""
    found: list[tuple[Float64, Node]] = []
    factor = ONE
    while True:
        readers = [other for other in walk.nodes.values() if node.name in other.inputs]
        if len(readers) != 1:
            break
        (node,) = readers
        if not isinstance(node.operation, Affine) or node.operation.shift.any():
            break
        factor = factor * node.operation.factor
        found.append((factor, node))
    yield from reversed(found)


def _insert_before(walk: Walk, node: Node, read: str, operation: Operation, what: str, source: Source) -> str:
    """A node of the graph that no tensor of the model stands for, at the place of ``node``."""
    name = walk.free_name(f"{node.name} {what}")
    inserted = Node(name, operation, (read,), node.shape, node.origin)
    walk.sources[name] = source
    nodes = list(walk.nodes.values())
    place = next(k for k, other in enumerate(nodes) if other.name == node.name)
    nodes.insert(place, inserted)
    walk.nodes = {other.name: other for other in nodes}
    return name


def _uniform(array: Float64) -> bool:
    return bool((array == array.flat[0]).all())
