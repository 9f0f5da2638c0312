"""A profile as tables of text, and as a self-contained page."""

from __future__ import annotations

import os

from eventsnn.insight.path import STAGES
from eventsnn.insight.profile import Profile, Summary
from eventsnn.insight.service import CORE, LINK, Server
from eventsnn.output import HTML, replaced_whole
from eventsnn.report.bounds import bound_sentence, core_times_table, link_times_table
from eventsnn.report.si import percent, si
from eventsnn.report.tables import Cell, Table
from eventsnn.version import __version__

MOST_ROWS = 24
MOST_SHARES = 12
MOST_LINES = 6

_BEGAN = {
    "input event": "the event of input neuron {neuron}",
    "current": "a current of {layer} neuron {neuron}",
    "charge at time 0": "the charge of {layer} neuron {neuron} at time 0",
    "clock": "the clock of {layer}",
    "end of input": "the end of the input, when every signed neuron is tested once more",
    "start": "the first step",
    "step input": "a step whose input was complete",
    "nothing": "nothing: no spike reached the readout",
}


def seconds(ticks: float | None) -> str:
    """A time in ticks of 1 ps as text; a dash for None."""
    return si(None if ticks is None else ticks * 1e-12, "s")


def headline(profile: Profile) -> str:
    """What a sample's answer was, when it was there, and where its critical path begins."""
    path = profile.path
    decided = "undecided" if profile.prediction < 0 else f"class {profile.prediction}"
    label = "" if profile.label < 0 else f" (label {profile.label})"
    origin = _BEGAN[path.origin].format(layer=path.layer, neuron=path.neuron)
    return (
        f"Sample {profile.index}: {decided}{label} {seconds(profile.decision_time - profile.first_event)} "
        f"after the first event. The critical path begins {seconds(path.before)} after it with {origin}, and "
        f"takes {seconds(path.decision - path.begin)}."
    )


def bounds(found: Summary) -> str:
    """The sentence that answers what bounds latency."""
    shares = found.shares
    total = sum(shares.values())
    if total == 0:
        return "What bounds latency: nothing but the input; the critical path takes no time."
    (stage, layer), ticks = next(iter(shares.items()))
    latency = sum(profile.decision_time - profile.first_event for profile in found.profiles)
    before = percent((latency - total) / latency) if latency >= total > 0 else None
    return (
        f"What bounds latency: {stage}{f' of {layer}' if layer else ''}, {percent(ticks / total)} of the "
        f"critical path." + (f" {before} of latency had passed before the path began." if before else "")
    )


def path_table(profile: Profile, most: int) -> Table:
    """The last pieces of a critical path, in order of time."""
    path = profile.path
    rows = []
    for piece in path.pieces[-most:]:
        behind = ", ".join(f"{name} {seconds(ticks)}" for name, ticks in piece.behind.items())
        at = seconds(piece.begin - path.begin)
        rows.append([piece.stage, piece.layer, piece.place, at, seconds(piece.ticks), behind])
    return _table(["stage", "layer", "place", "at", "takes", "behind"], rows)


def shares_table(found: Summary) -> Table:
    """What the critical paths waited for: mean time by stage and layer."""
    shares, samples = found.shares, len(found.profiles)
    total = sum(shares.values())
    shown = list(shares.items())[:MOST_SHARES]

    def row(stage: str, layer: str, ticks: int, what: str) -> list[str]:
        return [stage, layer, seconds(ticks / samples), percent(ticks / total if total else None), what]

    rows = [row(stage, layer, ticks, STAGES[stage]) for (stage, layer), ticks in shown]
    others = total - sum(ticks for _, ticks in shown)
    rows += [row("others", "", others, "")] if others else []
    rows.append(row("critical path", "", total, ""))
    return _table(["stage", "layer", "mean time", "share", "what"], rows, totals=1)


def server_table(found: Summary, links: bool) -> Table:
    """The busiest cores and serialisers, or links."""
    servers = [(server, use) for server, use in found.uses.items() if (server[0] == LINK) == links]
    servers.sort(key=lambda item: -item[1].serving)
    rows = []
    for server, use in servers[:MOST_ROWS]:
        values = use.to_dict()
        rows.append(
            [
                *_named(found, server),
                str(values["jobs"]),
                percent(use.utilisation),
                seconds(use.serving),
                seconds(use.waiting),
                seconds(use.blocked),
                seconds(values["mean_wait_ps"]),
                seconds(values["p95_wait_ps"]),
                si(use.mean_waiting),
                str(use.most_waiting),
                str(use.dropped),
            ]
        )
    header = [
        "server", "layer", "jobs", "utilisation", "service", "wait", "blocked", "mean wait", "p95 wait",
        "mean queue", "longest", "dropped",
    ]  # fmt: skip
    return _table(header, rows)


