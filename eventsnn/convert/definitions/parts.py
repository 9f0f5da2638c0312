"""What several families are built of: activations and the checks of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from eventsnn.convert.qcfs import QCFS
from eventsnn.errors import InvalidRequest

CEILING = 4.0
"""Where the learnt ceiling of a quantised activation starts: after a batch norm it is rarely passed."""


def activation(levels: int | None) -> nn.Module:
    """A ReLU, or with ``levels`` a QCFS of so many, to be trained as signed neurons compute."""
    if levels is None:
        return nn.ReLU()
    whole("levels", levels)
    return QCFS(levels, CEILING)


def pool(kind: str) -> nn.Module:
    """A pool of 2 x 2: ``"max"`` or ``"average"``."""
    if kind not in POOLS:
        raise InvalidRequest(f"pool is {kind!r}; allowed are {' and '.join(map(repr, POOLS))}")
    return POOLS[kind](2)


POOLS: dict[str, Any] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


def whole(name: str, value: Any, least: int = 1) -> int:
    """A whole number that is large enough."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidRequest(f"{name} is {value!r}; allowed are whole numbers from {least} on")
    return value


def wholes(name: str, values: Any) -> tuple[int, ...]:
    """Whole numbers above 0, perhaps none."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InvalidRequest(f"{name} is {values!r}; give a list of whole numbers")
    return tuple(whole(name, value) for value in values)


def pooled(size: int, pools: int) -> int:
    """The side of square images after so many pools of 2 x 2."""
    side = whole("size", size) >> pools
    if not side:
        raise InvalidRequest(f"size is {size}; {pools} pools of 2 x 2 need at least {2**pools} pixels")
    return side
