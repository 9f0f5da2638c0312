"""``eventsnn curve``, ``report`` and ``timeline``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from eventsnn.cli.hardware import Baselines
from eventsnn.cli.options import ONLY_OF_RUN, Data, Json, NetworkFile, taking
from eventsnn.run.options import Options
from eventsnn.run.reading import Reading

RULES_OF_CURVES = (
    "An exit rule without its threshold, as margin (default) or entropy,patience=3; or an oracle, "
    "first-correct or stays-correct; repeatable."
)


def curve(
    results: Annotated[Path, typer.Argument(help="Results of a run without an exit rule.")],
    rule: Annotated[list[str] | None, typer.Option("--rule", help=RULES_OF_CURVES)] = None,
    thresholds: Annotated[
        int | None, typer.Option("--thresholds", help="How many, from 0 to 1; denser near 1.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Table (.csv, .json, .parquet, .nc) or plot (.svg, .png) to write."
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Accuracy against latency, operations and energy for all thresholds, from the recorded traces."""
    from eventsnn.cli import show
    from eventsnn.results.curves import even_thresholds
    from eventsnn.results.results import Results

    found = Results.load(results)
    chosen = None if thresholds is None else even_thresholds(thresholds)
    curves = found.curves(list(dict.fromkeys(rule or ["margin"])), chosen)
    if output is not None:
        from eventsnn.report.curve_files import write_curves

        write_curves(output, found, curves, results.name)
        show.note(f"wrote {output}")
    if json_:
        points = {
            name: [dict(zip(rows.dtype.names or (), row.tolist(), strict=True)) for row in rows]
            for name, rows in curves.items()
        }
        first = next(iter(points))
        several = {"curves": points} if len(points) > 1 else {}
        show.print_json({"rule": first, "curve": points[first], **several})
    elif output is None:
        for name, rows in curves.items():
            _print_curve(name, rows, found, results)


def _print_curve(rule: str, rows: Any, found: Any, results: Path) -> None:
    """A rule's curve as a table."""
    from eventsnn.cli import show
    from eventsnn.results.latency import NO_TIME

    made = show.table(
        "threshold",
        "accuracy",
        "time to decision",
        "synaptic operations",
        "spikes",
        "energy",
        "decided early",
        *(["none of these"] if any(rows["rejected"] > 0) else []),
        optional=("spikes", "decided early", "energy"),
    )
    for row in rows:
        made.add_row(
            f"{row['threshold']:.3f}",
            show.percent(float(row["accuracy"])),
            show.si(float(row["latency_s"]), "s"),
            show.si(float(row["synaptic_operations"])),
            show.si(float(row["spikes"])),
            show.si(float(row["energy_j"]), "J"),
            show.percent(float(row["decided_early"])),
            *([show.percent(float(row["rejected"]))] if any(rows["rejected"] > 0) else []),
        )
    title = f"{results}, exit rule {rule}: means over {len(found)} samples"
    if found.failures:
        title += f", {len(found.failures)} more could not be read"
    if not math.isnan(rows["energy_j"][0]):
        title += "; times and energies are model figures"
    show.print_table(made, title)
    if math.isnan(rows["latency_s"][-1]):
        show.note(f"no time to decision: {NO_TIME}")


def report(
    results: Annotated[list[Path], typer.Argument(help="One or more results files.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")] = Path("report.html"),
    baseline: Baselines = None,
) -> None:
    """Write a self-contained page: curves, histograms, tables."""
    from eventsnn.cli import show
    from eventsnn.report.page import write_report
    from eventsnn.results.results import Results
    from eventsnn.results.stream import StreamResults, is_stream

    if any(map(is_stream, results)):
        from eventsnn.errors import InvalidRequest
        from eventsnn.report.stream import write_stream

        if len(results) > 1 or baseline:
            raise InvalidRequest(
                "the page of a stream is of one file, without baselines; give that file alone"
            )
        write_stream(StreamResults.load(results[0]), output)
        show.note(f"wrote {output}")
        return
    write_report([Results.load(path) for path in results], output, baselines=baseline)
    show.note(f"wrote {output}")


