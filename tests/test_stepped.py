"""Costs by step: published tables by hand, stops of runs, and what is refused."""

import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import yaml
from builders.quantities import quantity
from builders.recordings import random_events, small_network
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.hardware import app
from eventsnn.errors import InvalidHardware, InvalidRequest
from eventsnn.hardware.quantities import ORIGINS
from eventsnn.hardware.stepped import cost_of_stops, load_step_costs, step_cost_names
from eventsnn.hardware.stepped.costs import parse_step_costs
from eventsnn.results.stepped import cost_of_run, stepped_curve, steps_of

ELSA_MS = (
    *("0.7064", "0.9316", "1.1298", "1.3087", "1.4728", "1.6217", "1.7519", "1.8157"),
    *("1.8546", "1.8753", "1.8852", "1.8885", "1.8899", "1.8902", "1.8902", "1.8902"),
)


def document(**costs):
    head = {"format": "eventsnn-step-costs", "schema": 1, "name": "mine", "description": "of a test"}
    return {**head, **costs}


def table(values, unit, **known):
    return {"values": values, "unit": unit, "kind": "assumed", "source": "a test", **known}


@pytest.mark.parametrize("seed", range(5))
def test_a_stop_histogram_gives_elsas_mean_latency_exactly(seed):
    draw = np.random.default_rng(seed)
    stops = {step: int(number) for step, number in enumerate(draw.integers(0, 9000, 16), 1)}
    total = sum((number * Decimal(ELSA_MS[step - 1]) for step, number in stops.items()), Decimal(0))
    expected = float(Fraction(total) / sum(stops.values()) / 1000)
    costs = load_step_costs("elsa-resnet18")
    found = cost_of_stops(costs, stops)
    assert found.mean("latency") == expected
    assert found.full == 16
    assert found.saved("latency") == float(1 - Fraction(total) / sum(stops.values()) / Fraction("1.8902"))
    listed = [step for step, number in stops.items() for _ in range(number)]
    assert cost_of_stops(costs, draw.permutation(listed).tolist()).stops == found.stops
    for step, milliseconds in enumerate(ELSA_MS, 1):
        assert cost_of_stops(costs, {step: 7}).mean("latency") == float(Fraction(milliseconds) / 1000)


@pytest.mark.parametrize(("mean", "means", "products"), [(1.46, 0.828, 0.767), (1.27, 0.863, 0.825)])
def test_dt_snns_energy_times_delay_both_ways(mean, means, products):
    long = round((mean - 1) * 1000)
    found = cost_of_stops(load_step_costs("dt-snn"), {4: long, 1: 3000 - long})
    assert found.mean_steps == mean
    assert found.mean("energy") == pytest.approx(0.443 + 0.557 * mean, rel=1e-15)
    delay = found.energy_delay()
    assert round(delay["saved_by_product_of_means"], 3) == means
    assert round(delay["saved_by_mean_of_products"], 3) == products
    assert delay["full"] == pytest.approx(10.684)


def test_five_steps_of_spikesims_vgg9():
    costs = load_step_costs("spikesim-vgg9")
    assert costs.total("energy", 5) == Fraction("15906934.026240") / 10**12
    assert costs.total("latency", 5) == Fraction(62_832_640, 10**9)


def test_the_three_forms_of_one_cost():
    forms = (
        {"after": table([3, 5, 7, 9], "us")},
        {"each": table([3, 2, 2, 2], "us")},
        {"fixed": quantity(1, "us"), "per_step": quantity(2000, "ns")},
    )
    for form in forms:
        costs = parse_step_costs(document(latency=form), "here")
        assert [costs.total("latency", n) * 10**6 for n in (1, 2, 3, 4)] == [3, 5, 7, 9]
        assert costs.unit("latency") == "s"
        assert costs.steps == (None if "per_step" in form else 4)
        assert cost_of_stops(costs, {1: 1}).energy_delay() is None


