"""How values that passes make follow from values that were there; names may be the passes' own, too."""

from __future__ import annotations

import numpy as np

from eventsnn.convert.graph.graph import Derived, Float64, Node
from eventsnn.convert.graph.operations import Affine


def scaled_value(node: Node, factor: Float64, shift: Float64) -> Derived | None:
    """``factor * value + shift`` of a node's value; None where that follows from another's activation."""
    before = node.derived
    if before is None:
        return Derived(node.name, factor, shift)
    if before.activated:
        return None
    return Derived(before.name, factor * before.factor, factor * before.shift + shift)


def activated_value(node: Node) -> Derived | None:
    """An activation of a node's value."""
    shape = (node.shape[0], *[1] * (len(node.shape) - 1))
    value = scaled_value(node, np.ones(shape), np.zeros(shape))
    return None if value is None else Derived(value.name, value.factor, value.shift, activated=True)


def unscaled_value(node: Node, affine: Affine) -> Derived | None:
    """The value that ``affine`` would make a node's value of; None where a factor is zero."""
    if not affine.factor.all():
        return None
    return scaled_value(node, 1 / affine.factor, -affine.shift / affine.factor)
