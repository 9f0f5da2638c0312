"""Combinations in runs: both engines, the recorded trace and the curve of a file stop at the same checks."""

from dataclasses import replace

import numpy as np
import pytest
from builders.accelerators import random_mapping
from builders.networks import random_network, random_stimulus
from builders.recordings import small_network, write_recordings
from builders.rules import random_rule
from builders.runs import assert_same_run

import eventsnn
from eventsnn.counting import COLUMN
from eventsnn.decide import REJECTED, Check, ExitRule, Verdict, parse_rule, with_threshold
from eventsnn.engine import RunOptions, make_engine
from eventsnn.engine.contract import output_scale, output_weights
from eventsnn.errors import InvalidExitRule, InvalidRequest
from eventsnn.hardware import Chip
from eventsnn.network import Network
from eventsnn.results.following import Moments, follow
from eventsnn.results.results import Results

OPTIONS = RunOptions(record_spikes=True, max_events=20_000)
STEP = 700


def moments_of(network, run):
    """The checks of a full run, as a curve looks at them."""
    weights = output_weights(network)
    readout = run.trace.readout if weights is None else run.trace.readout * weights
    return Moments(
        readout[:-1],
        run.trace.time[:-1] - run.first_event,
        run.trace.input_events[:-1],
        output_scale(network),
        run.prediction,
    )


def stops_alike(network, mapping, options, seed, rules=6):
    """How many of some random rules stopped a run; every engine and the trace agree on each."""
    stimulus = random_stimulus(seed, network)
    full = make_engine("reference", network, mapping, options).run(stimulus, seed)
    again = make_engine("compiled", network, mapping, options).run(stimulus, seed)
    np.testing.assert_array_equal(full.trace.input_events, again.trace.input_events)
    rng = np.random.default_rng(seed)
    spikes = network.populations[network.output].neuron.emits != "nothing"
    asked = make_engine("reference", network, None, options).run(stimulus, seed) if options.step else full
    moments, output = moments_of(network, asked), network.order.index(network.output)
    stopped = 0
    for _ in range(rules):
        text = random_rule(rng, spikes and output_weights(network) is None, coldest=1e-4)
        rule = parse_rule(with_threshold(text, float(rng.choice([0.0, 0.02, 0.2, 0.6]))))
        followed = follow(rule, np.array([rule.threshold]), moments)
        check, prediction, looks = followed.check[0], followed.prediction[0], followed.looks[0]
        asking = replace(options, exit_rule=rule)
        runs = [
            make_engine(engine, network, mapping, asking).run(stimulus, seed)
            for engine in ("compiled", "reference")
        ]
        assert_same_run(*runs)
        run, early = runs[0], check < len(moments.readout)
        assert (run.decided_early, run.prediction) == (early, prediction), str(rule)
        if early:
            # While the decision unit works, on an accelerator, the readout may change again.
            latency = run.decision_time - run.trace.time[check]
            assert latency == (0 if mapping is None else Chip(mapping).decision), str(rule)
            assert len(run.trace.time) == check + 1 or latency > 0, str(rule)
        else:
            assert len(run.trace.time) == len(full.trace.time), str(rule)
        operations = run.counters[output, COLUMN["decision_operations"]]
        assert operations == looks * moments.readout.shape[1], str(rule)
        rows = check + 1  # of those after it, the totals are those of the decision
        for name in ("time", "readout", "synaptic_operations", "spikes", "energy", "input_events"):
            kept = getattr(run.trace, name)[:rows]
            np.testing.assert_array_equal(kept, getattr(full.trace, name)[:rows], name)
        stopped += early
    return stopped


# Small ones whose outputs speak; those of odd seeds spike, the charge of the others is read.
ACTIVE = [
    (2, "signed"), (3, "rate"), (6, "rate"), (7, "rate"), (10, "signed"), (11, "rate"), (20, "signed"),
    (22, "signed"), (29, "signed"),
]  # fmt: skip
STEPPED = [0, 2, 4, 6, 16, 22, 29]


def test_engines_and_traces_stop_alike_in_the_event_schedule():
    networks = [(random_network(seed, kind, readout=seed % 2 == 0), seed) for seed, kind in ACTIVE]
    found = [stops_alike(network, None, OPTIONS, seed) for network, seed in networks]
    assert 20 < sum(found) < 6 * len(found)
    assert min(found) > 0


def test_engines_and_traces_stop_alike_in_steps():
    options = replace(OPTIONS, schedule="step", step=STEP)
    found = [stops_alike(stepped(seed), None, options, seed) for seed in STEPPED]
    assert 15 < sum(found) < 6 * len(found)


def test_engines_and_traces_stop_alike_on_accelerators():
    found = []
    for seed in (2, 10, 20, 29):
        network = random_network(seed, "signed", readout=seed % 2 == 0)
        found.append(stops_alike(network, random_mapping(seed, network), OPTIONS, seed))
    assert 8 < sum(found) < 6 * len(found)


def stepped(seed):
    """A random network that can follow steps."""
    network = random_network(seed, "signed", readout=seed % 2 == 0)
    output = network.populations[network.output]
    neuron = replace(output.neuron, period=STEP) if hasattr(output.neuron, "period") else output.neuron
    populations = [replace(p, neuron=neuron) if p.name == output.name else p for p in network]
    return Network(populations, network.projections.values())


