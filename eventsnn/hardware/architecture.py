"""The accelerator: tiles of cores, the network between them, what everything costs.

An architecture is a YAML file (``docs/hardware.md``). Tiles and cores are numbered by the index in their
names, ``tile[0..7]``; the cores of tile 0 come first.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from eventsnn import arguments
from eventsnn.errors import InvalidHardware
from eventsnn.hardware.actions import Action, Actions, CoreActions, Strict, refuse_jitter
from eventsnn.hardware.documents import places, preset_or_file, yaml_names
from eventsnn.hardware.network_on_chip import Depth, NetworkOnChip, OutputDepth
from eventsnn.hardware.quantities import ALL_ENDS, End, Number, Quantity, Whole

PRESETS = "eventsnn.hardware.presets"
SCHEMA = 2
MOST_CORES = 2**20
# What the counts of a core may be called.
COUNT_UNITS = {
    "neurons": ("neurons",),
    "weights": ("weights", "words", "synapses"),
    "axons_in": ("sources", "axons"),
    "axons_out": ("copies", "axons"),
    "processing_elements": ("lanes", "synapses"),
}


class InputFifo(Strict):
    """The queue in front of a core: how many messages wait, the one being served not counted.

    What happens to a message that finds it full: ``block`` (its sender holds it), ``drop-new`` (it is lost)
    or ``drop-old`` (the one that waits longest is lost).
    """

    depth: Depth
    policy: Literal["block", "drop-new", "drop-old"] = "block"


class OutputFifo(Strict):
    """The queue in front of a core's serialiser.

    A core begins its next job only while no more messages than its depth wait there. ``as-input``: as deep as
    the input FIFO if that holds its senders, so that what is held holds up those before it, else unbounded.
    """

    depth: OutputDepth = "as-input"


class Core(Strict):
    """A kind of core: its limits, its queues, and the actions that cost it something else.

    ``neurons``, ``weights`` (words), ``axons_in`` (source neurons that send to it) and ``axons_out`` (copies
    of spikes its neurons send) are limits; ``processing_elements`` are the synapses it serves in a cycle.
    """

    neurons: Quantity
    weights: Quantity
    axons_in: Quantity | None = None
    axons_out: Quantity | None = None
    processing_elements: Quantity
    input_fifo: InputFifo = InputFifo(depth="unbounded")
    output_fifo: OutputFifo = OutputFifo()
    actions: CoreActions = CoreActions()

    @property
    def input_depth(self) -> int | None:
        """Messages that may wait at the input; None if any number."""
        depth = self.input_fifo.depth
        return None if depth == "unbounded" else depth

    @property
    def output_depth(self) -> int | None:
        """Messages that may wait for the serialiser while the core begins a job; None if any number."""
        depth = self.output_fifo.depth
        if depth == "as-input":
            return self.input_depth if self.input_fifo.policy == "block" else None
        return None if depth == "unbounded" else depth

    @model_validator(mode="after")
    def _limits(self) -> Core:
        for name, units in COUNT_UNITS.items():
            limit = getattr(self, name)
            for end in ALL_ENDS if limit is not None else ():
                try:
                    count = limit.end(end).count(units)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from error
                if count < 1 and name in ("neurons", "processing_elements"):
                    raise ValueError(f"{name} must be at least 1, not {count}")
        if "actions" in self.model_fields_set and not self.actions.model_fields_set:
            raise ValueError(
                "actions is empty; leave it out if all cost this kind what they cost on the chip"
            )
        for name in self.actions.model_fields_set:
            action = getattr(self.actions, name)
            if action == Action():
                raise ValueError(
                    f"actions.{name} is empty; leave it out if it costs this kind what it costs on the chip, "
                    "or give an energy or a time (of value 0 if it costs nothing)"
                )
            refuse_jitter(name, action)
        return self


class BarrierEntry(Strict):
    """Time of a barrier from so many tiles in use on."""

    tiles: Annotated[Whole, Field(ge=1)]
    time: Quantity


class Synchronisation(Strict):
    """When a core goes on to its next timestep.

    ``none``: there are no timesteps, spikes are sent as they come (event schedule). ``barrier``: all cores
    have done theirs, and the barrier has taken its time (step schedule). ``dependency``: the cores it hears
    from have sent all, and those it sends to have taken the step before (step schedule).

    ``latency`` is the barrier's time by tiles in use: that of the largest entry not above them. ``timing`` is
    ``messages`` (each message is followed) or ``totals`` (a step lasts as long as its busiest core sends or
    serves, waiting left out). ``pace``: steps follow each other at once (``free``), or not before their input
    is complete (``input``).
    """

    kind: Literal["none", "barrier", "dependency"] = "none"
    latency: tuple[BarrierEntry, ...] = ()
    timing: Literal["messages", "totals"] = "messages"
    pace: Literal["free", "input"] = "free"

    @model_validator(mode="after")
    def _only_a_barrier_takes_time(self) -> Synchronisation:
        if self.latency and self.kind != "barrier":
            raise ValueError(f"latency is a barrier's, and the kind is {self.kind!r}")
        if self.timing == "totals" and self.kind != "barrier":
            raise ValueError(
                f"timing 'totals' adds up the steps between barriers, and the kind is {self.kind!r}"
            )
        tiles = [entry.tiles for entry in self.latency]
        if sorted(set(tiles)) != sorted(tiles):
            raise ValueError("latency names a number of tiles twice")
        return self


class Corner(Strict):
    """A process or voltage corner: factors on times, energies, and static power.

    ``time`` is on every time, so a clock runs so many times slower; ``energy`` on every energy, that of an
    idle cycle too; ``static_power`` on that of the chip and its cores.
    """

    time: Annotated[float, Field(gt=0, le=1000)] = 1.0
    energy: Annotated[float, Field(gt=0, le=1000)] = 1.0
    static_power: Number = 1.0
    source: str = Field(min_length=1)


class Architecture(Strict):
    """An accelerator as described by its file.

    ``tiles`` gives each tile its cores: ``{"tile[0..7]": {"core[0..3]": "standard"}}`` are 32 cores of the
    kind ``standard`` in ``cores``. ``synapse_units`` are other ways to serve synapses than
    ``actions.synapse``; a mapping says which population is served by which, and what one leaves out, time or
    energy, is that of the core's ``synapse``. ``static_power`` is the whole
    chip's, ``core_power`` one core's, for every core there is; ``idle_energy`` is spent per clock cycle. A
    chip without a clock has no times in cycles. ``not_modelled`` are parts and effects of the accelerator
    that its values leave out, one a line, for whoever reads its figures.
    """

    format: Literal["eventsnn-architecture"]
    schema_: Literal[2] = Field(alias="schema")
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    not_modelled: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    clock: Quantity | None = None
    network_on_chip: NetworkOnChip
    tiles: dict[str, dict[str, str]]
    cores: dict[str, Core]
    synchronisation: Synchronisation = Synchronisation()
    static_power: Quantity
    core_power: Quantity | None = None
    idle_energy: Quantity | None = None
    actions: Actions
    synapse_units: dict[str, Action] = Field(default_factory=dict)
    corners: dict[str, Corner] = Field(default_factory=dict)
    corner: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _this_schema(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("format") == "eventsnn-mapping":
            raise ValueError("this is a mapping, no accelerator; give it with --mapping beside one")
        if isinstance(data, dict) and data.get("schema") == 1:
            raise ValueError(
                "schema 1 is of an earlier version; schema 2 has 'network_on_chip' for 'mesh', and 'tiles' "
                "and 'cores' for 'core'"
            )
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Architecture:
        """Number the cores and convert everything once, so that what is wrong is found on reading."""
        if self.clock is not None and self.clock.end("low").hertz() <= 0:
            raise ValueError("clock: must be above 0, the low end of its band too")
        if self.clock is None and self.idle_energy is not None:
            raise ValueError("idle_energy is spent per cycle of the clock, and there is none; give 'clock'")
        if self.corner is not None and self.corner not in self.corners:
            raise ValueError(f"corner {self.corner!r} is not one of corners: {_listed(self.corners)}")
        tiles = self.core_kinds
        noc = self.network_on_chip
        if noc.width is not None and noc.height is not None and len(tiles) > noc.width * noc.height:
            raise ValueError(
                f"tiles: there are {len(tiles)}, the mesh of {noc.width} x {noc.height} has room for "
                f"{noc.width * noc.height}"
            )
        for end in ALL_ENDS:
            self.static_watts_at(end)
        for number, entry in enumerate(self.synchronisation.latency):
            self._convert(f"synchronisation.latency.{number}", Action(time=entry.time))
        for name in Actions.model_fields:
            self._convert(f"actions.{name}", getattr(self.actions, name))
        for kind, core in self.cores.items():
            for name in CoreActions.model_fields:
                self._convert(f"cores.{kind}.actions.{name}", getattr(core.actions, name))
        for name, unit in self.synapse_units.items():
            self._convert(f"synapse_units.{name}", unit)
        return self

    def _convert(self, where: str, action: Action) -> None:
        try:
            times = [action.time]
            if action.jitter is not None:
                times += [*action.jitter.values, action.jitter.deviation]
            for end in ALL_ENDS:
                for time in times:
                    if time is not None:
                        time.end(end).ticks(self.clock_hz)
                if action.energy is not None:
                    action.energy.end(end).attojoules()
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error

    @cached_property
    def core_kinds(self) -> tuple[tuple[str, ...], ...]:
        """The kinds of the cores of each tile, by number."""
        numbered: dict[int, tuple[str, ...]] = {}
        for pattern, cores in self.tiles.items():
            kinds: dict[int, str] = {}
            for name, kind in cores.items():
                if kind not in self.cores:
                    raise ValueError(
                        f"tiles.{pattern}.{name}: no kind {kind!r} in 'cores': {_listed(self.cores)}"
                    )
                for number in _numbers(name, f"tiles.{pattern}"):
                    if number in kinds:
                        raise ValueError(f"tiles.{pattern}: core {number} is named twice")
                    kinds[number] = kind
            if sorted(kinds) != list(range(len(kinds))) or not kinds:
                raise ValueError(
                    f"tiles.{pattern}: cores are numbered from 0 without gaps, not {sorted(kinds)}"
                )
            for number in _numbers(pattern, "tiles"):
                if number in numbered:
                    raise ValueError(f"tiles: tile {number} is named twice")
                numbered[number] = tuple(kinds[i] for i in range(len(kinds)))
        if sorted(numbered) != list(range(len(numbered))) or not numbered:
            raise ValueError("tiles are numbered from 0 without gaps: 'tile[0..7]'")
        if sum(len(kinds) for kinds in numbered.values()) > MOST_CORES:
            raise ValueError(f"there are more than {MOST_CORES} cores")
        return tuple(numbered[i] for i in range(len(numbered)))

    @cached_property
    def kind_of_core(self) -> tuple[str, ...]:
        """The kind of each core, by number."""
        return tuple(kind for kinds in self.core_kinds for kind in kinds)

    @cached_property
    def tile_of_core(self) -> tuple[int, ...]:
        """The tile of each core, by number."""
        return tuple(tile for tile, kinds in enumerate(self.core_kinds) for _ in kinds)

    def document(self) -> dict[str, Any]:
        """The document, as JSON values; what it leaves at its default is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @property
    def clock_hz(self) -> float:
        """Frequency of the clock, hertz; 0 without one."""
        return 0.0 if self.clock is None else self.clock.hertz()

    @property
    def number_of_cores(self) -> int:
        """How many cores there are."""
        return len(self.kind_of_core)

    @property
    def number_of_tiles(self) -> int:
        """How many tiles there are."""
        return len(self.core_kinds)

    def tile(self, core: int) -> int:
        """The tile of a core; core -1, the input port, is at tile 0."""
        return 0 if core < 0 else self.tile_of_core[core]

    def kind(self, core: int) -> Core:
        """What a core is like."""
        return self.cores[self.kind_of_core[core]]

    def hops(self, source_core: int, target_core: int) -> tuple[int, int]:
        """Mesh hops between two cores, (along x, along y); core -1 is the input port at tile 0."""
        return self.network_on_chip.hops(self.tile(source_core), self.tile(target_core))

    def route(self, source_core: int, target_core: int) -> tuple[int, ...]:
        """Links between two cores, if links queue."""
        return self.network_on_chip.route(self.tile(source_core), self.tile(target_core))

    # -- costs -------------------------------------------------------------------------------------

    @property
    def _factors(self) -> Corner:
        return Corner(source="nominal") if self.corner is None else self.corners[self.corner]

    @property
    def time_factor(self) -> float:
        """Of the process corner."""
        return self._factors.time

    def action(self, name: str, core: int | None = None, unit: str | None = None) -> Action:
        """An action, of a core if its kind has another one, of a synapse unit if one is named.

        What the unit leaves out, time or energy, is that of the core's action.
        """
        found: Action = getattr(self.actions, name)
        if core is not None and core >= 0:
            own = self.kind(core).actions
            if name in own.model_fields_set:
                found = getattr(own, name)
        return found if unit is None else self.synapse_units[unit].over(found)

    def energy_attojoules(self, action: Action, end: End = "nominal") -> int:
        """The energy of an action, attojoules; at an end of its band if one is named."""
        energy = 0 if action.energy is None else action.energy.end(end).attojoules()
        return round(energy * self._factors.energy)

    def barrier_ticks(self, tiles: int) -> int:
        """Time of the barrier with so many tiles in use, ticks."""
        entries = [entry for entry in self.synchronisation.latency if entry.tiles <= tiles]
        if not entries:
            return 0
        nominal = max(entries, key=lambda entry: entry.tiles).time.ticks(self.clock_hz)
        return round(nominal * self.time_factor)

    @property
    def static_watts(self) -> float:
        """Power that is there without any action: static, of all cores, and of the clock."""
        return self.static_watts_at("nominal")

    def static_watts_at(self, end: End) -> float:
        """Static power with all powers and the idle energy at an end of their bands, the clock as it is.

        At a corner idle cycles cost what its energies do, and take as long as its times.
        """
        factors, watts = self._factors, self.static_power.end(end).watts()
        if self.core_power is not None:
            watts += self.core_power.end(end).watts() * self.number_of_cores
        watts *= factors.static_power
        if self.idle_energy is not None:
            idle = self.idle_energy.end(end).joules() * self.clock_hz
            watts += idle * (factors.energy / factors.time)
        return watts


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "there are none"


