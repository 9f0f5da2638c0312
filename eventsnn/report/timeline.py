"""One sample on its accelerator as a Chrome trace: opens in ui.perfetto.dev and chrome://tracing.

A process is a core, its threads are the serialiser and the synapse pipeline; the sensor's input port
and the sample itself are processes of their own. ``ts`` and ``dur`` are microseconds, as the format
asks; exact ticks of 1 ps stand in the arguments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Mapping
from eventsnn.hardware.mapping import INPUT_PORT
from eventsnn.network import Network
from eventsnn.output import JSON, replaced_whole

if TYPE_CHECKING:
    from eventsnn.engine import SampleRun

SERIALISER, DELIVERY, TEST = range(3)  # the kinds of a service log
CATEGORIES = ("serialiser", "delivery", "threshold test")
UNITS = {1: "serialiser", 2: "synapse pipeline"}
SAMPLE_PROCESS = 1
TICKS_PER_MICROSECOND = 10**6
MOST_ARROWS = 20_000

Event = dict[str, Any]


def process_of(core: int) -> int:
    """The process identifier of a core; the input port is core -1."""
    return core + 3


def thread_of(core: int, unit: int) -> int:
    """The thread identifier of a core's unit, different on every core."""
    return 4 * process_of(core) + unit


def write_timeline(
    engine_run: SampleRun,
    network: Network,
    mapping: Mapping | None,
    path: str | os.PathLike[str],
    most_arrows: int = MOST_ARROWS,
) -> None:
    """Write what every core did when, as a Chrome trace.

    Parameters
    ----------
    engine_run : SampleRun
        Of an engine with an accelerator and ``record_service=True``.
    network, mapping : Network, Mapping
        What was run, and where its populations lie.
    path : path
        The JSON file; replaced once the new one is whole.
    most_arrows : int
        Arrows from a serialiser to the delivery of its message are drawn for the first that many
        messages: viewers grow slow with more.

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
    run: SampleRun, service: NDArray, network: Network, mapping: Mapping, most_arrows: int
) -> Iterator[Event]:
    yield from _names(network, mapping)
    yield from _decision(run)
    yield from _services(service, network)
    yield from _queues(service)
    yield from _arrows(service, most_arrows)


def _names(network: Network, mapping: Mapping) -> Iterator[Event]:
    """Metadata: what each process and thread is called, in the order of the cores."""

    def name(kind: str, process: int, thread: int, **values: Any) -> Event:
        return {"name": kind, "ph": "M", "pid": process, "tid": thread, "args": values}

    yield name("process_name", SAMPLE_PROCESS, 0, name="sample")
    yield name("process_sort_index", SAMPLE_PROCESS, 0, sort_index=SAMPLE_PROCESS)
    yield name("thread_name", SAMPLE_PROCESS, 1, name="decision")
    architecture = mapping.architecture
    for population in network.order:
        for part in mapping.parts[population]:
            process = process_of(part.core)
            if part.core == INPUT_PORT:
                title = f"input port: {population}"
            else:
                title = (
                    f"core {part.core} (tile {architecture.tile(part.core)}): {population} "
                    f"rows {part.y0}-{part.y1 - 1} channels {part.c0}-{part.c1 - 1}"
                )
            yield name("process_name", process, 0, name=title)
            yield name("process_sort_index", process, 0, sort_index=process)
            for unit, what in UNITS.items():
                if part.core == INPUT_PORT and what != "serialiser":
                    continue
                thread = thread_of(part.core, unit)
                yield name("thread_name", process, thread, name=what)
                yield name("thread_sort_index", process, thread, sort_index=unit)


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


def _services(service: NDArray, network: Network) -> Iterator[Event]:
    """A complete event for each message serialised, each delivery served and each scan."""
    for row in service:
        kind, core, rank, neuron, ordinal, _, arrival, start, finish, released = row.item()
        population = network.order[rank]
        yield {
            "name": f"test {population}" if kind == TEST else population,
            "cat": CATEGORIES[kind],
            "ph": "X",
            "ts": _microseconds(start),
            "dur": _microseconds(finish - start),
            "pid": process_of(core),
            "tid": thread_of(core, 1 if kind == SERIALISER else 2),
            "args": {
                "tested_neurons" if kind == TEST else "neuron": neuron,
                "ordinal": ordinal,
                "arrival_ticks": arrival,
                "start_ticks": start,
                "finish_ticks": finish,
                "wait_ticks": start - arrival,
                "blocked_ticks": released - finish,
            },
        }


def _queues(service: NDArray) -> Iterator[Event]:
    """Counters: messages and scans that wait in front of each unit, whenever the number changes."""
    at_serialiser = service["kind"] == SERIALISER
    for core in np.unique(service["core"]):
        for unit, chosen in ((1, at_serialiser), (2, ~at_serialiser)):
            rows = service[chosen & (service["core"] == core)]
            if len(rows) == 0:
                continue
            times = np.concatenate([rows["arrival"], rows["start"]])
            steps = np.repeat([1, -1], len(rows))
            ticks, place = np.unique(times, return_inverse=True)
            change = np.zeros(len(ticks), dtype=np.int64)
            np.add.at(change, place, steps)
            depth = np.cumsum(change)
            shown = change != 0
            shown[0] = True
            for tick, waiting in zip(ticks[shown].tolist(), depth[shown].tolist(), strict=True):
                yield {
                    "name": f"waiting for the {UNITS[unit]}",
                    "ph": "C",
                    "ts": _microseconds(tick),
                    "pid": process_of(int(core)),
                    "args": {"waiting": waiting},
                }


def _arrows(service: NDArray, most: int) -> Iterator[Event]:
    """Flow events from a message's serialiser to its delivery, earliest first."""
    pairs = matched_messages(service)[:most]
    for number, (sent, served) in enumerate(pairs.tolist(), 1):
        for phase, row, unit in (("s", service[sent], 1), ("f", service[served], 2)):
            core = int(row["core"])
            arrow: Event = {
                "name": "message",
                "cat": "message",
                "ph": phase,
                "id": number,
                "ts": _microseconds(int(row["start"])),
                "pid": process_of(core),
                "tid": thread_of(core, unit),
            }
            yield arrow if phase == "s" else {**arrow, "bp": "e"}


def matched_messages(service: NDArray) -> NDArray[np.int64]:
    """Which delivery served which serialised message.

    Returns
    -------
    int64 array, shape (pairs, 2)
        Rows of ``service``, (serialiser, delivery), by the serialiser's start.
    """
    found: list[NDArray[np.int64]] = []
    for kind in (SERIALISER, DELIVERY):
        rows = np.flatnonzero(service["kind"] == kind)
        names = np.stack(
            [service[name][rows] for name in ("rank", "neuron", "ordinal", "destination")], axis=1
        )
        found += [rows, names]
    sent, sent_names, served, served_names = found
    place = dict(zip(map(tuple, sent_names.tolist()), sent.tolist(), strict=True))
    pairs = [
        (place[name], row)
        for name, row in zip(map(tuple, served_names.tolist()), served.tolist(), strict=True)
        if name in place
    ]
    pairs.sort(key=lambda pair: (int(service["start"][pair[0]]), pair))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
