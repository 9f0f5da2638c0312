"""``eventsnn demo``: the main job on what is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsnn.cli.options import Json, Workers

if TYPE_CHECKING:
    from eventsnn.results.results import Results


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for results.h5, report.html, timeline.json.")
    ] = Path(),
    workers: Workers = 1,
    json_: Json = False,
) -> None:
    """Replay the shipped recordings through the shipped network on a modelled accelerator."""
    from eventsnn.cli import show
    from eventsnn.run.demo import DEMO_EXIT, DEMO_HARDWARE, run_demo

    with show.progress_bar("demo") as progress:
        outcome = run_demo(output, workers, progress)
    if json_:
        show.print_json(outcome.to_dict())
    else:
        _print_outcome(outcome.stopped, outcome.full, DEMO_EXIT)
        typer.echo(show.model_figures(DEMO_HARDWARE))
    for name, path in outcome.files.items():
        show.note(f"wrote {name}: {path}")
    for sentence in outcome.missing:
        show.note(sentence)


def _print_outcome(stopped: Results, full: Results, rule: str) -> None:
    """Per class and in all: the stopped run, and under each line the full run of the same recordings."""
    from eventsnn.cli import show

    made = show.table(
        "class",
        "run",
        "accuracy",
        "SOPs mean",
        "p50",
        "p95",
        "spikes",
        "decision p50",
        "decision p95",
        "energy",
        "early",
        optional=("p50", "p95", "spikes", "decision p95", "early"),
    )
    other = full.per_class() | {"all": full.summary()}
    for name, summary in (stopped.per_class() | {"all": stopped.summary()}).items():
        if name == "all":
            made.add_section()
        made.add_row(name, rule, *summary_cells(summary))
        made.add_row("", "full", *summary_cells(other[name]))
    show.print_table(
        made,
        f"{len(stopped)} recordings; SOPs are synaptic operations, times and mean energies model figures",
    )


def summary_cells(summary: dict[str, Any]) -> list[str]:
    """A summary as the table of the demo shows it."""
    from eventsnn.cli.show import percent, si

    operations, latency, energy = (summary[k] for k in ("synaptic_operations", "latency_s", "energy_j"))
    return [
        percent(summary["accuracy"]),
        *(si(operations[part]) for part in ("mean", "p50", "p95")),
        si(summary["spikes"]["mean"]),
        *(si(latency[part], "s") for part in ("p50", "p95")),
        si(energy["mean"], "J"),
        percent(summary["decided_early"]),
    ]