def test_presets_say_where_from_and_what_they_leave_out():
    assert step_cost_names() == ["dt-snn", "elsa-resnet18", "spikesim-vgg9"]
    for name in step_cost_names():
        costs = load_step_costs(name)
        assert costs.not_modelled
        for cost in costs.costs.values():
            for form in (cost.after, cost.each, cost.fixed, cost.per_step):
                assert form is None or (form.origin in ORIGINS and "second-hand" in form.source)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ({}, "give 'latency', 'energy', or both"),
        ({"latency": {}}, "latency: .*give one of: 'after'"),
        ({"latency": {"fixed": quantity(1, "us")}}, "latency: .*give one of: 'after'"),
        ({"latency": {"after": table([1], "us"), "each": table([1], "us")}}, "give one of: 'after'"),
        ({"latency": {"after": table([2, 1], "us")}}, "after: what more steps cost in all is not less"),
        ({"latency": {"after": table([2, 3], "pJ")}}, "latency: unit 'pJ' is not a unit of latency"),
        ({"energy": {"each": table([2, 3], "us")}}, "energy: unit 'us' is not a unit of energy"),
        ({"energy": {"each": table([], "pJ")}}, "energy.each.values"),
        ({"energy": {"each": table([-1], "pJ")}}, "energy.each.values.0"),
        ({"energy": {"each": table([float("nan")], "pJ")}}, "energy.each.values.0"),
        ({"energy": {"per_step": quantity(1, "relative"), "fixed": quantity(1, "pJ")}}, "both are relative"),
        ({"latency": {"each": table([1], "us")}, "energy": {"each": table([1, 2], "pJ")}}, "lengths"),
        ({"latency": {"every": table([1], "us")}}, "latency.every: there is no such key"),
    ],
)
def test_a_wrong_cost_names_its_place(costs, message):
    with pytest.raises(InvalidHardware, match=message):
        parse_step_costs(document(**costs), "mine.yaml")


@pytest.mark.parametrize(
    ("stops", "full", "message"),
    [
        ({}, None, "no sample stops"),
        ({1: 0}, None, "no sample stops"),
        ({1: -1}, None, "numbers of samples below 0"),
        ({0: 1}, None, "stops after 0 steps: 'elsa-resnet18' knows steps from 1 to 16"),
        ({17: 1}, 20, "stops after 17 steps"),
        ({5: 1}, 4, "stops after 5 steps, and the full run has 4"),
        ({5: 1}, 20, "stops after 20 steps"),
    ],
)
def test_stops_that_are_none_are_refused(stops, full, message):
    with pytest.raises(InvalidRequest, match=message):
        cost_of_stops(load_step_costs("elsa-resnet18"), stops, full)


@pytest.fixture(scope="module")
def runs():
    """A full run of timesteps, and one that margins stop."""
    rng = np.random.default_rng(5)
    settings = {"schedule": "step", "step_us": 500, "engine": "reference"}
    events = [random_events(rng, 80) for _ in range(12)]
    decided = eventsnn.simulate(small_network(), events, **settings).table.column("prediction")
    # Half of the samples have the label that the full run decides.
    data = [(each, int(decided[place]) if place % 2 else 3) for place, each in enumerate(events)]
    return {
        (exit_, hardware): eventsnn.simulate(small_network(), data, exit=exit_, hardware=hardware, **settings)
        for exit_, hardware in ((None, None), ("margin:0.1", None), ("margin:0.1", "loihi2-scaled"))
    }


