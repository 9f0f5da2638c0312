"""Exit rules of one's own: without a kernel, and obeyed by every engine, curve and process all the same."""

import subprocess
import sys
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from builders.accelerators import random_mapping
from builders.networks import random_network, random_stimulus
from builders.recordings import small_network, write_recordings
from builders.rules import Lead, Never
from builders.runs import assert_same_run
from builders.step_chips import random_step_mapping

import eventsnn
from eventsnn.decide import (
    Combination,
    CountLead,
    ExitRule,
    LogitLead,
    Margin,
    MarginScore,
    MaxProbability,
    Memory,
    Schedule,
    check_rule,
    kernel_of,
    parse_rule,
)
from eventsnn.engine import RunOptions, make_engine
from eventsnn.errors import InvalidExitRule, InvalidRequest
from eventsnn.results.following import Moments, follow
from eventsnn.results.results import Results

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = RunOptions(record_spikes=True, max_events=20_000)
STEP = 700  # the period of random readouts with a current


class HalfSure(Margin):
    """Overrides what it inherits, with its code."""

    def confidence(self, readout, scale):
        return super().confidence(readout, scale) / 2


class Doubtful(MaxProbability):
    def confidence(self, readout, scale):
        return 0.0


class OnlyClass(ExitRule):
    """Sure once class 2 leads, whatever its lead; empties what it is given."""

    def confidence(self, readout, scale):
        best = readout.index(max(readout))
        readout.clear()
        return 1.0 if best == 2 else 0.0


@dataclass(frozen=True)
class AtLeast(ExitRule):
    """A parameter of its own."""

    least: int = 3
    name: ClassVar[str] = "at-least"

    def confidence(self, readout, scale):
        return 1.0 if max(readout) >= self.least else 0.0


@dataclass(frozen=True)
class Waiting(ExitRule):
    """One sample of ``Patient``: who led at the last check, and for how many."""

    patience: int
    seen: list = field(default_factory=lambda: [-1, 0])

    def confidence(self, readout, scale):
        best = readout.index(max(readout))
        self.seen[:] = [best, self.seen[1] + 1 if best == self.seen[0] else 1]
        return min(self.seen[1] / self.patience, 1.0)


@dataclass(frozen=True)
class Patient(ExitRule):
    """Remembers: sure once the same class has led at so many checks in a row."""

    patience: int = 3

    def start(self):
        return Waiting(self.threshold, self.patience)

    def confidence(self, readout, scale):
        raise AssertionError("asked before a sample has started")


@dataclass(frozen=True)
class Late(Margin):
    """Says what ``Margin`` does, but starts as something else."""

    def start(self):
        return Never(self.threshold)


RULES = [
    Never(0.1),
    Lead(0.3),
    HalfSure(0.2),
    Doubtful(0.5),
    OnlyClass(1.0),
    AtLeast(0.5, 40),
    Patient(1.0, 4),
    Late(0.3),
]


def stop_by_hand(rule, run, scale):
    """The first check of a full run at which a rule stops, and its choice; the last row is no check."""
    rule = rule.start()
    for n, (time, row) in enumerate(zip(run.trace.time.tolist(), run.trace.readout.tolist(), strict=True)):
        asked = n + 1 < len(run.trace.time) and time >= run.first_event and any(row)
        if asked and rule.confidence(list(row), scale) >= rule.threshold:
            return n, row.index(max(row))
    return None


def check_stops(network, mapping, engines, options, seed):
    """The stops of each engine are those of the full run's trace, and the runs are one."""
    stimulus = random_stimulus(seed, network)
    full = make_engine("reference", network, mapping, options).run(stimulus, seed)
    # In steps a rule is asked at the ticks of the steps, whenever an accelerator plays them.
    asked = make_engine("reference", network, None, options).run(stimulus, seed) if options.step else full
    scale = network.populations[network.output].neuron.unit
    stopped = 0
    for rule in RULES:
        expected = stop_by_hand(rule, asked, scale)
        asking = replace(options, exit_rule=rule)
        runs = [make_engine(engine, network, mapping, asking).run(stimulus, seed) for engine in engines]
        for run in runs:
            assert run.decided_early == (expected is not None)
            if expected is not None:
                assert (len(run.trace.time) - 1, run.prediction) == expected
            else:
                assert (run.decision_time, run.prediction) == (full.decision_time, full.prediction)
            checks = len(run.trace.time)
            for name in ("time", "readout", "synaptic_operations", "spikes", "energy"):
                np.testing.assert_array_equal(
                    getattr(run.trace, name), getattr(full.trace, name)[:checks], name
                )
        for other in runs[1:]:
            assert_same_run(runs[0], other)
        stopped += expected is not None
    return stopped


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["signed", "rate"])
def test_engines_obey_in_the_event_schedule(seed, kind):
    network = random_network(seed, kind, delays=seed % 2 == 0)
    check_stops(network, None, ("compiled", "reference"), OPTIONS, seed)


