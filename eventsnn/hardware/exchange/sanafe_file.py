"""A file in SANA-FE's form, taken apart piece by piece: what is not taken is listed."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

from eventsnn.errors import InvalidHardware, MissingFile
from eventsnn.hardware.documents import read_document, read_text

Node = dict[str, Any]
Value = dict[str, Any]
FUNCTION = ("model", "plugin")  # what a unit computes, not what it costs
NODES = {"name", "attributes", "tile", "core", "axon_in", "synapse", "dendrite", "soma", "axon_out"}
LARGEST = 10**9
ABSENT = Decimal(0)


class SanafeFile:
    """A file being read.

    Attributes
    ----------
    architecture : dict
        Its root.
    left_out : list of str
        What has no counterpart, as far as it was met.
    models : set of str
        What units compute.

    Raises
    ------
    InvalidHardware
        Not YAML, or without the root.
    MissingFile
        No such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out: list[str] = []
        self.models: set[str] = set()
        if not path.is_file():
            raise MissingFile(f"no file {path}; give an architecture (YAML) written for SANA-FE")
        text = read_text(path, "an architecture for SANA-FE", InvalidHardware)
        data = read_document(text, str(path), InvalidHardware)
        if not isinstance(data, dict) or not isinstance(data.get("architecture"), dict):
            self.refuse("document", "there is no 'architecture' with tiles; is it a file for SANA-FE?")
        self.architecture: Node = data["architecture"]

    def refuse(self, place: str, why: str) -> NoReturn:
        """Raise InvalidHardware."""
        raise InvalidHardware(f"{self.path}: {place}: {why}")

    def named(self, node: Node, key: str, place: str) -> list[tuple[Node, str, int]]:
        """The nodes of a list with their places, and for how many of a kind each stands."""
        listed = node.get(key)
        if not isinstance(listed, list) or not listed:
            self.refuse(place, f"there is no list of '{key}'")
        found = []
        for item in listed:
            if not isinstance(item, dict) or "name" not in item:
                self.refuse(f"{place}.{key}", "an entry has no name")
            name = str(item["name"])
            counted = re.fullmatch(r"[^\[\]]+(?:\[(\d{1,7})\.\.(\d{1,7})\])?", name)
            if counted is None or int(counted[2] or 0) < int(counted[1] or 0):
                self.refuse(f"{place}.{key}", f"{name!r} is not a name like 'core' or 'core[0..3]'")
            found.append((item, f"{place}.{name}", int(counted[2] or 0) - int(counted[1] or 0) + 1))
        return found

    def only(self, core: Node, key: str, place: str) -> tuple[Value, str]:
        """The attributes of the one unit of its kind, and its place."""
        units = self.named(core, key, place)
        if len(units) > 1 or units[0][2] > 1:
            self.refuse(place, f"there are several of '{key}'; a core has one here")
        return self.attributes(units[0][0], units[0][1]), units[0][1]

    def attributes(self, node: Node, place: str) -> Value:
        """A node's attributes, to be taken out one by one; what is left has no counterpart."""
        for key in sorted(map(str, node.keys() - NODES)):
            self.left_out.append(f"{place}.{key}: no counterpart")
        found = node.get("attributes") or {}
        if not isinstance(found, dict):
            self.refuse(place, "attributes are not a mapping")
        return dict(found)

    def leave(self, attributes: Value, place: str) -> None:
        """Note what is left of a node's attributes."""
        for key, value in attributes.items():
            if key in FUNCTION:
                self.models.add(str(value))
            else:
                self.left_out.append(f"{place}.{key} = {value}: no counterpart")

    def number(self, value: Any, place: str) -> Decimal:
        """A number, also one that YAML 1.1 takes for text, like ``1e-9``."""
        try:
            number = Decimal(str(value).strip())
        except InvalidOperation:
            number = Decimal("NaN")
        if isinstance(value, bool) or not number.is_finite() or not 0 <= number <= LARGEST:
            self.refuse(place, f"{value!r} is not a number from 0 to {LARGEST}")
        return number

    def whole(self, value: Any, place: str) -> int:
        """A whole number."""
        number = self.number(value, place)
        if number != int(number):
            self.refuse(place, f"{value!r} is not a whole number")
        return int(number)

    def value(self, number: Decimal, unit: str, scale: Decimal) -> Value:
        """A quantity of the file; ``scale`` units are one of its unit."""
        source = f"imported from {self.path.name}"
        known = {"kind": "published", "origin": "documented", "source": source}
        return {"value": float(number * scale), "unit": unit, **known}

    def assumed(self, value: float, unit: str, source: str) -> Value:
        """A quantity that the file does not have."""
        return {"value": value, "unit": unit, "kind": "assumed", "origin": "assumed", "source": source}