def _numbers(pattern: str, where: str) -> range:
    """``name[2..5]`` as 2 to 5, ``name[3]`` as 3, ``name`` as 0."""
    found = re.fullmatch(r"[\w-]+(?:\[(\d{1,7})(?:\.\.(\d{1,7}))?\])?", pattern)
    if found is None:
        raise ValueError(f"{where}: {pattern!r} is not a name like 'core', 'core[3]' or 'core[0..3]'")
    first = int(found[1] or 0)
    last = int(found[2]) if found[2] else first
    if last < first or last - first >= MOST_CORES:
        raise ValueError(f"{where}: {pattern!r} counts from {first} to {last}")
    return range(first, last + 1)


def preset_names() -> list[str]:
    """The shipped architectures."""
    return yaml_names(resources.files(PRESETS))


def parse_architecture(data: Any, where: str) -> Architecture:
    """Validate a parsed YAML document.

    Raises
    ------
    InvalidHardware
        Each wrong place on its own line, with its path in the document.
    """
    try:
        return Architecture.model_validate(data)
    except ValidationError as error:
        raise InvalidHardware(
            f"{where} is not a valid architecture:\n"
            + places(error, Architecture)
            + "\ncompare it with a preset: 'eventsnn hardware show NAME --yaml'"
        ) from error


def load_architecture(source: str | os.PathLike[str] | Architecture) -> Architecture:
    """An architecture from a preset name or a YAML file, at a corner if one is named: ``NAME@CORNER``.

    Raises
    ------
    InvalidHardware
        No such preset, file or corner, not YAML, or not a valid architecture.
    """
    if isinstance(source, Architecture):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidHardware(
            f"hardware is a {type(source).__name__}; give a preset's name, a file, or an Architecture"
        )
    name, corner = arguments.path(source, "hardware", InvalidHardware), None
    if name not in preset_names() and not Path(name).is_file() and "@" in name:
        name, _, corner = name.rpartition("@")
    document = preset_or_file(name, resources.files(PRESETS), "accelerator", "an architecture")
    found = parse_architecture(document, name)
    return found if corner is None else _at_corner(found, corner, name)


def _at_corner(architecture: Architecture, corner: str, where: str) -> Architecture:
    if corner not in architecture.corners:
        raise InvalidHardware(
            f"{where} has no corner {corner!r}; its corners are: {_listed(architecture.corners)}"
        )
    return architecture.model_copy(update={"corner": corner})
