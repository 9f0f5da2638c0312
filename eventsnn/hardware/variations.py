"""Architectures that differ in one value, named by its path in the document.

``actions.synapse.time`` is a quantity, ``cores.convolution.input_fifo.depth`` a plain value. What an
architecture leaves at its default has a path too, so a cost that it does not have can be given to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eventsnn.errors import InvalidHardware
from eventsnn.hardware.architecture import Architecture, parse_architecture
from eventsnn.hardware.documents import read_document
from eventsnn.hardware.quantities import ENERGY_UNITS, FREQUENCY_UNITS, POWER_UNITS, TIME_UNITS, Quantity
from eventsnn.hardware.values import Place, is_quantity, quantities

# What a document says about itself is no value of the accelerator.
NOT_VALUES = ("format", "schema", "name", "description", "not_modelled", "source")
# Changing these leaves every event at its time, unless they are the names of something.
ENERGY_ALONE = ("energy", "static_power", "core_power", "idle_energy")
COST_UNITS = (*TIME_UNITS, "cycles", *ENERGY_UNITS, *POWER_UNITS, *FREQUENCY_UNITS)
_CHOSEN = {"kind": "assumed", "origin": "assumed"}
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


@dataclass(frozen=True)
class Variation:
    """An architecture with one value changed; ``value`` is the text of the new one."""

    path: str
    value: str
    architecture: Architecture


def vary(architecture: Architecture, path: str, values: Sequence[str]) -> list[Variation]:
    """Put each of some values at a path of an architecture.

    Parameters
    ----------
    path : str
        Keys of the document joined by dots; places in a list count from 0.
    values : sequence of str
        ``10``, in the unit that stands there, ``10 ns``, or ``x0.8``, a factor on what stands there.

    Raises
    ------
    InvalidHardware
        No such path, what stands there is no value, or the architecture is not valid with a value.
    """
    if not values or not all(value.strip() for value in values):
        raise InvalidHardware(
            f"{path} is given no values; write PATH=V1,V2, as in actions.synapse.time=5 ns,10 ns"
        )
    place = _find(_document(architecture), path)
    return [_changed(architecture, place, value.strip()) for value in values]


def banded(architecture: Architecture) -> list[Variation]:
    """Every value that states a band, at either end of it."""
    found = []
    for place, value in quantities(_document(architecture)):
        if value["band"] is not None:
            found += [_changed(architecture, place, f"{end!r} {value['unit']}") for end in value["band"]]
    return found


def scaled(architecture: Architecture, factors: Sequence[float]) -> list[Variation]:
    """Every time, energy, power and frequency that is not 0, times each of some factors."""
    found = []
    for place, value in quantities(_document(architecture)):
        if value["unit"] in COST_UNITS and value["value"] > 0:
            found += [_changed(architecture, place, f"x{factor!r}") for factor in factors]
    return found


def behaviour(architecture: Architecture) -> str:
    """Everything of an architecture that a spike can notice, as text: equal texts, equal runs.

    Left out are energies and powers, words, and bands; times are compared in ticks.
    """
    document = _document(architecture)
    for name in NOT_VALUES:
        document.pop(name, None)
    return json.dumps(_noticed(document, (), architecture.clock_hz), sort_keys=True)


def _noticed(value: Any, place: Place, clock: float) -> Any:
    if is_quantity(value):
        if value["unit"] == "cycles" or value["unit"] in TIME_UNITS:
            return ["ticks", Quantity(**value).ticks(clock)]
        return [value["value"], value["unit"]]
    if isinstance(value, dict):
        left_out = () if _keys_are_names(place) else ENERGY_ALONE
        return {k: _noticed(inner, (*place, k), clock) for k, inner in value.items() if k not in left_out}
    if isinstance(value, list):
        return [_noticed(inner, (*place, i), clock) for i, inner in enumerate(value)]
    return value


def _keys_are_names(place: Place) -> bool:
    """Whether the keys there are chosen by who wrote the file."""
    return place[:1] == ("tiles",) or place in (("cores",), ("synapse_units",), ("corners",))


def _document(architecture: Architecture) -> dict[str, Any]:
    """The whole document, defaults included."""
    found: dict[str, Any] = architecture.model_dump(mode="json", by_alias=True)
    return found


def _find(document: dict[str, Any], path: str) -> Place:
    """The keys on the way to a value; names of tiles and of kinds of cores may hold dots themselves."""
    place: Place = ()
    value: Any = document
    rest = path.strip()
    while rest:
        here = ".".join(map(str, place))
        if is_quantity(value):
            raise InvalidHardware(f"{path} goes into the value {here}; vary {here} itself")
        keys = _keys(value)
        fitting = [key for key in keys if rest == key or rest.startswith(f"{key}.")]
        if not fitting or (not place and fitting[0] in NOT_VALUES):
            listed = ", ".join(key for key in keys if place or key not in NOT_VALUES) or "nothing"
            raise InvalidHardware(f"there is no value {path!r}: {here or 'the architecture'} has {listed}")
        key = max(fitting, key=len)
        place = (*place, int(key) if isinstance(value, list) else key)
        value = value[place[-1]]
        rest = rest[len(key) + 1 :]
    if isinstance(value, (dict, list)) and not is_quantity(value):
        raise InvalidHardware(
            f"{path or 'an empty path'} is no value but a group of {', '.join(_keys(value)) or 'nothing'}; "
            "give the path of one value"
        )
    return place


def _keys(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(number) for number in range(len(value))]
    return list(value) if isinstance(value, dict) else []


def _changed(architecture: Architecture, place: Place, text: str) -> Variation:
    document, path = _document(architecture), ".".join(map(str, place))
    parent: Any = document
    for key in place[:-1]:
        parent = parent[key]
    new = _new_value(parent[place[-1]], path, text)
    parent[place[-1]] = new
    for core in document["cores"].values():  # an override that says nothing is none
        core["actions"] = {name: action for name, action in core["actions"].items() if any(action.values())}
        if not core["actions"]:
            del core["actions"]
    shown = _shown(new["value"], new["unit"]) if is_quantity(new) else text
    return Variation(path, shown, parse_architecture(document, f"{architecture.name} with {path} = {shown}"))


def _shown(value: float, unit: str) -> str:
    return f"{value:g} {unit}"


def _new_value(old: Any, path: str, text: str) -> Any:
    """What stands at a place once ``text`` is put there."""
    quantity = re.fullmatch(rf"(x?)({_NUMBER})\s*([^\d\s].*)?", text)
    if not is_quantity(old):
        if old is None and quantity and quantity[3] and not quantity[1]:
            source = "set in a sweep; not there nominally"
            return {"value": float(quantity[2]), "unit": quantity[3], **_CHOSEN, "source": source}
        return _plain(path, text)
    if quantity is None or (quantity[1] and quantity[3]):
        raise InvalidHardware(
            f"{path} = {text!r} is no number; allowed are '10' (in {old['unit']}), '10 {old['unit']}' and "
            "'x0.8' (a factor)"
        )
    value, unit = float(quantity[2]), quantity[3] or old["unit"]
    if quantity[1]:
        value *= old["value"]
    if old["unit"] not in COST_UNITS and unit != old["unit"]:
        raise InvalidHardware(f"{path} = {text!r}: {old['unit']} are counted there, not {unit}")
    nominal = _shown(old["value"], old["unit"])
    return {"value": value, "unit": unit, **_CHOSEN, "source": f"set in a sweep; {nominal} nominally"}


def _plain(path: str, text: str) -> Any:
    try:
        found = read_document(text, path, InvalidHardware)
    except InvalidHardware:
        found = text
    if isinstance(found, (dict, list)):
        raise InvalidHardware(f"{path} = {text!r} is a group; give one value")
    return found
