"""Streams: the network that goes on is that of its window, decisions over time, resets, both faces."""

import json
import re
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders.networks import random_network, random_stimulus, with_lowest, without_currents
from builders.recordings import random_events, small_network, write_recordings
from builders.runs import OPTIONS
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app
from eventsnn.counting import COLUMN
from eventsnn.engine import ENGINES, Stimulus, make_engine
from eventsnn.errors import InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events import Recording, make_events, open_recordings
from eventsnn.network import (
    Axis,
    Conv2d,
    Dense,
    Input,
    IntegrateAndFire,
    MaxGate,
    MaxPool,
    Network,
    Population,
    Projection,
    Readout,
    Signed,
)
from eventsnn.report.stream import operations_per_event
from eventsnn.results.stream import DECISION_FIELDS, StreamResults
from eventsnn.run.replay import Replay, require_rest

MICROSECOND = 10**6

ROOT = Path(__file__).resolve().parents[1]


def resting_network(seed, lazy=True):
    """A random signed network that comes to rest, a third of them with counts below 0."""
    network = without_currents(random_network(seed, delays=lazy, lazy=lazy, readout=seed % 4 != 0))
    return with_lowest(network, seed) if seed % 3 == 0 else network


def settled(network, time, neuron, engine):
    """Charges and counts at rest, of a fresh run on some events."""
    run = make_engine(engine, network, None, OPTIONS).run(
        Stimulus(time, neuron, duration=int(time.max(initial=0)))
    )
    return run.charge, run.counts


def same_state(network, one, other):
    for population in network:
        if not population.neuron.is_input:
            for found, wanted in zip(one, other, strict=True):
                np.testing.assert_array_equal(found[population.name], wanted[population.name])


@pytest.mark.parametrize("seed", range(24))
def test_at_every_decision_the_network_is_that_of_its_window(seed):
    """Delays, settle times, hysteresis, skips, biases, gates: charges and counts of every neuron."""
    network = resting_network(seed)
    stimulus = random_stimulus(seed, network)
    rng = np.random.default_rng([seed, 9])
    window = int(rng.integers(1, 12_000)) if seed % 6 else None
    engine = ENGINES[seed % 2]
    replay = Replay(make_engine(engine, network, None, OPTIONS), window, None)
    before = -1
    for now in np.unique(rng.integers(0, 36_000, 7)).tolist():
        arrives = (stimulus.time > before) & (stimulus.time <= now)
        found = replay.advance(stimulus.time[arrives], stimulus.neuron[arrives], now)
        inside = (stimulus.time <= now) & (stimulus.time > (-1 if window is None else now - window))
        wanted = settled(network, stimulus.time[inside], stimulus.neuron[inside], ENGINES[1 - seed % 2])
        same_state(network, (replay.at_rest.charge, replay.at_rest.counts), wanted)
        assert replay.held_events == inside.sum()
        assert found.input_events == arrives.sum()
        assert found.counters[:, COLUMN["input_events"]].sum() == arrives.sum() + found.forgotten_events
        before = now


def test_max_gates_go_on_with_what_they_have_received():
    rng = np.random.default_rng(0)
    axis = Axis(2, 2)
    pixel = Axis(1)
    network = Network(
        [
            Population("in", (6, 6, 2), Input()),
            Population("a", (6, 6, 3), Signed(20, 5, lowest=-3)),
            Population("max", (3, 3, 3), MaxGate("exact")),
            Population("out", (1, 1, 4), Readout(unit=0.1)),
        ],
        [
            Projection(
                "1",
                "in",
                "a",
                Conv2d(rng.integers(-20, 25, (1, 1, 2, 3)), pixel, pixel),
                rng.integers(-9, 9, 3),
            ),
            Projection("2", "a", "max", MaxPool(axis, axis)),
            Projection("3", "max", "out", Dense(rng.integers(-9, 9, (27, 4)))),
        ],
    )
    for seed in range(6):
        stimulus = random_stimulus(seed, network, events=150)
        for engine in ENGINES:
            replay = Replay(make_engine(engine, network, None, OPTIONS), 6000, None)
            for now in range(2500, 25_000, 2500):
                arrives = (stimulus.time > now - 2500 - (now == 2500)) & (stimulus.time <= now)
                replay.advance(stimulus.time[arrives], stimulus.neuron[arrives], now)
                inside = (stimulus.time <= now) & (stimulus.time > now - 6000)
                wanted = settled(network, stimulus.time[inside], stimulus.neuron[inside], "reference")
                same_state(network, (replay.at_rest.charge, replay.at_rest.counts), wanted)