class Considering(ExitRule):
    """Looks at time and events; asked at every other event only, and rejects what it never stopped."""

    def consider(self, check: Check) -> Verdict:
        due = check.input_events % 2 == 0 and check.time_ps >= 0
        return Verdict(due, 0.5, 0, due and check.time_ps > 4_000 and self.threshold <= 0.5)

    def confidence(self, readout, scale):
        raise AssertionError("it considers")

    def at_end(self, prediction):
        return REJECTED


def test_own_rules_may_look_at_time_and_events():
    early = 0
    for seed in range(4):
        network, stimulus = (
            random_network(seed, "signed"),
            random_stimulus(seed, random_network(seed, "signed")),
        )
        for threshold in (0.3, 0.7):
            asking = replace(OPTIONS, exit_rule=Considering(threshold))
            runs = [make_engine(e, network, None, asking).run(stimulus) for e in ("compiled", "reference")]
            assert_same_run(*runs)
            assert runs[0].prediction == (0 if runs[0].decided_early else REJECTED)
            early += runs[0].decided_early
    assert 0 < early < 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("data") / "set")


RULES = (
    "entropy,patience=2",
    "logit-lead,of=2,every=10",
    "margin,accumulator=mean,after-us=20",
    "max-probability,temperature=3,until-us=200,reject=0.4",
    "margin,probability-ratio=2,reject=0.9",
)


@pytest.mark.parametrize("hardware", [None, "event-conv-small"])
def test_curves_equal_runs(folder, hardware, tmp_path):
    network, data = small_network(), f"nmnist:{folder}"
    eventsnn.simulate(network, data, hardware=hardware, samples=5).save(tmp_path / "full.h5")
    curves = Results.load(tmp_path / "full.h5").curves(RULES, np.array([0.05, 0.5, 0.9]))
    early, rejected = set(), 0.0
    for text, rows in curves.items():
        for row in rows:
            rule = with_threshold(text, float(row["threshold"]))
            run = eventsnn.simulate(network, data, hardware=hardware, samples=5, exit=rule)
            summary, table = run.summary(), run.table
            for name in ("accuracy", "decided_early", "rejected"):
                assert row[name] == summary[name], rule
            assert row["synaptic_operations"] == summary["synaptic_operations"]["mean"]
            operations = table.counter(COLUMN["decision_operations"]).sum(axis=1)
            assert row["decision_operations"] == operations.mean(), rule
            np.testing.assert_allclose(row["latency_s"], run.latency_s.mean(), rtol=1e-12)
            np.testing.assert_allclose(row["energy_j"], table.column("energy_j").mean(), rtol=1e-12)
            assert run.configuration["exit"] == str(parse_rule(rule))
            early.add(summary["decided_early"])
            rejected += summary["rejected"]
    assert len(early) > 2
    assert rejected > 0


def test_oracles_are_of_curves_alone(folder):
    network, data = small_network(), f"nmnist:{folder}"
    full = eventsnn.simulate(network, data, samples=8)
    found = full.curves(["margin", "first-correct", "stays-correct"], np.array([0.3, 0.9]))
    first, stays = found["first-correct"], found["stays-correct"]
    assert (first["accuracy"] >= full.accuracy).all()
    assert (stays["accuracy"] == full.accuracy).all()
    assert (first["synaptic_operations"] <= stays["synaptic_operations"]).all()
    assert first[0]["synaptic_operations"] == first[1]["synaptic_operations"]
    with pytest.raises(InvalidExitRule, match="oracle"):
        eventsnn.simulate(network, data, exit="first-correct:0.5", samples=1)
    with pytest.raises(InvalidExitRule, match="oracle"):
        eventsnn.calibrate(full, "stays-correct", limit=0.5, confidence=0.5)
    unknown = replace(full.table, samples=tuple(replace(s, label=-1) for s in full.table.samples))
    with pytest.raises(InvalidRequest, match=r"knows the labels.*have none"):
        Results(unknown).curve("first-correct")


def test_what_a_run_lacks_is_named(folder):
    network, data = small_network(), f"nmnist:{folder}"
    spikes = network.populations[network.output].neuron.emits != "nothing"
    wrong = "margin:0.5,accumulator=charge" if spikes else "count:0.5"
    with pytest.raises(InvalidExitRule, match=r"needs an output"):
        eventsnn.simulate(network, data, exit=wrong, samples=1)
    with pytest.raises(InvalidExitRule, match=r"'step' needs the step schedule"):
        eventsnn.simulate(network, data, exit="margin:0.5,schedule=step", samples=1)
    full = eventsnn.simulate(network, data, samples=2)
    with pytest.raises(InvalidExitRule, match=r"needs an output"):
        full.curve(wrong.replace(":0.5", ""))
    without = [{k: v for k, v in s.trace.items() if k != "input_events"} for s in full.table.samples]
    samples = tuple(replace(s, trace=t) for s, t in zip(full.table.samples, without, strict=True))
    older = Results(replace(full.table, samples=samples))
    assert older.curve("margin,patience=2").shape == full.curve("margin,patience=2").shape
    with pytest.raises(InvalidExitRule, match="'every' counts events"):
        older.curve("margin,every=5")


def test_a_certificate_keeps_the_parts(folder, tmp_path):
    network, data = small_network(), f"nmnist:{folder}"
    full = eventsnn.simulate(network, data, samples=10)
    made = eventsnn.calibrate(full, "margin,patience=2", "disagreement", 0.9, 0.5)
    made.save(tmp_path / "certificate.json")
    assert made.rule == "margin,patience=2"
    with pytest.raises(InvalidRequest, match="calibrated this certificate"):
        eventsnn.simulate(network, data, exit=str(tmp_path / "certificate.json"), samples=2)
