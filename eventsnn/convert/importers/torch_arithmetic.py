"""Rules for arithmetic with constants, sums, clips, rounding and steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from eventsnn.convert.graph.operations import ReLU
from eventsnn.convert.importers.curves import Curve, Ramp
from eventsnn.convert.importers.torch_calls import Call
from eventsnn.convert.importers.torch_sums import sum_of
from eventsnn.convert.importers.torch_values import Value, of_rank

LEVELS = (
    " rounds what is no scaled and clipped value; integer activations are unit * clip(round(x / unit "
    "+ shift), lowest, largest) in any way of writing them"
)


# -- arithmetic --------------------------------------------------------------------------------------


def add(call: Call, input: Any, other: Any, *, alpha: float = 1) -> Any:
    """A sum of values, or with a constant."""
    return _plus(call, input, other, alpha)


def subtract(call: Call, input: Any, other: Any, *, alpha: float = 1) -> Any:
    """A difference."""
    return _plus(call, input, other, -alpha)


def _plus(call: Call, input: Any, other: Any, factor: float) -> Any:
    if factor not in (1, -1):
        call.refuse(f" adds with the factor alpha={factor}; multiply before adding instead")
    first, second = (*call.site.node.args, None, None)[:2]
    return sum_of(call, input, other, factor, (first, call.site.node.kwargs.get("other", second)))


def multiply(call: Call, input: Any, other: Any) -> Value:
    """A product with a constant."""
    first, second = (*call.site.node.args, None, None)[:2]
    if isinstance(other, Value) and not isinstance(input, Value):
        input, other, second = other, input, first
    if isinstance(other, Value):
        call.refuse(
            " multiplies two values of the network (a gate, an attention), which spikes do not compute; "
            "replace it by a sum or a constant factor and train again"
        )
    source = call.value(input)
    return call.scaled(source, call.constant(other, call.site.node.kwargs.get("other", second), source.shape))


def divide(call: Call, input: Any, other: Any, *, rounding_mode: str | None = None) -> Value:
    """A quotient by a constant, perhaps rounded down."""
    if isinstance(other, Value):
        call.refuse(
            " divides by a value of the network, which spikes do not compute; divide by constants only"
        )
    source = call.value(input)
    node = call.site.node.kwargs.get("other", (*call.site.node.args, None, None)[1])
    divisor = call.constant(other, node, source.shape)
    if rounding_mode is None:
        return call.divided(source, divisor)
    if rounding_mode != "floor":
        call.refuse(f" rounds with rounding_mode={rounding_mode!r}; use 'floor'")

    def change(curve: Curve) -> Curve | None:
        divided = curve.divided(divisor)
        return divided and divided.rounded("floor")

    return call.curve(source, change, None, LEVELS)


def floor_divide(call: Call, input: Any, other: Any) -> Value:
    """``//`` by a constant."""
    return divide(call, input, other, rounding_mode="floor")


def negative(call: Call, input: Any) -> Value:
    """``-x``."""
    source = call.value(input)
    return call.scaled(source, of_rank(-1, len(source.shape)))


# -- activations -------------------------------------------------------------------------------------


def clip(call: Call, input: Any, low: Any, high: Any, nodes: tuple[Any, Any] = (None, None)) -> Value:
    """At least ``low``, then at most ``high``; None: no bound."""
    source = call.value(input)
    lower = call.constant(-np.inf if low is None else low, nodes[0], source.shape)
    upper = call.constant(np.inf if high is None else high, nodes[1], source.shape)
    ceiling = np.unique(upper)
    rectifies = (lower == 0).all() and len(ceiling) == 1 and ceiling[0] > 0 and len(source.shape) in (1, 3)
    operation = ReLU(None if np.isinf(ceiling[0]) else float(ceiling[0])) if rectifies else None
    return call.curve(source, lambda curve: curve.clamped(lower, upper), operation)


def clamp(call: Call, input: Any, min: Any = None, max: Any = None) -> Value:
    """``torch.clamp``, ``clip``."""
    node = call.site.node
    first, second = (*node.args[1:], None, None)[:2]
    return clip(call, input, min, max, (node.kwargs.get("min", first), node.kwargs.get("max", second)))


def clamp_min(call: Call, input: Any, min: Any) -> Value:
    """At least ``min``."""
    return clamp(call, input, min)


def clamp_max(call: Call, input: Any, max: Any) -> Value:
    """At most ``max``."""
    node = call.site.node
    return clip(call, input, None, max, (None, node.kwargs.get("max", (*node.args, None)[1])))


