"""Curves of several rules: equal to one by one, as tables and as plots."""

import csv
import json
import math

import numpy as np
import pytest
from builders.recordings import random_events, small_network
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app
from eventsnn.errors import InvalidRequest
from eventsnn.results import curves
from eventsnn.results.curves import even_thresholds, pareto, wilson_interval
from eventsnn.results.results import Results

RULES = ["margin", "max-probability"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    rng = np.random.default_rng(6)
    data = [(random_events(rng, 60), label % 3) for label in range(6)]
    path = tmp_path_factory.mktemp("curve") / "r.h5"
    eventsnn.simulate(small_network(), data, hardware="event-conv-small", output=path)
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["curve", *map(str, arguments)])


@pytest.mark.parametrize("most", [1, 1 << 28])
def test_several_rules_are_each_alone(saved, monkeypatch, most):
    monkeypatch.setattr(curves, "MOST_BYTES", most)
    found = Results.load(saved)
    together = found.curves(RULES, even_thresholds(40))
    for rule in RULES:
        assert together[rule].tobytes() == found.curve(rule, even_thresholds(40)).tobytes()
    for wrong in ([], ["margin", "margin"], ["entropy", " entropy,temperature=1.0"]):
        with pytest.raises(InvalidRequest, match="each once"):
            found.curves(wrong)


def test_thresholds_go_from_0_to_1():
    for number in (2, 3, 20, 200):
        found = even_thresholds(number)
        assert len(np.unique(found)) == number
        assert (found[0], found[-1]) == (0.0, 1.0)
    with pytest.raises(InvalidRequest, match="from 2"):
        even_thresholds(1)


def test_wilson_by_hand():
    # Brown, Cai, DasGupta, Statistical Science 16:101-133 (2001): the formula, at 10 of 20.
    low, high = wilson_interval([0.5, 0.0, 1.0, math.nan], 20)
    assert low[:3] == pytest.approx([0.29929, 0.0, 0.83888], abs=1e-4)
    assert high[:3] == pytest.approx([0.70071, 0.16113, 1.0], abs=1e-4)
    assert np.isnan([low[3], high[3]]).all()


def test_the_front_is_what_no_point_beats():
    rng = np.random.default_rng(1)
    for _ in range(50):
        cost, right = rng.integers(0, 6, 12).astype(float), rng.integers(0, 6, 12).astype(float)
        cost[0], right[1] = math.nan, math.nan
        beaten = [
            any((c <= a and r > b) or (c < a and r >= b) for c, r in zip(cost, right, strict=True))
            for a, b in zip(cost, right, strict=True)
        ]
        known = ~np.isnan(cost) & ~np.isnan(right)
        assert pareto(cost, right).tolist() == (known & ~np.array(beaten)).tolist()


def test_tables(saved, tmp_path):
    wanted = Results.load(saved).curves(RULES, even_thresholds(7))
    several = ["--rule", "margin", "--rule", "max-probability", "--thresholds", 7]
    for ending in (".csv", ".json"):
        path = tmp_path / f"curve{ending}"
        for _ in range(2):  # it replaces its own
            done = run(saved, *several, "-o", path)
            assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((tmp_path / "curve.csv").read_text().splitlines()))
    document = json.loads((tmp_path / "curve.json").read_text())
    assert document["samples"] == 6
    assert len(rows) == len(document["rows"]) == 14
    for i, (row, plain) in enumerate(zip(rows, document["rows"], strict=True)):
        point = wanted[RULES[i // 7]][i % 7]
        assert row["rule"] == plain["rule"] == RULES[i // 7]
        for name in point.dtype.names:
            assert float(row[name]) == plain[name] == point[name]
    found = json.loads(run(saved, *several, "--json").stdout)
    assert found["rule"] == "margin"
    assert list(found["curves"]) == RULES
    assert len(found["curve"]) == 7


def test_parquet_and_netcdf(saved, tmp_path):
    pytest.importorskip("pyarrow", reason="the extra tables is not installed")
    pandas, xarray = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    for ending in (".parquet", ".nc", ".csv"):
        assert run(saved, "--thresholds", 9, "-o", tmp_path / f"c{ending}").exit_code == 0
    plain = pandas.read_csv(tmp_path / "c.csv")
    pandas.testing.assert_frame_equal(
        pandas.read_parquet(tmp_path / "c.parquet"), plain, check_dtype=False, rtol=1e-12
    )
    with xarray.open_dataset(tmp_path / "c.nc") as found:
        assert found["latency_s"].values.tolist() == plain["latency_s"].tolist()
    dataset = Results.load(saved).to_xarray()
    assert dataset["prediction"].dims == ("sample",)
    assert dataset["populations_spikes_positive"].sizes == {"sample": 6, "population": 3}


def test_without_the_extra_it_is_named(saved, tmp_path, monkeypatch):
    import sys

    for name in ("pyarrow", "xarray", "h5netcdf"):
        monkeypatch.setitem(sys.modules, name, None)
    for ending in (".parquet", ".nc"):
        done = run(saved, "-o", tmp_path / f"c{ending}")
        assert "eventsnn[tables]" in str(done.exception)


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_plots(saved, tmp_path, ending):
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    path = tmp_path / f"c{ending}"
    assert run(saved, "--rule", "margin", "--rule", "max-probability", "-o", path).exit_code == 0
    before = path.read_bytes()
    assert run(saved, "--rule", "margin", "--rule", "max-probability", "-o", path).exit_code == 0
    assert path.read_bytes() == before
    if ending == ".svg":
        text = path.read_text()
        for words in ("accuracy (%)", "mean energy", "samples not yet decided (%)", "front of all rules"):
            assert words in text


def test_another_ending_is_refused(saved, tmp_path):
    done = run(saved, "-o", tmp_path / "c.xls")
    assert "allowed are .csv, .json, .parquet, .nc, .svg, .png" in str(done.exception)
