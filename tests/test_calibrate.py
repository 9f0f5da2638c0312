"""Certified thresholds: exact tests, conformal sets, a synthetic model, refusals, certificates."""

import dataclasses
import json

import numpy as np
import pytest
from builders.command_line import eventsnn as command
from builders.command_line import write_files
from scipy.stats import binom

import eventsnn
from eventsnn.calibration import RISKS, calibrate, calibrate_sets
from eventsnn.calibration.binomial import (
    fixed_sequence,
    largest_errors,
    least_limit,
    least_samples,
    p_values,
    upper_bound,
)
from eventsnn.calibration.conformal import bounds, rank, scores, sets, stopping_checkpoint
from eventsnn.calibration.halt_times import halt_time_p_values
from eventsnn.decide import parse_kind
from eventsnn.decide.certificate import read_certificate, require_other_data, require_same
from eventsnn.errors import EventsnnError, InvalidFile, InvalidRequest, MissingFile
from eventsnn.output import JSON, replaced_whole, require_replaceable
from eventsnn.results import ResultTable, SampleRecord
from eventsnn.results.results import Results
from eventsnn.results.stops import stops

# Learn-then-Test, exact binomial: (samples, delta) -> largest errors for each limit.
LARGEST = {
    (100, 0.1): {0.05: 1, 0.10: 5, 0.20: 14},
    (500, 0.1): {0.05: 18, 0.10: 40, 0.20: 88},
    (1000, 0.1): {0.05: 40, 0.10: 87, 0.20: 183},
    (5000, 0.1): {0.05: 229, 0.10: 472, 0.20: 963},
    (1000, 0.05): {0.05: 38, 0.10: 84, 0.20: 178},
}


@pytest.mark.parametrize(("samples", "delta"), LARGEST)
def test_the_largest_errors_that_certify(samples, delta):
    for limit, expected in LARGEST[samples, delta].items():
        assert largest_errors(samples, limit, delta) == expected
        assert binom.cdf(expected, samples, limit) <= delta < binom.cdf(expected + 1, samples, limit)


def test_too_few_samples_certify_nothing():
    assert largest_errors(298, 0.01, 0.05) == -1
    assert largest_errors(299, 0.01, 0.05) == 0
    assert least_samples(0.01, 0.05) == 299
    assert least_limit(299, 0.05) < 0.01 < least_limit(298, 0.05)


def test_the_upper_bound_is_where_the_test_turns():
    for errors, samples in ((0, 50), (3, 200), (50, 50)):
        bound = upper_bound(errors, samples, 0.05)
        assert bound == 1.0 if errors == samples else binom.cdf(errors, samples, bound) == pytest.approx(0.05)


def test_a_fixed_sequence_ends_at_the_first_that_fails():
    assert fixed_sequence(np.array([0.01, 0.05, 0.2, 0.0]), 0.05) == 2
    assert fixed_sequence(np.array([0.2, 0.0]), 0.05) == 0
    assert fixed_sequence(np.array([0.01, 0.02]), 0.05) == 2
    assert fixed_sequence(np.array([np.nan, 0.0]), 0.05) == 0


@pytest.mark.parametrize(
    ("samples", "alpha", "checkpoints", "expected"),
    [(100, 0.2, 4, 96), (200, 0.1, 10, 199), (199, 0.1, 20, 199), (500, 0.1, 10, 496), (1000, 0.05, 10, 996)],
)
def test_conformal_ranks(samples, alpha, checkpoints, expected):
    assert rank(samples, alpha, checkpoints) == expected


def test_a_conformal_rank_beyond_the_samples_is_refused():
    with pytest.raises(InvalidRequest, match=r"198 samples are too few .* at least 199 are needed"):
        rank(198, 0.1, 20)


