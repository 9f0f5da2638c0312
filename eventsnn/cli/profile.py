"""``eventsnn profile``: what bounds latency, who was busy, who waited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventsnn.cli.run import (
    Data,
    Downsample,
    Duration,
    Fraction,
    Input,
    Json,
    MappingOption,
    MaxRate,
    Seed,
    Split,
    model_figures,
    open_data,
)

if TYPE_CHECKING:
    from eventsnn.cli.show import Listing
    from eventsnn.insight.profile import Profile, Summary
    from eventsnn.insight.service import Server

MOST_ROWS = 24
MOST_PIECES = 60
MOST_SHARES = 12


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
    engine: Annotated[str, typer.Option("--engine", help="compiled or reference.")] = "compiled",
    seed: Seed = 0,
    fraction: Fraction = 1.0,
    downsample: Downsample = 1,
    json_: Json = False,
) -> None:
    """What bounds latency on an accelerator: critical path, waits, load, spike order."""
    from eventsnn.cli import show
    from eventsnn.run.profile import profile_samples

    with show.progress_bar("profiling") as progress:
        found = profile_samples(
            network,
            open_data(data, split, fraction, downsample),
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
            engine=engine,
            seed=seed,
        )
    if json_:
        show.print_json(found.to_dict())
        return
    if len(found.profiles) == 1:
        show.print_table(_path(found.profiles[0]), _headline(found.profiles[0]))
    show.print_table(_shares(found), _bounds(found))
    show.print_table(_servers(found, links=False), "Cores, from the first event to the decision")
    links = _servers(found, links=True)
    if links.rows:
        show.print_table(links, "Links")
    show.print_table(_messages(found), "Messages, from joining the serialiser's queue to landing")
    overload = _overload(found)
    if overload.rows:
        show.print_table(overload, "Overloaded: offered more than they can serve, or still queueing up")
    else:
        show.note("no core, serialiser or link was overloaded")
    if found.disorders:
        show.print_table(_disorder(found), "Spikes against the run without an accelerator")
    show.note(model_figures(hardware))


def _time(ticks: float | None) -> str:
    from eventsnn.report.si import si

    return si(None if ticks is None else ticks * 1e-12, "s")


def _headline(profile: Profile) -> str:
    path = profile.path
    decided = "undecided" if profile.prediction < 0 else f"class {profile.prediction}"
    label = "" if profile.label < 0 else f" (label {profile.label})"
    began = {
        "input event": f"the event of input neuron {path.neuron}",
        "current": f"a current of {path.layer} neuron {path.neuron}",
        "charge at time 0": f"the charge of {path.layer} neuron {path.neuron} at time 0",
        "clock": f"the clock of {path.layer}",
        "start": "the first step",
        "step input": "a step whose input was complete",
        "nothing": "nothing: no spike reached the readout",
    }[path.origin]
    return (
        f"Sample {profile.index}: {decided}{label} {_time(profile.decision_time - profile.first_event)} "
        f"after the first event.\nThe critical path begins {_time(path.before)} after it with {began}, "
        f"and takes {_time(path.decision - path.begin)}"
    )


def _path(profile: Profile) -> Listing:
    from eventsnn.cli import show

    made = show.table("stage", "layer", "place", "at", "takes", "behind", optional=("behind",))
    path = profile.path
    for piece in path.pieces[-MOST_PIECES:]:
        behind = ", ".join(f"{name} {_time(ticks)}" for name, ticks in piece.behind.items())
        at = _time(piece.begin - path.begin)
        made.add_row(piece.stage, piece.layer, piece.place, at, _time(piece.ticks), behind)
    if len(path.pieces) > MOST_PIECES:
        show.note(f"the last {MOST_PIECES} of {len(path.pieces)} pieces are shown; --json has all")
    return made


def _bounds(found: Summary) -> str:
    """The sentence that answers what bounds latency."""
    from eventsnn.report.si import percent

    shares = found.shares
    total = sum(shares.values())
    latency = sum(p.decision_time - p.first_event for p in found.profiles)
    if total == 0:
        return "What bounds latency: nothing, the path takes no time"
    (stage, layer), ticks = next(iter(shares.items()))
    before = latency - total
    what = "of latency passed before the path's first event" if before >= 0 else "of it before any event"
    return (
        f"What bounds latency: {stage} of {layer}, {percent(ticks / total)} of the critical path; "
        f"{percent(abs(before) / latency if latency else None)} {what}"
    )


def _shares(found: Summary) -> Listing:
    from eventsnn.cli import show
    from eventsnn.insight.path import STAGES
    from eventsnn.report.si import percent

    made = show.table("stage", "layer", "mean time", "share", "what", optional=("what",))
    shares, samples = found.shares, len(found.profiles)
    total = sum(shares.values())
    shown = list(shares.items())[:MOST_SHARES]
    for (stage, layer), ticks in shown:
        made.add_row(stage, layer, _time(ticks / samples), percent(ticks / total), STAGES[stage])
    others = total - sum(ticks for _, ticks in shown)
    if others:
        made.add_row("others", "", _time(others / samples), percent(others / total), "")
    made.add_section()
    made.add_row("critical path", "", _time(total / samples), percent(1.0 if total else None), "")
    return made


def _named(found: Summary, server: Server) -> tuple[str, str]:
    place = found.place(server)
    name = place if server[0] in ("link", "core") or server[1] < 0 else f"{place} {server[0]}"
    return name, ", ".join(found.layers(server))


def _servers(found: Summary, links: bool) -> Listing:
    from eventsnn.cli import show
    from eventsnn.report.si import percent, si

    made = show.table(
        *("server", "layer", "jobs", "utilisation", "service", "wait", "blocked", "mean wait", "p95 wait"),
        *("mean queue", "longest", "dropped"),
        optional=("blocked", "dropped", "mean queue", "service"),
    )
    servers = [(server, use) for server, use in found.uses.items() if (server[0] == "link") == links]
    servers.sort(key=lambda item: -item[1].serving)
    for server, use in servers[:MOST_ROWS]:
        jobs = len(use.waits)
        values = use.to_dict()
        made.add_row(
            *_named(found, server),
            str(jobs),
            percent(use.utilisation),
            _time(use.serving),
            _time(use.waiting),
            _time(use.blocked),
            _time(values["mean_wait_ps"]),
            _time(values["p95_wait_ps"]),
            si(use.mean_waiting),
            str(use.most_waiting),
            str(use.dropped),
        )
    if len(servers) > MOST_ROWS:
        show.note(f"the busiest {MOST_ROWS} of {len(servers)} are shown; --json has all")
    return made


def _messages(found: Summary) -> Listing:
    from eventsnn.cli import show

    made = show.table("sender", "sent", "landed", "dropped", "in flight", "p50", "p95", "p99", "longest")
    for name, latency in found.latencies.items():
        values = latency.to_dict()
        made.add_row(
            name,
            *(str(values[key]) for key in ("sent", "landed", "dropped", "in_flight")),
            *(_time(values[f"{key}_ps"]) for key in ("p50", "p95", "p99", "max")),
        )
    return made


def _overload(found: Summary) -> Listing:
    from eventsnn.cli import show
    from eventsnn.report.si import si

    made = show.table(
        *("server", "layer", "samples", "offered load", "queue, third quarter", "last quarter"),
        *("jobs left at decision", "their service", "idle after input"),
    )
    for server, cases in list(found.overloaded().items())[:MOST_ROWS]:
        _, worst = max(cases, key=lambda case: case[1].offered)
        made.add_row(
            *_named(found, server),
            str(len(cases)),
            si(worst.offered),
            si(worst.third_quarter),
            si(worst.last_quarter),
            str(worst.backlog),
            _time(worst.backlog_ticks),
            _time(worst.drained),
        )
    return made


def _disorder(found: Summary) -> Listing:
    from eventsnn.cli import show
    from eventsnn.report.si import percent

    made = show.table(
        *("population", "neurons", "spikes ideal", "here", "neurons changed", "largest", "disorder"),
        *("interval distortion", "median delay", "p95 delay"),
    )
    for name, disorder in found.disorders.items():
        values = disorder.to_dict()
        made.add_row(
            name,
            disorder.neuron,
            str(disorder.ideal),
            str(disorder.here),
            f"{disorder.changed} of {disorder.neurons}",
            str(disorder.largest),
            percent(disorder.disorder),
            percent(disorder.interval_distortion),
            _time(values["p50_late_ps"]),
            _time(values["p95_late_ps"]),
        )
    return made