def test_a_curve_by_step_is_that_of_separate_runs(runs):
    costs = load_step_costs("dt-snn")
    full, stopped = runs[None, None].table, runs["margin:0.1", None].table
    assert steps_of(full).tolist() == [s.decision_time_ps // (500 * 10**6) for s in full.samples]
    assert len(set(steps_of(stopped).tolist())) > 1
    assert steps_of(runs["margin:0.1", "loihi2-scaled"].table).tolist() == steps_of(stopped).tolist()
    most = int(steps_of(full).max())
    rows = stepped_curve(full, costs, "margin", [0.1, 1.0])
    for row, table_ in ((rows[0], stopped), (rows[1], full)):
        assert row["full_steps"] == most
        assert {name: row[name] for name in ("stops", "latency", "energy", "energy_delay")} == {
            name: value
            for name, value in cost_of_run(table_, costs, most).to_dict().items()
            if name in ("stops", "latency", "energy", "energy_delay")
        }
        assert row["accuracy"] == np.mean([s.prediction == s.label for s in table_.samples])


def test_runs_without_steps_are_refused(runs):
    costs = load_step_costs("dt-snn")
    rng = np.random.default_rng(1)
    events = eventsnn.simulate(small_network(), [random_events(rng, 30)], engine="reference")
    with pytest.raises(InvalidRequest, match="no timesteps: they are of the event schedule"):
        steps_of(events.table)
    with pytest.raises(InvalidRequest, match="on an accelerator have its times, not steps"):
        stepped_curve(runs["margin:0.1", "loihi2-scaled"].table, costs, "margin", [0.1])


def test_a_stopped_run_does_not_say_how_long_it_would_have_gone_on(runs):
    costs = load_step_costs("elsa-resnet18")
    stopped = runs["margin:0.1", None].table
    with pytest.raises(InvalidRequest, match="give full= "):
        cost_of_run(stopped, costs)
    taken = steps_of(stopped).tolist()
    assert cost_of_run(stopped, costs, 8) == cost_of_stops(costs, taken, 8)
    whole = runs[None, None].table
    assert cost_of_run(whole, load_step_costs("dt-snn")).to_dict()["full_steps"] == int(steps_of(whole).max())


def printed(*arguments):
    done = CliRunner().invoke(app, ["steps", *map(str, arguments)])
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_the_command_says_the_same(runs, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document(latency={"after": table([1, 3, 4, 9], "ms")})))
    found = json.loads(printed(path, "--stops", "1:3,4:1", "--json"))
    assert found["latency"] == {"unit": "s", "mean": 0.003, "full": 0.009, "saved": 2 / 3}
    assert (found["samples"], found["mean_steps"], found["energy"]) == (4, 1.75, None)
    assert "1.8902 ms" in printed("elsa-resnet18")
    assert " 0.003 ms" not in printed(path, "--stops", "1:3,4:1")
    assert " 3 ms " in printed(path, "--stops", "1:3,4:1")
    runs[None, None].save(tmp_path / "r.h5")
    asked = ("dt-snn", "--results", tmp_path / "r.h5", "--rule", "margin", "--thresholds", 3)
    found = json.loads(printed(*asked, "--json"))
    assert found["rule"] == "margin"
    assert printed(*asked).count("%") >= 12
    rows = stepped_curve(runs[None, None].table, load_step_costs("dt-snn"), "margin", [0.0, 0.5, 1.0])
    assert [row["stops"] for row in found["curve"]][::2] == [row["stops"] for row in rows][::2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("elsa-resnet19",), "presets are dt-snn, elsa-resnet18, spikesim-vgg9"),
        (("elsa-resnet18", "--stops", "1:2,x"), "'x' is not STEP:SAMPLES"),
        (("elsa-resnet18", "--stops", "1:2,1:3"), "each step once"),
        (("elsa-resnet18", "--stops", "1:2", "--results", "r.h5"), "give one"),
        (("elsa-resnet18", "--rule", "margin"), "give it with --results"),
        (("elsa-resnet18", "--thresholds", "3"), "give it with --rule"),
        (("elsa-resnet18", "--full", "3"), "give it with --stops or --results"),
    ],
)
def test_the_command_refuses_what_says_nothing(arguments, message, capsys):
    done = CliRunner().invoke(app, ["steps", *arguments])
    assert message in str(done.exception)