@pytest.mark.parametrize("seed", range(8))
def test_engines_obey_in_steps(seed):
    options = replace(OPTIONS, schedule="step", step=STEP)
    network = steps(seed)
    check_stops(network, None, ("compiled", "reference"), options, seed)


@pytest.mark.parametrize("seed", range(4))
def test_engines_and_the_twin_obey_on_accelerators(seed):
    network = random_network(seed, "signed")
    mapping = random_mapping(seed, network)
    check_stops(network, mapping, ("compiled", "reference", "twin"), OPTIONS, seed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("history", [0, 10**5])
def test_engines_and_the_twin_obey_in_steps_on_accelerators(seed, history):
    network = steps(seed)
    options = replace(OPTIONS, schedule="step", step=STEP, history_period=history)
    mapping = random_step_mapping(seed, network, "barrier")
    check_stops(network, mapping, ("compiled", "reference", "twin"), options, seed)


def steps(seed):
    """A random network that can follow steps."""
    network = random_network(seed, "signed")
    output = network.populations[network.output]
    populations = [
        replace(p, neuron=replace(p.neuron, period=STEP)) if p.name == output.name else p for p in network
    ]
    return eventsnn.Network(populations, network.projections.values())


def test_the_rules_here_stop_some_runs_and_not_all():
    found = [
        check_stops(random_network(seed, "signed"), None, ("compiled",), OPTIONS, seed) for seed in range(4)
    ]
    assert 0 < sum(found) < 4 * len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_in_floating_point(rule):
    network = steps(1)
    options = replace(OPTIONS, schedule="step", step=STEP, exit_rule=rule)
    stimulus = random_stimulus(1, network)
    integer, floating = (
        make_engine(e, network, None, options).run(stimulus) for e in ("compiled", "float64")
    )
    assert (integer.decision_time, integer.prediction) == (floating.decision_time, floating.prediction)


def test_which_rules_have_kernels():
    class Renamed(Margin):
        name = "renamed"

    assert kernel_of(Margin(0.5)) == Margin.code
    assert kernel_of(Renamed(0.5)) == Margin.code
    assert {kernel_of(rule) for rule in RULES} == {None}
    network, stimulus = random_network(3), random_stimulus(3, random_network(3))
    digests = {
        make_engine("compiled", network, None, replace(OPTIONS, exit_rule=rule)).run(stimulus).digest
        for rule in (Margin(0.3), Renamed(0.3))
    }
    assert len(digests) == 1


@dataclass(frozen=True)
class HalfLead(LogitLead):
    """Derived from a part that has a kernel, which must not speak for it."""

    def confidence(self, values, asked):
        return super().confidence(values, asked) / 2


@dataclass(frozen=True)
class EverySecond(Schedule):
    """Nothing but what a part must have."""

    def start(self):
        seen = []
        return lambda check: seen.append(check) or len(seen) % 2 == 0


@dataclass(frozen=True)
class Twice(Memory):
    def start(self):
        scores = [0.0]
        return lambda score, best: scores.append(score) or min(scores[-2:])


def lead(row, scale):
    second, first = sorted(row)[-2:]
    return (first - second) * scale


def test_parts_of_ones_own_are_asked_everywhere():
    stopped = 0
    for seed in range(6):
        network = random_network(seed, "signed")
        stimulus = random_stimulus(seed, network)
        scale = network.populations[network.output].neuron.unit
        trace = make_engine("reference", network, None, OPTIONS).run(stimulus).trace
        rows, times = trace.readout[:-1].tolist(), (trace.time[:-1] - stimulus.first).tolist()
        spoken = [any(row) and time >= 0 for row, time in zip(rows, times, strict=True)]
        leads = [min(lead(row, scale), 1.0) for row in rows]
        half = [n for n, sure in enumerate(leads) if spoken[n] and sure / 2 >= 0.01]
        second = [n for n in range(1, len(rows), 2) if spoken[n]]
        twice = [n for m, n in pairwise(second) if min(leads[m], leads[n]) >= 0.01]
        for rule, checks in (
            (Combination(0.01, HalfLead(of=1)), half),
            (Combination(0.01, LogitLead(of=1), memory=Twice(), schedule=EverySecond()), twice),
        ):
            assert kernel_of(check_rule(rule)) is None
            moments = Moments(trace.readout[:-1], np.array(times), trace.input_events[:-1], scale, 0)
            check = checks[0] if checks else len(rows)
            assert follow(rule, np.array([0.01]), moments).check == check
            for engine in ("compiled", "reference"):
                run = make_engine(engine, network, None, replace(OPTIONS, exit_rule=rule)).run(stimulus)
                assert run.decided_early == bool(checks)
                assert run.decision_time == trace.time[check]
            stopped += bool(checks)
    assert stopped > 3


def test_parts_of_ones_own_are_called_by_their_own_names():
    @dataclass(frozen=True)
    class Posing(MarginScore):
        name = "margin"

    class Broken(MarginScore):
        def confidence(self, values, asked):
            return float("nan")

    assert str(Combination(0.5, HalfLead())) == "HalfLead:0.5"
    made = Combination(0.5, MarginScore(), memory=Twice(), schedule=EverySecond())
    assert str(made) == "margin:0.5,memory=Twice,schedule=EverySecond"
    with pytest.raises(InvalidExitRule, match="says something else"):
        check_rule(Combination(0.5, Posing()))
    network, stimulus = random_network(2, "signed"), random_stimulus(2, random_network(2, "signed"))
    broken = replace(OPTIONS, exit_rule=Combination(0.5, Broken()))
    with pytest.raises(InvalidExitRule, match="'Broken' gave the confidence nan"):
        make_engine("compiled", network, None, broken).run(stimulus)
    counting = Combination(0.5, CountLead(), memory=Twice())
    with pytest.raises(InvalidExitRule, match="an output that spikes"):
        make_engine("compiled", network, None, replace(OPTIONS, exit_rule=counting))


def test_patience_counts_checks_in_a_row_and_starts_anew():
    rule = Patient(1.0, 2)
    for _ in range(2):
        waiting = rule.start()
        led = [waiting.confidence(row, 1.0) for row in ([1, 0], [0, 1], [0, 2], [0, 3])]
        assert led == [0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("start", [lambda self: None, lambda self: 1 / 0])
def test_a_rule_starts_as_a_rule(start, engine):
    wrong = type("Wrong", (Never,), {"start": start})(0.5)
    network = random_network(1, "rate")
    with pytest.raises(InvalidExitRule, match=r"'Wrong'.*start"):
        make_engine(engine, network, None, replace(OPTIONS, exit_rule=wrong)).run(random_stimulus(1, network))


def test_a_rule_is_not_called_like_the_one_it_overrides():
    class Lazy(Margin):
        name = "margin"

        def confidence(self, readout, scale):
            return 0.0

    class Silent(ExitRule):
        name = "none"

        def confidence(self, readout, scale):
            return 0.0

    assert str(HalfSure(0.25)) == "HalfSure:0.25"
    assert str(Late(0.25)) == "Late:0.25"
    assert str(AtLeast(0.5, 7)) == "at-least:0.5,least=7"
    assert str(Margin(0.5)) == "margin:0.5"
    for wrong in (Lazy(0.5), Silent(0.5)):
        with pytest.raises(InvalidExitRule, match=f"{type(wrong).__name__} is named .*name of its own"):
            check_rule(wrong)


@pytest.mark.parametrize("threshold", [True, "0.5", None, float("nan"), -0.1, 1.1, [0.5], 1j])
@pytest.mark.parametrize("rule", [Margin, Never])
def test_thresholds_that_are_none(rule, threshold):
    with pytest.raises(InvalidExitRule, match=r"threshold .*allowed is a number from 0 to 1"):
        rule(threshold)


def test_a_threshold_never_checked_is_checked_before_the_run():
    class Unchecked(Never):
        def __post_init__(self):
            pass

    with pytest.raises(InvalidExitRule, match="has threshold nan"):
        RunOptions(exit_rule=Unchecked(float("nan")))
    assert str(Margin(np.float32(0.5))) == "margin:0.5"


@pytest.mark.parametrize("wrong", [5, Margin, b"margin:0.5", object()])
def test_what_is_no_rule(wrong):
    with pytest.raises(InvalidExitRule, match=r"exit rule .*(is not known|is the class Margin)"):
        parse_rule(wrong)
    with pytest.raises(InvalidExitRule, match=r"exit rule .*(is not known|is the class Margin)"):
        RunOptions(exit_rule=wrong)


class Answers(ExitRule):
    """Gives back what it was made with."""

    answer: ClassVar[object]

    def confidence(self, readout, scale):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (float("nan"), "gave the confidence nan"),
        (float("inf"), "gave the confidence inf"),
        (None, "gave the confidence None"),
        ("0.5", "gave the confidence '0.5'"),
        (True, "gave the confidence True"),
        (3, "gave the confidence 3"),
        (-0.5, "gave the confidence -0.5"),
        (np.array([0.5]), "gave the confidence array"),
        (1j, "gave the confidence 1j"),
        (KeyError("why"), "failed on a readout of 4 classes: KeyError: 'why'"),
    ],
)
@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_confidences_that_are_none(answer, message, engine):
    rule = type("Wrong", (Answers,), {"answer": answer})(0.5)
    network = random_network(2)
    stimulus = random_stimulus(2, network)
    with pytest.raises(InvalidExitRule, match=message) as found:
        make_engine(engine, network, None, replace(OPTIONS, exit_rule=rule)).run(stimulus)
    assert "'Answers'" in str(found.value)