@pytest.mark.parametrize("seed", range(5))
def test_without_delays_and_settle_times_intervals_change_nothing(seed):
    """The same spikes at the same ticks, whenever it is decided; and both engines agree in all of it."""
    network = resting_network(seed, lazy=False)
    stimulus = random_stimulus(seed, network)
    found = []
    for engine, every in (("compiled", 700), ("compiled", 40_000), ("reference", 700)):
        replay = Replay(make_engine(engine, network, None, OPTIONS), 5_000, None)
        counters, digests = 0, []
        for now in range(every, 40_001, every):
            arrives = (stimulus.time > now - every - (now == every)) & (stimulus.time <= now)
            interval = replay.advance(stimulus.time[arrives], stimulus.neuron[arrives], now)
            counters = counters + interval.counters
            digests += interval.digests
        found.append((counters, digests, replay.readout))
    columns = [
        COLUMN[name] for name in ("input_events", "spikes_positive", "spikes_negative", "synaptic_operations")
    ]
    np.testing.assert_array_equal(found[0][0][:, columns], found[1][0][:, columns])
    assert found[0][2] == found[1][2]
    assert found[0][1] == found[2][1]


def choice_network():
    """Two pixels, one a class: the class with more events of the window is the decision."""
    return Network(
        [Population("in", (1, 2, 1), Input()), Population("out", (1, 1, 2), Readout(unit=0.1))],
        [Projection("1", "in", "out", Dense(np.eye(2, dtype=np.int64)))],
    )


def choice_events(*times_and_pixels):
    time, pixel = zip(*times_and_pixels, strict=True)
    return make_events(time, pixel, [0] * len(time), [1] * len(time))