def drift(n, seed, steps=16, classes=10):
    """Logits that drift towards the class at a pace of the sample's own, shape (n, steps, classes)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    pace = rng.gamma(2.0, 0.35, n)
    steps_of = rng.normal(0, 1.0, (n, steps, classes))
    steps_of[np.arange(n), :, labels] += pace[:, None]
    return steps_of.cumsum(axis=1), labels


def gaps(logits, labels, grid):
    """Whether each sample is lost at each threshold of the margin of softmax: full right, stopped wrong."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    ordered = np.sort(shifted / shifted.sum(-1, keepdims=True), axis=-1)
    sure = np.maximum.accumulate(ordered[..., -1] - ordered[..., -2], axis=1)
    decided = logits.argmax(-1)
    stop = np.minimum((sure[:, :, None] < grid).sum(axis=1), logits.shape[1] - 1)
    early = np.take_along_axis(decided, stop, axis=1)
    return (early != labels[:, None]) & (decided[:, -1] == labels)[:, None]


def test_the_calibrated_rule_keeps_its_promise_and_the_smallest_empirical_gap_does_not():
    grid = 1 - np.concatenate([[0.0], 10.0 ** np.linspace(-6, 0, 200)])  # safest first
    losses = np.concatenate([gaps(*drift(20_000, seed), grid) for seed in range(5)])
    risk = losses.mean(axis=0)
    limit, delta, n, repeats = 0.02, 0.1, 1000, 1000
    rng = np.random.default_rng(1)
    calibrated = naive = certified = 0
    for _ in range(repeats):
        errors = losses[rng.integers(0, len(losses), n)].sum(axis=0)
        kept = fixed_sequence(p_values(errors, n, limit), delta)
        certified += kept > 0
        calibrated += kept > 0 and risk[kept - 1] > limit
        naive += risk[np.flatnonzero(errors / n <= limit)[-1]] > limit
    assert certified == repeats
    assert 0 < calibrated <= delta * repeats
    assert naive > 0.35 * repeats


def test_conformal_sets_cover_at_all_checkpoints_at_once_and_are_nested():
    logits, labels = drift(6_000, 3)
    at = [3, 7, 11, 15]
    logits = logits[:, at]
    rng = np.random.default_rng(0)
    covered, plain = [], []
    for _ in range(60):
        drawn = rng.permutation(len(labels))
        own, others = drawn[:100], drawn[100:]
        inside = sets(logits[others], bounds(logits[own], labels[own], 0.2))
        assert (inside[:, 1:] <= inside[:, :-1]).all()
        stop = stopping_checkpoint(inside, 2)
        assert (inside.sum(2)[np.arange(len(stop)), stop] <= 2)[stop < 3].all()
        covered.append(inside[np.arange(len(stop)), stop, labels[others]].mean())
        apart = sets(logits[others], bounds(logits[own], labels[own], 0.2), nested=False)
        assert (inside <= apart).all()
        plain.append(apart[:, -1][np.arange(len(stop)), labels[others]].mean())
    assert np.mean(covered) >= 0.8
    assert np.mean(plain) >= 0.94  # each checkpoint alone: 1 - 0.2 / 4


def test_scores_and_bounds_by_hand():
    assert scores(np.log([[1.0, 3.0]]))[0] == pytest.approx([np.log(4), np.log(4 / 3)])
    probabilities = np.array([[[0.9, 0.1]], [[0.6, 0.4]], [[0.3, 0.7]], [[0.8, 0.2]]])
    # The true class scores 0.9, 0.6, 0.3, 0.8: of 5 places the 4th, -log 0.3, misses one time in 5.
    found = bounds(np.log(probabilities), np.zeros(4, np.int64), 0.2)
    assert found == pytest.approx([-np.log(0.3)])
    assert sets(np.log([[[0.7, 0.3]], [[0.29, 0.71]]]), found).tolist() == [[[True, True]], [[False, True]]]


