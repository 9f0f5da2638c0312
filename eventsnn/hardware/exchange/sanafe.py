"""Importing an architecture written for SANA-FE (Boyle et al. 2025, doi 10.1109/TCAD.2025.3537971).

Its file has tiles of cores, each core a pipeline of units: axon_in, synapse, dendrite, soma, axon_out; names
like ``core[0..3]`` stand for several; energies are in joules, latencies in seconds.

| there | here |
|---|---|
| hops north and south, east and west | ``hop_y``, ``hop_x``; the mean, with a band, where they differ |
| axon_in ``message_in``, axon_out ``message_out`` | ``decode``, ``serialise`` |
| synapse ``process_spike``, one unit or several | ``synapse``: the first, ``synapse_units``: all by name |
| soma ``access_neuron``, ``update_neuron``, ``spike_out`` | ``access``, ``update``, ``fire`` |
| ``max_neurons_supported`` | ``neurons`` |
| ``sync_model``, ``latency_sync`` | ``synchronisation`` of the kind ``barrier`` |

There a synapse's unit is named by the group it ends in, as here by the population. What has no counterpart is
listed; what would contradict itself here is refused.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

from eventsnn.hardware.architecture import Architecture, parse_architecture
from eventsnn.hardware.exchange.sanafe_file import ABSENT, Node, SanafeFile, Value

PICO = ("pJ", Decimal(10) ** 12)
NANO = ("ns", Decimal(10) ** 9)
NO_LIMIT = 2**31


def from_sanafe(path: str | os.PathLike[str]) -> tuple[Architecture, tuple[str, ...]]:
    """An architecture from SANA-FE's YAML file, and what of the file has no counterpart here.

    Raises
    ------
    InvalidHardware
        Not a file of that form, or one that cannot be expressed; the place and the reason are named.
    """
    translation = _Translation(Path(path))
    document = translation.document()
    return parse_architecture(document, str(path)), tuple(translation.left_out)


class _Translation(SanafeFile):
    """A file being put in this project's words."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.units: dict[str, Value] = {}

    # -- the tree ------------------------------------------------------------------------------------

    def document(self) -> Value:
        """The architecture as a document of this project."""
        root = self.architecture
        attributes = self.attributes(root, "architecture")
        tiles, hops, kinds = self.tiles(root)
        noc = self.network_on_chip(attributes)
        synchronisation = self.synchronisation(attributes)
        self.leave(attributes, "architecture")
        if self.models:
            self.left_out.append(
                f"models of units ({', '.join(sorted(self.models))}): what neurons compute is the network's"
            )
        return {
            "format": "eventsnn-architecture",
            "schema": 2,
            "name": str(root.get("name", self.path.stem)),
            "description": f"Imported from {self.path.name}, written for SANA-FE. Energies are dynamic "
            "alone: SANA-FE has no static power.",
            "network_on_chip": noc,
            "tiles": tiles,
            "cores": kinds,
            "synchronisation": synchronisation,
            "static_power": self.assumed(0, "W", "SANA-FE has no static power"),
            "actions": {**self.shared(kinds), **hops},
            "synapse_units": self.units,
        }

    def tiles(self, root: Node) -> tuple[Value, Value, Value]:
        """Which tiles have which cores, the hops, and the kinds of cores."""
        tiles: Value = {}
        hops: dict[str, list[Decimal]] = {}
        kinds: Value = {}
        first = 0
        for tile, place, number in self.named(root, "tile", "architecture"):
            attributes = self.attributes(tile, place)
            for direction in ("east", "west", "north", "south"):
                for cost in ("energy", "latency"):
                    key = f"{cost}_{direction}_hop"
                    axis = "hop_x" if direction in ("east", "west") else "hop_y"
                    if key in attributes:
                        value = self.number(attributes.pop(key), f"{place}.{key}")
                        hops.setdefault(f"{axis} {cost}", []).append(value)
            self.leave(attributes, place)
            tiles[f"tile[{first}..{first + number - 1}]"] = self.cores_of(tile, place, kinds)
            first += number
        directions = 2 * len(tiles)
        merged = {
            axis: {
                "energy": self.merged(f"{axis} energy", hops, directions, *PICO),
                "time": self.merged(f"{axis} latency", hops, directions, *NANO),
            }
            for axis in ("hop_x", "hop_y")
        }
        return tiles, merged, kinds

    def cores_of(self, tile: Node, tile_place: str, kinds: Value) -> Value:
        cores: Value = {}
        first = 0
        for core, place, number in self.named(tile, "core", tile_place):
            found = self.core(core, place)
            name = _base(str(core["name"]))
            same = [kind for kind, known in kinds.items() if known == found]
            if not same:
                name = name if name not in kinds else f"{name}-{len(kinds)}"
                kinds[name] = found
            cores[f"core[{first}..{first + number - 1}]"] = same[0] if same else name
            first += number
        return cores

    def core(self, core: Node, place: str) -> Value:
        """A kind of core: its limits and what its units cost."""
        attributes = self.attributes(core, place)
        if "max_neurons_supported" not in attributes:
            self.refuse(place, "max_neurons_supported is not given; state how many neurons the core holds")
        neurons = self.number(attributes.pop("max_neurons_supported"), place)
        self.leave(attributes, place)
        receive = self.only(core, "axon_in", place)
        send = self.only(core, "axon_out", place)
        actions = {
            "serialise": self.action(*send, "message_out"),
            "decode": self.action(*receive, "message_in"),
            "synapse": self.synapses(core, place),
            **self.soma(core, place),
        }
        for unit in (send, receive):
            self.leave(*unit)
        self.dendrites(core, place)
        return {
            "neurons": self.value(neurons, "neurons", Decimal(1)),
            "weights": self.assumed(NO_LIMIT, "weights", "SANA-FE limits neurons alone"),
            "processing_elements": self.assumed(1, "lanes", "SANA-FE adds up the times of synapses"),
            "actions": actions,
        }

    # -- units ---------------------------------------------------------------------------------------

    def synapses(self, core: Node, place: str) -> Value:
        """The first synapse unit's cost; all go by name into ``synapse_units``."""
        found = []
        for unit, where, _ in self.named(core, "synapse", place):
            attributes = self.attributes(unit, where)
            cost = self.action(attributes, where, "process_spike")
            self.leave(attributes, where)
            name = _base(str(unit["name"]))
            if self.units.setdefault(name, cost) != cost:
                self.refuse(where, "another synapse unit of that name costs something else; rename one")
            found.append(cost)
        return found[0]

    def soma(self, core: Node, place: str) -> Value:
        """The first soma that is no input; others cannot be told apart within a core here."""
        chosen: Value | None = None
        for unit, where, _ in self.named(core, "soma", place):
            attributes = self.attributes(unit, where)
            is_input = attributes.get("model") == "input"
            cost = {
                "access": self.action(attributes, where, "access_neuron"),
                "update": self.action(attributes, where, "update_neuron"),
                "fire": self.action(attributes, where, "spike_out"),
            }
            self.leave(attributes, where)
            if is_input:
                if any(part["value"] for action in cost.values() for part in action.values()):
                    self.left_out.append(f"{where}: costs of inputs; here they cost their messages")
            elif chosen is None:
                chosen = cost
            elif cost != chosen:
                self.left_out.append(f"{where}: its costs; a core has one kind of soma here, the first")
        if chosen is None:
            self.refuse(place, "there is no soma but inputs; give one that neurons can use")
        return chosen

    def dendrites(self, core: Node, place: str) -> None:
        if "dendrite" not in core:
            return
        for unit, where, _ in self.named(core, "dendrite", place):
            attributes = self.attributes(unit, where)
            for key in ("energy_update", "latency_update"):
                if self.number(attributes.pop(key, ABSENT), where):
                    self.left_out.append(f"{where}.{key}: there are no dendrites here, their cost is lost")
            self.leave(attributes, where)

    def shared(self, kinds: Value) -> Value:
        """The first kind's costs, taken out of all that have the same, and those of the port, which SANA-FE
        has not: it sends as a core does.
        """
        costs: Value = next(iter(kinds.values()))["actions"]
        for kind in kinds.values():
            if kind["actions"] == costs:
                del kind["actions"]
        time = costs["serialise"]["time"]
        why = "the port sends a message as a core does; SANA-FE's inputs sit on cores"
        return {"input": {"time": self.assumed(time["value"], time["unit"], why)}, **costs}

    # -- the chip ------------------------------------------------------------------------------------

    def network_on_chip(self, attributes: Value) -> Value:
        topology = attributes.pop("topology", "mesh")
        if topology != "mesh":
            self.refuse("architecture.attributes", f"topology is {topology!r}; only a mesh can be imported")
        if depth := attributes.pop("link_buffer_size", None):
            self.left_out.append(
                f"architecture.link_buffer_size = {depth}: SANA-FE has no queues at links but a delay by "
                "density; here 'links: {depth: ...}' in network_on_chip makes every link a server"
            )
        for key in ("width", "height"):
            if key not in attributes:
                self.refuse("architecture.attributes", f"{key} of the mesh is not given")
        size = {key: self.whole(attributes.pop(key), f"architecture.{key}") for key in ("width", "height")}
        return {"topology": "mesh", **size}

    def synchronisation(self, attributes: Value) -> Value:
        model = attributes.pop("sync_model", "fixed")
        latency = attributes.pop("latency_sync", 0)
        where = "architecture.latency_sync"
        if model not in ("fixed", "table"):
            self.refuse("architecture.sync_model", f"{model!r} is unknown; 'fixed' and 'table' are")
        if (model == "table") != isinstance(latency, dict):
            self.refuse(where, f"sync_model {model!r} does not go with {latency!r}")
        table = latency if model == "table" else {1: latency}
        entries = [
            {"tiles": self.whole(tiles, where), "time": self.value(self.number(time, where), *NANO)}
            for tiles, time in table.items()
        ]
        return {"kind": "barrier", "latency": entries}

    # -- costs ---------------------------------------------------------------------------------------

    def action(self, attributes: Value, place: str, what: str) -> Value:
        """A unit's energy and time of doing something; what is not given costs nothing."""
        made = {}
        for part, cost, (unit, scale) in (("energy", "energy", PICO), ("time", "latency", NANO)):
            key = f"{cost}_{what}"
            if key in attributes:
                number = self.number(attributes.pop(key), f"{place}.{key}")
                made[part] = self.value(number, unit, scale)
            else:
                made[part] = self.assumed(0, unit, f"no {key} in {self.path.name}")
        return made

    def merged(
        self, name: str, found: dict[str, list[Decimal]], directions: int, unit: str, scale: Decimal
    ) -> Value:
        """One value for those of so many directions: theirs, or their mean in a band."""
        values = found.get(name)
        if values is None:
            return self.assumed(0, unit, f"no {name} in {self.path.name}")
        if len(values) < directions:
            self.left_out.append(
                f"{name}: given {len(values)} times, for {directions} directions of tiles; the rest is taken "
                "to be like it"
            )
        mean = sum(values, ABSENT) / len(values)
        if min(values) == max(values):
            return self.value(mean, unit, scale)
        low, high = float(min(values) * scale), float(max(values) * scale)
        made = self.value(mean, unit, scale)
        self.left_out.append(
            f"{name}: {', '.join(map(str, values))} differ; their mean is taken, "
            f"{made['value']:g} {unit} in a band of {low:g} to {high:g}"
        )
        source = f"mean of what differs by tile or direction, {made['source']}"
        return {**made, "kind": "estimated", "origin": "fitted", "band": [low, high], "source": source}


def _base(name: str) -> str:
    """``core[0..3]`` as ``core``."""
    return name.partition("[")[0]