@taking(without=["samples"])
def export(
    results: Annotated[Path, typer.Argument(help="A results file; with --to nir a network file, too.")],
    to: Annotated[str, typer.Option("--to", help="csv, json, parquet (a row a sample), neurobench, or nir.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    *,
    counting: Annotated[
        str | None,
        typer.Option("--counting", help="Columns more, as others count: sinabs,syops,neurobench."),
    ] = None,
    step_us: Annotated[
        float | None,
        typer.Option("--step-us", help="Of a run by events: the step in which these would see spikes."),
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option("--network", help="To run again: the run's network, if it is elsewhere now."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="To run again: KIND:PATH of the run's samples, if elsewhere now."),
    ] = None,
    reading: Reading,
) -> None:
    """Write results for other tools: tables, NeuroBench's metrics, spikes (NIRGraphData); networks as NIR.

    Spikes (nir) and others' countings take running the samples again, from where they were.
    """
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.report.export import export as write
    from eventsnn.results.results import Results

    if data is None and reading != Reading():
        raise InvalidRequest("how data are read goes with --data; give that, or leave it out")
    opened = None if data is None else reading.open(data)
    if to == "nir":
        if counting is not None or step_us is not None:
            raise InvalidRequest("--counting and --step-us are for tables and neurobench; leave them out")
        _export_nir(results, output, network, opened)
    else:
        moved = (step_us, network, data) != (None, None, None)
        if moved and counting is None and to != "neurobench":
            raise InvalidRequest(
                "--network, --data and --step-us are for what runs the samples again (--to nir, --to "
                "neurobench, --counting); leave them out"
            )
        found = Results.load(results)
        again = _counted(found, to, counting, step_us, network, opened)
        if again is None and moved:
            raise InvalidRequest(
                "a run by events has no steps for neurobench to count in; give --step-us, or leave --network "
                "and --data out"
            )
        write(found, to, output, again)
    show.note(f"wrote {output}")


def _counted(
    found: Any, to: str, counting: str | None, step_us: float | None, network: Path | None, data: Any
) -> Any:
    """Countings of a run that were asked for; of NeuroBench's metrics those that have steps."""
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.run.countings import countings

    if to == "neurobench":
        if counting is not None:
            raise InvalidRequest("--to neurobench counts as neurobench does; leave --counting out")
        if found.configuration["schedule"] == "step" or step_us is not None:
            counting = "neurobench"
    if counting is None:
        return None
    with show.progress_bar("running again") as progress:
        return countings(found, counting, network, data, step_us, progress)


def _export_nir(file: Path, output: Path, network: Path | None, data: Any) -> None:
    """A network as a NIR graph, or a run as NIRGraphData: its samples run again."""
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.network import load_network
    from eventsnn.network.file import is_network
    from eventsnn.nir.writer import write_nir
    from eventsnn.results.results import Results
    from eventsnn.run.spikes import write_run_as_nir

    if is_network(file):
        if network is not None or data is not None:
            raise InvalidRequest(f"{file} is a network; --network and --data are for the spikes of a run")
        write_nir(load_network(file), output)
        return
    found = Results.load(file)
    with show.progress_bar("running again") as progress:
        write_run_as_nir(found, output, network, data, progress)


@taking(
    Options,
    without=["engine", "samples", *ONLY_OF_RUN],
    required=["hardware"],
    after={"mapping": ["sample", "output", "split"]},
)
def timeline(
    network: NetworkFile,
    data: Data,
    *,
    reading: Reading,
    settings: dict[str, Any],
    sample: Annotated[int, typer.Option("--sample", help="Position in the data set.")] = 0,
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file to write.")] = Path(
        "timeline.json"
    ),
) -> None:
    """One sample on its accelerator, for the Chrome/Perfetto viewer."""
    from eventsnn.cli import show
    from eventsnn.run.trace import write_sample_timeline

    write_sample_timeline(network, reading.open(data), sample=sample, output=output, **settings)
    show.note(f"wrote {output}; open it in https://ui.perfetto.dev or chrome://tracing")
