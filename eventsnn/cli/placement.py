"""How ``eventsnn hardware`` shows where a network lies, and how busy that will keep the accelerator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsnn.cli import show
from eventsnn.cli.options import ONLY_OF_RUN, Data, Json, taking
from eventsnn.run.options import Options
from eventsnn.run.reading import Reading

if TYPE_CHECKING:
    from eventsnn.hardware import Architecture, Part

NO_RATE = (
    "no load: the input comes at once, or timesteps follow each other as fast as they are done, so that no "
    "work is offered per second; 'busy' is the work of a sample"
)


def print_use(network: Path, architecture: Architecture, mapping: str | None) -> None:
    """Every part with its use of each limit of its core; refused is what no run would take, too."""
    from eventsnn.hardware.mapping.limits import LIMITS
    from eventsnn.run.checked import place

    placed = place(network, architecture, mapping)
    made = show.table(
        "population", "core", "rows", "channels", *(limit.replace("_", " ") for limit in LIMITS)
    )
    for part in placed.mapping.parts[placed.network.input]:
        if part.core < 0:
            made.add_row(*_place(part, "input port"), *("-" for _ in LIMITS))
    for core in placed.cores:
        for part, use in core.of_part.items():
            made.add_row(*_place(part, str(core.core)), *_shares(use))
        if len(core.of_part) > 1:
            made.add_row("all on this core", str(core.core), "", "", *_shares(core.together))
    show.print_table(made, f"{network} on {architecture.name}, use of each limit")


def _place(part: Part, core: str) -> tuple[str, str, str, str]:
    return part.population, core, f"{part.y0}-{part.y1 - 1}", f"{part.c0}-{part.c1 - 1}"


def _shares(use: dict[str, tuple[int, int]]) -> list[str]:
    """Per cent of each limit; a core of 0 weights serves parts without weights."""
    from eventsnn.hardware.mapping.limits import LIMITS

    return [f"{100 * use[name][0] / max(use[name][1], 1):.1f} %" if name in use else "-" for name in LIMITS]


@taking(
    Options,
    without=["hardware", "exit", "schedule", "engine", *ONLY_OF_RUN],
    after={"mapping": ["split", "samples"]},
    help={"samples": "Run N samples, evenly over the sorted list; 5 if not said."},
)
def load(
    name: Annotated[str, typer.Argument(help="A preset's name or a YAML file.")],
    network: Annotated[Path, typer.Option("--network", help="Network file (.h5).")],
    data: Data,
    *,
    reading: Reading,
    settings: dict[str, Any],
    json_: Json = False,
) -> None:
    """Estimate how busy a network keeps each core, serialiser and link, from a few ideal runs."""
    from eventsnn.run.load import estimate_load

    with show.progress_bar("running without the accelerator") as progress:
        found = estimate_load(
            network,
            reading.open(data),
            name,
            samples=reading.samples,
            progress=progress,
            **settings,
        )
    if json_:
        show.print_json(found.to_dict())
        return
    made = show.table(
        *("server", "load", "worst sample", "busy", "messages", "synaptic operations", "populations"),
        optional=("populations", "synaptic operations", "messages"),
    )
    for server in found.servers:
        made.add_row(
            server.server,
            _load(server.load),
            _load(server.worst),
            show.si(server.busy_s, "s"),
            show.si(server.messages),
            show.si(server.synaptic_operations),
            ", ".join(server.populations),
        )
    show.print_table(
        made, f"{network} on {found.architecture}: estimate per sample, from {found.samples} ideal runs"
    )
    if found.servers and found.servers[0].load is None:
        typer.echo(NO_RATE)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}")


def _load(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
