"""What a conversion is told about itself: numbers from hand-made cases, the page, the command line."""

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from eventsnn.cli.commands import app
from eventsnn.convert import compare, convert, quantised_activations
from eventsnn.convert.check import Comparison
from eventsnn.convert.diagnosis import Diagnosis
from eventsnn.convert.histogram import BINS, GrowingHistogram
from eventsnn.convert.layer_sums import LayerCheck
from eventsnn.report.conversion import sentences, write_conversion

torch.set_num_threads(1)


@pytest.mark.parametrize("seed", range(20))
def test_histograms_count_what_numpy_counts(seed):
    rng = np.random.default_rng(seed)
    batches = [
        np.where(rng.random(200) < 0.3, 0, rng.normal(rng.normal(), 10.0 ** rng.integers(-3, 4), 200))
        for _ in range(int(rng.integers(1, 6)))
    ]
    made = GrowingHistogram()
    for batch in batches:
        made.add(batch.reshape(2, 100))
    found, values = made.found(), np.concatenate(batches)
    edges = found.start + found.width * np.arange(len(found.counts) + 1)
    assert found.zeros == (values == 0).sum()
    assert len(found.counts) <= BINS
    assert found.counts[0] > 0
    assert found.counts[-1] > 0
    inside = np.digitize(values[values != 0], edges) - 1
    np.testing.assert_array_equal(np.bincount(inside, minlength=len(found.counts)), found.counts)


def test_a_histogram_of_one_value_and_of_none():
    made = GrowingHistogram()
    made.add(np.zeros((2, 3)))
    assert (made.found().zeros, made.found().counts) == (6, ())
    made.add(np.array([3.0, 3.0]))
    found = made.found()
    assert found.counts == (2,)
    assert found.start <= 3.0 < found.start + found.width


def build(classes=8):
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(48, classes),
        nn.Softmax(1),
    ).eval()


IMAGES = np.random.default_rng(4).integers(0, 256, (40, 1, 4, 4)).astype(np.uint8)
LABELS = np.arange(40) % 8


@cache
def told(**settings):
    model = build()
    network = convert(model, IMAGES, **settings)
    found = compare(model, network, IMAGES)
    return Diagnosis("model.pt", "net.h5", network, found, LABELS, "images", (1000, 3000))


def test_the_best_five_are_those_of_a_plain_sort():
    found = told().found
    with torch.no_grad():
        scores = build().double()(torch.tensor(IMAGES / 255.0)).numpy()
    order = np.argsort(-scores, axis=1, kind="stable")
    np.testing.assert_array_equal(found.model_best, order[:, :5])
    np.testing.assert_array_equal(found.model_decisions, order[:, 0])
    np.testing.assert_array_equal(found.decisions, found.best[:, 0])
    labels = np.where(np.arange(40) < 30, LABELS, -1)
    wanted = np.mean([label in row[:5] for label, row in zip(labels[:30], order[:30], strict=True)])
    assert found.accuracy(labels, 5)[0] == wanted
    assert found.accuracy(labels)[0] == np.mean(order[:30, 0] == labels[:30])
    assert found.accuracy(np.full(40, -1)) is None


def test_five_of_five_say_nothing():
    model = build(5)
    found = compare(model, convert(model, IMAGES), IMAGES)
    assert found.classes == 5
    assert found.accuracy(LABELS % 5, 5) is None


def test_silent_clipped_and_scale_are_counted():
    model = build()
    network = convert(model, IMAGES, scales="channel", levels=3)
    layer = compare(model, network, IMAGES).layers[0]
    counts = quantised_activations(network, IMAGES.transpose(0, 2, 3, 1).reshape(40, -1).astype(np.int64))
    counted = counts["conv2d_0"].reshape(40, 4, 4, 3)
    assert layer.silent == 1 - counted.any(axis=0).mean()
    theta = 3 * np.asarray(network.populations["conv2d_0"].neuron.unit)
    assert layer.scale == (theta.min(), theta.max())
    with torch.no_grad():
        values = model[:3].double()(torch.tensor(IMAGES / 255.0)).numpy().transpose(0, 2, 3, 1)
    assert layer.clipped == (values > theta * 3.5 / 3).mean() > 0
    assert layer.saturated == (counted == 3).mean()
    assert layer.histogram.zeros == (values == 0).sum()


def test_every_node_of_the_original_is_accounted_for():
    diagnosis = told()
    parts = [[(part.name, part.origin) for part in layer.folded] for layer in diagnosis.found.layers]
    assert parts[0] == [("0", "Conv2d"), ("1", "BatchNorm2d"), ("2", "ReLU")]
    assert ("5", "Linear") in parts[1]
    assert [(part.name, part.origin) for part in diagnosis.found.ignored] == [("6", "Softmax")]


def test_operations_by_hand():
    exact = 3 * (4 * 4 * 9 - 2 * (4 * 3) * 2 + 4) + 48 * 8
    blind = 3 * 16 * 9 + 48 * 8
    assert told().operations == {
        "border_exact": 2 * exact + 48 + 8,
        "border_blind": 2 * blind + 48 + 8,
        "macs_border_exact": exact,
        "macs_border_blind": blind,
    }


def check(name, correlation, clipped=0.0):
    return LayerCheck(name, "signed", 1, 0, 0, correlation, 0, clipped=clipped, scale=(2.0, 2.0))


