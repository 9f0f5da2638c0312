"""``eventsnn sweep --config run.toml``: all combinations of the lists in it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from eventsnn.output import Beginning

from eventsnn.cli.configuring import AXES, FILE

KINDS = (".html", ".json", ".csv")


def meant(context: typer.Context, varied: bool, plan: bool, folder: Path | None) -> bool:
    """Whether a sweep is an experiment: options from a file, and no value of an accelerator to vary.

    Raises
    ------
    InvalidRequest
        What belongs to the one was given to the other.
    """
    from eventsnn.errors import InvalidRequest

    if FILE not in context.meta or varied:
        if plan or folder is not None:
            raise InvalidRequest(
                "--plan and --folder are for experiments: options from --config, without --set, --bands and "
                "--relative"
            )
        if lists := context.meta.get(AXES):
            raise InvalidRequest(
                f"{', '.join(lists)}: a list of values is an axis of an experiment; leave out --set, --bands "
                "and --relative, or give one value"
            )
        return False
    if context.params["seeds"] != 1:
        raise InvalidRequest("an experiment has no --seeds; make the seed an axis, as seed = [0, 1, 2]")
    return True


def experiment(
    context: typer.Context,
    folder: Path | None,
    plan: bool,
    workers: int,
    dask: str | None,
    output: Path | None,
    json_: bool,
) -> None:
    """Run or plan an experiment."""
    from eventsnn.cli import show
    from eventsnn.output import require_replaceable
    from eventsnn.run.cluster import where_to_run
    from eventsnn.run.experiment import Experiment

    if output is not None:
        _check_ending(output)
    place = folder or context.meta[FILE].with_suffix(".cells")
    found = Experiment(choices_of(context), place)
    if output is not None:
        require_replaceable(output, _beginning(output, found))
    if plan:
        _show_plan(found, json_)
        return
    with (
        where_to_run(dask, workers) as executor,
        show.progress_bar("simulating") as progress,
        show.resumable(place),
    ):
        outcomes = found.run(workers, executor, progress)
    _show(found, outcomes, output, json_)
    if any(outcome.failed or (outcome.results and outcome.results.failures) for outcome in outcomes):
        raise typer.Exit(1)


def choices_of(context: typer.Context) -> dict[str, Any]:
    """What the file and, over it, the command line say of a cell: values, and lists of them."""
    from eventsnn.run.experiment import CHOICES

    lists, choices = context.meta[AXES], {}
    for name in CHOICES:
        source = getattr(context.get_parameter_source(name), "name", None)
        if source == "COMMANDLINE":
            choices[name] = context.params[name]
        elif source == "DEFAULT_MAP":
            choices[name] = lists.get(name, context.params[name])
    return {name: str(value) if isinstance(value, Path) else value for name, value in choices.items()}


def _check_ending(path: Path) -> None:
    from eventsnn.errors import InvalidRequest

    if path.suffix not in KINDS:
        raise InvalidRequest(
            f"{path} ends in {path.suffix or 'nothing'}; cells are written as {', '.join(KINDS)}"
        )


def _beginning(path: Path, found: Any) -> Beginning:
    """How a file of the same kind begins."""
    from eventsnn.output import HTML, JSON
    from eventsnn.report.experiment import csv_header

    if path.suffix == ".csv":
        return csv_header(list(found.axes))
    return HTML if path.suffix == ".html" else JSON


def _show_plan(found: Any, json_: bool) -> None:
    from eventsnn.cli import show

    planned = found.plan()
    if json_:
        cells = [
            {
                "choices": one.cell.choices,
                "file": str(one.cell.path),
                "samples": one.cell.samples,
                "done": one.done,
                "seconds": one.seconds,
            }
            for one in planned
        ]
        show.print_json({"cells": cells})
        return
    made = show.table(*(found.axes or ["cell"]), "samples", "done", "left, s", "file")
    for one in planned:
        made.add_row(
            *_axes(found, one.cell),
            str(one.cell.samples),
            str(one.done),
            _seconds(one.seconds),
            one.cell.path.name,
        )
    show.print_table(made, f"{len(planned)} cells in {found.folder}")
    left = sum(one.cell.samples - one.done for one in planned)
    known = sum(one.seconds for one in planned if not math.isnan(one.seconds))
    show.note(
        f"{left} samples left, about {_seconds(known)} s in one process: the first sample of each cell, tried"
    )


def _seconds(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.3g}"


def _axes(found: Any, cell: Any) -> list[str]:
    return [str(cell.choices[name]) for name in found.axes] or [str(cell.choices["network"])]


def _show(found: Any, outcomes: list[Any], output: Path | None, json_: bool) -> None:
    from eventsnn.cli import show
    from eventsnn.output import replaced_whole
    from eventsnn.report.experiment import csv_text, rows

    made = rows(
        list(found.axes),
        [(one.cell.choices, one.results, one.cell.path.name, one.failed) for one in outcomes],
    )
    if output is not None:
        if output.suffix == ".html":
            from eventsnn.report.page import write_report

            write_report([one.results for one in outcomes if one.results is not None], output)
        else:
            text = csv_text(made) if output.suffix == ".csv" else show.json_text({"cells": made}) + "\n"
            with replaced_whole(output, _beginning(output, found)) as aside:
                aside.write_text(text, encoding="utf-8")
    if json_:
        show.print_json({"cells": made})
        return
    rejects = any(row["rejected"] for row in made)
    table = show.table(
        *(found.axes or ["cell"]),
        "accuracy",
        *(["none of these"] if rejects else []),
        "time to decision",
        "synaptic operations",
        "energy",
        optional=("energy",),
    )
    for one, row in zip(outcomes, made, strict=True):
        figures = [
            show.percent(row["accuracy"]),
            *([show.percent(row["rejected"])] if rejects else []),
            _si(row["latency_s_mean"], "s"),
            _si(row["synaptic_operations_mean"]),
            _si(row["energy_j_mean"], "J"),
        ]
        table.add_row(*_axes(found, one.cell), *(["failed", *figures[1:]] if one.failed else figures))
    show.print_table(table, f"means over the samples of each cell; results in {found.folder}")
    for one in outcomes:
        if one.failed:
            show.note(f"{found.label(one.cell.choices)}: {one.failed}")
    if any(row["energy_j_mean"] is not None for row in made):
        show.note("accelerators are models: times and energies are model figures, not measurements")
    if output is not None:
        show.note(f"wrote {output}")


def _si(value: float | None, unit: str = "") -> str:
    from eventsnn.cli import show

    return show.NO_VALUE if value is None else show.si(value, unit)
