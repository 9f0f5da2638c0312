"""Sums of values, which may cancel: ``(y - x).detach() + x`` is y, whatever gradients it passes.

Also a constant comes back out of what has no conversion: ``(s - g).detach() + g`` is s, where g is a scale
of the gradient that is computed from the values at hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, fx

from eventsnn.convert.graph.operations import Add, Affine
from eventsnn.convert.importers.torch_calls import Call
from eventsnn.convert.importers.torch_values import Value, of_rank


def sum_of(call: Call, first: Any, second: Any, factor: float, nodes: tuple[Any, Any]) -> Any:
    """``first + factor * second``, factor 1 or -1; ``nodes``: what stands for them in the trace."""
    unknown = [v for v in (first, second) if isinstance(v, Value) and v.refusal is not None]
    if unknown:
        if any(node in call.varying for node in nodes if isinstance(node, fx.Node)):
            call.value(unknown[0])
        return _sum_of_unknown(call, first, second, factor, unknown[0])
    if not isinstance(second, Value):
        return call.moved(first, factor * call.constant(second, nodes[1], first.shape))
    if not isinstance(first, Value):
        constant = call.constant(first, nodes[0], second.shape)
        return call.affine(second, np.full_like(constant, factor), constant)
    if first.shape != second.shape:
        call.refuse(
            f" adds values of the shapes {first.shape} and {second.shape}; only equal shapes are added up"
        )
    terms = _merged(first, second, factor)
    if not terms:
        refusal = call.site.refusal(" subtracts a value from itself; leave it out")
        return Value(call.site, first.shape, terms={}, refusal=refusal)
    value = _of_terms(call, terms, first, second)
    if value.terms is terms and first.name is not None and second.name is not None:
        name = second.name
        if factor != 1:
            opposite = Affine(of_rank(factor, len(first.shape)), of_rank(0, len(first.shape)))
            name = call.before("negated", opposite, second, second.shape, np.negative).name or ""
        call.nodes.after(value, Add(), (first.name, name))
    return value


def _sum_of_unknown(call: Call, first: Any, second: Any, factor: float, unknown: Value) -> Any:
    terms = _merged(first, second, factor)
    constant = _constant_of(first) + factor * _constant_of(second)
    if not terms:
        return constant
    known = all(term.refusal is None and term.shape == call.result.shape[1:] for term in terms)
    if known and not isinstance(constant, Tensor) and constant == 0:
        return _of_terms(call, terms, first, second)
    return Value(call.site, terms=terms, constant=constant, refusal=unknown.refusal)


def _of_terms(call: Call, terms: dict[Value, float], *summands: Any) -> Value:
    """The value with these terms: one that is there already, or a new one."""
    if len(terms) == 1:
        ((term, times),) = terms.items()
        return term if times == 1 else call.scaled(term, of_rank(times, len(term.shape)))
    for value in summands:
        if isinstance(value, Value) and value.terms == terms and value.refusal is None:
            return value
    return Value(call.site, next(iter(terms)).shape, terms=terms)


def _merged(first: Any, second: Any, factor: float) -> dict[Value, float]:
    terms: dict[Value, float] = {}
    for value, times in ((first, 1.0), (second, factor)):
        if isinstance(value, Value):
            for term, own in ({value: 1.0} if value.terms is None else value.terms).items():
                terms[term] = terms.get(term, 0.0) + times * own
    return {term: times for term, times in terms.items() if times != 0}


def _constant_of(value: Any) -> Any:
    if isinstance(value, Value):
        return 0.0 if value.constant is None else value.constant
    return value
