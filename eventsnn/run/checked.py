"""Whether an accelerator's file is one, and whether a network fits it: what is checked, verdict, problems."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from eventsnn.arguments import shown
from eventsnn.engine.request import check_accelerator
from eventsnn.errors import DoesNotFit, EventsnnError, InvalidHardware, InvalidMapping, InvalidRequest
from eventsnn.hardware import Architecture, Mapping, MappingFile, load_architecture, map_network
from eventsnn.hardware.documents import wrong_places
from eventsnn.hardware.mapping.checks import CoreUse, use_of_cores
from eventsnn.network import Network, load_network

# Whose places a refusal of a document names.
DOCUMENTS: dict[type[EventsnnError], type[BaseModel]] = {
    InvalidHardware: Architecture,
    InvalidMapping: MappingFile,
}


def schedule_of(architecture: Architecture) -> str:
    """The schedule that an accelerator follows."""
    return "event" if architecture.synchronisation.kind == "none" else "step"


@dataclass(frozen=True, eq=False)
class Placed:
    """A network on an accelerator, within its limits; ``cores`` says how full each core in use is."""

    network: Network
    mapping: Mapping
    cores: list[CoreUse]


def place(
    network: Network | str | os.PathLike[str], architecture: Architecture, mapping: Any = None
) -> Placed:
    """Place a network, or the file of one, on an accelerator; refused is what no run would take, too.

    Raises
    ------
    EventsnnError
        No network, no mapping of it, it exceeds a limit, or the accelerator follows no schedule as it is.
    """
    loaded = network if isinstance(network, Network) else load_network(network)
    placed = map_network(loaded, architecture, mapping)
    check_accelerator(placed, schedule_of(architecture))
    return Placed(loaded, placed, use_of_cores(loaded, placed))


def check(
    hardware: str | os.PathLike[str] | Architecture,
    network: Network | str | os.PathLike[str] | None = None,
    mapping: str | os.PathLike[str] | dict[str, Any] | MappingFile | None = None,
) -> dict[str, Any]:
    """Check an accelerator, and with a network whether that fits; what is wrong with them is not raised.

    Returns
    -------
    dict
        JSON values. ``checked``: ``hardware``, ``network``, ``mapping`` as given, of objects an
        accelerator's name and a network's checksum. ``verdict``: ``valid``
        (an accelerator alone), ``fits``, or ``refused``. ``problems``: each with ``name`` (that of its
        error), ``message``, and as far as known ``place`` (in the document of accelerator or mapping) or
        ``population``, ``core``, ``limit``, ``need``, ``has``. ``accelerator``: ``name``, ``cores``,
        ``tiles``, ``schedule``; None where its file is refused. ``cores``: of a network that fits, each
        core in use with ``use`` of its limits, [used, limit] by name, and ``parts``.

    Raises
    ------
    InvalidRequest
        A mapping without a network.
    """
    if network is None and mapping is not None:
        raise InvalidRequest("mapping (--mapping) places a network; give it with network (--network)")
    found: dict[str, Any] = {
        "checked": {
            "hardware": _named(hardware),
            "network": _named(network),
            "mapping": _named(mapping),
        },
        "verdict": "refused",
        "problems": [],
        "accelerator": None,
        "cores": [],
    }
    try:
        architecture = load_architecture(hardware)
        found["accelerator"] = {
            "name": architecture.name,
            "cores": architecture.number_of_cores,
            "tiles": architecture.number_of_tiles,
            "schedule": schedule_of(architecture),
        }
        if network is not None:
            found["cores"] = [_core(use) for use in place(network, architecture, mapping).cores]
    except EventsnnError as error:
        found["problems"] = _problems(error)
    else:
        found["verdict"] = "valid" if network is None else "fits"
    return found


def _named(given: Any) -> Any:
    """What was given, as JSON values that tell it from others."""
    if isinstance(given, Architecture):
        return given.name
    if isinstance(given, Network):
        return given.checksum
    if isinstance(given, MappingFile):
        return given.model_dump(mode="json", by_alias=True)
    if given is None or isinstance(given, dict):
        return given
    return os.fspath(given) if isinstance(given, str | os.PathLike) else shown(given)


def _core(use: CoreUse) -> dict[str, Any]:
    parts = [
        {
            "population": part.population,
            "rows": [part.y0, part.y1 - 1],
            "channels": [part.c0, part.c1 - 1],
            "use": own,
        }
        for part, own in use.of_part.items()
    ]
    return {"core": use.core, "use": use.together, "parts": parts}


def _problems(error: EventsnnError) -> list[dict[str, Any]]:
    """One for each wrong place of the document, else one."""
    name = type(error).__name__
    document = DOCUMENTS.get(type(error))
    if document is not None and isinstance(error.__cause__, ValidationError):
        wrong = wrong_places(error.__cause__, document)
        return [{"name": name, "place": where, "message": said} for where, said in wrong]
    details = error.details if isinstance(error, DoesNotFit) else {}
    return [{"name": name, **details, "message": str(error)}]
