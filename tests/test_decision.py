"""The decision compares activations: counts are weighed where a count stands for different ones."""

from dataclasses import replace
from fractions import Fraction

import h5py
import numpy as np
import pytest
import torch
from builders.accelerators import random_mapping
from builders.networks import random_network, random_stimulus, with_gates
from builders.rules import Lead, Never
from builders.runs import assert_same_run
from torch import nn

import eventsnn
from eventsnn.convert import QCFS, convert, quantised_activations
from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.engine.contract import output_scale
from eventsnn.errors import InvalidFile, InvalidNetwork, InvalidRequest, UnsupportedLayer
from eventsnn.events import make_events
from eventsnn.network import Dense, Input, MaxGate, Network, Population, Projection, Rate, Readout, Signed
from eventsnn.network.compact import compacted
from eventsnn.network.decision import LARGEST_WEIGHT, weights_of_units
from eventsnn.results.results import Results

torch.set_num_threads(1)
OPTIONS = RunOptions(record_spikes=True, max_events=20_000)
ONE_EVENT = make_events([10], [0], [0], [True])


def one_and_three():
    """Two outputs, 1 x and 3 x, with a ReLU at the end."""
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU())
    with torch.no_grad():
        model[0].weight[:] = torch.tensor([[1.0], [3.0]])
    return model


@pytest.mark.parametrize("neuron", ["signed", "rate"])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"engine": "reference"},
        {"schedule": "step", "step_us": 2000},
        {"schedule": "step", "step_us": 2000, "engine": "reference"},
        {"schedule": "step", "step_us": 2000, "engine": "float64"},
        {"schedule": "step", "step_us": 2000, "engine": "float32"},
        {"hardware": "event-conv-small"},
        {"hardware": "event-conv-small", "exit": "margin:0.01"},
        {"exit": Never(0.5)},
    ],
    ids=str,
)
def test_three_is_more_than_one(neuron, how):
    network = convert(one_and_three(), np.ones((4, 1)), neuron=neuron, scales="channel")
    run = eventsnn.simulate(network, [(ONE_EVENT, 1)], **how)
    assert run.accuracy == 1
    final = run.table.samples[0].trace["readout"][-1]
    assert len(set(final.tolist())) == 1  # raw counts, kept as they are, do not tell


@pytest.mark.parametrize("end", [nn.ReLU, lambda: QCFS(8, 0.7)], ids=["relu", "qcfs"])
@pytest.mark.parametrize("neuron", ["signed", "rate"])
def test_uniform_units_need_no_weights(neuron, end):
    model = nn.Sequential(nn.Linear(2, 4), end())
    network = convert(model, np.random.default_rng(0).random((9, 2)), neuron=neuron, duration_us=1000)
    output = network.populations[network.output]
    assert output.decision_weights is None
    assert output_scale(network) == output.neuron.unit[0]
    run = eventsnn.simulate(network, [(ONE_EVENT, 1)])
    assert "decision_weights" not in run.configuration
    assert run.table.decision_weights is None


