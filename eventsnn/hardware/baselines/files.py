"""Baselines from YAML files and shipped presets."""

from __future__ import annotations

import os
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from pydantic import ValidationError

from eventsnn import arguments
from eventsnn.errors import InvalidHardware
from eventsnn.hardware.baselines.digital import DigitalBaseline
from eventsnn.hardware.baselines.gpu import GpuBaseline
from eventsnn.hardware.documents import places, preset_or_file, yaml_names

Baseline = GpuBaseline | DigitalBaseline
FORMATS: dict[str, type[GpuBaseline] | type[DigitalBaseline]] = {
    "eventsnn-gpu-baseline": GpuBaseline,
    "eventsnn-digital-baseline": DigitalBaseline,
}


def _presets() -> Traversable:
    return resources.files("eventsnn.hardware.baselines") / "presets"


def baseline_names() -> list[str]:
    """The shipped baselines."""
    return yaml_names(_presets())


def parse_baseline(data: Any, where: str) -> Baseline:
    """Validate a parsed YAML document.

    Raises
    ------
    InvalidHardware
        Each wrong place on its own line, with its path in the document.
    """
    found = data.get("format") if isinstance(data, dict) else None
    model = FORMATS.get(found) if isinstance(found, str) else None
    if model is None:
        raise InvalidHardware(
            f"{where} is no baseline: its 'format' is {found!r}; allowed are {', '.join(FORMATS)}. "
            "Start from a preset, see docs/baselines.md"
        )
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidHardware(
            f"{where} is not a valid {found}:\n"
            + places(error, model)
            + f"\ncorrect these places, or start from a preset ({', '.join(baseline_names())})"
        ) from error


def load_baseline(source: str | os.PathLike[str] | Baseline) -> Baseline:
    """A baseline from a preset's name or a YAML file.

    Raises
    ------
    InvalidHardware
        No such preset or file, not YAML, or not a valid baseline.
    """
    if isinstance(source, (GpuBaseline, DigitalBaseline)):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidHardware(
            f"a baseline is a {type(source).__name__}; give a preset's name, a file, or a baseline"
        )
    name = arguments.path(source, "a baseline", InvalidHardware)
    return parse_baseline(preset_or_file(name, _presets(), "baseline", "a baseline"), name)