WRONG = {
    "none": ([check("a", 0.99), check("b", 0.97)], None),
    "low": (
        [check("a", 0.99), check("b", 0.965), check("c", 0.94)],
        ("c", "by 0.940, those before by 0.9"),
    ),
    "falls": (
        [check("a", 0.999), check("b", 0.96), check("c", 0.5)],
        ("b", "by 0.960, those before by 0.9"),
    ),
    "clipped": ([check("a", 0.999, 0.03), check("b", 0.5)], ("a", "3.0% of .* beyond its scale of 2")),
}


@pytest.mark.parametrize(("layers", "wanted"), WRONG.values(), ids=WRONG)
def test_the_first_layer_that_goes_wrong_and_why(layers, wanted):
    found = Comparison(layers, np.zeros(1), np.zeros(1)).why_wrong()
    assert (found is None) == (wanted is None)
    if wanted is not None:
        assert found[0] == wanted[0]
        assert re.search(wanted[1], found[1])


def test_sentences_leave_out_what_is_not_known():
    known = sentences(told())
    assert any("2.00 kSOP a sample, mean of 2 simulated" in line.replace("\u00a0", " ") for line in known)
    assert any(line.startswith("top-5 accuracy") for line in known)
    few = told(levels=1)
    bare = Diagnosis(few.model, few.output, few.network, few.found, np.full(40, -1), few.what)
    lines = sentences(bare)
    assert not any("accuracy" in line or "SOP" in line or "verified" in line for line in lines)
    assert any(line.startswith("the first layer that goes wrong is conv2d_0") for line in lines)


def test_of_many_samples_two_decimals_are_told():
    one = told()
    best = {name: np.tile(getattr(one.found, name), (25, 1)) for name in ("best", "model_best")}
    many = replace(one, found=replace(one.found, **best), labels=np.tile(LABELS, 25))
    shown = [re.findall(r"original ([\d.]+)", line) for line in sentences(many) if "accuracy" in line]
    assert [len(found[0].partition(".")[2]) for found in shown] == [2, 2]


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    diagnosis = told(scales="channel")
    for name in ("a.html", "b.html"):
        write_conversion(diagnosis, tmp_path / name)
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(ids)
    addresses = set(re.findall(r"https?://[^\"' ]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<(script|link|img|iframe)\b", text)
    assert text.count("<svg") == 3  # correlations and two layers
    assert "mathdefault" not in text
    assert "#0000a" not in text
    assert "6 (Softmax), on which no decision depends" in text


def test_the_pages_words_are_escaped(tmp_path):
    pytest.importorskip("matplotlib")
    one = told()
    write_conversion(
        Diagnosis("<b>.pt", "<i>.h5", one.network, one.found, one.labels, one.what), tmp_path / "a.html"
    )
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "&lt;b&gt;.pt" in text


@pytest.fixture
def run(tmp_path):
    torch.save(build(), tmp_path / "model.pt")
    np.savez(tmp_path / "images.npz", x=IMAGES.transpose(0, 2, 3, 1), y=LABELS)

    def command(*options):
        spec = f"images:{tmp_path / 'images.npz'}"
        line = ["convert", tmp_path / "model.pt", "-o", tmp_path / "net.h5", "--calibration", spec, *options]
        return CliRunner().invoke(app, list(map(str, line)))

    return command


KEYS = {
    *("output", "samples", "agreement", "model_accuracy", "accuracy", "model_top5", "top5", "input"),
    *("operations", "synaptic_operations", "verified", "first_wrong", "ignored", "layers", "checksum"),
}


def test_the_command_tells_all_of_it(run, tmp_path):
    pytest.importorskip("matplotlib")
    done = run("--json", "--page", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found.keys() == KEYS
    assert found["verified"] == {"samples": 5, "neurons": 56, "deviating": 0}
    assert found["synaptic_operations"]["samples"] == 5
    assert found["synaptic_operations"]["mean"] > 0
    assert 0 <= found["accuracy"] <= found["top5"] <= 1
    assert (
        sum(found["layers"][0]["histogram"]["counts"]) + found["layers"][0]["histogram"]["zeros"] == 40 * 48
    )
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html")
    shown = CliRunner().invoke(app, ["inspect", str(tmp_path / "net.h5")]).stdout
    assert "56 neurons end 5 samples with the counts of the quantised network, 0 deviate" in shown
    seen = CliRunner().invoke(app, ["inspect", str(tmp_path / "net.h5"), "--json"]).stdout
    assert json.loads(seen)["verified"] == found["verified"]
    printed = run("--at-rest").stdout
    assert "conv2d_0: 0 (Conv2d), 1 (BatchNorm2d), 2 (ReLU)" in printed
    assert "verified: 56 neurons end 5 samples" in printed


def test_verification_is_left_out_where_it_is_not_wanted_or_there_is_no_law(run):
    found = json.loads(run("--json", "--verify", "0").stdout)
    assert (found["verified"], found["synaptic_operations"]) == (None, None)
    found = json.loads(run("--json", "--neuron", "rate").stdout)
    assert (found["verified"], found["synaptic_operations"]["samples"]) == (None, 40)
    for options in (("--verify", "-1"), ("--verify", "3", "--neuron", "rate")):
        assert "--verify is" in str(run(*options).exception)


def test_a_page_is_not_written_over_something_else(run, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "page.html").write_text("mine")
    done = run("--page", tmp_path / "page.html")
    assert done.exception is not None
    assert (tmp_path / "page.html").read_text() == "mine"
    assert not (tmp_path / "net.h5").exists()
