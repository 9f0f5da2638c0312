"""Spreads, energy x delay, oracles and operating points: by hand, and against other ways to the same."""

from dataclasses import dataclass

import numpy as np
import pytest
from builders.recordings import random_events, small_network

import eventsnn
from eventsnn.decide import ExitRule
from eventsnn.errors import InvalidRequest
from eventsnn.results import ResultTable, SampleRecord
from eventsnn.results.hindsight import oracles, realised
from eventsnn.results.operating import operating_points
from eventsnn.results.spread import energy_delay, spread
from eventsnn.results.stops import stops


@pytest.mark.parametrize(
    ("mean", "product_of_means", "mean_of_products"), [(1.46, 0.828, 0.767), (1.27, 0.863, 0.825)]
)
def test_energy_times_delay_of_dt_snn_both_ways(mean, product_of_means, mean_of_products):
    """E = 0.443 + 0.557 T, latency T: of 3,000 samples some take 4 steps, the rest 1, against all 4."""
    long = round((mean - 1) * 1000)
    steps = np.repeat([4.0, 1.0], [long, 3000 - long])
    products, means = energy_delay(0.443 + 0.557 * steps, steps)
    whole = energy_delay(np.full(3, 0.443 + 0.557 * 4), np.full(3, 4.0))
    assert whole[0] == pytest.approx(whole[1]) == pytest.approx(10.684)
    assert round(1 - means / whole[1], 3) == product_of_means
    assert round(1 - products / whole[0], 3) == mean_of_products


def test_energy_times_delay_is_unknown_where_one_of_them_is():
    assert energy_delay(np.array([1.0, np.nan]), np.ones(2)) is None
    assert energy_delay(np.zeros(0), np.zeros(0)) is None


