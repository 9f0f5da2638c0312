"""Every value that an architecture states, with its place in the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eventsnn.hardware.architecture import Architecture
from eventsnn.hardware.quantities import Quantity

Place = tuple[str | int, ...]


def is_quantity(value: Any) -> bool:
    """Whether a part of a document is a quantity."""
    return isinstance(value, dict) and {"value", "unit", "kind", "source"} <= value.keys()


def quantities(value: Any, place: Place = ()) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The quantities in a document, in its order, with the keys on the way to them."""
    if is_quantity(value):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from quantities(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from quantities(inner, (*place, number))


def stated_values(architecture: Architecture) -> list[tuple[str, Quantity]]:
    """All quantities with their paths, as ``eventsnn sweep --set`` takes them: ``actions.synapse.energy``."""
    return [
        (".".join(map(str, place)), Quantity(**value)) for place, value in quantities(architecture.document())
    ]
