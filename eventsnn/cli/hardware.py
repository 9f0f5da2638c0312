"""``eventsnn hardware``: the accelerators there are, what one says, whether a file or a network fits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Baselines = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        help="What energy is compared with: a preset's name or a YAML file; repeatable. Else every preset.",
    ),
]

app = typer.Typer(help="Accelerators: presets, their values and sources, checks.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the shipped accelerators."""
    from eventsnn.cli import show
    from eventsnn.hardware import load_architecture, preset_names

    made = show.table("name", "tiles", "cores", "lanes a core", "clock")
    for name in preset_names():
        found = load_architecture(name)
        clock = f"{found.clock.value:g} {found.clock.unit}"
        lanes = ", ".join(str(core.processing_elements.count()) for core in found.cores.values())
        made.add_row(name, str(found.number_of_tiles), str(found.number_of_cores), lanes, clock)
    show.print_table(made)
    show.note("'eventsnn hardware show NAME' prints one with the source of every value")


@app.command("show")
def show_(name: Annotated[str, typer.Argument(help="A preset's name or a YAML file.")]) -> None:
    """Print an accelerator as YAML, every value with its unit, kind and source."""
    import yaml

    from eventsnn.hardware import load_architecture

    found = load_architecture(name).document()
    typer.echo(yaml.safe_dump(found, sort_keys=False, width=110).rstrip())


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="A preset's name or a YAML file.")],
    network: Annotated[Path | None, typer.Option("--network", help="Also place this network on it.")] = None,
) -> None:
    """Check an architecture file, and whether a network fits it."""
    from eventsnn.cli import show
    from eventsnn.hardware import load_architecture, map_network
    from eventsnn.network import load_network

    architecture = load_architecture(name)
    typer.echo(f"{architecture.name}: valid, {architecture.number_of_cores} cores")
    if network is None:
        return
    mapping = map_network(load_network(network), architecture)
    made = show.table("population", "core", "rows", "channels")
    for parts in mapping.parts.values():
        for part in parts:
            core = "input port" if part.core < 0 else str(part.core)
            made.add_row(part.population, core, f"{part.y0}-{part.y1 - 1}", f"{part.c0}-{part.c1 - 1}")
    show.print_table(made, f"{network} on {architecture.name}")


@app.command("baseline")
def baseline(
    results: Annotated[Path, typer.Argument(help="Results of a run on an accelerator (.h5).")],
    baseline: Baselines = None,
    passes: Annotated[
        int, typer.Option("--passes", help="Times a baseline computes the dense network for a sample.")
    ] = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Compare a run's energy with GPUs and a digital accelerator, under every definition."""
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.report.baselines import compare, ratio_text, sentences
    from eventsnn.report.results import Results

    found = compare(Results.load(results), None, baseline, passes)
    if found is None:
        raise InvalidRequest(
            f"{results} is of a run without an accelerator, so it has no energy; run with --hardware"
        )
    if json_:
        show.print_json(found.to_dict())
        return
    made = show.table(
        *("baseline", "energy", "batch", "per sample", "run / baseline", "4.43 to 7.88 %", "is", "computes"),
        optional=("4.43 to 7.88 %", "is", "computes"),
    )
    for row in found.ratios:
        batch = "-" if row.energy.batch is None else str(row.energy.batch)
        made.add_row(
            row.baseline,
            row.energy.definition,
            batch,
            show.si(row.energy.joules, "J"),
            ratio_text(row.ratio),
            "yes" if row.in_band else "no",
            row.basis,
            row.workload,
        )
    show.print_table(made, f"{results}: energy per sample against baselines")
    typer.echo("\n".join(sentences(found)))
