"""A placement as the file that a user may write: what ``load_mapping`` reads."""

from __future__ import annotations

from typing import Any

import yaml

from eventsnn.hardware.mapping.parts import INPUT_PORT, Mapping, Part
from eventsnn.network import Network

BEGINNING = b"format: eventsnn-mapping\n"


def document_of(network: Network, mapping: Mapping) -> dict[str, Any]:
    """The document: every population by its boxes; an input at the port is left out."""
    populations = {
        name: [_place(network, part) for part in parts]
        for name, parts in mapping.parts.items()
        if parts[0].core != INPUT_PORT
    }
    found: dict[str, Any] = {"format": "eventsnn-mapping", "schema": 1}
    found["populations"] = {name: boxes if boxes[1:] else boxes[0] for name, boxes in populations.items()}
    if mapping.synapse_units:
        found["synapse_units"] = dict(sorted(mapping.synapse_units.items()))
    return found


def text_of(document: dict[str, Any]) -> str:
    """The document as YAML."""
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=110)


def _place(network: Network, part: Part) -> dict[str, Any]:
    height, _, channels = network.populations[part.population].shape
    found: dict[str, Any] = {"core": part.core}
    if (part.y0, part.y1) != (0, height):
        found["rows"] = f"{part.y0}..{part.y1 - 1}"
    if (part.c0, part.c1) != (0, channels):
        found["channels"] = f"{part.c0}..{part.c1 - 1}"
    return found
