"""What bounds an accelerator, in a sentence and a table."""

from __future__ import annotations

from eventsnn.insight.bottleneck import STATES
from eventsnn.insight.profile import Summary
from eventsnn.insight.service import LINK
from eventsnn.insight.suggest import Suggestion
from eventsnn.report.si import percent, si
from eventsnn.report.tables import Cell, Table

MOST_ROWS = 24


def seconds(ticks: int) -> str:
    """A time in ticks of 1 ps as text."""
    return si(ticks * 1e-12, "s")


def bound_sentence(found: Summary) -> str:
    """How much of the time is the busiest server's work, whose, and what it does."""
    bottleneck = found.bottleneck
    busiest = bottleneck.busiest
    if busiest is None:
        return "No work takes time."
    most = bottleneck.most(busiest)
    layers = ", ".join(found.layers(busiest))
    where = f"{found.place(busiest)}{f' ({layers})' if layers else ''}"
    each = "the busiest servers" if len(bottleneck.bounding) > 1 else "the busiest server"
    text = (
        f"The work of {each} alone takes {seconds(bottleneck.ticks)}, {percent(bottleneck.explained)} of the "
        f"{seconds(bottleneck.time)} that all took"
    )
    if bottleneck.pauses:
        text += f"; {seconds(bottleneck.pauses)} of it are barriers and ends of steps"
    own = percent(bottleneck.bounding[busiest] / max(bottleneck.ticks, 1))
    return f"{text}. The busiest is {where}, {own} of that, mostly {most}: {STATES[most]}."


def suggestion_sentence(found: Suggestion | None) -> str:
    """The split or placement that would lower the bound."""
    if found is None:
        return "No other split or placement within the limits was found that lowers it."
    return (
        f"It would fall to {seconds(found.after)} with {'; '.join(map(str, found.changes))}. That is "
        "counted, not run: --suggest FILE runs it and writes the mapping."
    )


def core_times_table(found: Summary) -> Table:
    """What the work of each core alone would take, the busiest first."""
    cores = sorted(found.bottleneck.cores, key=lambda core: -core.own)
    rows = [
        [
            found.place((core.busiest, core.core)),
            ", ".join(found.layers((core.busiest, core.core))),
            *(seconds(ticks) for ticks in (core.neurons, core.synapses, core.weight_reads)),
            *(seconds(ticks) for ticks in (core.messages_in, core.messages_out)),
            core.busiest,
            percent(core.share),
            core.state,
        ]
        for core in cores[:MOST_ROWS]
    ]
    header = [
        "core", "layer", "neurons", "synapses", "weight reads", "messages in", "messages out",
        "busiest unit", "share", "state",
    ]  # fmt: skip
    return Table(header, [[Cell(text) for text in row] for row in rows])


def link_times_table(found: Summary) -> Table:
    """What the messages over each link alone would take, the busiest first."""
    links = sorted(found.bottleneck.links.items(), key=lambda item: -item[1])
    time = found.bottleneck.time
    rows = [
        [found.place((LINK, number)), seconds(ticks), percent(ticks / time if time else None)]
        for number, ticks in links[:MOST_ROWS]
    ]
    return Table(["link", "messages", "share"], [[Cell(text) for text in row] for row in rows])