def test_halt_times_see_what_the_whole_hides():
    """Of 4,000 samples a tenth stops at once, and a tenth of these is lost: 1 % of all, 10 % of the early."""
    n = 4_000
    early = np.arange(n) % 10 == 0
    lost = np.arange(n) % 100 == 0
    latency = np.where(early, 0.1, 1.0 + np.arange(n) / n)[:, None]
    losses = lost[:, None]
    assert p_values(losses.sum(axis=0), n, 0.02)[0] < 1e-4
    p, tested = halt_time_p_values(losses, latency, 0.02, 0.05, seed=0)
    assert p[0] > 0.99
    assert len(tested) == n // 2
    p, _ = halt_time_p_values(losses & False, latency, 0.02, 0.05, seed=0)
    assert p[0] <= 0.98 ** (n // 20 * 0.8)


def results_of(logits, labels, scale=0.05, sources=True, **configuration):
    """Results whose traces have one check a step, operations 100 and a microsecond each."""
    samples = []
    for i, (rows, label) in enumerate(zip(np.rint(logits / scale).astype(np.int64), labels, strict=True)):
        steps = len(rows)
        count = 100 * np.arange(1, steps + 1)
        trace = {
            "time_ps": 1_000_000 * np.append(np.arange(1, steps + 1), steps),
            "readout": np.concatenate([rows, rows[-1:]]),
            "synaptic_operations": np.append(count, count[-1]),
            "spikes": np.append(count, count[-1]) // 10,
            "energy_aj": np.zeros(steps + 1, np.int64),
        }
        samples.append(
            SampleRecord(
                index=i, label=int(label), prediction=int(rows[-1].argmax()), first_event_ps=0,
                decision_time_ps=steps * 1_000_000, decided_early=False, input_events=1,
                synaptic_operations=100 * steps, spikes=10 * steps, energy_j=float("nan"),
                counters=np.zeros((1, 1), np.int64), trace=trace, digest=f"{i:032x}",
            )
        )  # fmt: skip
    told = {"exit": "none", "network": "abc", "schedule": "event", **configuration}
    named = {i: f"{i:016x}" for i in range(len(samples))} if sources else {}
    return Results(ResultTable(told, ("output",), scale, tuple(samples), (), named))


@pytest.fixture(scope="module")
def results():
    return results_of(*drift(1_500, 11))


def test_calibrate_takes_the_lowest_threshold_of_the_sequence(results):
    grid = np.linspace(0, 1, 41)
    found = calibrate(results, "margin", "gap", 0.03, 0.9, grid=grid)
    seen = stops(results.table, "margin", grid)
    right = results.correct
    k = (((seen.prediction != seen.label[:, None]) & right[:, None]).sum(axis=0))[::-1]
    kept = fixed_sequence(binom.cdf(k, 1_500, 0.03), 0.1)
    assert 1 < kept < 41
    assert found.threshold == grid[::-1][kept - 1]
    assert (found.errors, found.samples, found.tested, found.grid) == (k[kept - 1], 1_500, kept + 1, 41)
    assert found.p_value <= 0.1 < binom.cdf(k[kept], 1_500, 0.03)
    assert found.errors / 1_500 < found.bound <= 0.03
    stopped = found.measured["stopped"]
    assert stopped["synaptic_operations"] < 0.9 * found.measured["full"]["synaptic_operations"]
    assert found.measured["full"]["accuracy"] - stopped["accuracy"] <= found.errors / 1_500


def test_several_rules_share_the_confidence(results):
    both = calibrate(results, ["margin", "max-probability"], "gap", 0.03, 0.9)
    assert both.rules == ("margin", "max-probability")
    alone = [calibrate(results, rule, "gap", 0.03, 0.95) for rule in both.rules]
    operations = [each.measured["stopped"]["synaptic_operations"] for each in alone]
    best = alone[int(np.argmin(operations))]
    assert (both.rule, both.threshold) == (best.rule, best.threshold)


def test_every_risk_is_held_by_what_it_says(results):
    seen = {risk: calibrate(results, "margin", risk, 0.35, 0.95) for risk in ("gap", "error", "disagreement")}
    assert seen["gap"].threshold <= seen["disagreement"].threshold
    assert seen["gap"].threshold <= seen["error"].threshold
    # The deadline's safest threshold is the lowest; the highest that is certified is taken last.
    late = calibrate(results, "margin", "deadline", 0.2, 0.95, deadline_s=8e-6)
    found = stops(results.table, "margin", [late.threshold])
    assert (found.latency_s[:, 0] > 8e-6).sum() == late.errors
    assert RISKS["deadline"].rises


def test_labels_are_needed_only_where_they_are():
    logits, labels = drift(400, 5)
    unknown = results_of(logits, np.full_like(labels, -1))
    with pytest.raises(InvalidRequest, match="risk gap needs labels"):
        calibrate(unknown, "margin", "gap", 0.05)
    assert calibrate(unknown, "margin", "disagreement", 0.05).measured["full"].keys() >= {"latency_s"}


def test_by_halt_time_is_stricter(results):
    plain = calibrate(results, "margin", "gap", 0.05, 0.9)
    strict = calibrate(results, "margin", "gap", 0.05, 0.9, by_halt_time=True)
    assert strict.by_halt_time
    assert strict.samples == 750
    assert strict.threshold > plain.threshold


def test_sets_that_cover_stop_where_one_class_is_left(results):
    times = (2.0, 5.0, 9.0)
    half = np.arange(len(results)) < 750
    made = calibrate_sets(results.select(half), times, 0.1)
    rule = parse_kind(made.rule)
    assert made.threshold == 1.0
    assert rule.schedule.at_us == times
    # By hand: the rows of the given times, the rank of Bonferroni's share, the largest score of the rank.
    table = results.table
    at = [np.searchsorted(table.samples[0].trace["time_ps"], t * 1e6) for t in times]
    logits = np.array([sample.trace["readout"][at] for sample in table.samples[:750]]) * table.readout_scale
    labels = table.column("label")[:750]
    own = scores(logits)[np.arange(750)[:, None], np.arange(3), labels[:, None]]
    bound = np.sort(own, axis=0)[rank(750, 0.1, 3) - 1]
    np.testing.assert_allclose(rule.score.least, np.exp(-bound), rtol=1e-8)
    assert made.errors <= 0.1 * 750
    found = stops(results.select(~half).table, made.rule, [1.0])
    early = found.early[:, 0]
    assert 0.1 < early.mean() < 1
    # What was stopped with one class left is wrong at most as often as a set may miss.
    assert ((found.prediction[:, 0] != found.label) & early).mean() <= 0.13
    other = calibrate_sets(results.select(half), times, 0.1, size=2)
    assert stops(results.select(~half).table, other.rule, [0.5]).early.mean() >= early.mean()


def test_sets_keep_their_promise_over_draws():
    missed, wrong = [], []
    for seed in range(60):
        drawn = results_of(*drift(400, 100 + seed))
        half = np.arange(400) < 200
        made = calibrate_sets(drawn.select(half), (3.0, 8.0), 0.2)
        found = stops(drawn.select(~half).table, made.rule, [1.0])
        wrong.append(((found.prediction[:, 0] != found.label) & found.early[:, 0]).mean())
        missed.append(made.errors / 200)
    assert max(missed) <= 0.2
    assert np.mean(wrong) <= 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"at_us": ()}, "at-us of an exit rule is empty"),
        ({"at_us": (5.0, 2.0)}, "each later than the one before"),
        ({"limit": 0.0}, "limit is 0"),
        ({"size": 0}, "size is 0"),
        ({"limit": 0.001}, "1500 samples are too few"),
    ],
)
def test_sets_that_cannot_be_calibrated_are_refused(results, settings, message):
    with pytest.raises(EventsnnError, match=message):
        calibrate_sets(**({"results": results, "at_us": (2.0, 5.0)} | settings))


