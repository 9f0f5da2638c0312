"""``eventsnn profile``: what bounds latency, who was busy, who waited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsnn.cli.options import ONLY_OF_RUN, Data, Json, NetworkFile, taking
from eventsnn.run.options import Options
from eventsnn.run.reading import Reading

if TYPE_CHECKING:
    from eventsnn.insight.profile import Summary
    from eventsnn.report.tables import Table
    from eventsnn.run.suggest import Suggested

MOST_PIECES = 60


@taking(
    Options,
    without=ONLY_OF_RUN,
    required=["hardware"],
    after={"mapping": ["sample", "samples", "split"]},
    help={
        "samples": "Instead: N samples evenly over the sorted list.",
        "engine": "compiled or reference.",
    },
)
def profile(
    network: NetworkFile,
    data: Data,
    *,
    reading: Reading,
    settings: dict[str, Any],
    sample: Annotated[int | None, typer.Option("--sample", help="Position in the data set.")] = None,
    suggest: Annotated[
        Path | None,
        typer.Option("--suggest", help="Also look for a mapping of a lower bound, run it and write it."),
    ] = None,
    json_: Json = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Also write an HTML page.")] = None,
) -> None:
    """What bounds latency on an accelerator: critical path, waits, load, spike order."""
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.hardware.mapping.written import BEGINNING
    from eventsnn.output import HTML, require_replaceable
    from eventsnn.run.profile import profile_samples

    hardware = settings["hardware"]
    if output is not None and suggest is not None and output.absolute() == suggest.absolute():
        raise InvalidRequest(f"--suggest and --output both name {output}; give the mapping a name of its own")
    if output is not None:
        require_replaceable(output, HTML)
    if suggest is not None:
        require_replaceable(suggest, BEGINNING)
    with show.progress_bar("profiling") as progress:
        found = profile_samples(
            network,
            reading.open(data),
            sample=sample,
            samples=reading.samples,
            progress=progress,
            **settings,
        )
    better = None
    if suggest is not None:
        from eventsnn.run.suggest import suggest_mapping

        with show.progress_bar("running other mappings") as progress:
            better = suggest_mapping(
                network,
                reading.open(data),
                sample=sample,
                samples=reading.samples,
                progress=progress,
                before=found,
                **settings,
            )
    if json_:
        show.print_json(found.to_dict() | ({} if better is None else {"suggested": better.to_dict()}))
    else:
        _print(found, hardware)
        if better is not None:
            _print_suggested(better)
    if better is not None and suggest is not None:
        _write_mapping(better, suggest)
    if output is not None:
        from eventsnn.report.profile import write_profile

        write_profile(found, output, f"{Path(network).name} on {data}, accelerator {hardware}")
        show.note(f"wrote {output}")


def _print_suggested(better: Suggested) -> None:
    """What was changed, and what came of it."""
    from eventsnn.cli import show
    from eventsnn.report.bounds import seconds

    for change in better.changes:
        typer.echo(str(change))
    made = show.table("", "bound", "time")
    for name, found in (("as given", better.before), ("suggested", better.after)):
        made.add_row(name, seconds(found.bottleneck.ticks), seconds(found.bottleneck.time))
    show.print_table(made, "The suggested mapping, run on the same samples")


def _write_mapping(better: Suggested, path: Path) -> None:
    from eventsnn.cli import show
    from eventsnn.hardware.mapping.written import text_of
    from eventsnn.output import write_whole

    if not better.changes:
        show.note(f"no mapping was found whose bound is lower; {path} holds the one that was given")
    write_whole(path, text_of(better.mapping).encode())
    show.note(f"wrote {path}; take it with --mapping {path}")


def _print(found: Summary, hardware: str) -> None:
    """All tables, on standard output."""
    from eventsnn.cli import show
    from eventsnn.report import profile as tables
    from eventsnn.report.bounds import (
        bound_sentence,
        core_times_table,
        link_times_table,
        suggestion_sentence,
    )

    def print_table(made: Table, title: str, *optional: str) -> None:
        listing = show.table(*made.header, optional=optional)
        for number, row in enumerate(made.rows):
            if number == len(made.rows) - made.totals:
                listing.add_section()
            listing.add_row(*(cell.main for cell in row))
        show.print_table(listing, title)

    if len(found.profiles) == 1:
        (only,) = found.profiles
        print_table(tables.path_table(only, MOST_PIECES), tables.headline(only), "behind")
        if len(only.path.pieces) > MOST_PIECES:
            show.note(f"the last {MOST_PIECES} of {len(only.path.pieces)} pieces; --json has all")
    print_table(tables.shares_table(found), tables.bounds(found), "what")
    print_table(core_times_table(found), bound_sentence(found), "messages in", "messages out", "weight reads")
    link_times = link_times_table(found)
    if link_times.rows:
        print_table(link_times, "What the messages over each link alone would take")
    typer.echo(suggestion_sentence(found.suggestion))
    servers, links = (tables.server_table(found, links=which) for which in (False, True))
    spare = ("blocked", "dropped", "mean queue", "service")
    print_table(servers, "Cores and serialisers, from the first event to the decision", *spare)
    if links.rows:
        print_table(links, "Links", *spare)
    if len(found.uses) > len(servers.rows) + len(links.rows):
        show.note("only the busiest are shown; --json has all")
    print_table(tables.message_table(found), "Messages, from joining the serialiser's queue to landing")
    overload = tables.overload_table(found)
    if overload.rows:
        title = "Overloaded: offered more than they can serve, or still queueing up"
        print_table(overload, title, "their service", "queue, third quarter", "last quarter")
    else:
        show.note("no core, serialiser or link was overloaded")
    if found.disorders:
        title = "Spikes against the run without an accelerator"
        print_table(tables.disorder_table(found), title, "largest", "p95 delay")
    show.note(show.model_figures(hardware))
