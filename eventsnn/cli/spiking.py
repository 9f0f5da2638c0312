"""``eventsnn convert`` of a model with a library's spiking neurons: read as the network it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from eventsnn.cli.options import shape

TAKEN = (
    "model", "output", "definition", "input_shape", "input", "input_range", "input_mean", "input_std",
    "duration_us", "step_us", "threshold", "json_", "config",
)  # fmt: skip
"""Options of ``convert`` that such a model has."""
SETTINGS = ("input", "input_range", "input_mean", "input_std", "duration_us")


def spiking_model(path: Path, definition: str | None) -> Any:
    """A PyTorch model that its definition builds with spiking neurons; None for whatever else.

    Such models come as parameters beside a definition of the user's own: their classes are not loaded from
    files.
    """
    from eventsnn.convert.formats import is_torch

    if definition is None or not is_torch(path):
        return None
    from eventsnn.convert import load_model
    from eventsnn.convert.spiking.stand_ins import has_spiking

    model = load_model(path, definition=definition)
    return model if has_spiking(model) else None


def convert_spiking(
    model: Any, path: Path, output: Path, given: dict[str, Any], settings: dict[str, Any], as_json: bool
) -> None:
    """Read a model with spiking neurons, write the network, say how faithful each module is.

    Raises
    ------
    InvalidRequest
        An option of trained networks, or of NIR graphs, was given.
    """
    from eventsnn.cli.nir import show_reading
    from eventsnn.convert import from_spiking
    from eventsnn.errors import InvalidRequest
    from eventsnn.network.writing import FORMAT
    from eventsnn.output import HDF5, require_replaceable

    foreign = [name for name in given if name not in TAKEN]
    if foreign:
        flag = f"--{foreign[0].rstrip('_').replace('_', '-')}"
        raise InvalidRequest(
            f"{flag} is not for models with spiking neurons, as {path} is, which are read as they are; leave "
            "it out. They take --definition, --input-shape, --step-us, --duration-us, --input, "
            "--input-range, --input-mean, "
            "--input-std, --threshold"
        )
    require_replaceable(output, HDF5, FORMAT)
    choices = {name: settings[name] for name in SETTINGS if name in given}
    choices |= {name: given[name] for name in ("step_us", "threshold") if name in given}
    network = from_spiking(
        model, shape(given.get("input_shape"), "--input-shape"), **choices, metadata={"model": path.name}
    )
    network.save(output)
    told = network.metadata["spiking"]
    show_reading(path, output, network, told, f"module of {' and '.join(told['library'])}", as_json)
    if not as_json:
        lasting = f"; images last --duration-us, {told['step_us']:g} x the number of steps"
        taken = "" if settings["input"] == "events" else lasting
        typer.echo(f"steps of {told['step_us']:g} us: run it with --schedule step{taken}")