REFUSED = [
    ({"limit": 0.001}, "1500 samples are too few: even without an error they certify gap at most 0.002"),
    ({"limit": 0}, "limit is 0; allowed are numbers between 0 and 1"),
    ({"limit": "x"}, "limit is 'x'"),
    ({"confidence": 1.0}, "confidence is 1; allowed"),
    ({"risk": "loss"}, "risk is 'loss'; allowed are gap, error, disagreement, deadline"),
    ({"risk": "error", "limit": 0.003}, "no threshold certifies error at most 0.003"),
    ({"risk": "deadline"}, "a deadline (--deadline-us) goes with the risk 'deadline'"),
    ({"deadline_s": 1.0}, "a deadline (--deadline-us) goes with the risk 'deadline'"),
    ({"risk": "deadline", "deadline_s": 0.0}, "the deadline is 0 s"),
    ({"rule": []}, "give one or more, each once"),
    ({"rule": ["margin", "margin,temperature=1"]}, "give one or more, each once"),
    ({"rule": None}, "give a rule or a list of them"),
    ({"saves": "time"}, "saves is 'time'; allowed are synaptic_operations, latency_s, energy_j"),
    ({"saves": "energy_j", "limit": 0.03}, "these results have no energy_j"),
    ({"by_halt_time": True, "limit": 0.003}, "1500 samples are too few to hold 0.003 at halt times"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_refusals_say_what_is_allowed(results, settings, message):
    with pytest.raises(eventsnn.errors.EventsnnError) as refused:
        calibrate(results, **settings)
    assert message in str(refused.value)


def test_a_run_that_stopped_early_calibrates_nothing():
    logits, labels = drift(400, 5)
    with pytest.raises(InvalidRequest, match="were run with the exit rule"):
        calibrate(results_of(logits, labels, exit="margin:0.5"), "margin", "gap", 0.05)


def test_a_certificate_replaces_nothing_else_and_nothing_else_replaces_it(results, tmp_path):
    made = calibrate(results, "margin", "gap", 0.03, 0.9)
    path, other = tmp_path / "c.json", tmp_path / "curve.json"
    for _ in range(2):
        made.save(path)
    before = path.read_bytes()
    with pytest.raises(InvalidRequest, match="another kind"), replaced_whole(path, JSON) as aside:
        aside.write_text("{}")
    assert path.read_bytes() == before
    other.write_text('{"digest": "00"}')
    with pytest.raises(InvalidRequest, match="another kind"):
        made.save(other)
    assert require_replaceable(other, JSON) == other


def test_a_certificate_comes_back_and_any_change_is_seen(results, tmp_path):
    made = calibrate(results, "margin", "gap", 0.03, 0.9)
    path = tmp_path / "c.json"
    made.save(path)
    assert read_certificate(path) == made
    document = json.loads(path.read_text())
    assert document["format"] == "eventsnn-certificate"
    assert len(document["calibrated_on"]["sources"]) == 1_500
    path.write_text(path.read_text().replace(f'"threshold": {made.threshold}', '"threshold": 0.25'))
    with pytest.raises(InvalidFile, match="changed after it was written, and certifies nothing"):
        read_certificate(path)
    for text in ("{", "[]", '{"format": "x"}', "\ud800".encode("utf-16", "surrogatepass").hex()):
        path.write_text(text)
        with pytest.raises(InvalidFile, match="no certificate"):
            read_certificate(path)
    with pytest.raises(MissingFile, match="'eventsnn calibrate' writes one"):
        read_certificate(tmp_path / "none.json")


def test_a_certificate_refuses_other_runs_and_its_own_data(results):
    made = calibrate(results, "margin", "gap", 0.03, 0.9)
    require_same(made, results.configuration)
    with pytest.raises(InvalidRequest, match='calibrated with network "abc", this run has "x"'):
        require_same(made, {**results.configuration, "network": "x"})
    for engine in ("compiled", "reference"):
        require_same(made, {**results.configuration, "engine": engine})
    with pytest.raises(InvalidRequest, match='calibrated with arithmetic "integer", this run has "float32"'):
        require_same(made, {**results.configuration, "engine": "float32"})
    data = {"kind": "events", "split": "test", "samples": 3, "files": "another", "fractions": []}
    require_same(made, {**results.configuration, "data": data})
    for read in ({"fractions": [0.5]}, {"transforms": ["drop:share=0.5"]}, {"clock": "sort"}):
        with pytest.raises(InvalidRequest, match=r"calibrated with reading \{\}, this run has"):
            require_same(made, {**results.configuration, "data": data | read})
    require_other_data(made, {0: "f" * 16})
    with pytest.raises(InvalidRequest, match="1 of the 2 samples calibrated this certificate"):
        require_other_data(made, {0: f"{7:016x}", 1: "f" * 16})
    assert dataclasses.replace(made, checksum="x") == made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network, ten recordings, and a run over the first six of them without an exit rule."""
    found = tmp_path_factory.mktemp("calibrate")
    write_files(found)
    network = eventsnn.load(found / "net.h5")
    data = eventsnn.open_dataset(f"nmnist:{found / 'set'}")
    eventsnn.simulate(network, data[: len(data) // 2], output=found / "r.h5")
    return found


CALIBRATE = ("--risk", "disagreement", "--max-gap", 0.6, "--confidence", 0.8)


def test_the_command_line_calibrates_and_runs_by_the_certificate(folder):
    done = command("calibrate", folder / "r.h5", *CALIBRATE, "-o", folder / "c.json", "--json")
    assert done.returncode == 0, done.stderr
    certificate = read_certificate(folder / "c.json")
    assert json.loads(done.stdout)["threshold"] == certificate.threshold
    table = command("calibrate", folder / "r.h5", *CALIBRATE)
    assert f"margin:{certificate.threshold!r}, on the {certificate.samples} samples" in table.stdout
    assert "synaptic operations" in table.stdout
    data = eventsnn.open_dataset(f"nmnist:{folder / 'set'}")
    others = data[len(data) // 2 :]
    stopped = eventsnn.simulate(folder / "net.h5", others, exit=folder / "c.json")
    said = eventsnn.simulate(folder / "net.h5", others, exit=f"margin:{certificate.threshold!r}")
    assert stopped.digest == said.digest
    assert stopped.configuration["certificate"] == certificate.checksum
    assert stopped.configuration["exit"] == said.configuration["exit"]
    # The samples' hashes are kept with the results, and a run on all of them is refused.
    refused = command(
        "run", folder / "net.h5", "--data", f"nmnist:{folder / 'set'}", "--exit", folder / "c.json"
    )
    assert refused.returncode == 2
    assert "samples calibrated this certificate" in refused.stderr
    with pytest.raises(InvalidRequest, match="was calibrated with schedule"):
        eventsnn.simulate(folder / "net.h5", others, exit=folder / "c.json", schedule="step", step_us=1000)


def test_the_command_line_calibrates_sets(folder):
    line = ("calibrate", folder / "r.h5", "--risk", "coverage", "--max-risk", 0.5)
    done = command(*line, "--at-us", 100, "--at-us", 20_000, "-o", folder / "sets.json")
    assert done.returncode == 0, done.stderr
    assert "the true class is missing from a set" in done.stderr
    data = eventsnn.open_dataset(f"nmnist:{folder / 'set'}")
    others = data[len(data) // 2 :]
    stopped = eventsnn.simulate(folder / "net.h5", others, exit=folder / "sets.json")
    assert stopped.configuration["exit"].startswith("prediction-set:1.0,least=")
    for wrong, message in (
        ((), "give --at-us"),
        (("--at-us", 5, "--rule", "margin"), "--rule goes with other risks"),
        (("--at-us", 5, "--confidence", 0.9), "--confidence goes with other risks"),
    ):
        refused = command(*line, *wrong)
        assert refused.returncode == 2
        assert message in refused.stderr
    refused = command("calibrate", folder / "r.h5", *CALIBRATE, "--set-size", 2)
    assert refused.returncode == 2
    assert "--set-size goes with --risk coverage" in refused.stderr


def test_a_selection_keeps_the_hashes_of_its_samples(folder):
    whole = Results.load(folder / "r.h5")
    half = whole.select(np.arange(len(whole)) % 2 == 0)
    assert len(whole.table.sources) == len(whole)
    assert half.table.sources == {s.index: whole.table.sources[s.index] for s in half.table.samples}


WRONG = [
    (("calibrate", "{f}/r.h5"), "are too few: even without an error"),
    (("calibrate", "{f}/r.h5", *CALIBRATE, "-o", "{f}/c.txt"), "a certificate is a .json file"),
    (("calibrate", "{f}/r.h5", *CALIBRATE, "--rule", "entropie"), "exit rule 'entropie' is not known"),
    (("run", "{f}/net.h5", "--data", "nmnist:{f}/set", "--exit", "{f}/no.json"), "there is no certificate"),
]


@pytest.mark.parametrize(("line", "message"), WRONG)
def test_wrong_input_at_the_command_line(folder, line, message):
    done = command(*(str(part).format(f=folder) for part in line))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