def test_decisions_over_time_by_hand():
    #                         class 0 at 0, 4 and 8, class 1 at 12, 13 and 15; each counts for 10 us
    events = choice_events((0, 0), (4, 0), (8, 0), (12, 1), (13, 1), (15, 1))
    found = eventsnn.stream(choice_network(), [(events, 0)], decide_every_us=5, window_us=10)
    rows = found.decisions
    us = {name: (rows[name] // MICROSECOND).tolist() for name in ("time_ps", "since_ps")}
    assert us["time_ps"] == [5, 10, 15]
    # At 15 the events of 0 and 4 are gone: 1 against 3, since the event at 13, as that at 0 left at 10.
    assert found.readout.tolist() == [[2, 0], [2, 0], [1, 3]]
    assert rows["prediction"].tolist() == [0, 0, 1]
    assert rows["label"].tolist() == [0, 0, 0]
    assert us["since_ps"] == [0, 0, 14]
    assert rows["event_ps"].tolist() == [0, 0, 14 * MICROSECOND]  # the one at 4 leaves at 14: 1 against 2
    assert rows["input_events"].tolist() == [2, 1, 3]
    assert rows["forgotten_events"].tolist() == [0, 1, 1]
    assert rows["held_events"].tolist() == [2, 2, 4]
    assert rows["synaptic_operations"].tolist() == [4, 4, 8]
    assert rows["spikes"].tolist() == [0, 0, 0]
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.changed.tolist() == [True, False, True]
    np.testing.assert_allclose(found.latency_s, [5e-6, 1e-6])
    told = found.to_dict()
    assert (told["total_input_events"], told["forgotten_events"], told["operations_per_event"]) == (
        6,
        2,
        16 / 6,
    )
    assert told["duration_s"] == pytest.approx(15e-6)
    kept = eventsnn.stream(choice_network(), [events], decide_every_us=5)
    assert kept.readout.tolist() == [[2, 0], [3, 0], [3, 3]]
    assert kept.accuracy is None
    assert kept.decisions["held_events"].tolist() == [2, 3, 6]


def test_silence_begins_anew_by_hand():
    events = choice_events((0, 1), (3, 1), (10, 0), (25, 1), (25, 0))
    found = eventsnn.stream(choice_network(), [events], decide_every_us=5, reset_after_us=7)
    # From 3 to 10 are 7: the event at 10 is just in time. After it there is silence at 17.
    assert found.readout.tolist() == [[0, 2], [1, 2], [1, 2], [0, 0], [1, 1]]
    assert found.decisions["prediction"].tolist() == [1, 1, 1, -1, 0]
    assert found.decisions["resets"].tolist() == [0, 0, 0, 1, 0]
    assert found.decisions["event_ps"].tolist() == [0, 0, 0, -1, 25 * MICROSECOND]
    assert (found.decisions["since_ps"] // MICROSECOND).tolist() == [0, 0, 0, 17, 25]
    # What was received before it is not forgotten after it, too.
    both = eventsnn.stream(choice_network(), [events], decide_every_us=5, reset_after_us=7, window_us=11)
    assert both.decisions["forgotten_events"].sum() == 2  # those of 0 and 3, at 11 and 14
    assert both.readout[-1].tolist() == [1, 1]
    # A silence within an interval: two resets in one.
    once = eventsnn.stream(choice_network(), [events], decide_every_us=40, reset_after_us=6)
    assert (once.decisions["resets"].tolist(), once.readout.tolist()) == ([3], [[0, 0]])


def test_resets_begin_with_what_biases_say():
    plain = small_network(settle_time=3 * MICROSECOND, hysteresis=90)
    biased = [replace(p, bias=np.array([200, -50, 400])) if p.name == "conv" else p for p in plain]
    network = Network(biased, plain.projections.values())
    rng = np.random.default_rng(5)
    events = random_events(rng)
    late = events.copy()
    late["t"] += 50_000
    found = eventsnn.stream(
        network, [np.concatenate([events, late])], decide_every_us=100_000, reset_after_us=9000
    )
    alone = eventsnn.stream(network, [(late, 3)], decide_every_us=100_000)
    assert found.decisions["resets"].tolist() == [2]  # at the end, too
    assert found.start_operations > 0
    before = eventsnn.stream(
        network, [np.concatenate([events, late])], decide_every_us=53_000, reset_after_us=9000
    )
    np.testing.assert_array_equal(before.readout[0], alone.readout[0])


def test_recordings_are_joined_at_their_origins(tmp_path):
    write_recordings(tmp_path / "set", 1, 3)
    data = open_recordings(f"nmnist:{tmp_path}/set")
    found = eventsnn.stream(small_network(), data, decide_every_us=500, window_us=1000, gap_us=700)
    begin, chunks, spans = 0, [], []
    for recording in data:
        events = recording.events.copy()
        events["t"] += begin
        chunks.append((events, recording.label))
        spans.append((begin, int(events["t"][-1]), recording.label))
        begin = spans[-1][1] + 700
    told = iter(chunks)
    again = eventsnn.stream(small_network(), told, decide_every_us=500, window_us=1000)
    for name in DECISION_FIELDS:
        if name not in ("host_ns", "label"):
            np.testing.assert_array_equal(found.decisions[name], again.decisions[name], name)
    assert found.replayed == again.replayed
    for time, label in zip(found.decisions["time_ps"] // MICROSECOND, found.decisions["label"], strict=True):
        assert label == next((own for start, end, own in spans if start <= time <= end), -1)
    assert {-1, 0, 1, 2} == set(found.decisions["label"].tolist())
    first = eventsnn.stream(small_network(), data, decide_every_us=500, origin="first-event")
    last = sum(int(r.events["t"][-1] - r.events["t"][0]) for r in data)
    assert first.decisions["time_ps"][-1] == -(-last // 500) * 500 * MICROSECOND
    listed = [Recording(r.events, r.label, r.index, r.name, r.origin) for r in data]
    assert (
        eventsnn.stream(small_network(), listed, decide_every_us=500, window_us=1000, gap_us=700).digest
        == found.digest
    )


def test_chunks_are_let_go():
    alive = []

    def chunks():
        rng = np.random.default_rng(0)
        for place in range(30):
            events = random_events(rng)
            events["t"] += 3000 * place
            alive.append(weakref.ref(events.base if events.base is not None else events))
            yield events
            del events
            assert sum(ref() is not None for ref in alive) <= 2

    found = eventsnn.stream(small_network(), chunks(), decide_every_us=1000, window_us=2000)
    assert len(found) == 90
    assert found.decisions["held_events"].max() < 200
    assert found.decisions["input_events"].sum() == 30 * 120


def test_where_chunks_are_cut_does_not_matter():
    events = random_events(np.random.default_rng(1), 400)
    events["t"] //= 40  # many at one time
    whole = eventsnn.stream(small_network(), [events], decide_every_us=9, window_us=20, origin="file")
    cuts = np.sort(np.random.default_rng(2).integers(0, 400, 12))
    pieces = iter(np.split(events, cuts))
    assert eventsnn.stream(small_network(), pieces, decide_every_us=9, window_us=20).digest == whole.digest
    slow = eventsnn.stream(
        small_network(), [events], decide_every_us=9, window_us=20, engine="reference", origin="file"
    )
    assert slow.digest == whole.digest


def test_files_of_streams(tmp_path):
    events = random_events(np.random.default_rng(1))
    found = eventsnn.stream(
        small_network(), [(events, 4)], decide_every_us=500, window_us=900, output=tmp_path / "s.h5"
    )
    read = StreamResults.load(tmp_path / "s.h5")
    assert read.to_dict() == found.to_dict()
    for name in DECISION_FIELDS:
        np.testing.assert_array_equal(read.decisions[name], found.decisions[name])
    shown = json.loads(CliRunner().invoke(app, ["inspect", str(tmp_path / "s.h5"), "--json"]).stdout)
    assert shown["digest"] == found.digest
    page = CliRunner().invoke(app, ["report", str(tmp_path / "s.h5"), "-o", str(tmp_path / "s.html")])
    assert page.exit_code == 0, page.output
    text = (tmp_path / "s.html").read_text()
    assert found.digest in text
    assert text.count("<svg") == 2
    with pytest.raises(InvalidRequest, match="give that file alone"):
        raise CliRunner().invoke(app, ["report", str(tmp_path / "s.h5"), str(tmp_path / "s.h5")]).exception
    damaged = bytearray((tmp_path / "s.h5").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "bad.h5").write_bytes(damaged)
    with pytest.raises(InvalidFile, match="damaged"):
        StreamResults.load(tmp_path / "bad.h5")
    small_network().save(tmp_path / "net.h5")
    with pytest.raises(InvalidFile, match="format is 'eventsnn-network'"):
        StreamResults.load(tmp_path / "net.h5")
    with pytest.raises(InvalidRequest, match="a file of another kind"):
        eventsnn.stream(small_network(), [events], decide_every_us=500, output=tmp_path / "net.h5")
    with pytest.raises(FileNotFoundError, match="--stream"):
        StreamResults.load(tmp_path / "none.h5")


def test_the_command_line_replays_as_python_does(tmp_path):
    small_network().save(tmp_path / "net.h5")
    write_recordings(tmp_path / "set", 1, 3)
    start = ["run", str(tmp_path / "net.h5"), "--data", f"nmnist:{tmp_path}/set"]
    flags = [
        "--stream",
        "--window-us",
        "900",
        "--decide-every-us",
        "500",
        "--reset-after-us",
        "650",
        "--gap-us",
        "70",
    ]
    more = ["--transform", "drop:share=0.2", "--json", "-o", str(tmp_path / "s.h5")]
    done = CliRunner().invoke(app, [*start, *flags, *more])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    data = open_recordings(f"nmnist:{tmp_path}/set").transformed("drop:share=0.2")
    wanted = eventsnn.stream(
        small_network(), data, decide_every_us=500, window_us=900, reset_after_us=650, gap_us=70
    )
    assert found["digest"] == wanted.digest == StreamResults.load(tmp_path / "s.h5").digest
    assert found["configuration"]["data"]["transforms"] == ["drop:share=0.2,seed=0"]
    table = CliRunner().invoke(app, [*start, *flags]).stdout
    for words in ("forgotten events", "host time per event (measured)", "deciding event to decision"):
        assert words in table
    for arguments, message in (
        (["--window-us", "5"], "--window-us is for streams; give --stream"),
        (["--stream"], "give --decide-every-us"),
        ([*flags, "--hardware", "event-conv-small"], "leave --hardware out"),
        ([*flags, "--exit", "margin:0.3", "--workers", "2"], "leave --exit, --workers out"),
        (["--stream", "--decide-every-us", "0"], "decide_every_us"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            raise CliRunner().invoke(app, [*start, *arguments]).exception


def test_what_no_stream_can_go_on_with_is_refused(tmp_path):
    events = random_events(np.random.default_rng(0))
    axis = Axis(2, 2)
    rate = Network(
        [Population("in", (1, 2, 1), Input()), Population("out", (1, 1, 2), IntegrateAndFire(5))],
        [Projection("1", "in", "out", Dense(np.eye(2, dtype=np.int64)))],
    )
    gates = Network(
        [
            Population("in", (4, 4, 1), Input()),
            Population("max", (2, 2, 1), MaxGate("exact")),
            Population("out", (1, 1, 2), Readout(unit=1.0)),
        ],
        [
            Projection("1", "in", "max", MaxPool(axis, axis)),
            Projection("2", "max", "out", Dense(np.ones((4, 2), int))),
        ],
    )
    for network, message in (
        (rate, "population 'out' of .* neurons never comes to it"),
        (gates, "right behind the input"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            require_rest(network)
        with pytest.raises(InvalidRequest, match=message):
            eventsnn.stream(network, [events], decide_every_us=5)
    ask = {"decide_every_us": 500}
    for data, options, message in (
        ([events], {"decide_every_us": -1}, "decide_every_us"),
        ([events], {**ask, "window_us": 0}, "window_us"),
        ([events], {**ask, "engine": "float64"}, "replays no streams"),
        ([events], {**ask, "origin": "start"}, "origin 'start'"),
        ([(events, 10)], ask, "have the label 10"),
        ([np.zeros((34, 34, 2))], ask, "no recording of events"),
        (iter([events, np.zeros(3)]), ask, "chunk 1 of the stream"),
        (iter([(events, "cat")]), ask, "label of chunk 0"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            eventsnn.stream(small_network(), data, **options)
    with pytest.raises(InvalidEvents, match="chunk 1 of the stream begins at"):
        eventsnn.stream(small_network(), iter([events, events]), **ask)
    with pytest.raises(InvalidEvents, match="no events in the stream"):
        eventsnn.stream(small_network(), iter([]), **ask)


def test_the_page_on_streams_says_what_is_so():
    page = (ROOT / "docs" / "streams.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    names = {}
    exec(code.replace("models/demo.h5", str(ROOT / "models" / "demo.h5")), names)
    assert len(names["results"]) == 100
    assert names["results"].decisions["held_events"].max() == 10
    data = f"nmnist:{ROOT / 'datasets' / 'demo'}"
    found = eventsnn.stream(
        ROOT / "models" / "demo.h5", data, decide_every_us=10_000, window_us=100_000, gap_us=50_000
    ).to_dict()
    row = f"| {found['accuracy']:.1%} | {found['operations_per_event']:,.0f} |".replace("%", " %")
    assert f"| `--window-us 100000` {row}" in page
    assert set(re.findall(r"`(\w+)`", page)) >= DECISION_FIELDS.keys()


def test_operations_over_time_are_those_of_their_bins():
    events = choice_events((0, 0), (1, 1), (30, 0), (31, 0), (32, 1))
    found = eventsnn.stream(choice_network(), [events], decide_every_us=4, window_us=6)
    begins, operations = operations_per_event(found)
    assert len(found) == len(begins) == 8
    np.testing.assert_allclose(begins, np.arange(8) * 4e-6)
    # Two targets an event, received or forgotten; nothing happens from 8 to 28.
    np.testing.assert_array_equal(operations, [2, 2, *[np.nan] * 5, 2])
