"""``eventsnn profile``: what bounds latency, who was busy, who waited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventsnn.cli.run import (
    Clock,
    Data,
    Downsample,
    Duration,
    Fraction,
    Input,
    Json,
    MappingOption,
    MaxRate,
    Orientation,
    Origin,
    ScaleCurrents,
    Seed,
    Split,
    model_figures,
    open_data,
)

if TYPE_CHECKING:
    from eventsnn.insight.profile import Summary
    from eventsnn.report.tables import Table

MOST_PIECES = 60


def profile(
    network: Annotated[Path, typer.Argument(help="Network file (.h5).")],
    data: Data,
    hardware: Annotated[str, typer.Option("--hardware", help="Accelerator: a preset's name or a YAML file.")],
    mapping: MappingOption = None,
    sample: Annotated[int | None, typer.Option("--sample", help="Position in the data set.")] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", help="Instead: N samples evenly over the sorted list.")
    ] = None,
    split: Split = None,
    exit: Annotated[str, typer.Option("--exit", help="Exit rule, or none.")] = "none",
    schedule: Annotated[str, typer.Option("--schedule", help="event or step.")] = "event",
    step_us: Annotated[
        float | None, typer.Option("--step-us", help="Timestep, microseconds; else the network's period.")
    ] = None,
    input: Input = None,
    duration_us: Duration = None,
    max_rate_hz: MaxRate = None,
    origin: Origin = None,
    scale_currents: ScaleCurrents = False,
    engine: Annotated[str, typer.Option("--engine", help="compiled or reference.")] = "compiled",
    seed: Seed = 0,
    fraction: Fraction = 1.0,
    downsample: Downsample = 1,
    orientation: Orientation = None,
    clock: Clock = None,
    json_: Json = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Also write an HTML page.")] = None,
) -> None:
    """What bounds latency on an accelerator: critical path, waits, load, spike order."""
    from eventsnn.cli import show
    from eventsnn.output import HTML, require_replaceable
    from eventsnn.run.profile import profile_samples

    if output is not None:
        require_replaceable(output, HTML)
    with show.progress_bar("profiling") as progress:
        found = profile_samples(
            network,
            open_data(data, split, fraction, downsample, orientation, clock),
            hardware,
            sample,
            samples,
            progress=progress,
            mapping=mapping,
            exit=exit,
            schedule=schedule,
            step_us=step_us,
            input=input,
            duration_us=duration_us,
            max_rate_hz=max_rate_hz,
            origin=origin,
            scale_currents=scale_currents,
            engine=engine,
            seed=seed,
        )
    if json_:
        show.print_json(found.to_dict())
    else:
        _print(found, hardware)
    if output is not None:
        from eventsnn.report.profile import write_profile

        write_profile(found, output, f"{Path(network).name} on {data}, accelerator {hardware}")
        show.note(f"wrote {output}")


def _print(found: Summary, hardware: str) -> None:
    """All tables, on standard output."""
    from eventsnn.cli import show
    from eventsnn.report import profile as tables

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
    show.note(model_figures(hardware))
