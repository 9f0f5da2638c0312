"""``eventsnn run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eventsnn.cli.options import Dask, Data, Json, NetworkFile, Workers, taking
from eventsnn.run.options import Options
from eventsnn.run.reading import Reading


@taking(Options, after={"samples": ["workers", "dask"]})
def run(
    network: NetworkFile,
    data: Data,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Results file; resumed if it is there.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="HTML page of the run, as 'eventsnn report' writes it.")
    ] = None,
    *,
    reading: Reading,
    settings: dict[str, Any],
    workers: Workers = 1,
    stream: Annotated[
        bool, typer.Option("--stream", help="Join the recordings to one stream, decided over time.")
    ] = False,
    window_us: Annotated[
        float | None, typer.Option("--window-us", help="Stream: forget events that are older.")
    ] = None,
    decide_every_us: Annotated[
        float | None, typer.Option("--decide-every-us", help="Stream: time between decisions.")
    ] = None,
    reset_after_us: Annotated[
        float | None,
        typer.Option("--reset-after-us", help="Stream: begin anew after so long without an event."),
    ] = None,
    gap_us: Annotated[
        float | None, typer.Option("--gap-us", help="Stream: time between recordings; 0 unless said.")
    ] = None,
    dask: Dask = None,
    json_: Json = False,
) -> None:
    """Simulate a network over recordings or images, spike by spike."""
    from eventsnn.cli import show
    from eventsnn.cli.stream import replay, require_no_stream
    from eventsnn.errors import InvalidRequest
    from eventsnn.output import HTML, require_replaceable
    from eventsnn.run.cluster import where_to_run
    from eventsnn.run.simulate import simulate

    over_time = {
        "window_us": window_us,
        "decide_every_us": decide_every_us,
        "reset_after_us": reset_after_us,
        "gap_us": gap_us,
    }
    if report is not None:
        from eventsnn.report.page import require_extra

        require_extra()
        require_replaceable(report, HTML)
    if stream:
        if dask is not None:
            raise InvalidRequest("a stream runs in one process; leave --dask out")
        if report is not None:
            raise InvalidRequest("the page of a stream is made of its file; write it with -o, then 'report'")
        replay(network, data, output, reading, settings, workers, over_time, json_)
        return
    require_no_stream(over_time)
    hardware = settings["hardware"]
    with (
        where_to_run(dask, workers) as executor,
        show.progress_bar("simulating") as progress,
        show.resumable(output),
    ):
        results = simulate(
            network,
            reading.open(data),
            **settings,
            samples=reading.samples,
            workers=workers,
            output=output,
            progress=progress,
            executor=executor,
        )
    if report is not None:
        from eventsnn.report.page import write_report

        write_report([results], report)
    if hardware:
        from eventsnn.report.sections import free_running

        if played := free_running(results):
            show.note(played)
    if json_:
        show.print_json(results.to_dict())
        if results.failures:
            raise typer.Exit(1)
        return
    made = show.table("quantity", "value")
    for row in show.summary_rows(results.summary()):
        made.add_row(*row)
    if results.failures:
        made.add_row("failed", f"{len(results.failures)}, in no figure here")
    made.add_row("digest", results.digest)
    show.print_table(made, f"{network} on {data}, split {reading.split or 'all'}")
    if report is not None:
        show.note(f"wrote {report}")
    show.note("results not kept: give -o RESULTS.h5 to keep them" if output is None else f"wrote {output}")
    if hardware:
        show.note(show.model_figures(hardware))
    if results.failures:
        raise typer.Exit(1)
