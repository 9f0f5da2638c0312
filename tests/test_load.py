"""The load estimate, against what an accelerator's servers then do."""

import json

import numpy as np
import pytest
from builders.draws import SEEDS, generator
from builders.presets import preset
from builders.recordings import small_network, write_recordings
from hypothesis import given, settings

from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.engine.service import PASSED, SERIALISED, TESTED
from eventsnn.errors import InvalidMapping
from eventsnn.events import SpikeTrain
from eventsnn.hardware import Chip, load_architecture, map_network
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.load import IdealSpikes, estimate
from eventsnn.network import (
    Axis,
    Conv2d,
    Dense,
    Input,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
    save_network,
)
from eventsnn.run.load import estimate_load

NS = 1000  # ticks


def growing_network(rng):
    """Two convolutions of rate neurons and a dense readout; charge only grows, so counts know no order."""
    axis = Axis(3, int(rng.integers(1, 3)), 1, 1)
    first = Conv2d(rng.integers(0, 30, (3, 3, 2, 4)), axis, axis)
    middle = first.target_shape((8, 7, 2))
    second = Conv2d(rng.integers(0, 30, (3, 3, 4, 5)), axis, axis)
    last = second.target_shape(middle)
    return Network(
        [
            Population("a", (8, 7, 2), Input()),
            Population("b", middle, Rate(100)),
            Population("c", last, Rate(150)),
            Population("d", (1, 1, 9), Readout()),
        ],
        [
            Projection("1", "a", "b", first),
            Projection("2", "b", "c", second),
            Projection("3", "c", "d", Dense(rng.integers(0, 5, (int(np.prod(last)), 9)))),
        ],
    )


def busy_by_server(chip, service):
    """Seconds each server worked, by name, from a service log."""
    found = {}
    for row in service:
        number = int(row["core"])
        if row["kind"] == PASSED:
            name = chip.architecture.network_on_chip.link_name(number)
        elif row["kind"] == SERIALISED:
            name = "input port" if number < 0 else f"serialiser of core {number}"
        else:
            name = f"core {number}"
        found[name] = found.get(name, 0) + int(row["finish"] - row["start"])
    return {name: ticks * 1e-12 for name, ticks in found.items()}


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_the_work_is_what_the_servers_do(seed):
    rng = generator(seed)
    network = growing_network(rng)
    noc = {"topology": "mesh", "width": 4, "height": 8, "links": {"depth": "unbounded"}}
    if rng.random() < 0.3:
        noc = {"topology": "bus", "links": {"depth": "unbounded"}}
    tiles = {"tile[0..31]": {"core": "convolution"}}
    data = preset(network_on_chip=noc, tiles=tiles)
    data["actions"]["bus"] = {"time": data["actions"]["hop_x"]["time"]}
    strategy = str(rng.choice(["layer", "channel:3", "area:2", "pack"]))
    mapping = map_network(network, parse_architecture(data, "drawn"), strategy)
    time = np.sort(rng.integers(0, 10**7, 40))
    neuron = rng.integers(0, 112, 40)
    stimulus = Stimulus(time, neuron)
    run = make_engine("reference", network, mapping, RunOptions(record_service=True)).run(stimulus)
    found = estimate_load(network, [SpikeTrain(time, neuron)], mapping.architecture, strategy)
    expected = busy_by_server(Chip(mapping), run.service)
    estimated = {server.server: server.busy_s for server in found.servers}
    assert estimated == pytest.approx(expected)
    duration = int(time[-1] - time[0]) * 1e-12
    for server in found.servers:
        assert server.load == pytest.approx(server.busy_s / duration)
        assert server.worst == pytest.approx(server.load)


def test_tests_of_signed_neurons_are_part_of_the_load():
    """Each event is one delivery and one scan of its fan-out: the core of 'conv' knows no other work."""
    network = small_network()
    mapping = map_network(network, load_architecture("event-conv-small"))
    rng = np.random.default_rng(4)
    time = np.sort(rng.choice(10**9, 50, replace=False))
    stimulus = Stimulus(time, rng.integers(0, 34 * 34 * 2, 50))
    run = make_engine("compiled", network, mapping, RunOptions(record_service=True)).run(stimulus)
    expected = busy_by_server(Chip(mapping), run.service)
    found = estimate_load(network, [SpikeTrain(time, stimulus.neuron)], "event-conv-small")
    estimated = {server.server: server.busy_s for server in found.servers}
    for name in ("input port", "core 0"):
        assert estimated[name] == pytest.approx(expected[name])


def line(target, fan_out=20):
    """One input neuron onto a layer of 20."""
    return Network(
        [Population("in", (1, 1, 1), Input()), Population("out", (1, 1, fan_out), target)],
        [Projection("p", "in", "out", Dense(np.ones((1, fan_out), int)))],
    )


def one_neuron(times, ticks=0, steps=0, updates=0):
    """Its spikes as an ideal run gives them; the targets are silent."""
    time, none = np.array(times, dtype=np.int64), np.zeros(0, dtype=np.int64)
    neurons = {"in": np.zeros(len(times), dtype=np.int64), "out": none}
    return IdealSpikes({"in": time, "out": none}, neurons, ticks, steps, {"in": 0, "out": updates})


def test_a_settle_time_gathers_the_tests_of_a_window():
    """Decode 2 + ceil(20/8) cycles a message; a scan of 20 neurons, 3 cycles, for the first two of three."""
    network = line(Signed(10, 2, settle_time=1000))
    mapping = map_network(network, load_architecture("event-conv-small"))
    found = estimate(network, mapping, [one_neuron([300, 1300, 1500], 3000, updates=40)])
    assert found.servers[0].server == "core 0"
    assert found.servers[0].busy_s == pytest.approx((3 * 5 + 2 * 3) * 10e-9)
    assert found.servers[0].synaptic_operations == 60
    assert estimate(network, mapping, [one_neuron([], 3000)]).servers == ()


