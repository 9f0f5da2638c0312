"""``eventsnn hardware``: the accelerators there are, what one says, whether a file or a network fits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from eventsnn.cli import exchange, placement, stepped
from eventsnn.cli.options import Json, taking
from eventsnn.run.options import Options

Baselines = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        help="What energy is compared with: a preset's name or a YAML file; repeatable. Else every preset.",
    ),
]

app = typer.Typer(help="Accelerators: presets, their values and sources, checks.", no_args_is_help=True)
app.command("import-sanafe")(exchange.import_sanafe)
app.command("accelergy")(exchange.accelergy)
app.command("load")(placement.load)
app.command("steps")(stepped.steps)


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the shipped accelerators: their size, and how their values are known."""
    from eventsnn.cli import show
    from eventsnn.hardware import load_architecture, preset_names
    from eventsnn.hardware.values import stated_values

    found: dict[str, dict[str, Any]] = {}
    for name in preset_names():
        architecture = load_architecture(name)
        kinds = [value.kind for _, value in stated_values(architecture)]
        found[name] = {
            "synchronisation": architecture.synchronisation.kind,
            "tiles": architecture.number_of_tiles,
            "cores": architecture.number_of_cores,
            **{kind: kinds.count(kind) for kind in ("published", "derived", "estimated", "assumed")},
            "corners": sorted(architecture.corners),
        }
    if json_:
        show.print_json(found)
        return
    columns = ("synchronisation", "tiles", "cores", "published", "derived", "estimated", "assumed")
    made = show.table("name", *columns, "corners", optional=("corners", "estimated", "derived"))
    for name, row in found.items():
        made.add_row(name, *(str(row[column]) for column in columns), ", ".join(row["corners"]) or "-")
    show.print_table(made)
    show.note("'eventsnn hardware show NAME' prints one with the source of every value")


@app.command("show")
def show_(
    name: Annotated[str, typer.Argument(help="A preset's name or a YAML file; NAME@CORNER for a corner.")],
    as_yaml: Annotated[bool, typer.Option("--yaml", help="As a file to start from.")] = False,
    json_: Json = False,
) -> None:
    """Print an accelerator: every value with unit, band, kind, origin and source, and what it leaves out."""
    import yaml

    from eventsnn.cli import show
    from eventsnn.hardware import load_architecture
    from eventsnn.hardware.values import stated_values

    found = load_architecture(name)
    if json_:
        show.print_json(found.document())
        return
    if as_yaml:
        typer.echo(yaml.safe_dump(found.document(), sort_keys=False, width=110).rstrip())
        return
    noc, synchronisation = found.network_on_chip, found.synchronisation
    size = f" of {noc.width} x {noc.height}" if noc.topology == "mesh" else ""
    typer.echo(
        f"{found.name}: {found.number_of_tiles} tiles, {found.number_of_cores} cores, {noc.topology}{size}, "
        f"synchronisation {synchronisation.kind}, timing {synchronisation.timing}, "
        f"pace {synchronisation.pace}\n{found.description}\n"
    )
    for entry in synchronisation.latency:
        typer.echo(f"barrier from {entry.tiles} tiles in use on: {entry.time.value:g} {entry.time.unit}")
    for corner, factors in found.corners.items():
        chosen = " (chosen)" if corner == found.corner else ""
        typer.echo(
            f"corner {corner}{chosen}: times x {factors.time:g}, energies x {factors.energy:g}, "
            f"static power x {factors.static_power:g}; {factors.source}"
        )
    rows, values = [], stated_values(found)
    for place, value in values:
        band = "" if value.band is None else f"{value.band[0]:g} to {value.band[1]:g}"
        known = ", ".join(word for word in (value.kind, value.basis, value.origin) if word)
        rows.append(((place, f"{value.value:g} {value.unit}", band, known), value.source))
    widths = [max(len(cells[i]) for cells, _ in rows) for i in range(3)]
    for cells, source in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, [*widths, 0], strict=True))
        typer.echo(f"{line}\n    {source}")
    counted = Counter(value.origin or "not said" for _, value in values)
    typer.echo(f"\norigin of {len(values)} values: {', '.join(f'{n} {name}' for name, n in counted.items())}")
    left_out = found.not_modelled or ("the file does not say ('not_modelled' in it would)",)
    typer.echo("not modelled:\n" + "\n".join(f"  {text}" for text in left_out))


@app.command("check")
@taking(Options, only=["mapping"])
def check(
    name: Annotated[str, typer.Argument(help="A preset's name or a YAML file.")],
    network: Annotated[Path | None, typer.Option("--network", help="Also place this network on it.")] = None,
    *,
    settings: dict[str, Any],
    json_: Json = False,
) -> None:
    """Check an architecture file, and whether a network fits it."""
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.hardware import load_architecture
    from eventsnn.run.checked import check as checked
    from eventsnn.run.checked import schedule_of

    if network is None and settings["mapping"] is not None:
        raise InvalidRequest("--mapping places a network; give it with --network")
    if json_:
        found = checked(name, network, settings["mapping"])
        show.print_json(found)
        if found["problems"]:
            raise typer.Exit(2)  # as without --json
        return
    architecture = load_architecture(name)
    schedule = schedule_of(architecture)
    typer.echo(f"{architecture.name}: valid, {architecture.number_of_cores} cores, for --schedule {schedule}")
    if network is None:
        return
    placement.print_use(network, architecture, settings["mapping"])


@app.command("baseline")
def baseline(
    results: Annotated[Path, typer.Argument(help="Results of a run on an accelerator (.h5).")],
    baseline: Baselines = None,
    passes: Annotated[
        int, typer.Option("--passes", help="Times a baseline computes the dense network for a sample.")
    ] = 1,
    json_: Json = False,
) -> None:
    """Compare a run's energy with GPUs and a digital accelerator, under every definition."""
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.report.baselines import compare, ratio_text, sentences
    from eventsnn.results.results import Results

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
