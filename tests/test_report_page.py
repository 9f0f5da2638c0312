"""The report page: complete, escaped, reproducible, and whole when parts are missing."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from builders.networks import random_network
from scipy.stats import binomtest

from eventsnn.counting import COLUMN
from eventsnn.errors import InvalidHardware, InvalidRequest, MissingExtra
from eventsnn.events import Recording
from eventsnn.report import energy, plots, sections
from eventsnn.report import page as page_module
from eventsnn.report.intervals import binomial_interval, share_interval
from eventsnn.report.page import write_report
from eventsnn.report.rule_curves import curves_of
from eventsnn.report.si import percent, si
from eventsnn.results import ResultTable
from eventsnn.results.results import Results
from eventsnn.run.simulate import simulate

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

NETWORK = random_network(3, "signed", readout=True)
HARDWARE = "event-conv-small"
EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])


def recordings(labelled=True, n=12):
    rng = np.random.default_rng(7)
    height, width, _ = NETWORK.populations[NETWORK.input].shape
    found = []
    for index in range(n):
        events = np.zeros(int(rng.integers(20, 60)), EVENT)
        events["t"] = np.sort(rng.integers(0, 5000, len(events)))
        events["x"] = rng.integers(0, width, len(events))
        events["y"] = rng.integers(0, height, len(events))
        found.append(Recording(events, index % 4 if labelled else None, index, f"sample {index}"))
    return found


def with_configuration(results, **changes):
    table = results.table
    configuration = {**table.configuration, **changes}
    return Results(ResultTable(configuration, table.order, table.readout_scale, table.samples))


@pytest.fixture(scope="module")
def full():
    return simulate(NETWORK, recordings(), hardware=HARDWARE)


@pytest.fixture(scope="module")
def stopped():
    return simulate(NETWORK, recordings(), hardware=HARDWARE, exit="margin:0.3")


def page_of(results, tmp_path, **options):
    path = tmp_path / "report.html"
    write_report(results, path, **options)
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """Counts tags, collects identifiers, references and text; knows unclosed tags."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tags, self.links, self.words = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            elif name in ("src", "href", "xlink:href"):
                self.links.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_page_is_whole_and_needs_nothing_from_elsewhere(full, stopped, tmp_path):
    text = page_of([stopped, full], tmp_path)
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert all(target in page.ids for target in re.findall(r"url\(#([^)]*)\)", text))
    addresses = set(re.findall(r"https?://[^\"' ]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    # Three trade-offs, two distributions, two energy plots a run, two of the layers.
    assert page.tags.count("svg") == 11
    assert "#0000a" not in text
    assert "#0000b" not in text


def test_same_results_same_bytes(full, stopped, tmp_path):
    assert page_of([stopped, full], tmp_path) == page_of([stopped, full], tmp_path)


def test_page_says_the_numbers(full, stopped, tmp_path):
    text = Page(page_of([stopped, full], tmp_path)).text.replace("\u00a0", " ")
    for run in (full, stopped):
        summary = run.summary()
        for name, unit in (("synaptic_operations", "SOP"), ("latency_s", "s"), ("energy_j", "J")):
            assert f"mean {si(summary[name]['mean'], unit)}".replace("\u00a0", " ") in text
        assert percent(summary["accuracy"]).replace("\u00a0", " ") in text
        assert run.digest in text
    assert "figures of a model" in text
    assert text.index("Latency per sample model figures") < text.index("Energy per sample model figures")
    assert "tile hop east-west, Davies et al. 2018, table 2" in text


def test_energy_adds_up(full, stopped):
    for run in (full, stopped):
        found = energy.energy_of(run)
        assert found.total == pytest.approx(run.table.column("energy_j").mean(), rel=1e-9)
        assert found.static == pytest.approx(energy.architecture_of(run).static_watts * run.latency_s.mean())


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("hardware", [None, HARDWARE])
@pytest.mark.parametrize("exit_rule", [None, "margin:0.3"])
def test_missing_parts_become_sentences(labelled, hardware, exit_rule, tmp_path):
    run = simulate(NETWORK, recordings(labelled, 3), hardware=hardware, exit=exit_rule)
    page = Page(page_of(run, tmp_path))
    assert page.open == []
    assert ("there is no energy" in page.text) == (hardware is None)
    assert ("nothing to say by class" in page.text) == (not labelled)
    assert ("every run here had an exit rule" in page.text) == (exit_rule is not None)
    assert ("not every sample has a label" in page.text) == (exit_rule is None and not labelled)
    # With labels: trade-offs of a full run, one more with energy. Then spread, energy, layers.
    trade_offs = (2 + (hardware is not None)) * (labelled and exit_rule is None)
    assert page.tags.count("svg") == trade_offs + 2 + 2 * (hardware is not None) + 2


def test_recordings_that_steps_do_not_wait_for_are_pointed_out():
    options = {"hardware": "loihi-sanafe-fit", "schedule": "step", "step_us": 1000}
    run = simulate(NETWORK, recordings(n=1), **options)
    (note,) = sections.notes([run], ["this"])
    assert "In this: the timesteps of loihi-sanafe-fit follow each other at once" in note
    assert sections.free_running(with_configuration(run, input="analog")) == ""
    document = energy.architecture_of(run).document()
    document["synchronisation"]["pace"] = "input"
    assert sections.free_running(with_configuration(run, architecture=document)) == ""


def test_history_is_plotted_where_it_was_kept(full, tmp_path):
    kept = simulate(NETWORK, recordings(), hardware=HARDWARE, history_us=500)
    assert kept.digest == full.digest
    text = page_of([full, kept], tmp_path)
    assert Page(text).tags.count("svg") == 13  # as without, and two over time
    assert 'aria-label="spikes over time"' in text
    assert "Over time" not in page_of(full, tmp_path)
    times, operations = sections.mean_history(kept, "synaptic_operations")
    assert times[0] == operations[0] == 0
    assert operations[-1] == pytest.approx(kept.table.column("synaptic_operations").mean(), rel=1e-12)
    first = np.mean([kept.history(i).counters[0, :, COLUMN["synaptic_operations"]].sum() for i in range(12)])
    assert (times[1], operations[1]) == (0.5e-3, pytest.approx(first, rel=1e-12))
    assert sections.mean_history(full, "synaptic_operations") is None


def test_one_sample(tmp_path):
    run = simulate(NETWORK, recordings(n=1), hardware=HARDWARE)
    assert Page(page_of(run, tmp_path)).open == []


def test_text_of_others_is_escaped(full, tmp_path):
    evil = "</title><script>alert('1')</script>"
    names = [evil, "$a_1$", "\x00\x07", "猫"]
    order = (evil, "_$x$\x01", *full.table.order[2:])
    parts = full.configuration["mapping"]["parts"]
    renamed = {new: parts[old] for new, old in zip(order, full.table.order, strict=True)}
    mapping = {"parts": renamed, "synapse_units": {}}
    table = ResultTable(
        {
            **full.configuration,
            "class_names": names,
            "data_path": f"/tmp/{evil}",
            "seed": evil,
            "mapping": mapping,
        },
        order,
        full.table.readout_scale,
        full.table.samples,
    )
    other = with_configuration(full, data_path="/elsewhere/<i>")
    text = page_of([Results(table), other], tmp_path, title=evil)
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    assert "i" not in page.tags
    assert evil in page.text


def test_run_labels_differ(full, stopped):
    def labels(*runs):
        return sections.run_labels(runs)

    assert labels(full, stopped) == ["full run", "exit margin:0.3"]
    assert labels(full, full) == ["full run (1)", "full run (2)"]
    ideal = with_configuration(full, hardware=None)
    assert labels(full, ideal) == ["full run, on event-conv-small", "full run, on no accelerator"]
    other = with_configuration(full, seed=3)
    assert labels(full, other) == ["full run, seed 0", "full run, seed 3"]


def test_exit_run_is_compared_with_its_own_full_run(full, stopped):
    assert sections.reference_of(stopped, [stopped, full]) is full
    assert sections.reference_of(full, [stopped, full]) is None
    assert sections.reference_of(stopped, [with_configuration(full, network="other")]) is None
    assert "× the full run" in str(sections.headline([stopped, full], ["a", "b"]))


def test_runs_of_different_samples_are_pointed_out(full, tmp_path):
    some = full.select(np.arange(len(full)) < 5)
    text = Page(page_of([full, some], tmp_path)).text
    assert "“full run (2)” is of other data than “full run (1)”: 5 samples are in both (12 and 5)" in text


def test_binomial_interval():
    """48 of 50 as tables of Clopper and Pearson give it; at the ends in closed form, 1 - (1 - c)^(1/n)."""
    low, high = binomial_interval([48, 0, 10, np.nan], 50)
    assert (round(low[0], 4), round(high[0], 4)) == (0.8629, 0.9951)
    assert (low[1], high[1]) == (0.0, pytest.approx(1 - 0.025 ** (1 / 50), rel=1e-9))
    assert np.isnan([low[3], high[3]]).all()
    low, high = binomial_interval(10, 10)
    assert (float(low), float(high)) == (pytest.approx(0.025 ** (1 / 10), rel=1e-9), 1.0)
    for k in (1, 7, 19):
        found = binomtest(k, 20).proportion_ci(method="exact")
        assert binomial_interval(k, 20) == pytest.approx((found.low, found.high), rel=1e-9)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "J", "0 J"),
        (50, "", "50"),
        (1234.0, "J", "1.23 kJ"),
        (62_000, "SOP", "62.0 kSOP"),
        (999.9, "s", "1.00 ks"),
        (0.001, "s", "1.00 ms"),
        (0.0276, "s", "27.6 ms"),
        (2.2e-5, "J", "22.0 µJ"),
        (186e-12, "J", "186 pJ"),
        (92.9, "", "92.9"),
        (3e-21, "J", "0.00300 aJ"),
        (5e15, "", "5000 T"),
        (-1500, "V", "-1.50 kV"),
        (None, "J", "–"),
        (float("nan"), "J", "–"),
    ],
)
def test_si(value, unit, text):
    assert si(value, unit).replace("\u00a0", " ") == text


