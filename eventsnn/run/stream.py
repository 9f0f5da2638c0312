"""``stream``: replay events without an end through a network, and decide over time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eventsnn.arguments import path, shown, whole
from eventsnn.engine import RunOptions, make_engine, stimulus_from_events
from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events.inputs import PICOSECONDS_PER_MICROSECOND, picoseconds
from eventsnn.events.long_recordings import parts_of
from eventsnn.events.recordings import RecordingSet
from eventsnn.events.stream import MAX_TIME_US, Events
from eventsnn.network import Network, load_network
from eventsnn.output import HDF5, require_replaceable
from eventsnn.results.stream import DECISION_FIELDS, FORMAT, StreamResults
from eventsnn.run.coding import words
from eventsnn.run.inputs import content_of, is_events
from eventsnn.run.job import check_belongs
from eventsnn.run.options import ORIGINS
from eventsnn.run.replay import Int64, Replay, require_rest
from eventsnn.run.samples import Samples, describe, open_samples
from eventsnn.version import __version__

ENGINES = ("compiled", "reference")
ROWS = 4096
"""Decisions that are gathered before they become an array."""


@dataclass(frozen=True)
class Piece:
    """A part of the stream: ticks and input neurons of its events, in order, and where it stands.

    ``begin`` and ``end`` are the ticks between which its label holds; ``part`` numbers recordings, and is
    the same for all pieces of one.
    """

    time: Int64
    neuron: Int64
    label: int
    begin: int
    end: int


def stream(
    network: Network | str | os.PathLike[str],
    data: Any,
    *,
    decide_every_us: float,
    window_us: float | None = None,
    reset_after_us: float | None = None,
    gap_us: float = 0,
    origin: str | None = None,
    split: str | None = None,
    samples: int | None = None,
    engine: str = "compiled",
    max_events: int = 10**9,
    output: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StreamResults:
    """Replay one stream of events: the settled network goes on from where it was.

    Recordings are joined end to end. At every multiple of ``decide_every_us`` the network comes to rest, and
    its readout is the decision. It is then exactly that of the events of the window, whatever came before,
    as an event that leaves the window is received once more with the opposite sign.

    Parameters
    ----------
    network : Network or path
        Of signed neurons, exact max gates and readouts without currents: it must come to rest.
    data : str, RecordingSet, tonic data set, list, or iterator
        ``KIND:PATH``, an opened set, or a list of recordings as ``simulate`` takes; or an iterator of event
        arrays, or pairs of one and its label, whose times go on from one to the next: it is read as it comes,
        so that nothing but the window is ever held.
    decide_every_us : float
        Microseconds of the stream between decisions.
    window_us : float, optional
        How long an event counts: at a decision at time T those after T - window, up to T. Left out, nothing
        is forgotten.
    reset_after_us : float, optional
        The network begins anew once there was no event for so long.
    gap_us : float
        Between the last event of a recording and the origin of the next.
    origin, split, samples, engine, max_events
        As of ``simulate``; ``compiled`` or ``reference``. ``max_events`` is for each interval.
    output : path, optional
        Results file; see ``StreamResults.save``.
    progress : callable, optional
        Called with (recordings done, recordings in all).

    Returns
    -------
    StreamResults

    Raises
    ------
    EventsnnError
        Bad input of any kind, in one message; there is no event at all.
    """
    every = picoseconds(decide_every_us, "decide_every_us (--decide-every-us)")
    window = None if window_us is None else picoseconds(window_us, "window_us (--window-us)")
    silence = None if reset_after_us is None else picoseconds(reset_after_us, "reset_after_us")
    gap = 0 if gap_us == 0 else picoseconds(gap_us, "gap_us (--gap-us)")
    if origin is not None and origin not in ORIGINS:
        raise InvalidRequest(f"origin {shown(origin)} is not known; allowed are {', '.join(ORIGINS)}")
    if engine not in ENGINES:
        raise InvalidRequest(f"engine {shown(engine)} replays no streams; allowed are {', '.join(ENGINES)}")
    if output is not None:
        output = path(output, "output", InvalidRequest)
        require_replaceable(output, HDF5, FORMAT)
    max_events = whole(max_events, "max_events (--max-events)", InvalidRequest, 1, 2**63 - 1)
    loaded = network if isinstance(network, Network) else load_network(network)
    _check_network(loaded)
    if isinstance(data, Iterator):
        found, pieces = None, _continued(data, loaded)
    else:
        found = open_samples(data, split, samples)
        check_belongs(found, loaded)
        pieces = _joined(found, loaded, gap, origin, progress)
    replay = Replay(make_engine(engine, loaded, None, RunOptions(max_events=max_events)), window, silence)
    made = _replayed(replay, pieces, every)
    configuration = {
        "version": __version__,
        "network": loaded.checksum,
        "network_path": None if isinstance(network, Network) else os.fspath(network),
        "data": None if found is None else describe(found),
        "data_path": None if found is None or found.path is None else str(found.path),
        "class_names": [] if found is None else list(found.class_names),
        "origin": origin,
        "decide_every_ps": every,
        "window_ps": window,
        "reset_after_ps": silence,
        "gap_ps": gap,
        "engine": engine,
        "max_events": max_events,
    }
    results = replace(made, configuration=configuration)
    if output is not None:
        results.save(output)
    return results


def _check_network(network: Network) -> None:
    contract = network.contract
    if contract is not None and contract.coding not in ("events", None):
        raise InvalidRequest(
            f"a stream is of events, and the network was converted for {words(contract)}; convert it on "
            "event recordings"
        )
    require_rest(network)


def _joined(
    samples: Samples,
    network: Network,
    gap: int,
    origin: str | None,
    progress: Callable[[int, int], None] | None,
) -> Iterator[Piece]:
    """Recordings end to end, read one by one, long ones in parts."""
    begin = 0
    for position in range(len(samples)):
        part = _parts(samples, position)
        label = -1 if part.label is None else part.label
        end = shift = None
        for events in part.events:
            stimulus = stimulus_from_events(events, network, part.name)
            if shift is None:
                shift = begin if (origin or part.origin) == "file" else begin - stimulus.first
            time = _within(stimulus.time + shift, part.name)
            end = int(time[-1])
            yield Piece(time, stimulus.neuron, label, begin, end)
        if end is None:
            raise InvalidEvents(f"{part.name}: there are no events; a sample needs at least one")
        begin = end + gap
        if progress is not None:
            progress(position + 1, len(samples))


@dataclass(frozen=True)
class _Parts:
    """A recording that comes in parts; the attributes are those of ``Recording``."""

    events: Iterable[Events]
    label: int | None
    name: str
    origin: str


def _parts(samples: Samples, position: int) -> _Parts:
    if isinstance(samples, RecordingSet):
        file = samples.files[position]
        return _Parts(parts_of(samples, position), file.label, file.name, samples.origin)
    item = samples[position]
    events = content_of(item)
    if not is_events(events):
        raise InvalidRequest(
            f"{item.name} is no recording of events; a stream is one, give recordings or event arrays"
        )
    return _Parts([events], item.label, item.name, getattr(item, "origin", "first-event"))


def _continued(chunks: Iterable[Any], network: Network) -> Iterator[Piece]:
    """Chunks of one stream, as they come; its zero is that of their times."""
    last, label_before, began = 0, -1, 0
    classes = network.populations[network.output].size
    for place, chunk in enumerate(chunks):
        events, said = chunk if isinstance(chunk, tuple) and len(chunk) == 2 else (chunk, None)
        where = f"chunk {place} of the stream"
        if not is_events(events):
            raise InvalidRequest(
                f"{where} is {shown(chunk)}; give event arrays, or pairs of one and its label"
            )
        label = -1 if said is None else whole(said, f"the label of {where}", InvalidRequest, 0, classes - 1)
        if not len(events):
            continue
        stimulus = stimulus_from_events(events, network, where)
        if stimulus.first < last:
            raise InvalidEvents(
                f"{where} begins at {events['t'][0]} us, before the end of the one before at "
                f"{last // PICOSECONDS_PER_MICROSECOND} us; times go on from chunk to chunk"
            )
        if label != label_before:
            began = stimulus.first
        last, label_before = stimulus.end, label
        yield Piece(stimulus.time, stimulus.neuron, label, began, last)


def _within(time: Int64, where: str) -> Int64:
    if int(time[-1]) >= MAX_TIME_US * PICOSECONDS_PER_MICROSECOND:
        raise InvalidRequest(
            f"{where}: the stream gets longer than {MAX_TIME_US} us there; take fewer recordings"
        )
    return time


class _Rows:
    """Decisions, gathered in blocks."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._rows: list[tuple[int, ...]] = []
        self._readouts: list[list[int]] = []
        self._blocks: list[tuple[Int64, Int64]] = []
        self.counters = np.zeros_like(replay.start_counters)
        self.digest = hashlib.blake2b(digest_size=16)

    def decide(self, time: Int64, neuron: Int64, now: int, label: int) -> None:
        """Go on to a tick, and keep what the network says then."""
        replay = self._replay
        interval = replay.advance(time, neuron, now)
        self.counters += interval.counters
        for digest in interval.digests:
            self.digest.update(digest.encode())
        spikes = interval.total("spikes_positive", "spikes_negative")
        self._rows.append(
            (
                *(now, label, replay.prediction, replay.since, replay.event),
                *(interval.input_events, interval.forgotten_events, replay.held_events, interval.resets),
                *(interval.total("synaptic_operations"), spikes, interval.host_ns),
            )
        )
        self._readouts.append(replay.readout)
        if len(self._rows) == ROWS:
            self._gather()

    def _gather(self) -> None:
        if self._rows:
            self._blocks.append((np.array(self._rows, np.int64), np.array(self._readouts, np.int64)))
        self._rows, self._readouts = [], []

    def results(self) -> StreamResults:
        """All of them."""
        self._gather()
        rows = np.concatenate([block for block, _ in self._blocks])
        return StreamResults(
            configuration={},
            order=tuple(self._replay.network.order),
            decisions={name: np.ascontiguousarray(rows[:, i]) for i, name in enumerate(DECISION_FIELDS)},
            readout=np.concatenate([block for _, block in self._blocks]),
            counters=self.counters,
            start_operations=self._replay.start_operations,
            replayed=self.digest.hexdigest(),
        )