@pytest.mark.parametrize("answer", [np.float32(1), np.int64(1), 1, 1 + 1e-12])
def test_confidences_that_are_numbers_of_any_kind(answer):
    rule = type("Right", (Answers,), {"answer": answer})(1.0)
    network = random_network(2)
    found = {
        make_engine(engine, network, None, replace(OPTIONS, exit_rule=rule))
        .run(random_stimulus(2, network))
        .decided_early
        for engine in ("compiled", "reference")
    }
    assert found == {True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("data") / "set")


@pytest.mark.parametrize("hardware", [None, "event-conv-small"])
def test_curves_equal_runs(folder, hardware, tmp_path):
    network, data = small_network(), f"nmnist:{folder}"
    full = eventsnn.simulate(network, data, hardware=hardware, samples=6)
    full.save(tmp_path / "full.h5")
    thresholds = np.array([0.0, 0.001, 0.01, 0.1, 0.5, 1.0])
    for rule in (Lead(0.7), HalfSure(0.7), AtLeast(0.5, 1000), Margin(0.7)):
        curve = Results.load(tmp_path / "full.h5").curve(rule, thresholds)
        for row, threshold in zip(curve, thresholds, strict=True):
            asked = replace(rule, threshold=threshold)
            stopped = eventsnn.simulate(network, data, hardware=hardware, exit=asked, samples=6)
            assert row["decided_early"] == stopped.table.column("decided_early").mean()
            assert row["accuracy"] == stopped.accuracy
            assert row["synaptic_operations"] == stopped.table.column("synaptic_operations").mean()
            np.testing.assert_allclose(row["latency_s"], stopped.latency_s.mean(), rtol=1e-12)
    one, other = full.curve(Margin(0.7)), full.curve("margin")
    for name in one.dtype.names:
        np.testing.assert_array_equal(one[name], other[name])
    with pytest.raises(InvalidExitRule, match="is named"):
        full.curve(type("Other", (Margin,), {"name": "margin", "confidence": lambda *_: 0.0})(0.5))


