"""One sample on its accelerator as a Chrome trace: opens in ui.perfetto.dev and chrome://tracing.

A process is a core, its threads are the serialiser and the synapse pipeline (in the step schedule the
receiving unit, and the neuron unit beside it); the sensor's input port, the links, a thread each, and the
sample itself are processes of their own. ``ts`` and ``dur`` are microseconds, as the format asks; exact
ticks of 1 ps stand in the arguments. Events are written as they are made: the file may be far larger than
memory, which holds the log and a few integers a row.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.service import DROPPED, PASSED, SERIALISED, TESTED
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Mapping
from eventsnn.hardware.mapping.parts import INPUT_PORT
from eventsnn.insight.occupancy import Occupancy
from eventsnn.insight.service import MESSAGE, Server, in_steps, jobs_by_server, routes, units
from eventsnn.network import Network
from eventsnn.output import JSON, replaced_whole

if TYPE_CHECKING:
    from eventsnn.engine import SampleRun

CATEGORIES = ("serialiser", "delivery", "threshold test", "link", "dropped")
# What the threads of a core are called, by the unit of ``insight.service`` that they show.
THREADS = {
    "serialiser": (1, "serialiser"),
    "core": (2, "synapse pipeline"),
    "receiving unit": (2, "receiving unit"),
    "neuron unit": (3, "neuron unit"),
}
SAMPLE_PROCESS, LINK_PROCESS = 1, 2
FIRST_LINK_THREAD = 1 << 24  # above those of 2^20 cores
TICKS_PER_MICROSECOND = 10**6
MOST_ARROWS = 20_000
BLOCK = 1 << 16

Event = dict[str, Any]


def process_of(core: int) -> int:
    """The process identifier of a core; the input port is core -1."""
    return core + 4


def thread_of(core: int, thread: int) -> int:
    """The identifier of a core's thread, different on every core."""
    return 4 * process_of(core) + thread


def write_timeline(
    engine_run: SampleRun,
    network: Network,
    mapping: Mapping | None,
    path: str | os.PathLike[str],
    most_arrows: int = MOST_ARROWS,
) -> None:
    """Write what every core and link did when, as a Chrome trace.

    Parameters
    ----------
    engine_run : SampleRun
        Of an engine with an accelerator and ``record_service=True``.
    network, mapping : Network, Mapping
        What was run, and where its populations lie.
    path : path
        The JSON file; replaced once the new one is whole.
    most_arrows : int
        Arrows along the route of a message, from its serialiser over the links to its delivery, are drawn for
        the first that many messages: viewers grow slow with more.

    Raises
    ------
    InvalidRequest
        The run has no service log, or ``path`` cannot be written.
    """
    service = engine_run.service
    if service is None or mapping is None:
        raise InvalidRequest(
            "a timeline shows what an accelerator did, and this run has no record of one; run on an "
            "accelerator (--hardware event-conv-small; in Python with RunOptions(record_service=True))"
        )
    with replaced_whole(path, JSON) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"displayTimeUnit": "ns",\n"otherData": ')
        json.dump({"sample": engine_run.index, "digest": engine_run.digest, "ticks_per_us": 10**6}, file)
        file.write(',\n"traceEvents": [')
        encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
        separator = "\n"
        for event in _events(engine_run, service, network, mapping, most_arrows):
            file.write(separator + encode(event))
            separator = ",\n"
        file.write("\n]}\n")


def _microseconds(ticks: int) -> float:
    return ticks / TICKS_PER_MICROSECOND


def _events(
    run: SampleRun, service: NDArray[Any], network: Network, mapping: Mapping, most_arrows: int
) -> Iterator[Event]:
    steps = in_steps(mapping)
    begun = service[service["start"] <= run.decision_time]  # the others still waited at the decision
    yield from _names(service, network, mapping, steps)
    yield from _decision(run)
    yield from _services(begun, network, mapping, steps)
    yield from _queues(service, mapping, steps)
    yield from _arrows(begun, steps, most_arrows)


def _names(service: NDArray[Any], network: Network, mapping: Mapping, steps: bool) -> Iterator[Event]:
    """Metadata: what each process and thread is called, in the order of the cores and links."""

    def name(kind: str, process: int, thread: int, **values: Any) -> Event:
        return {"name": kind, "ph": "M", "pid": process, "tid": thread, "args": values}

    def process(number: int, title: str) -> Iterator[Event]:
        yield name("process_name", number, 0, name=title)
        yield name("process_sort_index", number, 0, sort_index=number)

    yield from process(SAMPLE_PROCESS, "sample")
    yield name("thread_name", SAMPLE_PROCESS, 1, name="decision")
    links = np.unique(service["core"][service["kind"] == PASSED]).tolist()
    if links:
        yield from process(LINK_PROCESS, "links")
    for link in links:
        title = mapping.architecture.network_on_chip.link_name(link)
        yield name("thread_name", LINK_PROCESS, FIRST_LINK_THREAD + link, name=title)
        yield name("thread_sort_index", LINK_PROCESS, FIRST_LINK_THREAD + link, sort_index=link)
    on_core: dict[int, list[str]] = {}
    for population in network.order:
        for part in mapping.parts[population]:
            share = f"{population} rows {part.y0}-{part.y1 - 1} channels {part.c0}-{part.c1 - 1}"
            on_core.setdefault(part.core, []).append(population if part.core == INPUT_PORT else share)
    used = {unit for kind, unit in units(steps).items() if kind != PASSED}
    for core, shares in on_core.items():
        where = (
            "input port" if core == INPUT_PORT else f"core {core} (tile {mapping.architecture.tile(core)})"
        )
        yield from process(process_of(core), f"{where}: {', '.join(shares)}")
        for unit, (number, what) in THREADS.items():
            if unit in used and (core != INPUT_PORT or unit == "serialiser"):
                yield name("thread_name", process_of(core), thread_of(core, number), name=what)
                yield name("thread_sort_index", process_of(core), thread_of(core, number), sort_index=number)


