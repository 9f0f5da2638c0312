"""Every value that an architecture states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from eventsnn.hardware.architecture import Architecture
from eventsnn.hardware.quantities import Quantity


def stated_values(architecture: Architecture) -> list[tuple[str, Quantity]]:
    """All quantities with their places in the file, in its order: ``actions.synapse.energy``.

    The barrier's times are at ``synchronisation.latency[TILES].time``.
    """
    return list(_walk(architecture, ""))


def _walk(value: Any, place: str) -> Iterator[tuple[str, Quantity]]:
    if isinstance(value, Quantity):
        yield place, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _walk(getattr(value, name), f"{place}.{name}".lstrip("."))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, f"{place}.{name}")
    elif isinstance(value, tuple):
        for number, inner in enumerate(value):
            yield from _walk(inner, f"{place}[{getattr(inner, 'tiles', number)}]")
