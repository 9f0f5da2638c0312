"""``eventsnn sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eventsnn.cli.options import ONLY_OF_RUN, Dask, Data, Json, NetworkFile, Workers, taking
from eventsnn.run.options import Options
from eventsnn.run.reading import Reading


@taking(
    Options,
    without=ONLY_OF_RUN,
    after={
        "hardware": ["set_", "bands", "relative", "seeds", "plan", "folder", "output"],
        "mapping": ["split"],
        "samples": ["workers", "dask"],
    },
    help={"engine": "compiled or reference."},
)
def sweep(
    context: typer.Context,
    network: NetworkFile,
    data: Data,
    *,
    reading: Reading,
    settings: dict[str, Any],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=V1,V2",
            help="Values for one place of the architecture, as actions.synapse.time=5 ns,x2; repeatable.",
        ),
    ] = None,
    bands: Annotated[
        bool, typer.Option("--bands", help="Take every value that states a band at both of its ends.")
    ] = False,
    relative: Annotated[
        str | None,
        typer.Option(
            "--relative", metavar="F1,F2", help="Take every time, energy and power times these factors."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="Runs of each value, with seeds from --seed on.")] = 1,
    plan: Annotated[
        bool, typer.Option("--plan", help="Of an experiment (--config), what there is to do; run nothing.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Results of an experiment, a file a cell; else as the file, .cells."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Page (.html) or JSON file (.json) to write; cells also as .csv."
        ),
    ] = None,
    workers: Workers = 1,
    dask: Dask = None,
    json_: Json = False,
) -> None:
    """Vary one value of an accelerator at a time; or, with --config, run all combinations of options."""
    from eventsnn.cli import experiments, show
    from eventsnn.report.sweep import UNITS, WORDS, outcome_table, sentences, tornado_table
    from eventsnn.run import sweep as running
    from eventsnn.run.cluster import where_to_run

    varied = bool(set_ or bands or relative is not None)
    if experiments.meant(context, varied, plan, folder):
        experiments.experiment(context, folder, plan, workers, dask, output, json_)
        return
    values, factors = parse_values(set_ or []), parse_factors(relative)
    if output is not None:
        check_output(output)
    with where_to_run(dask, workers) as executor, show.progress_bar("simulating") as progress:
        found = running.sweep(
            network,
            reading.open(data),
            values=values,
            bands=bands,
            relative=factors,
            seeds=seeds,
            workers=workers,
            samples=reading.samples,
            progress=progress,
            executor=executor,
            **settings,
        )
    if output is not None:
        write(found, output)
    if json_:
        show.print_json(found.to_dict())
        if found.failed:
            raise typer.Exit(1)
        return
    show.print_table(
        show.listing(outcome_table(found)), f"{network} on {data}, split {reading.split or 'all'}"
    )
    for quantity in UNITS:
        depends = tornado_table(found, quantity)
        if depends.rows:
            show.print_table(show.listing(depends), f"what the {WORDS[quantity]} depends on")
    for sentence in sentences(found):
        typer.echo(sentence)
    if output is not None:
        show.note(f"wrote {output}")
    show.note(show.model_figures(settings["hardware"]))
    if found.failed:
        raise typer.Exit(1)


def parse_values(settings: list[str]) -> dict[str, list[str]]:
    """``["a.b=1,2"]`` as ``{"a.b": ["1", "2"]}``; a path named again gets more values."""
    from eventsnn.errors import InvalidRequest

    found: dict[str, list[str]] = {}
    for setting in settings:
        path, separator, values = setting.partition("=")
        if not separator or not path.strip():
            raise InvalidRequest(
                f"--set {setting!r} is not PATH=V1,V2, as in --set 'actions.synapse.time=5 ns,10 ns'"
            )
        found.setdefault(path.strip(), []).extend(values.split(","))
    return found


def parse_factors(text: str | None) -> list[float] | None:
    """``"0.8,1.25"`` as numbers."""
    from eventsnn.errors import InvalidRequest

    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidRequest(f"--relative {text!r} is not a list of factors such as 0.8,1.25") from error


def check_output(path: Path) -> None:
    """Refuse a file that cannot be written before anything is simulated."""
    from eventsnn.errors import InvalidRequest
    from eventsnn.output import HTML, JSON, require_replaceable

    if path.suffix not in (".html", ".json"):
        raise InvalidRequest(
            f"{path} ends in {path.suffix or 'nothing'}; a sweep is written as .html or .json"
        )
    require_replaceable(path, HTML if path.suffix == ".html" else JSON)


def write(found: Any, path: Path) -> None:
    """Write a sweep as a page or as JSON."""
    from eventsnn.cli import show
    from eventsnn.output import JSON, replaced_whole
    from eventsnn.report.sweep import write_sweep

    if path.suffix == ".html":
        write_sweep(found, path)
        return
    with replaced_whole(path, JSON) as aside:
        aside.write_text(show.json_text(found.to_dict()) + "\n", encoding="utf-8")
