"""Exit rules from parts: each part by hand numbers, their text, and what is refused."""

import math

import numpy as np
import pytest
from builders.rules import random_rule

from eventsnn.decide import (
    REJECTED,
    Check,
    Combination,
    Entropy,
    Margin,
    MarginScore,
    MaxProbability,
    MaxProbabilityScore,
    Patience,
    parse_kind,
    parse_rule,
    with_threshold,
)
from eventsnn.errors import InvalidExitRule
from eventsnn.results.following import Moments, _ask, follow
from eventsnn.results.oracles import first_correct, stays_correct

THRESHOLDS = np.array([0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0])


def said(text, rows, times=None, events=None, scale=1.0):
    """Confidences of a rule at readouts, one a microsecond unless said; NOT_SURE is -1."""
    rule = parse_rule(text).start()
    times = range(len(rows)) if times is None else times
    events = [0] * len(rows) if events is None else events
    return [
        rule.consider(Check(list(row), scale, round(t * 1e6), e)).confidence
        for row, t, e in zip(rows, times, events, strict=True)
    ]


def test_scores_by_hand():
    e = math.exp
    z = 1 + e(-1) + e(-3)
    p = np.array([1, e(-1), e(-3)]) / z
    for text, value in {
        "max-probability:1": p[0],
        "margin:1": p[0] - p[1],
        "entropy:1": 1 + (p * np.log(p)).sum() / math.log(3),
        "max-probability:1,temperature=2": 1 / (1 + e(-0.5) + e(-1.5)),
        "logit-lead:1,of=4": 0.25,
        "logit-lead:1,of=4,temperature=2": 0.125,
        "count:1,of=20": 0.2,
        "count-lead:1,of=20": 0.05,
        "fixed-time:1,of-us=8": 0.25,
        "first-spike:1,more=3": 0.25,
        "checkpoint-lead:1,at-us=1;5,leads=4;1": 0.25,
        "prediction-set:1,at-us=1;5,least=0.2;0.9": 0.5,
        "prediction-set:1,at-us=1;5,least=0.3;0.0": 1.0,
        "prediction-set:1,at-us=1;5,least=0.8;0.0": 1.0,
        "prediction-set:1,at-us=1;5,least=0.01;0.0": 1 / 3,
    }.items():
        assert said(text, [[4, 3, 1]], times=[2]) == [pytest.approx(value, rel=1e-14)], text
    assert said("margin:1", [[40, 30, 10]], scale=0.1) == [pytest.approx(p[0] - p[1])]
    assert said("entropy:1", [[3, 3, 3]]) == [pytest.approx(0, abs=1e-15)]
    assert said("entropy:1", [[900, 3, 3]]) == [1.0]


def test_accumulators_by_hand():
    rows = [[2, 1], [4, 2], [4, 6]]
    leads = {
        "readout": [1, 2, -2],
        "counts": [1, 2, -2],
        "sum": [1, 3, 1],
        "mean": [1, 1, -2 / 3],
        "leaky,keep=0.5": [1, 1.5, -3.25],  # 1, then 1/2 + 1, then 3/4 - 4
        "rate,per-us=2": [1, 2, -2],  # until two microseconds have passed; then per two: 2 / (2 / 2)
        "rate,per-us=1": [1, 2, -1],
    }
    for accumulator, expected in leads.items():
        found = said(f"logit-lead:1,of=100,accumulator={accumulator}", rows)
        assert found == pytest.approx(np.abs(expected) / 100), accumulator


def test_a_stop_answers_what_the_accumulator_says():
    rule = parse_rule("logit-lead:0,of=1,accumulator=sum").start()
    answers = [rule.consider(Check(row, 1.0)).prediction for row in ([9, 1], [9, 11])]
    assert answers == [0, 0]


def test_patience_is_the_least_of_the_last_scores_of_one_class():
    rows = [[5, 0], [9, 0], [7, 0], [8, 0], [8, 9], [8, 12], [8, 20]]
    found = said("count-lead:1,of=10,patience=3", rows)
    assert found == pytest.approx([-1, -1, 0.5, 0.7, -1, -1, 0.1])