@pytest.mark.parametrize("seed", range(10))
def test_signed_networks_at_rest_agree_with_their_model(seed):
    """Where no two activations are within the rounding of levels of each other."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 5), nn.ReLU())
    with torch.no_grad():
        model[2].weight *= torch.tensor([0.2, 1.0, 3.0, 9.0, 27.0])[:, None]
        model[2].bias *= torch.tensor([0.2, 1.0, 3.0, 9.0, 27.0])
    values = rng.integers(0, 4, (60, 6))
    network = convert(model, values.astype(np.float64), levels=4000, scales="channel")
    with torch.no_grad():
        outputs = model(torch.tensor(values, dtype=torch.float32)).numpy().astype(np.float64)
    unit = np.array(network.populations[network.output].neuron.unit)
    best = np.sort(outputs, axis=1)[:, -2:]
    clear = (best[:, 1] - best[:, 0] > 0.02 * best[:, 1]) & (outputs <= unit * 3990).all(axis=1)
    assert clear.sum() > 10
    activations = quantised_activations(network, values)[network.output] * unit
    raw = 0
    for i in np.flatnonzero(clear):
        spikes = np.repeat(np.arange(6), values[i])
        stimulus = Stimulus(np.arange(len(spikes)) * 1000, spikes)
        run = make_engine("compiled", network, None, RunOptions()).run(stimulus)
        assert run.prediction == outputs[i].argmax() == activations[i].argmax()
        raw += run.trace.readout[-1].argmax() == outputs[i].argmax()
    assert raw < clear.sum()  # counts alone would have decided otherwise somewhere


def weighed_by_hand(units, row):
    """Counts times round(2^20 unit / largest), at least 1, of channels that lie one after another."""
    largest = Fraction(max(units))
    weights = [max(1, round(2**20 * Fraction(unit) / largest)) for unit in units]
    return [count * weights[j % len(weights)] for j, count in enumerate(row)]


def with_units(network, seed):
    """A random network whose output fires, each channel with a unit of its own."""
    output = network.populations[network.output]
    rng = np.random.default_rng([seed, 7])
    units = tuple(float(u) for u in 10.0 ** rng.uniform(-3, 3, output.shape[2]))
    changed = replace(output, neuron=replace(output.neuron, unit=units))
    return Network(
        [changed if p.name == output.name else p for p in network], network.projections.values()
    ), units


@pytest.mark.parametrize("rule", ["none", "margin:0.2", "max-probability:0.6", Lead(0.4)], ids=str)
@pytest.mark.parametrize("kind", ["signed", "rate"])
@pytest.mark.parametrize("seed", range(6))
def test_engines_decide_alike_and_as_by_hand(seed, kind, rule):
    network, units = with_units(random_network(seed, kind, readout=False), seed)
    size = network.populations[network.output].size
    stimulus = random_stimulus(seed, network)
    rule = parse_rule(rule)
    step = next((p.neuron.period for p in network if isinstance(p.neuron, Rate)), 500)
    schedules = [("event", 0)] if kind == "rate" else [("event", 0), ("step", step)]
    for schedule, length in schedules:
        options = replace(OPTIONS, exit_rule=rule, schedule=schedule, step=length)
        names = ["compiled", "reference", *(["float64"] if schedule == "step" else [])]
        one, two, *others = (make_engine(name, network, None, options).run(stimulus) for name in names)
        assert_same_run(one, two)
        full = make_engine("reference", network, None, replace(options, exit_rule=None)).run(stimulus)
        rows = [weighed_by_hand(units, row) for row in full.trace.readout.tolist()]
        scale = max(units) / 2**20
        stop = None
        for n, row in enumerate(rows[:-1]):
            if rule and stop is None and any(row) and full.trace.time[n] >= full.first_event:
                stop = n if rule.confidence(list(row), scale) >= rule.threshold else None
        row = rows[-1] if stop is None else rows[stop]
        expected = row.index(max(row)) if any(row) else -1
        for run in (one, *others):
            assert run.prediction == expected
            assert run.decided_early == (stop is not None)
            assert run.trace.readout.shape == (len(run.trace.time), size)
        if stop is not None:
            assert len(one.trace.time) == stop + 1
            assert others == [] or len(others[0].trace.time) == stop + 1


@pytest.mark.parametrize("seed", range(6))
def test_the_twin_decides_alike(seed):
    network, units = with_units(random_network(seed, "signed", readout=False), seed)
    mapping = random_mapping(seed, network)
    if mapping is None:
        pytest.skip("does not fit")
    options = replace(OPTIONS, exit_rule=parse_rule("margin:0.6"))
    stimulus = random_stimulus(seed, network)
    one, two, three = (
        make_engine(name, network, mapping, options).run(stimulus)
        for name in ("compiled", "reference", "twin")
    )
    assert_same_run(one, two)
    assert_same_run(one, three)
    row = weighed_by_hand(units, one.trace.readout[-1].tolist())
    assert one.prediction == (row.index(max(row)) if any(row) else -1)


def test_ties_are_of_weighed_counts_and_silence_is_undecided():
    """Counts 4 and 2 of units 1 and 2 are equal: the lower index. No spike: undecided."""
    out = Population("out", (1, 1, 2), Signed(10, levels=9, unit=(1.0, 2.0)))
    dense = Projection("p", "in", "out", Dense(np.array([[40, 20], [20, 40], [0, 0]])))
    network = Network([Population("in", (1, 1, 3), Input()), out], [dense])
    for neurons, expected in (([0], 0), ([1], 1), ([2], -1)):
        stimulus = Stimulus(np.arange(len(neurons)), np.array(neurons, dtype=np.int64))
        for engine in ("compiled", "reference"):
            assert make_engine(engine, network, None, OPTIONS).run(stimulus).prediction == expected


def test_weights_of_units():
    assert weights_of_units((0.25,)) is None
    assert weights_of_units((0.25, 0.25)) is None
    assert weights_of_units((1.0, 3.0)).tolist() == [349525, 1048576]  # 349525.33
    assert weights_of_units((1.0, 1e-30, 1e-6)).tolist() == [1048576, 1, 1]
    assert weights_of_units((3.0, 2.0)).dtype == np.int64


def pair(neuron, **given):
    out = Population("out", (1, 1, 2), neuron, **given)
    return Network(
        [Population("in", (1, 1, 1), Input()), out], [Projection("p", "in", "out", Dense([[40, 40]]))]
    )


@pytest.mark.parametrize("neuron", [Signed(10, levels=9), Rate(10), Readout()])
def test_weights_of_ones_own(neuron):
    """Given beside one unit they say what a count weighs: 4 of 2^20 beat 4 of 2^19."""
    network = pair(neuron, decision_weights=np.array([2**19, 2**20]))
    for engine in ("compiled", "reference"):
        run = make_engine(engine, network, None, OPTIONS).run(Stimulus(np.zeros(1, int), np.zeros(1, int)))
        assert run.prediction == 1
    assert output_scale(network) == 1 / 2**20


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2**20, 5], "one whole number a channel"),
        ([0.5, 1.0], "one whole number a channel"),
        ([True, False], "one whole number a channel"),
        ([0, 2**20], "at least 1"),
        ([-1, 2**20], "at least 1"),
        ([1, 2**21], "largest is 1048576"),
        ([1, 2**19], "largest is 1048576"),
    ],
)
def test_weights_that_are_none(weights, message):
    with pytest.raises(InvalidNetwork, match=f"'out'.*{message}"):
        pair(Signed(10, levels=9), decision_weights=np.array(weights))


def test_weights_that_contradict_are_refused():
    with pytest.raises(InvalidNetwork, match=r"units \[1.0, 3.0\] give \[349525, 1048576\]"):
        pair(Signed(10, levels=9, unit=(1.0, 3.0)), decision_weights=np.array([2**20, 2**20]))
    with pytest.raises(InvalidNetwork, match="softmax neurons have no activation"):
        pair(eventsnn.network.Softmax(), decision_weights=np.array([1, 2**20]))
    with pytest.raises(InvalidNetwork, match=r"'hidden' has decision_weights.*output, 'out'"):
        Network(
            [
                Population("in", (1, 1, 1), Input()),
                Population("hidden", (1, 1, 2), Rate(9), decision_weights=np.array([1, 2**20])),
                Population("out", (1, 1, 2), Readout()),
            ],
            [
                Projection("p", "in", "hidden", Dense([[4, 4]])),
                Projection("q", "hidden", "out", Dense([[4, 4], [4, 4]])),
            ],
        )
    for units, said in (
        ((1.0, 2.0, 3.0), "population 'out' has 3 units for 2 channels"),
        ((1.0, 0.0), "unit"),
        ((1.0, float("nan")), "unit"),
        ((-1.0, 1.0), "unit"),
    ):
        with pytest.raises(InvalidNetwork, match=said):
            pair(Rate(10, unit=units))


def test_a_file_keeps_its_weights(tmp_path):
    path = tmp_path / "network.h5"
    network = convert(one_and_three(), np.ones((4, 1)), scales="channel")
    network.save(path)
    with h5py.File(path) as file:
        kept = file[f"populations/{network.output}/decision_weights"]
        assert kept.dtype == np.int64
        assert kept[...].tolist() == [349525, LARGEST_WEIGHT]
    assert eventsnn.load(path).checksum == network.checksum
    with h5py.File(path, "r+") as file:
        file[f"populations/{network.output}/decision_weights"][0] += 1
    with pytest.raises(InvalidFile, match="changed or damaged"):
        eventsnn.load(path)
    with h5py.File(path, "r+") as file:
        file[f"populations/{network.output}/decision_weights"][0] = 7
    with pytest.raises(InvalidFile, match="a decision compares activations"):
        eventsnn.load(path)


def test_files_without_weights_decide_right(tmp_path):
    """As files were before; their checksum says nothing of weights, and their units say it all."""
    converted = convert(one_and_three(), np.ones((4, 1)), scales="channel")
    old = [replace(p, decision_weights=None) for p in converted]
    network = Network(old, converted.projections.values(), converted.metadata)
    network.save(tmp_path / "old.h5")
    assert network.checksum != converted.checksum
    runs = [eventsnn.simulate(n, [(ONE_EVENT, 1)]) for n in (tmp_path / "old.h5", converted)]
    assert runs[0].accuracy == 1
    assert runs[0].digest == runs[1].digest


def test_networks_made_of_a_network_keep_its_weights():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU())
    torch.manual_seed(1)
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight.uniform_(0.1, 1)
            layer.bias.zero_()
        model[2].weight[1] *= 5
    values = np.random.default_rng(0).random((9, 2)) / 20
    network = convert(model, values, levels=4, input_scale=0.01, scales="channel")
    weights = network.populations[network.output].decision_weights
    assert weights is not None
    for other in (network.at_rest(), network.with_neurons(settle_time=10), compacted(network)):
        assert other.populations[other.output].decision_weights.tolist() == weights.tolist()


def test_max_gates_at_the_end_are_weighed():
    network = with_gates(random_network(1, "signed", readout=False), 1)
    output = network.populations[network.output]
    gate = Population("gate", output.shape, MaxGate(unit=tuple(1.0 + np.arange(output.shape[2]))))
    pool = eventsnn.network.MaxPool(eventsnn.network.Axis(1), eventsnn.network.Axis(1))
    gated = Network(
        [*network, gate], [*network.projections.values(), Projection("to gate", output.name, "gate", pool)]
    )
    stimulus = random_stimulus(1, gated)
    one, two = (
        make_engine(engine, gated, None, OPTIONS).run(stimulus) for engine in ("compiled", "reference")
    )
    assert_same_run(one, two)
    row = weighed_by_hand(gate.neuron.unit, one.counts["gate"].tolist())
    assert one.prediction == (row.index(max(row)) if any(row) else -1)


def streams(network, seed, samples=8):
    rng = np.random.default_rng(seed)
    height, width, channels = network.populations[network.input].shape
    found = []
    for _ in range(samples):
        n = int(rng.integers(5, 40))
        time = np.sort(rng.integers(0, 2000, n))
        polarity = rng.integers(0, channels, n) == 0
        events = make_events(time, rng.integers(0, width, n), rng.integers(0, height, n), polarity)
        found.append((events, int(rng.integers(0, 3))))
    return found


@pytest.fixture(scope="module")
def weighing():
    torch.manual_seed(4)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4 * 4, 3, bias=False), nn.ReLU()
    )
    with torch.no_grad():
        model[3].weight.abs_()
        model[3].weight *= torch.tensor([0.3, 1.0, 4.0])[:, None]
    calibration = np.random.default_rng(4).integers(0, 3, (40, 2, 6, 6)).astype(float)
    return convert(model, calibration, scales="channel")


@pytest.mark.parametrize("rule", ["margin", "max-probability", Lead(0.5)], ids=str)
@pytest.mark.parametrize("hardware", [None, "event-conv-small"])
def test_a_curve_of_a_file_equals_runs(weighing, rule, hardware, tmp_path):
    data = streams(weighing, 1)
    full = eventsnn.simulate(weighing, data, hardware=hardware)
    full.save(tmp_path / "full.h5")
    loaded = Results.load(tmp_path / "full.h5")
    assert loaded.table.decision_weights.tolist() == (
        weighing.populations[weighing.output].decision_weights.tolist()
    )
    thresholds = np.array([0.0, 0.05, 0.2, 0.5, 0.8, 1.0])
    early = []
    for row, threshold in zip(loaded.curve(rule, thresholds), thresholds, strict=True):
        asked = replace(rule, threshold=threshold) if isinstance(rule, Lead) else f"{rule}:{threshold}"
        stopped = eventsnn.simulate(weighing, data, hardware=hardware, exit=asked)
        early.append(row["decided_early"])
        assert row["decided_early"] == stopped.table.column("decided_early").mean()
        assert row["accuracy"] == stopped.accuracy
        assert row["synaptic_operations"] == stopped.table.column("synaptic_operations").mean()
        np.testing.assert_allclose(row["latency_s"], stopped.latency_s.mean(), rtol=1e-12)
    assert len(set(early)) > 1


def test_a_resumed_run_weighs(weighing, tmp_path):
    data, path = streams(weighing, 2, 4), tmp_path / "results.h5"

    def stop(done, of):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eventsnn.simulate(weighing, data, output=path, progress=stop)
    resumed = eventsnn.simulate(weighing, data, output=path)
    assert resumed.digest == eventsnn.simulate(weighing, data, workers=2).digest
    assert Results.load(path).table.decision_weights is not None


def test_a_decision_needs_two(tmp_path):
    """Conversion names the layer, a run the output; an engine still runs one for its charges."""
    for layers in ([nn.Linear(3, 1)], [nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1), nn.ReLU()]):
        for neuron in ("signed", "rate"):
            last = max(i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear))
            with pytest.raises(UnsupportedLayer, match=f"layer '{last}', the last one, has one output"):
                convert(nn.Sequential(*layers), np.ones((4, 3)), neuron=neuron, duration_us=1000)
    network = Network(
        [Population("in", (1, 1, 1), Input()), Population("single", (1, 1, 1), Readout())],
        [Projection("p", "in", "single", Dense([[4]]))],
    )
    for how in ({}, {"engine": "reference"}, {"exit": "margin:0.1"}, {"schedule": "step", "step_us": 5}):
        with pytest.raises(InvalidRequest, match=r"output 'single' has one neuron.*a decision needs two"):
            eventsnn.simulate(network, [(ONE_EVENT, 0)], **how)
    run = make_engine("compiled", network, None, OPTIONS).run(Stimulus(np.zeros(1, int), np.zeros(1, int)))
    assert run.charge["single"].tolist() == [4]


def test_a_curve_needs_two(weighing):
    full = eventsnn.simulate(weighing, streams(weighing, 1, 2))
    samples = tuple(
        replace(s, trace={**s.trace, "readout": s.trace["readout"][:, :1]}) for s in full.table.samples
    )
    with pytest.raises(InvalidRequest, match="a decision needs two"):
        Results(replace(full.table, samples=samples)).curve("margin")
