"""``eventsnn demo``: the main job on what is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventsnn.cli.run import Json

if TYPE_CHECKING:
    from eventsnn.report.results import Results


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for results.h5, report.html, timeline.json.")
    ] = Path(),
    workers: Annotated[int, typer.Option("--workers", help="Processes.")] = 1,
    json_: Json = False,
) -> None:
    """Replay the shipped recordings through the shipped network on a modelled accelerator."""
    from eventsnn.cli import show
    from eventsnn.cli.run import model_figures
    from eventsnn.run.demo import DEMO_EXIT, DEMO_HARDWARE, run_demo

    with show.progress_bar("demo") as progress:
        outcome = run_demo(output, workers, progress)
    if json_:
        show.print_json(outcome.to_dict())
    else:
        _print_outcome(outcome.stopped, outcome.full, f"exit rule {DEMO_EXIT}")
        typer.echo(model_figures(DEMO_HARDWARE))
    for name, path in outcome.files.items():
        show.note(f"wrote {name}: {path}")
    for sentence in outcome.missing:
        show.note(sentence)


def _print_outcome(stopped: Results, full: Results, title: str) -> None:
    """Per class and in all, the stopped run, with the full run beside it."""
    from eventsnn.cli import show

    made = show.table(
        f"{len(stopped)} recordings, {title}; full run in brackets",
        "class",
        "accuracy",
        "SOPs mean",
        "p50",
        "p95",
        "spikes",
        "time p50",
        "p95",
        "energy",
        "early",
    )
    whole = {"all": (stopped.summary(), full.summary())}
    classes = {name: (one, full.per_class()[name]) for name, one in stopped.per_class().items()}
    for name, (one, other) in (classes | whole).items():
        if name == "all":
            made.add_section()

        def both(key: str, part: str, unit: str = "", one: dict = one, other: dict = other) -> str:
            pair = [show.si(run[key][part] if run[key] else None, unit) for run in (one, other)]
            return f"{pair[0]} ({pair[1]})"

        made.add_row(
            name,
            f"{show.percent(one['accuracy'])} ({show.percent(other['accuracy'])})",
            both("synaptic_operations", "mean"),
            both("synaptic_operations", "p50"),
            both("synaptic_operations", "p95"),
            both("spikes", "mean"),
            both("latency_s", "p50", "s"),
            both("latency_s", "p95", "s"),
            both("energy_j", "mean", "J"),
            show.percent(one["decided_early"]),
        )
    show.print_table(made)
