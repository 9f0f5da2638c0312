"""Published exit rules as combinations (C6): one test each, stops by hand numbers."""

import math

import pytest

from eventsnn.decide import Check, parse_rule
from eventsnn.decide.published import (
    PUBLISHED,
    cutoff,
    dt_snn,
    dynamic_confidence,
    elsa,
    seenn_i,
    terminate_delta,
)


def stop(rule, rows, step_us=1.0):
    """At which timestep, from 1, a rule stops on summed outputs; None if at none."""
    watch = rule.start()
    for t, row in enumerate(rows, 1):
        if watch.consider(Check(list(row), 1.0, round(t * step_us * 1e6))).stops:
            return t
    return None


def softmax(row):
    terms = [math.exp(v - max(row)) for v in row]
    return [t / sum(terms) for t in terms]


def entropy(row):
    return -sum(p * math.log(p) for p in softmax(row)) / math.log(len(row))


SUMS = [[1, 1, 0], [3, 1, 0], [6, 2, 0], [12, 3, 0]]


def test_dt_snn():
    means = [[v / t for v in row] for t, row in enumerate(SUMS, 1)]
    entropies = [entropy(row) for row in means]  # 0.90, 0.98, 0.86, 0.62 of the mean outputs
    theta = 0.7
    assert [e <= theta for e in entropies] == [False, False, False, True]
    assert stop(dt_snn(theta), SUMS) == 4
    # The released code looks at sums, which grow surer by scale alone.
    assert stop(dt_snn(theta, code=True), SUMS) == next(
        t for t, row in enumerate(SUMS, 1) if entropy(row) <= theta
    )
    assert str(dt_snn(0.5)) == "entropy:0.5,accumulator=mean"
    # The second step changes nothing and is no check: 12, 3, 0 is of the fourth, and so divided by 4.
    watch = dt_snn(theta, step_us=2.0).start()
    said = [watch.consider(Check(row, 1.0, 2 * t * 10**6)) for t, row in ((1, [1, 1, 0]), (4, [12, 3, 0]))]
    assert [one.stops for one in said] == [False, True]
    assert said[1].confidence == pytest.approx(1 - entropies[3])


def test_seenn_i():
    assert [round(max(softmax(row)), 3) for row in SUMS] == [0.422, 0.844, 0.98, 1.0]
    assert stop(seenn_i(0.9), SUMS) == 3
    assert stop(seenn_i(0.55, temperature=8), SUMS) == 4  # 0.644 of 12/8, 3/8, 0; 0.481 a step before
    assert stop(seenn_i(0.65, temperature=8), SUMS) is None


def test_cutoff():
    leads = [0, 2, 4, 9]
    rule = cutoff(at_us=[1, 2, 3, 4], leads=[1, 3, 4, 5])
    assert [row[0] - row[1] for row in SUMS] == leads
    assert stop(rule, SUMS) == 3
    assert stop(cutoff([1, 2, 3, 4], [1, 1.5, 9, 9]), SUMS) == 2
    assert stop(cutoff([1, 2, 3, 4], [1, 3, 5, 9.5]), SUMS) is None


def test_dynamic_confidence():
    rows = [[30, 0, 0], [60, 15, 0], [90, 30, 0]]
    assert [round(max(softmax([v / 30 for v in row])), 3) for row in rows] == [0.576, 0.736, 0.844]
    assert stop(dynamic_confidence(), rows) == 2
    assert str(dynamic_confidence()) == "max-probability:0.6,temperature=30"


def test_elsa():
    rows = [[1, 1, 1, 1], [2, 1, 1, 1], [3, 1, 1, 1]]
    assert [round(max(softmax(row)), 3) for row in rows] == [0.25, 0.475, 0.711]
    assert stop(elsa(), rows) == 2
    assert stop(elsa(0.8), rows) is None


def test_terminate_delta():
    counts = [[1, 0, 0], [3, 0, 1], [4, 1, 1], [6, 1, 2]]
    assert stop(terminate_delta(3), counts) == 3
    assert stop(terminate_delta(4), counts) == 4
    assert stop(terminate_delta(5), counts) is None


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_has_a_text(name):
    given = {"cutoff": ([1, 2], [3, 4]), "terminate-delta": (3,)}
    rule = PUBLISHED[name](*given.get(name, ()))
    parsed = parse_rule(str(rule))
    assert str(parsed) == str(rule)
    assert stop(parsed, SUMS) == stop(rule, SUMS)