def test_the_probability_ratio_adds_up_evidence():
    # Two classes one logit apart: log(p / (1 - p)) is the logit.
    found = said("max-probability:1,probability-ratio=50", [[1, 0], [3, 1], [3, 4], [3, 4]])
    sums = [1, 3, 1, 2]
    assert found == pytest.approx([1 / (1 + math.exp(-s)) for s in sums])
    capped = said("max-probability:1,probability-ratio=0.5", [[1, 0], [3, 1]])
    assert capped == pytest.approx([1 / (1 + math.exp(-s)) for s in (0.5, 1.0)])
    # A score below one half is evidence against, and the sum stays at 0.
    assert said("count:1,of=10,probability-ratio=9", [[1, 0], [2, 0]]) == [0.5, 0.5]


def test_schedules_and_bounds_by_hand():
    rows = [[k + 1, 0] for k in range(8)]
    asked = {
        "margin:1": range(8),
        "margin:1,every=3": [2, 5, 7],
        "margin:1,at-us=0.5;2;2.5;40": [1, 2, 3],
        "margin:1,after-us=3": range(3, 8),
        "margin:1,every=3,after-us=4": [4, 5, 7],
        "margin:1,every=100,until-us=6": [6, 7],
    }
    for text, expected in asked.items():
        found = said(text, rows, events=[1, 2, 3, 4, 5, 6, 8, 9])
        assert [i for i, value in enumerate(found) if value >= 0] == list(expected), text
    assert said("margin:0", [[1, 0], [0, 0], [2, 0]], times=[-1, 0, 1])[:2] == [-1, -1]


def test_the_longest_time_stops_and_rejects():
    for reject, answer in (("", 0), (",reject=0.2", 0), (",reject=0.6", REJECTED)):
        rule = parse_rule(f"count-lead:1,of=10,until-us=2{reject}").start()
        verdicts = [rule.consider(Check([k, 0], 1.0, k * 10**6)) for k in (1, 5)]
        assert [v.stops for v in verdicts] == [False, True]
        assert verdicts[1].prediction == answer
    rule = parse_rule("count-lead:1,of=10,reject=0.6").start()
    assert [rule.at_end(1), rule.at_end(-1)] == [REJECTED, -1]
    rule.consider(Check([7, 0], 1.0))
    assert rule.at_end(1) == 1


def drawn(seed):
    """A random rule and checks to follow it through."""
    rng = np.random.default_rng(seed)
    rule = parse_kind(random_rule(rng))
    classes, checks = int(rng.integers(2, 6)), int(rng.integers(0, 25))
    steps = rng.integers(-1, 4, (checks, classes)) * (rng.random((checks, classes)) < 0.5)
    readout = np.cumsum(steps, axis=0).astype(np.int64) * int(rng.choice([1, 1, 50]))
    times, events = np.sort(rng.integers(-2000, 20000, checks)), np.cumsum(rng.integers(0, 4, checks))
    scale, final = float(rng.choice([1.0, 0.1, 0.013])), int(rng.integers(-1, classes))
    return rule, Moments(readout, times, events, scale, final)


def test_kernels_say_what_the_parts_say_bit_for_bit():
    asserted = early = rejected = 0
    for seed in range(250):
        rule, moments = drawn(seed)
        found = follow(rule, THRESHOLDS, moments)
        for j, threshold in enumerate(THRESHOLDS.tolist()):
            wanted = _ask(rule, threshold, moments)
            assert (found.check[j], found.prediction[j], found.looks[j]) == wanted, str(rule)
            asserted += 1
            early += wanted[0] < len(moments.readout)
            rejected += wanted[1] == REJECTED
    assert asserted > 1700
    assert early > 700
    assert rejected > 60


