"""``eventsnn convert`` of a NIR graph: read as the spiking network it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsnn.nir.choices import Choices
from eventsnn.options import options_of

if TYPE_CHECKING:
    from eventsnn.network import Network

OWN = {name: one for name, one in options_of(Choices).items() if name != "reset"}
"""Options that a NIR graph has and a trained network has not."""
SHARED = ("model", "output", "reset", "json_", "config")
"""Options of both."""

Comparison = Annotated[
    str | None, typer.Option(OWN["comparison"].flag, help="NIR: " + OWN["comparison"].help)
]
Spikes = Annotated[str | None, typer.Option(OWN["spikes"].flag, help="NIR: " + OWN["spikes"].help)]
LowerClamp = Annotated[
    float | None, typer.Option(OWN["lower_clamp"].flag, help="NIR: " + OWN["lower_clamp"].help)
]
Integration = Annotated[
    str | None, typer.Option(OWN["integration"].flag, help="NIR: " + OWN["integration"].help)
]
Threshold = Annotated[
    int | None, typer.Option(OWN["threshold"].flag, help="NIR, spiking libraries: " + OWN["threshold"].help)
]
StepUs = Annotated[
    float | None, typer.Option(OWN["step_us"].flag, help="NIR, spiking libraries: " + OWN["step_us"].help)
]


def given_options(context: typer.Context) -> dict[str, Any]:
    """What was said on the command line or in a file of options, by name."""
    found = {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            found[name] = value
    return found


def refuse_options_of_spiking(model: Path, given: dict[str, Any]) -> None:
    """Refuse what is said of networks that spike already where the model is none."""
    from eventsnn.errors import InvalidRequest

    for name, one in OWN.items():
        if name in given:
            both = name in ("step_us", "threshold")
            kinds = "NIR graphs (.nir)" + (" and models with a library's spiking neurons" if both else "")
            raise InvalidRequest(
                f"{one.flag} is for {kinds}, and {model} is read as none; leave it out, and give "
                "--calibration: a network without spiking neurons is converted with samples of its data"
            )


def convert_nir(model: Path, output: Path, given: dict[str, Any], as_json: bool) -> None:
    """Read a NIR graph, write the network, say how faithful each node is.

    Raises
    ------
    InvalidRequest
        An option of trained networks was given.
    """
    from eventsnn.errors import InvalidRequest
    from eventsnn.network.writing import FORMAT
    from eventsnn.nir.reader import from_nir
    from eventsnn.output import HDF5, require_replaceable

    foreign = [name for name in given if name not in SHARED and name not in OWN]
    if foreign:
        flag = f"--{foreign[0].rstrip('_').replace('_', '-')}"
        raise InvalidRequest(
            f"{flag} is for trained networks, and {model} is a NIR graph, a spiking network already; leave "
            f"it out. NIR graphs take --reset, {', '.join(one.flag for one in OWN.values())}"
        )
    require_replaceable(output, HDF5, FORMAT)
    choices = {name: given[name] for name in ("reset", *OWN) if name in given}
    network = from_nir(model, **choices, metadata={"model": model.name})
    network.save(output)
    told = network.metadata["nir"]
    show_reading(model, output, network, told, "node of the NIR graph", as_json)
    if as_json:
        return
    lowest = told["lower_clamp"]
    clamp = "none" if lowest is None else lowest if isinstance(lowest, str) else f"{lowest:g}"
    typer.echo(
        f"reset {told['reset']}, comparison {told['comparison']}, spikes {told['spikes']}, lower clamp "
        f"{clamp}, integration {told['integration']}, step {told['step_us']:g} us (kept in the network's "
        "metadata)"
    )


def show_reading(
    model: Path, output: Path, network: Network, told: dict[str, Any], what: str, as_json: bool
) -> None:
    """Print how each node of a spiking network was read, and the quanta of its thresholds."""
    from eventsnn.cli import show

    if as_json:
        show.print_json({"model": str(model), "output": str(output), "checksum": network.checksum, **told})
        return
    made = show.table("node", "is", "read", "what to know", optional=("what to know",))
    for name, (kind, word, reason) in told["nodes"].items():
        made.add_row(name, kind, word, reason)
    show.print_table(made, f"{model} -> {output}: how each {what} is read")
    made = show.table("population", "quanta a threshold", "largest weight", "rounding takes off")
    for name, one in told["thresholds"].items():
        made.add_row(name, str(one["quanta"]), f"{one['largest_weight']:.4g}", f"{one['rounding']:.2g}")
    show.print_table(made, "weights as whole quanta (in thresholds; a readout's in units)")
    show.note(f"wrote {output}: {network!r}")
