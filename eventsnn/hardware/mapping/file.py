"""A placement as a user writes it: a strategy's name, a YAML file, or a dictionary like one.

::

    format: eventsnn-mapping
    schema: 1
    populations:
      input: {core: 0}                                   # else it enters at the port
      conv1:
        - {core: 5, channels: 0..1}
        - {core: 40, channels: 2..3, rows: 0..5}
        - {core: 41, channels: 2..3, rows: 6..11}
      conv2: {split: channel, pieces: 4, cores: 8..11}
    others: layer
    synapse_units: {conv1: conv}

A range is written ``0..5``, or ``3`` for one, and includes both ends; rows or channels left out are all of
them. ``cores`` may be a list as well: ``[5, 8]`` are two cores, ``5..8`` four. ``others`` is the strategy for
the populations that are not named; without it all must be (the input may always be left out).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from eventsnn import arguments
from eventsnn.arguments import nearest
from eventsnn.errors import InvalidMapping
from eventsnn.hardware.actions import Strict
from eventsnn.hardware.documents import places, read_document, read_text

STRATEGIES = ("layer", "channel", "area", "pack")
MOST = 2**31


def _range(value: Any) -> Any:
    """``0..5`` or ``3`` as (first, last). A list is refused: it would read as single ones."""
    ends = [value]
    if isinstance(value, str):
        given = value.split("..")
        if len(given) in (1, 2) and all(end.strip().isdecimal() for end in given):
            ends = [int(end) for end in given]
    if not all(type(end) is int for end in ends) or not 0 <= ends[0] <= ends[-1] < MOST:
        hint = ""
        if isinstance(value, (list, tuple)) and len(value) == 2:
            hint = "; a list would name single ones, and only 'cores' takes one"
        raise ValueError(f"{value!r} is not a range: write 0..5 or 3; both ends are included{hint}")
    return ends[0], ends[-1]


def _cores(value: Any) -> Any:
    """A range, or a list of single cores."""
    if isinstance(value, (list, tuple)):
        if not value or not all(type(core) is int for core in value):
            raise ValueError(f"{value!r} does not name cores: write a range, 5..8, or a list, [5, 8]")
        if min(value) < 0:
            raise ValueError(f"{value!r} has a core below 0; cores are numbered from 0")
        return tuple(value)
    first, last = _range(value)
    if last - first >= 2**20:
        raise ValueError(f"{value!r} are more cores than there can be")
    return tuple(range(first, last + 1))


Range = Annotated[tuple[int, int], BeforeValidator(_range)]
Cores = Annotated[tuple[int, ...], BeforeValidator(_cores)]


class Place(Strict):
    """A box of a population on a core."""

    core: int = Field(ge=0, strict=True)
    rows: Range | None = None
    channels: Range | None = None


class Spread(Strict):
    """A population cut into equal pieces, each on the next of ``cores``.

    Without ``pieces`` as many as ``cores`` are named, or else as few as fit; without ``cores`` the next free
    ones.
    """

    split: Literal["channel", "area"]
    pieces: Annotated[int, Field(ge=1, strict=True)] | None = None
    cores: Cores | None = None

    @model_validator(mode="after")
    def _a_core_each(self) -> Spread:
        if None not in (self.pieces, self.cores) and self.pieces != len(self.cores or ()):
            raise ValueError(
                f"{self.pieces} pieces need as many cores; cores names {len(self.cores or ())} "
                "(5..8 are four, [5, 8] are two)"
            )
        return self


class MappingFile(Strict):
    """The document."""

    format: Literal["eventsnn-mapping"]
    schema_: Literal[1] = Field(alias="schema")
    populations: dict[str, Spread | tuple[Place, ...]] = Field(default_factory=dict)
    others: str | None = None
    synapse_units: dict[str, str] = Field(default_factory=dict)

    @field_validator("populations", mode="before")
    @classmethod
    def _one_or_several(cls, data: Any) -> Any:
        """Say what is wrong with the form that was meant, not with all that there are."""
        if not isinstance(data, dict):
            raise ValueError("populations: one entry by population, 'conv1: {core: 3}'")
        return {name: _population(name, entry) for name, entry in data.items()}

    @field_validator("others")
    @classmethod
    def _is_a_strategy(cls, name: str | None) -> str | None:
        if name is not None:
            parse_strategy(name)
        return name


def _population(name: Any, entry: Any) -> Any:
    try:
        if isinstance(entry, dict):
            return Spread.model_validate(entry) if "split" in entry else (Place.model_validate(entry),)
        if isinstance(entry, list) and entry and all(isinstance(item, dict) for item in entry):
            return tuple(Place.model_validate(item) for item in entry)
    except ValidationError as error:
        wrong = error.errors()[0]
        model = Spread if isinstance(entry, dict) and "split" in entry else Place
        hint = nearest(wrong["loc"][-1], model.model_fields) if wrong["type"] == "extra_forbidden" else ""
        raise ValueError(".".join(map(str, (name, *wrong["loc"]))) + f": {wrong['msg']}{hint}") from error
    raise ValueError(
        f"{name}: {entry!r} places nothing; write {{core: 3}}, a list of such with rows or channels, or "
        "{split: channel, pieces: 4}"
    )


def parse_strategy(text: str) -> tuple[str, int]:
    """``channel`` as ("channel", 1), ``channel:4`` as ("channel", 4): at least so many pieces each.

    Raises
    ------
    ValueError
    """
    name, colon, pieces = text.partition(":")
    if name not in STRATEGIES:
        raise ValueError(f"{text!r} is not a strategy; strategies are {', '.join(STRATEGIES)}")
    if not colon:
        return name, 1
    if name not in ("channel", "area") or not pieces.isdecimal() or not 1 <= int(pieces) < MOST:
        raise ValueError(f"{text!r}: pieces are given as channel:4 or area:4")
    return name, int(pieces)


def parse_mapping(data: Any, where: str) -> MappingFile:
    """Validate a parsed YAML document.

    Raises
    ------
    InvalidMapping
        Each wrong place on its own line.
    """
    try:
        return MappingFile.model_validate(data)
    except ValidationError as error:
        raise InvalidMapping(f"{where} is not a valid mapping:\n" + places(error, MappingFile)) from error


def load_mapping(source: str | os.PathLike[str] | dict[str, Any] | MappingFile | None) -> MappingFile:
    """A placement from a strategy's name, a YAML file, or a dictionary; None is ``layer``.

    Raises
    ------
    InvalidMapping
        Neither a strategy nor a file, not YAML, or not a valid mapping.
    """
    if isinstance(source, MappingFile):
        return source
    if source is None or isinstance(source, dict):
        given = {"others": "layer"} if source is None else source
        return parse_mapping({"format": "eventsnn-mapping", "schema": 1, **given}, "the mapping")
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidMapping(
            f"mapping is a {type(source).__name__}; give a strategy ({', '.join(STRATEGIES)}), a YAML file "
            "or a dictionary like one"
        )
    name = arguments.path(source, "mapping", InvalidMapping)
    try:
        parse_strategy(name)
        return load_mapping({"others": name})
    except ValueError as error:
        if not Path(name).is_file():
            raise InvalidMapping(f"no mapping {name!r}: it is not a file, and {error}") from error
    text = read_text(Path(name), "a mapping", InvalidMapping)
    return parse_mapping(read_document(text, name, InvalidMapping), name)