def test_text_goes_there_and_back():
    rng = np.random.default_rng(5)
    for _ in range(300):
        rule = parse_rule(with_threshold(random_rule(rng), float(rng.random())))
        assert parse_rule(str(rule)) == rule
        assert parse_kind(rule.name).name == rule.name


def test_text_and_objects_are_one():
    made = Combination(0.3, MarginScore(temperature=2), memory=Patience(3), after_us=100)
    assert parse_rule(" margin:.3, after-us=100 ,patience=3,temperature=2.0") == made
    assert str(made) == "margin:0.3,temperature=2,patience=3,after-us=100"
    assert parse_rule("margin:0.3") == Margin(0.3)
    assert parse_rule("max-probability:0.9,temperature=1") == MaxProbability(0.9)
    assert Combination(0.5, Entropy()).name == "entropy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("margn:0.3", "not known; did you mean 'margin'"),
        ("margin:0.3,patiense=3", "no parameter 'patiense'; did you mean 'patience'"),
        ("margin", "no threshold; write for example margin:0.9"),
        ("margin:1.5", "allowed is a number from 0 to 1"),
        ("margin:.3,of=3", "of is a parameter of logit-lead, count, count-lead; this rule has margin"),
        ("margin:.3,keep=0.5", "keep is a parameter of leaky"),
        ("margin:.3,every=3,at-us=4", "every and at-us, each a schedule of its own"),
        ("margin:.3,every=3,schedule=step", "every and step, each a schedule"),
        ("margin:.3,patience=2,probability-ratio=3", "patience and probability-ratio, each a memory"),
        ("margin:.3,patience=2,patience=3", "patience is given twice"),
        ("margin:.3,patience", "patience has no value"),
        ("margin:.3,patience=2.5", "patience of an exit rule is 2.5; allowed are whole numbers"),
        ("margin:.3,patience=2;3", "patience is one number, not 2"),
        ("margin:.3,accumulator=leak", "accumulator 'leak' is not known; did you mean 'leaky'"),
        ("margin:.3,schedule=every", "schedule 'every' is not known"),
        ("margin:.3,temperature=0", "temperature of an exit rule is 0; allowed are numbers from 1e-09"),
        ("margin:.3,temperature=1e-320", "allowed are numbers from 1e-09"),
        ("fixed-time:.3,of-us=1e-9", "of-us of an exit rule is 1e-09; allowed are numbers from 1e-06"),
        ("margin:.3,accumulator=rate,per-us=1e-9", "allowed are numbers from 1e-06"),
        ("margin:.3,temperature=nan", "must be a finite number"),
        ("margin:.3,at-us=4;4", "each later than the one before"),
        ("checkpoint-lead:1,leads=3", "1 leads and the schedule 0 given times"),
        ("margin:.3,until-us=4,after-us=7", "until-us of an exit rule is 4; allowed are numbers from 7"),
        ("first-correct", "oracle.*no run can follow it"),
        ("stays-correct:1", "oracle.*no run can follow it"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(InvalidExitRule, match=message):
        parse_rule(text)


def test_parts_are_checked_in_python_too():
    for wrong in (
        lambda: Combination(0.3, Patience(3)),
        lambda: Combination(0.3, MarginScore(), after_us=-1),
    ):
        with pytest.raises(InvalidExitRule, match=r"score of an exit rule|after-us of an exit rule"):
            wrong()
    with pytest.raises(InvalidExitRule, match=r"leave out ':0\.3'"):
        parse_kind("margin:0.3,patience=2")
    with pytest.raises(InvalidExitRule, match="threshold"):
        Combination(2.0, MaxProbabilityScore())


def test_oracles_by_hand():
    right = np.array([False, True, False, True, True])
    decided = np.array([True, False, True, True, True])
    assert first_correct(right, decided) == 3
    assert stays_correct(right, decided) == 3
    assert first_correct(right & False, decided) == stays_correct(right & False, decided) == 5
    assert first_correct(right, decided | True) == 1
    assert stays_correct(right | True, decided | True) == 0