def test_a_spread_by_hand():
    found = spread(np.arange(101))
    assert found == {"mean": 50, "p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
    assert spread(np.array([np.nan])) is None


# Operations (millions) and error (%) of LeNet-5 as Rueckauer et al. printed them (snn_toolbox c98e2b93).
PRINTED = """0.1738 90.79, 0.2449 88.82, 0.3183 82.24, 0.3923 67.65, 0.4682 47.74, 0.5432 30.67,
0.6188 18.49, 0.6941 11.34, 0.7699 7.21, 0.8453 4.81, 0.9206 3.38, 0.9961 2.55, 1.0714 2.07, 1.2215 1.62,
1.4694 1.37, 1.7615 1.13, 2.2722 1.14, 3.0323 1.07, 3.4050 1.08"""


def test_operating_points_of_a_published_curve():
    operations, error = np.array([part.split() for part in PRINTED.split(",")], dtype=float).T
    chosen = np.random.default_rng(1).permutation(len(error))
    found = operating_points(error[chosen] / 100, operations[chosen], 2.34673)
    assert {name: point.operations for name, point in found.items()} == {
        "best": 3.0323,
        "within_one_point": 1.0714,
        "joint": 0.6941,
        "at_original": 1.7615,
    }
    assert found["joint"].error == pytest.approx(0.1134)
    assert operations[chosen][found["best"].place] == 3.0323


def test_operating_points_at_the_ends():
    error, operations = np.array([0.5, 0.5]), np.array([2.0, 1.0])
    found = operating_points(error, operations, 0.5)
    assert found["best"].operations == found["within_one_point"].operations == 1.0
    assert found["at_original"] is None
    assert operating_points(np.zeros(1), np.zeros(1))["joint"].operations == 0


@dataclass(frozen=True)
class Knows(ExitRule):
    """Stops when the leading class is the one it was told."""

    threshold: float = 0.0
    label: int = 0
    name = "knows"

    def confidence(self, readout, scale):
        return 1.0 if int(np.argmax(readout)) == self.label else 0.0


@pytest.fixture(scope="module", params=[None, "event-conv-small"])
def full(request):
    rng = np.random.default_rng(9)
    data = [(random_events(rng, 80), number % 10) for number in range(24)]
    for events, _ in data:
        events["t"] += 400  # biases may fire before the first event, and nothing is decided by them
    free = eventsnn.simulate(small_network(), data, origin="file")
    # Half of the samples get the label that the run decides, so that both kinds occur.
    labelled = [
        (events, int(sample.prediction) if number % 2 and sample.prediction >= 0 else label)
        for number, ((events, label), sample) in enumerate(zip(data, free.table.samples, strict=True))
    ]
    return eventsnn.simulate(small_network(), labelled, hardware=request.param, origin="file")


def test_the_first_correct_oracle_is_a_rule_that_knows_the_label(full):
    found = oracles(full.table)["first"]
    for place, sample in enumerate(full.table.samples):
        one = full.select(np.arange(len(full)) == place)
        stopped = stops(one.table, Knows(label=sample.label), [0.5])
        assert found.synaptic_operations[place] == stopped.synaptic_operations[0, 0]
        assert found.latency_s[place] == stopped.latency_s[0, 0]
        asking = stopped.decision_operations[0, 0] * full.configuration["decision_energy_aj"] * 1e-18
        whole = pytest.approx(stopped.energy_j[0, 0], rel=1e-12, nan_ok=True)  # an oracle asks nothing
        assert found.energy_j[place] + asking == whole
        assert found.correct[place] == (stopped.prediction[0, 0] == sample.label)


def test_the_oracle_that_stays_correct_by_loops(full):
    found = oracles(full.table)["stays"]
    early = 0
    for place, sample in enumerate(full.table.samples):
        trace = sample.trace
        end = len(trace["time_ps"]) - 1
        stop = end
        for check in reversed(range(end)):
            row = trace["readout"][check]
            fits = row.any() and int(np.argmax(row)) == sample.label
            if (
                sample.prediction != sample.label
                or not fits
                or trace["time_ps"][check] < sample.first_event_ps
            ):
                break
            stop = check
        early += stop < end
        expected = sample.synaptic_operations if stop == end else trace["synaptic_operations"][stop]
        assert found.synaptic_operations[place] == expected
        assert found.correct[place] == (sample.prediction == sample.label)
    assert early > 3
    first = oracles(full.table)["first"]
    assert (first.synaptic_operations <= found.synaptic_operations).all()
    assert first.correct.sum() >= found.correct.sum()


def by_hand(readout, label=1, prediction=1):
    """Checks at 5, 10, ... ps with 10, 20, ... operations; the first event comes at 8 ps."""
    rows = np.arange(1, len(readout) + 1)
    trace = {"time_ps": 5 * rows, "readout": np.array(readout), "synaptic_operations": 10 * rows}
    trace |= {"spikes": rows, "energy_aj": rows * 10**12}
    trace = {name: np.asarray(values, dtype=np.int64) for name, values in trace.items()}
    last = len(rows)
    sample = SampleRecord(
        0,
        label,
        prediction,
        8,
        5 * last,
        False,
        1,
        10 * last,
        last,
        1e-6 * last,
        np.zeros((1, 1), int),
        trace,
    )
    found = oracles(ResultTable({"exit": "none"}, ("out",), 1.0, (sample,)))
    return {kind: int(each.synaptic_operations[0]) for kind, each in found.items()}


def test_oracles_by_hand():
    # Right at 5 ps already, before the first event, when nothing is decided; wrong at 15, right from 20 on.
    assert by_hand([[0, 9], [0, 9], [9, 0], [0, 9], [0, 9]]) == {"first": 20, "stays": 40}
    assert by_hand([[0, 9], [0, 9], [0, 9]]) == {"first": 20, "stays": 20}
    # Never right at a check, or wrong at the end: whole.
    assert by_hand([[9, 0], [9, 0], [0, 9]]) == {"first": 30, "stays": 30}
    assert by_hand([[9, 0], [0, 9], [9, 0]], prediction=0) == {"first": 20, "stays": 30}


def test_the_share_of_a_saving():
    assert realised(10.0, 6.0, 2.0) == 0.5
    assert realised(10.0, 12.0, 2.0) == -0.25
    assert realised(10.0, 10.0, 10.0) is None
    assert realised(np.nan, 1.0, 1.0) is None


def test_an_oracle_refuses_what_it_cannot_know():
    rng = np.random.default_rng(2)
    with pytest.raises(InvalidRequest, match="labels"):
        oracles(eventsnn.simulate(small_network(), [random_events(rng, 30)]).table)
    stopped = eventsnn.simulate(small_network(), [(random_events(rng, 30), 1)], exit="margin:0.2")
    with pytest.raises(InvalidRequest, match="--exit none"):
        oracles(stopped.table)
