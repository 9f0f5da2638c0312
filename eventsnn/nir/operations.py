"""The linear nodes of NIR: what each makes of a shape, and its synapses with their float weights.

Shapes are NIR's, (features,), (channels, length) or (channels, y, x); indices are row-major in them. Weights
are float64. ``OPERATIONS`` has one small function for each node, which checks its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import shown, whole
from eventsnn.errors import InvalidNetwork
from eventsnn.network import Axis

Floats = NDArray[np.float64]
NirShape = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """One linear node between an input and an output shape.

    Attributes
    ----------
    name, kind : str
        The node, and its form: ``conv``, ``dense``, ``pool``, ``scale``, ``flatten``, ``delay``.
    before, after : tuple of int
        Shapes.
    weight : float64 array or None
        ``conv``: (out, in // groups, y, x). ``dense``: (out, in). ``scale``: of the shape itself. ``pool``:
        one value, by which sums are multiplied.
    bias : float64 array or None
        One value an output channel, or output; None where there is none.
    axes : (Axis, Axis) or None
        Of ``conv`` and ``pool``: along y and x.
    groups : int
    delay : float64 array or None
        Seconds, one for each value.
    """

    name: str
    kind: str
    before: NirShape
    after: NirShape
    weight: Floats | None = None
    bias: Floats | None = None
    axes: tuple[Axis, Axis] | None = None
    groups: int = 1
    delay: Floats | None = field(default=None, repr=False)


def operation(name: str, node: Any, before: NirShape) -> Operation:
    """What a node does with a signal of a shape.

    Raises
    ------
    InvalidNetwork
        Fields that are no numbers, do not fit together or not the shape.
    """
    return OPERATIONS[type(node).__name__](name, node, before)


# -- fields -----------------------------------------------------------------------------------------------


def refused(name: str, node: Any, what: str) -> InvalidNetwork:
    """The error of a node that is not as it should be."""
    return InvalidNetwork(f"node {name!r} ({type(node).__name__}) {what}")


def floats(name: str, node: Any, attribute: str, dimensions: int | None = None) -> Floats:
    """An array of a node as finite float64."""
    value = getattr(node, attribute)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise refused(name, node, f"has {shown(value)} as its {attribute}, no array of numbers") from error
    if dimensions is not None and array.ndim != dimensions:
        raise refused(name, node, f"has a {attribute} of {array.ndim} dimensions; it needs {dimensions}")
    if array.size == 0:
        raise refused(name, node, f"has an empty {attribute}")
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        raise refused(
            name,
            node,
            f"has NaN or infinite values in its {attribute} ({len(wrong)} of {array.size}); train it again",
        )
    return array


def numbers(value: Any) -> Floats | None:
    """A value as float64, one dimension; None where it is no numbers, such as the text of one."""
    try:
        array = np.asarray(value)
        return array.astype(np.float64).reshape(-1) if array.dtype.kind in "fiu" else None
    except (TypeError, ValueError):
        return None


def wholes(name: str, node: Any, attribute: str, count: int, least: int) -> tuple[int, ...]:
    """A whole number or ``count`` of them, as many."""
    value = getattr(node, attribute)
    array = numbers(value)
    if array is None:
        raise refused(name, node, f"has {shown(value)} as its {attribute}, no whole number")
    if len(array) not in (1, count) or (array % 1).any() or not np.isfinite(array).all():
        raise refused(
            name, node, f"has {shown(value)} as its {attribute}; it has {count} whole numbers, or one"
        )
    if array.min() < least or array.max() > 2**20:
        raise refused(name, node, f"has {shown(value)} as its {attribute}; allowed are {least} to 2^20")
    found = tuple(int(one) for one in array)
    return found if len(found) == count else found * count


def bias_of(name: str, node: Any, count: int) -> Floats | None:
    """A node's bias, None where all of it is 0."""
    if getattr(node, "bias", None) is None:
        return None
    bias = floats(name, node, "bias")
    if bias.ndim > 1 or bias.size not in (1, count):
        raise refused(name, node, f"has a bias of shape {bias.shape} for {count} outputs")
    bias = np.broadcast_to(bias.reshape(-1), (count,)).copy()
    return bias if bias.any() else None


# -- nodes ------------------------------------------------------------------------------------------------


def _dense(name: str, node: Any, before: NirShape) -> Operation:
    weight = floats(name, node, "weight", 2)
    if before != (weight.shape[1],):
        hint = "; put a Flatten before it" if len(before) > 1 and prod(before) == weight.shape[1] else ""
        raise refused(
            name, node, f"reads {weight.shape[1]} values, and a signal of shape {before} comes in{hint}"
        )
    after = (weight.shape[0],)
    return Operation(name, "dense", before, after, weight, bias_of(name, node, after[0]))


def _conv2d(name: str, node: Any, before: NirShape) -> Operation:
    return _conv(name, node, before, floats(name, node, "weight", 4), 2)


def _conv1d(name: str, node: Any, before: NirShape) -> Operation:
    return _conv(name, node, before, floats(name, node, "weight", 3)[:, :, None], 1)


def _conv(name: str, node: Any, before: NirShape, weight: Floats, sides: int) -> Operation:
    if len(before) != sides + 1:
        raise refused(
            name, node, f"reads (channels, {'y, x' if sides == 2 else 'length'}), and {before} comes in"
        )
    if getattr(node, "input_shape", None) is not None:
        declared = numbers(node.input_shape)
        if declared is None or tuple(declared) != before[1:]:
            raise refused(name, node, f"says {shown(node.input_shape)} comes in, and {before[1:]} does")
    groups = wholes(name, node, "groups", 1, 1)[0]
    if before[0] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise refused(
            name,
            node,
            f"has a weight of shape {weight.shape} in {groups} groups: it reads {weight.shape[1] * groups} "
            f"channels and {before[0]} come in, or its {weight.shape[0]} outputs are no whole number a group",
        )
    strides, dilations = (wholes(name, node, what, sides, 1) for what in ("stride", "dilation"))
    paddings = _paddings(name, node, weight.shape[-sides:], strides, dilations)
    axes = [
        Axis(taps, stride, *padding, dilation)
        for taps, stride, padding, dilation in zip(
            weight.shape[-sides:], strides, paddings, dilations, strict=True
        )
    ]
    after = (weight.shape[0], *_lengths(name, node, axes, before[1:]))
    pair = (axes[0], axes[1]) if sides == 2 else (Axis(1), axes[0])
    bias = bias_of(name, node, after[0])
    return Operation(name, "conv", before, after, weight, bias, pair, groups)


def _paddings(
    name: str, node: Any, taps: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
) -> list[tuple[int, int]]:
    padding = node.padding.decode("utf-8", "replace") if isinstance(node.padding, bytes) else node.padding
    if isinstance(padding, str) and padding == "valid":
        return [(0, 0)] * len(taps)
    if isinstance(padding, str) and padding == "same":
        if max(strides) > 1:
            raise refused(
                name, node, f"has the padding 'same' and the stride {strides}; 'same' is for stride 1"
            )
        # As PyTorch: what is odd comes at the end.
        spans = [dilation * (t - 1) for t, dilation in zip(taps, dilations, strict=True)]
        return [(span // 2, span - span // 2) for span in spans]
    if isinstance(padding, str):
        raise refused(name, node, f"has the padding {padding!r}; known are 'same', 'valid' and numbers")
    return [(one, one) for one in wholes(name, node, "padding", len(taps), 0)]


def _lengths(name: str, node: Any, axes: list[Axis], before: NirShape) -> tuple[int, ...]:
    found = tuple(axis.target_length(length) for axis, length in zip(axes, before, strict=True))
    if min(found) < 1:
        raise refused(name, node, f"has windows that do not fit into {before}, nothing comes out")
    return found


def _pool(average: bool) -> Callable[[str, Any, NirShape], Operation]:
    def pool(name: str, node: Any, before: NirShape) -> Operation:
        if len(before) != 3:
            raise refused(name, node, f"reads (channels, y, x), and {before} comes in")
        taps, strides = (wholes(name, node, what, 2, 1) for what in ("kernel_size", "stride"))
        paddings = wholes(name, node, "padding", 2, 0)
        axes = [Axis(t, s, p, p) for t, s, p in zip(taps, strides, paddings, strict=True)]
        after = (before[0], *_lengths(name, node, axes, before[1:]))
        weight = np.array([1 / prod(taps) if average else 1.0])
        return Operation(name, "pool", before, after, weight, axes=(axes[0], axes[1]))

    return pool


def _scale(name: str, node: Any, before: NirShape) -> Operation:
    scale = floats(name, node, "scale")
    if scale.size == 1:
        scale = np.broadcast_to(scale.reshape(()), before)
    if scale.shape != before:
        raise refused(name, node, f"has a scale of shape {scale.shape}, and {before} comes in")
    return Operation(name, "scale", before, before, scale.astype(np.float64))


def _flatten(name: str, node: Any, before: NirShape) -> Operation:
    declared = getattr(node, "input_type", None) or {}
    shape = declared.get("input") if isinstance(declared, dict) else None
    if shape is not None and tuple(np.asarray(shape).reshape(-1).tolist()) != before:
        raise refused(name, node, f"says {tuple(np.asarray(shape).tolist())} comes in, and {before} does")
    rank = len(before)
    start, end = (_dimension(name, node, attribute, rank) for attribute in ("start_dim", "end_dim"))
    if not 0 <= start <= end < rank:
        raise refused(
            name, node, f"flattens dimensions {node.start_dim} to {node.end_dim}, and {before} comes in"
        )
    after = (*before[:start], prod(before[start : end + 1]), *before[end + 1 :])
    return Operation(name, "flatten", before, after)


def _dimension(name: str, node: Any, attribute: str, rank: int) -> int:
    """A dimension, counted from the end where it is negative; -1 where there is none."""
    try:
        value = whole(getattr(node, attribute), attribute, InvalidNetwork)
    except InvalidNetwork as error:
        raise refused(name, node, str(error)) from error
    found = value + rank if value < 0 else value
    return found if 0 <= found < rank else -1


def _delay(name: str, node: Any, before: NirShape) -> Operation:
    delay = floats(name, node, "delay")
    if delay.size == 1:
        delay = np.broadcast_to(delay.reshape(()), before)
    if delay.shape != before:
        raise refused(name, node, f"has delays of shape {delay.shape}, and {before} comes in")
    if delay.min() < 0 or delay.max() > 1e6:
        raise refused(name, node, f"has delays from {delay.min():g} to {delay.max():g} s; they are 0 or more")
    return Operation(name, "delay", before, before, delay=delay.astype(np.float64))


OPERATIONS: dict[str, Callable[[str, Any, NirShape], Operation]] = {
    "Affine": _dense,
    "Linear": _dense,
    "Conv1d": _conv1d,
    "Conv2d": _conv2d,
    "AvgPool2d": _pool(average=True),
    "SumPool2d": _pool(average=False),
    "Scale": _scale,
    "Flatten": _flatten,
    "Delay": _delay,
}
