"""The accelerator: cores on a mesh, what they hold, what each action costs in time and energy.

An architecture is a YAML file. Tile ``t`` of the mesh is at ``x = t // height``, ``y = t % height``
and holds one core. The sensor's input port sits beside tile 0 and shares its router.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eventsnn.errors import InvalidHardware
from eventsnn.hardware.quantities import Quantity

PRESETS = "eventsnn.hardware.presets"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Jitter(_Strict):
    """Extra time of an action, drawn per message: never negative, ``mean`` ticks on average.

    ``mean`` and ``deviation`` are times; a deviation of 0 is a constant.
    """

    distribution: Literal["uniform", "normal", "lognormal", "gamma"]
    mean: Quantity
    deviation: Quantity


class Action(_Strict):
    """What one action costs. A missing part costs nothing."""

    time: Quantity | None = None
    energy: Quantity | None = None
    jitter: Jitter | None = None


class Actions(_Strict):
    """The action table.

    ``input``: one event through the sensor's port. ``serialise``: one message leaving a core or the
    port. ``hop_x``, ``hop_y``: one mesh hop. ``decode``: one message accepted by a core. ``synapse``:
    time per cycle of the processing elements, energy per synaptic operation. ``multiply``: energy per
    operation of a graded payload. ``update``: a threshold test, time per cycle, energy per neuron.
    ``fire``: one spike. ``decision``: time per exit check, energy per readout value compared.
    """

    input: Action = Action()
    serialise: Action = Action()
    hop_x: Action = Action()
    hop_y: Action = Action()
    decode: Action = Action()
    synapse: Action = Action()
    multiply: Action = Action()
    update: Action = Action()
    fire: Action = Action()
    decision: Action = Action()

    @model_validator(mode="after")
    def _jitter_where_modelled(self) -> Actions:
        for name in type(self).model_fields:
            if getattr(self, name).jitter is not None and name not in ("serialise", "decode"):
                raise ValueError(
                    f"actions.{name}.jitter: jitter is modelled on 'serialise' (the way to the "
                    "core) and 'decode' (the core's service)"
                )
        return self


class Mesh(_Strict):
    """A mesh of ``width`` x ``height`` tiles, routed first along x."""

    width: Annotated[int, Field(ge=1, le=1024)]
    height: Annotated[int, Field(ge=1, le=1024)]


class InputFifo(_Strict):
    """The queue in front of a core. This version models it without a limit."""

    depth: Literal["unbounded"]


class Core(_Strict):
    """One core's limits: neurons it holds, weights it stores, synapses it serves in one cycle."""

    neurons: Quantity
    weights: Quantity
    processing_elements: Quantity
    input_fifo: InputFifo


class Architecture(_Strict):
    """An accelerator as described by its file."""

    format: Literal["eventsnn-architecture"]
    schema_: Literal[1] = Field(alias="schema")
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    clock: Quantity
    mesh: Mesh
    core: Core
    static_power: Quantity
    actions: Actions

    @model_validator(mode="after")
    def _units(self) -> Architecture:
        """Convert everything once, so that a wrong unit is found on reading."""
        if self.clock.hertz() <= 0:
            raise ValueError("clock: must be above 0")
        if min(self.core.processing_elements.count(), self.core.neurons.count()) < 1:
            raise ValueError("core: processing_elements and neurons must be at least 1")
        self.core.weights.count()
        self.static_power.watts()
        for name in Actions.model_fields:
            self.time_ticks(name)
            self.energy_attojoules(name)
        return self

    @property
    def cores(self) -> int:
        """The number of cores."""
        return self.mesh.width * self.mesh.height

    def time_ticks(self, action: str) -> int:
        """The constant time of an action, ticks."""
        time = getattr(self.actions, action).time
        return 0 if time is None else time.ticks(self.clock.hertz())

    def energy_attojoules(self, action: str) -> int:
        """The energy of an action, attojoules."""
        energy = getattr(self.actions, action).energy
        return 0 if energy is None else energy.attojoules()

    def hops(self, source_core: int, target_core: int) -> tuple[int, int]:
        """Mesh hops between two cores, (along x, along y); core -1 is the input port at tile 0."""
        source, target = max(source_core, 0), max(target_core, 0)
        height = self.mesh.height
        return (
            abs(source // height - target // height),
            abs(source % height - target % height),
        )


def preset_names() -> list[str]:
    """The shipped architectures."""
    return sorted(p.name[:-5] for p in resources.files(PRESETS).iterdir() if p.name.endswith(".yaml"))


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
        lines = [
            f"  {'.'.join(str(part) for part in item['loc']) or 'document'}: {item['msg']}"
            for item in error.errors()
        ]
        raise InvalidHardware(
            f"{where} is not a valid architecture:\n"
            + "\n".join(lines)
            + "\ncompare it with a preset: 'eventsnn hardware show NAME'"
        ) from error


def load_architecture(source: str | os.PathLike[str] | Architecture) -> Architecture:
    """An architecture from a preset name or a YAML file.

    Raises
    ------
    InvalidHardware
        No such preset or file, not YAML, or not a valid architecture.
    """
    if isinstance(source, Architecture):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidHardware(
            f"hardware is a {type(source).__name__}; give a preset's name, a file, or an Architecture"
        )
    name = os.fspath(source)
    if name in preset_names():
        text = (resources.files(PRESETS) / f"{name}.yaml").read_text(encoding="utf-8")
    elif Path(name).is_file():
        text = _read_text(Path(name))
    else:
        raise InvalidHardware(
            f"no accelerator {name!r}: it is neither a file nor a preset; presets are "
            f"{', '.join(preset_names())}"
        )
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidHardware(f"{name} is not readable as YAML: {error}") from error
    return parse_architecture(data, name)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidHardware(f"{path} is not a text file; an architecture is a YAML text") from error