def maximum(call: Call, input: Any, other: Any = None, dim: Any = None, keepdim: bool = False) -> Value:
    """The larger of a value and a constant."""
    return _extreme(call, input, other, dim, lower=True)


def minimum(call: Call, input: Any, other: Any = None, dim: Any = None, keepdim: bool = False) -> Value:
    """The smaller of a value and a constant."""
    return _extreme(call, input, other, dim, lower=False)


def _extreme(call: Call, input: Any, other: Any, dim: Any, lower: bool) -> Value:
    if not isinstance(input, Value):
        input, other = other, input
    if not isinstance(other, Tensor) or dim is not None:
        call.refuse(
            " takes the larger or smaller of two values of the network, or along an axis with places; use a "
            "max-pool or torch.amax"
        )
    for node in call.site.node.all_input_nodes:
        if node in call.varying:
            call.refuse(" computes with the number of samples; one sample may not depend on others")
    return clip(call, input, other if lower else None, None if lower else other)


def relu(call: Call, input: Any, inplace: bool = False) -> Value:
    """ReLU."""
    return clip(call, input, 0.0, None)


def relu6(call: Call, input: Any, inplace: bool = False) -> Value:
    """ReLU6."""
    return clip(call, input, 0.0, 6.0)


def hardtanh(
    call: Call, input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Value:
    """A clip between two bounds."""
    return clip(call, input, min_val, max_val)


# -- rounding and steps ------------------------------------------------------------------------------


def round_(call: Call, input: Any, *, decimals: int = 0) -> Value:
    """``torch.round``, halves to even."""
    if decimals:
        call.refuse(f" rounds to {decimals} decimals; scale, round to integers and scale back")
    return call.curve(call.value(input), lambda curve: curve.rounded("half-even"), None, LEVELS)


def floor(call: Call, input: Any) -> Value:
    """``torch.floor``."""
    return call.curve(call.value(input), lambda curve: curve.rounded("floor"), None, LEVELS)


def trunc(call: Call, input: Any) -> Value:
    """``torch.trunc`` of what is not negative: rounded down."""

    def change(curve: Curve) -> Curve | None:
        negative = isinstance(curve, Ramp) and not (curve.low >= 0).all()
        return None if negative else curve.rounded("floor")

    text = " cuts decimals off values that may be negative; use floor, or clip at 0 before"
    return call.curve(call.value(input), change, None, text)


def sign(call: Call, input: Any) -> Value:
    """``torch.sign``."""
    return _decided(call, call.value(input), lambda s: s)


def heaviside(call: Call, input: Any, values: Any) -> Value:
    """``torch.heaviside``: ``values`` at 0."""
    source = call.value(input)
    at_zero = np.unique(call.constant(values, None, source.shape))
    if len(at_zero) != 1:
        call.refuse(" has several values at 0; give one")
    return _decided(call, source, lambda s: float(at_zero[0]) if s == 0 else float(s > 0))


def _decided(call: Call, source: Value, decide: Callable[[float], float]) -> Value:
    return call.curve(
        source, lambda curve: curve.decided(decide), None, " is a step of what has levels already"
    )


def comparison(compare: Callable[[float, float], bool]) -> Callable[..., Value]:
    """The rule of a comparison with a constant."""

    def rule(call: Call, input: Any, other: Any) -> Value:
        source = call.value(input)
        node = call.site.node.kwargs.get("other", (*call.site.node.args, None, None)[1])
        bound = call.constant(other, node, source.shape)

        def change(curve: Curve) -> Curve | None:
            moved = curve.moved(-bound)
            return moved and moved.decided(lambda s: float(compare(s, 0.0)))

        return call.curve(source, change, None, " compares what has levels already")

    return rule


def where(call: Call, condition: Any, input: Any, other: Any) -> Value:
    """One of two constants, by a comparison."""
    source = call.value(condition)
    if isinstance(input, Value) or isinstance(other, Value):
        call.refuse(" chooses between values of the network; use a ReLU or clamp instead")
    if source.base is None:
        call.refuse(" chooses by something else than a comparison with a constant")
    numbers = [np.unique(call.constant(number, None, source.shape)) for number in (input, other)]
    if any(len(number) != 1 for number in numbers):
        call.refuse(" chooses between constants that differ from place to place; give two numbers")
    high, low = (float(number[0]) for number in numbers)

    def change(curve: Curve) -> Curve | None:
        return curve.decided(lambda s: high if s > 0 else low)

    return call.curve(source, change, None)