def _decision(run: SampleRun) -> Iterator[Event]:
    """The sample from its first event to its decision, and the decision as a mark across all cores."""
    where = {"cat": "decision", "pid": SAMPLE_PROCESS, "tid": 1}
    outcome = {
        "prediction": run.prediction,
        "decided_early": run.decided_early,
        "first_event_ticks": run.first_event,
        "decision_ticks": run.decision_time,
    }
    what = "undecided" if run.prediction < 0 else f"class {run.prediction}"
    latency = _microseconds(run.decision_time - run.first_event)
    ts = _microseconds(run.first_event)
    yield {"name": "first event to decision", "ph": "X", "ts": ts, "dur": latency, **where, "args": outcome}
    ts = _microseconds(run.decision_time)
    yield {"name": f"decision: {what}", "ph": "i", "s": "g", "ts": ts, **where, "args": outcome}


def _place(server: Server) -> dict[str, int]:
    """The process and thread that show a server."""
    unit, number = server
    if unit == "link":
        return {"pid": LINK_PROCESS, "tid": FIRST_LINK_THREAD + number}
    return {"pid": process_of(number), "tid": thread_of(number, THREADS[unit][0])}


def _services(service: NDArray[Any], network: Network, mapping: Mapping, steps: bool) -> Iterator[Event]:
    """A slice for each job: a message serialised, on a link or served, a scan; dropped messages.

    A server that has to hold its job for want of room shows that as a slice of its own.
    """
    unit_of = units(steps)
    for first in range(0, len(service), BLOCK):
        for row in service[first : first + BLOCK].tolist():
            kind, core, rank, neuron, ordinal, destination, arrival, start, finish, released = row
            population = network.order[rank]
            tested = kind == TESTED
            what: Event = {"cat": CATEGORIES[kind], **_place((unit_of[kind], core))}
            ticks = {
                ("walked_neurons" if steps else "tested_neurons") if tested else "neuron": neuron,
                "ordinal": ordinal,
                "destination": destination,
                "arrival_ticks": arrival,
                "start_ticks": start,
                "finish_ticks": finish,
                "wait_ticks": start - arrival,
                "blocked_ticks": released - finish,
            }
            ts = _microseconds(start)
            if kind == DROPPED:
                yield {"name": f"dropped {population}", "ph": "i", "s": "t", "ts": ts, **what, "args": ticks}
                continue
            name = f"{'walk' if steps else 'test'} {population}" if tested else population
            length = _microseconds(finish - start)
            yield {"name": name, "ph": "X", "ts": ts, "dur": length, **what, "args": ticks}
            if released > finish:
                what["cat"] = "blocked"
                held = {"start_ticks": finish, "finish_ticks": released}
                ts, length = _microseconds(finish), _microseconds(released - finish)
                yield {"name": "blocked", "ph": "X", "ts": ts, "dur": length, **what, "args": held}


def _queues(service: NDArray[Any], mapping: Mapping, steps: bool) -> Iterator[Event]:
    """Counters: jobs that wait in front of each server, whenever their number changes."""
    for server, rows in jobs_by_server(service, steps).items():
        unit, number = server
        what = THREADS[unit][1] if unit in THREADS else mapping.architecture.network_on_chip.link_name(number)
        waiting = Occupancy.of(service["arrival"][rows], service["start"][rows])
        for first in range(0, len(waiting.ticks), BLOCK):
            block = slice(first, first + BLOCK)
            for tick, depth in zip(
                waiting.ticks[block].tolist(), waiting.number[block].tolist(), strict=True
            ):
                yield {
                    "name": f"waiting for the {what.removeprefix('the ')}",
                    "ph": "C",
                    "ts": _microseconds(tick),
                    "pid": _place(server)["pid"],
                    "args": {"waiting": depth},
                }


def _arrows(service: NDArray[Any], steps: bool, most: int) -> Iterator[Event]:
    """Flow events along each message's route, from its serialiser over the links to its delivery."""
    rows, starts = routes(service)
    unit_of = units(steps)
    lengths = np.diff(starts)
    heads = rows[starts[:-1]]
    whole = (lengths > 1) & (service["kind"][heads] == SERIALISED)
    messages = np.flatnonzero(whole)
    messages = messages[np.lexsort((heads[messages], service["start"][heads[messages]]))][:most]
    for number, message in enumerate(messages.tolist(), 1):
        route = [
            row for row in rows[starts[message] : starts[message + 1]] if service["kind"][row] != DROPPED
        ]
        for place, row in enumerate(route if len(route) > 1 else []):
            job = service[row]
            arrow: Event = {
                "name": "message",
                "cat": "message",
                "ph": "s" if place == 0 else "f" if place == len(route) - 1 else "t",
                "id": number,
                "ts": _microseconds(int(job["start"])),
                **_place((unit_of[int(job["kind"])], int(job["core"]))),
            }
            if place == 0:
                arrow["args"] = {field: int(job[field]) for field in MESSAGE}
            yield {**arrow, "bp": "e"} if place == len(route) - 1 else arrow