def test_other_processes_obey(folder, tmp_path):
    network, data = small_network(), f"nmnist:{folder}"
    one, two = (
        eventsnn.simulate(network, data, exit=Lead(0.01), samples=4, workers=workers) for workers in (1, 2)
    )
    assert one.digest == two.digest
    assert one.configuration["exit"] == "lead:0.01"
    assert (
        one.digest == eventsnn.simulate(network, data, exit=Lead(0.01), samples=4, engine="reference").digest
    )

    class Local(Never):
        pass

    with pytest.raises(InvalidRequest, match=r"exit rule Local cannot be sent to other processes.*workers=1"):
        eventsnn.simulate(network, data, exit=Local(0.5), samples=4, workers=2)


TYPED = """
import sys
sys.path[:0] = sys.argv[1].split(":")
import eventsnn
from eventsnn.decide import ExitRule
from builders.recordings import small_network

class Typed(ExitRule):
    def confidence(self, readout, scale):
        return 0.0

eventsnn.simulate(small_network(), sys.argv[2], exit=Typed(0.5), samples=2, workers=2)
"""


def test_a_rule_that_stands_in_no_file_stays_in_its_process(folder):
    path = ":".join(str(place) for place in (ROOT, ROOT / "tests"))
    command = [sys.executable, "-", path, f"nmnist:{folder}"]
    done = subprocess.run(command, input=TYPED, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "eventsnn.errors.InvalidRequest: exit rule Typed cannot be sent to other processes: its class"
    )


def test_results_of_one_rule_are_not_gone_on_with_by_another(folder, tmp_path):
    path = tmp_path / "results.h5"
    given = {"network": small_network(), "data": f"nmnist:{folder}", "samples": 2, "output": path}
    eventsnn.simulate(exit=HalfSure(0.3), **given)
    with pytest.raises(InvalidRequest, match=r"exit: 'HalfSure:0.3' there, 'margin:0.3' now"):
        eventsnn.simulate(exit=Margin(0.3), **given)
    with pytest.raises(InvalidRequest, match="results of another run"):
        eventsnn.simulate(exit=AtLeast(0.3, 5), **given)