def message_table(found: Summary) -> Table:
    """How long messages were under way, by sender."""
    rows = []
    for name, latency in found.latencies.items():
        values = latency.to_dict()
        counts = [str(values[key]) for key in ("sent", "landed", "dropped", "in_flight")]
        rows.append([name, *counts, *(seconds(values[f"{key}_ps"]) for key in ("p50", "p95", "p99", "max"))])
    return _table(["sender", "sent", "landed", "dropped", "in flight", "p50", "p95", "p99", "longest"], rows)


def overload_table(found: Summary) -> Table:
    """Servers offered more than they can serve, or still queueing up, at their worst sample."""
    rows = []
    for server, cases in list(found.overloaded().items())[:MOST_ROWS]:
        _, worst = max(cases, key=lambda case: case[1].offered)
        rows.append(
            [
                *_named(found, server),
                str(len(cases)),
                si(worst.offered),
                si(worst.third_quarter),
                si(worst.last_quarter),
                str(worst.backlog),
                seconds(worst.backlog_ticks),
                seconds(worst.drained),
            ]
        )
    header = [
        "server", "layer", "samples", "offered load", "queue, third quarter", "last quarter",
        "jobs left at decision", "their service", "idle after input",
    ]  # fmt: skip
    return _table(header, rows)


def disorder_table(found: Summary) -> Table:
    """Spike trains against the ideal runs, by population."""
    rows = []
    for name, disorder in found.disorders.items():
        values = disorder.to_dict()
        rows.append(
            [
                name,
                disorder.neuron,
                str(disorder.ideal),
                str(disorder.here),
                f"{disorder.changed} of {disorder.neurons}",
                str(disorder.largest),
                percent(disorder.disorder),
                percent(disorder.interval_distortion),
                seconds(values["p50_late_ps"]),
                seconds(values["p95_late_ps"]),
            ]
        )
    header = [
        "population", "neurons", "spikes ideal", "here", "neurons changed", "largest", "disorder",
        "interval distortion", "median delay", "p95 delay",
    ]  # fmt: skip
    return _table(header, rows)


def _named(found: Summary, server: Server) -> tuple[str, str]:
    """A server's name and the populations on its core."""
    unit, number = server
    place = found.place(server)
    name = place if unit in (LINK, CORE) or number < 0 else f"{place} {unit}"
    return name, ", ".join(found.layers(server))


def _table(header: list[str], rows: list[list[str]], totals: int = 0) -> Table:
    return Table(header, [[Cell(text) for text in row] for row in rows], totals)


# -- the page ----------------------------------------------------------------------------------------


def queue_plot(found: Profile, names: dict[Server, str], prefix: str) -> str | None:
    """SVG of the longest queues over time, or None where nothing ever waited."""
    from eventsnn.report import plots

    longest = sorted(found.queues.items(), key=lambda item: -float(item[1].max(initial=0.0)))[:MOST_LINES]
    middles = (found.queue_edges[:-1] + found.queue_edges[1:]) / 2 - found.first_event
    lines = [
        plots.Line(names[server], middles * 1e-12, waiting, i)
        for i, (server, waiting) in enumerate(longest)
        if waiting.max(initial=0.0) > 0
    ]
    return plots.over_time(lines, "jobs waiting", "", prefix) if lines else None


def write_profile(found: Summary, path: str | os.PathLike[str], title: str = "Profile") -> None:
    """Write a self-contained page.

    Raises
    ------
    InvalidRequest
        ``path`` cannot be written.
    MissingExtra
        jinja2 or matplotlib is not installed.
    """
    from eventsnn.report.page import rendered, require_extra

    require_extra()
    names = {server: _named(found, server)[0] for server in found.uses}
    samples = []
    for number, profile in enumerate(found.profiles):
        plot = queue_plot(profile, names, f"queues-{number}")
        samples.append((headline(profile), path_table(profile, len(profile.path.pieces)), plot))
    page = rendered(
        "profile.html.j2",
        title=title,
        version=__version__,
        hardware=found.mapping.architecture.name,
        bounds=bounds(found),
        bound=bound_sentence(found),
        core_times=core_times_table(found),
        link_times=link_times_table(found),
        samples=samples,
        shares=shares_table(found),
        servers=server_table(found, links=False),
        links=server_table(found, links=True),
        messages=message_table(found),
        overload=overload_table(found),
        disorder=disorder_table(found),
    )
    with replaced_whole(path, HTML) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(page)
