"""ONNX operators, each a small function that adds to the graph what the operator computes.

A function takes the walk and the node, reads values and constants of the walk, and gives a value (or a
constant) for each output. Operators that are not in ``OPERATORS`` are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx

from eventsnn.convert.importers.onnx_operators import (
    activations,
    arithmetic,
    joins,
    linear,
    pools,
    shapes,
    steps,
)
from eventsnn.convert.importers.onnx_walk import Walk

OPERATORS: dict[str, Callable[[Walk, onnx.NodeProto], None]] = {
    **activations.OPERATORS,
    **arithmetic.OPERATORS,
    **joins.OPERATORS,
    **linear.OPERATORS,
    **pools.OPERATORS,
    **shapes.OPERATORS,
    **steps.OPERATORS,
}
"""From an operator's name to what understands it."""