@pytest.mark.parametrize(
    ("interval_ns", "load", "warnings"),
    [(100, 0.5, []), (54, 50 / 54, ["its queue will be long"]), (25, 2.0, ["it cannot keep up"])],
)
def test_more_than_nine_tenths_is_warned_of(interval_ns, load, warnings):
    """A message of 20 synapses takes the core 5 cycles of 10 ns."""
    network = line(Readout())
    mapping = map_network(network, load_architecture("event-conv-small"))
    times = np.arange(1000) * interval_ns * NS
    found = estimate(network, mapping, [one_neuron(times, 1000 * interval_ns * NS)])
    assert found.servers[0].load == pytest.approx(load)
    assert [line.split(": ")[-1] for line in found.warnings] == warnings
    assert all(line.startswith("core 0 (out) is offered") for line in found.warnings)


def test_the_worst_sample_and_the_mean():
    network = line(Readout())
    mapping = map_network(network, load_architecture("event-conv-small"))
    found = estimate(network, mapping, [one_neuron([0], 10**6), one_neuron([0, 1, 2], 10**6)])
    assert (found.servers[0].load, found.servers[0].worst) == (pytest.approx(0.1), pytest.approx(0.15))
    assert (found.servers[0].messages, found.samples, found.input_s) == (2.0, 2, pytest.approx(1e-6))


def test_input_all_at_once_offers_no_rate():
    network = line(Readout())
    mapping = map_network(network, load_architecture("event-conv-small"))
    found = estimate(network, mapping, [one_neuron([0, 0])])
    assert found.servers[0].load is found.servers[0].worst is None
    assert found.servers[0].busy_s == pytest.approx(100e-9)
    assert found.warnings == []


@pytest.mark.parametrize(("pace", "loaded"), [("input", True), ("free", False)])
def test_timesteps(pace, loaded):
    """Three steps: 20 neurons visited in each, 15 updates in all; 2 messages of 5 cycles."""
    data = preset(synchronisation={"kind": "barrier", "pace": pace})
    data["actions"]["access"] = {"time": {**data["clock"], "value": 7, "unit": "ns"}}
    network = line(Rate(1000, period=1000))
    mapping = map_network(network, parse_architecture(data, "stepped"))
    found = estimate(network, mapping, [one_neuron([0, 0], 3 * 10**6, 3, 15)])
    work = {server.server: server for server in found.servers}
    assert work["neuron unit of core 0"].busy_s == pytest.approx(60 * 7e-9 + 15 * 10e-9)
    assert work["core 0"].busy_s == pytest.approx(2 * 5 * 10e-9)
    assert work["input port"].busy_s == pytest.approx(2 * 10e-9)
    expected = pytest.approx((60 * 7 + 15 * 10) / 3000) if loaded else None
    assert work["neuron unit of core 0"].load == expected


@pytest.mark.parametrize("strategy", ["layer", "pack", "channel:2"])
def test_the_work_in_timesteps(strategy):
    """Cores and the port as they are; neuron units at most as estimated: not every neuron holds charge."""
    rng = np.random.default_rng(5)
    network = growing_network(rng)
    data = preset(synchronisation={"kind": "barrier", "pace": "input"})
    mapping = map_network(network, parse_architecture(data, "stepped"), strategy)
    time, neuron = np.sort(rng.integers(0, 10**7, 40)), rng.integers(0, 112, 40)
    options = RunOptions(record_service=True, schedule="step", step=10**6)
    service = make_engine("reference", network, mapping, options).run(Stimulus(time, neuron)).service
    sent = service[(service["kind"] != SERIALISED) | (service["core"] < 0)]  # scans hold what they send
    done = busy_by_server(Chip(mapping), sent[sent["kind"] != TESTED])
    scanned = busy_by_server(Chip(mapping), sent[sent["kind"] == TESTED])
    found = estimate_load(
        network, [SpikeTrain(time, neuron)], mapping.architecture, strategy, step_us=1.0
    ).servers
    work = {server.server: server.busy_s for server in found}
    assert {name: work[name] for name in done} == pytest.approx(done)
    assert scanned
    for name, busy in scanned.items():
        assert busy <= work[f"neuron unit of {name}"] * (1 + 1e-9)
    assert set(work) == set(done) | {f"neuron unit of {name}" for name in scanned}


def test_from_recordings_in_the_schedule_of_the_accelerator(tmp_path):
    network = small_network()
    write_recordings(tmp_path / "set", per_class=1, classes=3)
    save_network(network, tmp_path / "net.h5")
    data = f"nmnist:{tmp_path / 'set'}"
    found = estimate_load(tmp_path / "net.h5", data, "event-conv-small", "pack", samples=2)
    assert found.samples == 2
    assert json.loads(json.dumps(found.to_dict()))["servers"][0]["load"] > 0
    stepped = parse_architecture(preset(synchronisation={"kind": "barrier", "pace": "input"}), "stepped")
    found = estimate_load(network, data, stepped, step_us=1000)
    assert found.samples == 3
    assert {"neuron unit of core 0", "core 0", "core 1", "input port"} <= {s.server for s in found.servers}
    with pytest.raises(InvalidMapping, match="not a strategy"):
        estimate_load(network, data, "event-conv-small", "spread")