def test_nothing_is_left_behind_on_failure(full, tmp_path, monkeypatch):
    with pytest.raises(InvalidRequest, match="zero runs"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(InvalidRequest, match="does not exist"):
        write_report(full, tmp_path / "nowhere" / "report.html")
    with pytest.raises(InvalidRequest, match="is a folder"):
        write_report(full, tmp_path)
    for module in ("jinja2", "matplotlib"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(MissingExtra, match=r"install eventsnn\[report\]"):
                write_report(full, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_the_page_compares_with_the_baselines_asked_for(full, tmp_path):
    page = Page(page_of(full, tmp_path, baselines=["int8-45nm"]))
    text = page.text.replace("\u00a0", " ")
    assert "int8-45nm, a digital accelerator" in text
    assert "rtx-3090-ti" not in text
    assert page.open == []
    assert "rtx-3090-ti" in Page(page_of(full, tmp_path)).text
    with pytest.raises(InvalidHardware, match="no baseline 'abacus'"):
        page_of(full, tmp_path, baselines=["abacus"])


def test_a_legend_of_long_names_stays_inside_its_plot():
    """Text is set from its left end, so nothing of a legend may begin left of the plot."""
    lines = [
        plots.Line(f"max-probability, run on accelerator-{i}-of-many", [1, 2], [0, 1], i) for i in range(4)
    ]
    drawn = ElementTree.fromstring(plots.trade_off_plot(lines, [], "latency", "s", "p"))
    texts = [item for item in drawn.iter("{http://www.w3.org/2000/svg}text") if "max-" in item.text]
    assert len(texts) == len(lines)
    width = float(drawn.get("viewBox").split()[2])
    for text in texts:
        left = float(text.get("x") or re.search(r"translate\(([-0-9.]+)", text.get("transform"))[1])
        assert 0 < left < width / 2


def test_actions_have_colours_of_their_own(full):
    found = energy.energy_of(full)
    ((plot, _),) = page_module.energies_drawn([found])
    colours = {f"var(--series-{i})" for i in range(len(found.actions))}
    assert 1 < len(found.actions) <= 10
    assert colours <= set(re.findall(r"var\(--series-\d\)", plot))


@pytest.fixture
def axes_of(monkeypatch):
    """Takes a plot's call and gives the axes that it drew on."""
    monkeypatch.setattr(plots, "_svg", lambda figure, prefix, title: figure.axes[0])
    return lambda plot, *what: plot(*what)


def test_the_heading_names_network_data_and_accelerator(full, tmp_path):
    def heading(results, **options):
        return re.search(r"<h1>(.*?)</h1>", page_of(results, tmp_path, **options)).group(1)

    checksum = NETWORK.checksum[:8]
    assert heading(full) == f"network {checksum} on 12 samples in memory, accelerator {HARDWARE}"
    described = with_configuration(
        full,
        network_path="/some/where/net.h5",
        data_path="/data/N-MNIST",
        data={"kind": "nmnist", "split": "test", "samples": 12},
        hardware=None,
    )
    assert heading(described) == "net.h5 on nmnist:N-MNIST test, no accelerator"
    assert heading([full, described]) == (
        f"network {checksum} and net.h5 on 12 samples in memory and nmnist:N-MNIST test, "
        f"accelerator {HARDWARE} and no accelerator"
    )
    assert heading(full, title="Mine") == "Mine"
    assert f"network {checksum} on 12 samples in memory" in Page(page_of(full, tmp_path, title="Mine")).text


def test_results_keep_the_path_of_the_network(tmp_path):
    NETWORK.save(tmp_path / "net.h5")
    run = simulate(tmp_path / "net.h5", recordings(n=1), output=tmp_path / "results.h5")
    assert run.configuration["network_path"] == str(tmp_path / "net.h5")
    (tmp_path / "net.h5").rename(tmp_path / "moved.h5")
    again = simulate(tmp_path / "moved.h5", recordings(n=1), output=tmp_path / "results.h5")
    assert again.digest == run.digest


def test_curves_stand_in_the_shade_of_their_interval(axes_of):
    """Of 20 samples 5 and then 18 are right: Clopper and Pearson give 8.66 to 49.10 and 68.30 to 98.77 %."""
    shares = np.array([0.25, 0.9])
    line = plots.Line("margin", np.array([1e-3, 3e-3]), shares, 2, 0, share_interval(shares, 20))
    axes = axes_of(plots.trade_off_plot, [line], [], "latency", "s", "p")
    (shade,) = axes.collections
    corners = {(round(x, 6), round(y, 2)) for x, y in shade.get_paths()[0].vertices}
    assert corners == {(1, 8.66), (1, 49.1), (3, 68.3), (3, 98.77)}
    assert shade.get_alpha() < 0.5


def test_curves_of_the_page_have_their_interval(full, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "trade_off_plot", lambda lines, *_: drawn.append(lines))
    curves = curves_of([full], ["full run"])
    page_module._trade_off_plots([full], ["full run"], curves)
    for lines in drawn:
        for line, curve in zip(lines, curves, strict=True):
            counts = np.round(curve.rows["accuracy"] * len(full))
            assert np.allclose(line.band, binomial_interval(counts, len(full)))
    monkeypatch.undo()
    text = Page(page_of(full, tmp_path)).text.replace("\u00a0", " ")
    assert "95 % Clopper-Pearson interval" in text
    low, high = binomial_interval(int(full.correct.sum()), len(full))
    assert f"{percent(float(low))} to {percent(float(high))}".replace("\u00a0", " ") in text


def test_rules_and_runs_have_colours_of_their_own(full, stopped, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "trade_off_plot", lambda lines, points, *_: drawn.append((lines, points)))
    runs, labels = [stopped, full], ["a", "b"]
    page_module._trade_off_plots(runs, labels, curves_of(runs, labels))
    assert len(drawn) == 3
    for lines, points in drawn:
        assert [point.colour for point in points] == [0, 1]
        assert len({line.colour for line in lines} | {0, 1}) == 4


def test_static_energy_stands_in_the_bars(full):
    found = energy.energy_of(full)
    assert found.static > 0
    ((whole, layers),) = page_module.energies_drawn([found])
    assert ">static<" in whole
    assert ">no layer<" in whole
    assert ">static<" not in layers
    without = replace(found, static=0.0)
    assert [len(drawn) for drawn in page_module.energies_drawn([without])] == [1]


@pytest.mark.parametrize(
    ("change", "span"),
    [(1e-9, "10 µJ"), (4e-6, "10 µJ"), (0.3, "495 mJ")],
)
def test_a_tornado_spans_at_least_a_hundredth_of_the_nominal(change, span, axes_of):
    """Beside a nominal of 1 mJ: 10 uJ or more; longer bars fill it, with a twentieth spare at either end."""
    axes = axes_of(plots.tornado, [("a", -change, change / 2)], "energy", "J", "t", 1e-3)
    left, right = axes.get_xlim()
    unit = re.search(r"\((.J)\)", axes.get_xlabel()).group(1)
    assert f"{right - left:.0f} {unit}" == span or (unit, right - left) == ("mJ", pytest.approx(495))
    assert left < 0 < right


def test_wide_tables_scroll_by_themselves(full, tmp_path):
    text = page_of(full, tmp_path)
    assert text.count("<table") == text.count('<div class="wide"') > 5
    assert re.search(r"\.wide \{ overflow-x: auto", text)
    assert 'name="viewport" content="width=device-width' in text


def images(n=3):
    rng = np.random.default_rng(2)
    return rng.random((n, *NETWORK.populations[NETWORK.input].shape))


@pytest.mark.parametrize("exit_rule", [None, "margin:0.3"])
def test_images_at_one_instant_have_no_latency_without_an_accelerator(exit_rule, tmp_path):
    """All charge lands at time 0 and spikes take no time: there is nothing to measure, not 0 s."""
    run = simulate(NETWORK, [(image, 0) for image in images()], input="charge", exit=exit_rule)
    assert not run.table.column("decision_time_ps").any()
    assert run.summary()["latency_s"] is None
    assert '"latency_s": null' in run.to_json()
    page = Page(page_of(run, tmp_path))
    assert page.open == []
    assert "no time passes before the decision" in page.text
    assert " 0 s" not in page.text.replace("\u00a0", " ")
    if exit_rule is None:
        assert np.isnan(run.curve()["latency_s"]).all()
        assert page.tags.count("svg") == 1 + 1 + 2  # operations only; no curve and no spread of latency
    timed = simulate(NETWORK, [(image, 0) for image in images()], input="charge", hardware=HARDWARE)
    assert timed.summary()["latency_s"]["mean"] > 0
    assert Page(page_of([run, timed], tmp_path)).open == []


def test_recordings_keep_their_latency_without_an_accelerator():
    run = simulate(NETWORK, recordings(n=3))
    assert run.summary()["latency_s"]["mean"] > 0
    assert not np.isnan(run.curve()["latency_s"]).any()
