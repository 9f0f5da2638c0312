"""What ``to_nir`` writes into metadata beside NIR's own fields, and ``from_nir`` finds there again.

Under one key, as JSON, of the graph: what NIR has no place for (units of activations, quanta of thresholds,
the input contract), by population; of a node that stands for a projection: its name. A network comes back as
it was. Others may leave it out: the graph computes the same.
"""

from __future__ import annotations

import json
from typing import Any

from eventsnn.arguments import shown, whole
from eventsnn.errors import InvalidFile

KEY = "eventsnn"


def kept_in(node: Any, where: str) -> dict[str, Any]:
    """What a node's or graph's metadata holds of ours.

    Raises
    ------
    InvalidFile
        It is no JSON object.
    """
    text = (node.metadata or {}).get(KEY)
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidFile(
            f"{where} has {shown(text)} under {KEY!r} in its metadata, which is no JSON"
        ) from error
    if not isinstance(found, dict):
        raise InvalidFile(f"{where} has {shown(text)} under {KEY!r} in its metadata; it is a JSON object")
    return found


def of_population(kept: dict[str, Any], name: str) -> dict[str, Any]:
    """What is kept of one population.

    Raises
    ------
    InvalidFile
        It is no mapping, or its quanta are none.
    """
    populations = kept.get("populations", {})
    found = populations.get(name, {}) if isinstance(populations, dict) else None
    if not isinstance(found, dict):
        raise InvalidFile(f"metadata {KEY!r} of the NIR graph has {shown(found)} for population {name!r}")
    if "quanta" in found:
        whole(found["quanta"], f"quanta of {name!r} in metadata {KEY!r}", InvalidFile, 1, 2**20)
    return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}