def _replayed(replay: Replay, pieces: Iterable[Piece], every: int) -> StreamResults:
    """Decide at each multiple of ``every``, up to the first at or after the last event."""
    rows = _Rows(replay)
    time = neuron = np.zeros(0, dtype=np.int64)
    spans: list[Piece] = []
    now = every
    for piece in pieces:
        time, neuron = np.concatenate([time, piece.time]), np.concatenate([neuron, piece.neuron])
        spans.append(replace(piece, time=time[:0], neuron=neuron[:0]))
        # Later events may still be of the last tick.
        ends = now + (int(time[-1]) - 1 - now) // every * every if time[-1] > now else now - every
        begin = 0
        while now <= ends:
            stop = begin + int(np.searchsorted(time[begin:], now, side="right"))
            rows.decide(time[begin:stop], neuron[begin:stop], now, _label(spans, now))
            begin, now = stop, now + every
        time, neuron = time[begin:], neuron[begin:]
        spans = [span for span in spans if span.end >= now - every]
    if not spans:
        raise InvalidEvents("there are no events in the stream; it needs at least one")
    rows.decide(time, neuron, now, _label(spans, now))
    return rows.results()


def _label(spans: list[Piece], now: int) -> int:
    """Of the recording that is being replayed; the later one where two meet."""
    return next((span.label for span in reversed(spans) if span.begin <= now <= span.end), -1)
