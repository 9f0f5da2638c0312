"""Baselines: hand-computed energies, refused files, and what the report says about ratios."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders.recordings import random_events, small_network

from eventsnn.counting import COLUMN, COUNTERS
from eventsnn.errors import InvalidHardware, InvalidRequest
from eventsnn.hardware.baselines import (
    LayerWork,
    Work,
    baseline_names,
    energy_proxy,
    load_baseline,
    parse_baseline,
    work_of,
)
from eventsnn.network import (
    AveragePool,
    Axis,
    Conv2d,
    Dense,
    Input,
    MaxGate,
    MaxPool,
    Network,
    Population,
    Projection,
    Readout,
    Signed,
)
from eventsnn.report import baselines
from eventsnn.results import ResultTable, SampleRecord
from eventsnn.results.results import Results

GIGA = 10**9
# Two layers with round numbers: 1000 multiply-accumulates, 100 additions, 210 weights, 400 activations.
WORK = Work((LayerWork("a", 1000, 0, 200, 100, 150), LayerWork("b", 0, 100, 10, 100, 50)))


def q(value, unit, kind="assumed"):
    return {"value": value, "unit": unit, "kind": kind, "source": "test"}


def measured(**changes):
    """100 W rated, 10 W idle; 40 W for 2 ms alone, 90 W for 8 ms a batch of 64."""
    return {
        "format": "eventsnn-gpu-baseline",
        "schema": 1,
        "name": "bench",
        "description": "a card on a bench",
        "workload": "a small network",
        "rated_power": q(100, "W"),
        "idle_power": q(10, "W"),
        "measurements": [
            {"batch": 64, "latency": q(8, "ms"), "power": q(90, "W")},
            {"batch": 1, "latency": q(2000, "us"), "power": q(40000, "mW")},
        ],
        **changes,
    }


def roofline(**changes):
    """1 GFLOP/s at half efficiency, 1 MB/s, 1 byte a value, 1 ms a launch, batch 10."""
    return {
        "precision": "int8",
        "bytes_per_value": q(1, "B"),
        "peak": q(1, "GFLOP/s"),
        "bandwidth": q(1, "MB/s"),
        "efficiency": q(50, "%"),
        "launch_overhead": q(1, "ms"),
        "active_power": q(80, "W"),
        "large_batch": q(10, "samples"),
        **changes,
    }


def modelled(**changes):
    document = measured(roofline=roofline(**changes))
    del document["measurements"], document["workload"]
    return document


def digital(**changes):
    document = load_baseline("int8-45nm").model_dump(mode="json", by_alias=True, exclude_none=True)
    return document | changes


def energies(document, work=None):
    found = parse_baseline(document, "here").energies(work)
    return {(e.definition, e.batch): e.joules for e in found}


def without(document, *keys):
    return {key: value for key, value in document.items() if key not in keys}


# -- energies --------------------------------------------------------------------------------------


def test_three_definitions_at_two_batches():
    assert energies(measured()) == pytest.approx(
        {
            ("rated", 1): 0.2,
            ("total", 1): 0.08,
            ("above idle", 1): 0.06,
            ("rated", 64): 0.0125,
            ("total", 64): 0.01125,
            ("above idle", 64): 0.01,
        },
        rel=1e-12,
    )


def test_published_measurement_gives_the_published_spread():
    found = energies(load_baseline("yao2024-rtx-3090").model_dump(by_alias=True))
    assert found[("total", 1)] == pytest.approx(0.7429266, rel=1e-12)
    assert found[("above idle", 1)] == pytest.approx(1.9266e-3, rel=1e-12)
    assert found[("rated", 1)] == pytest.approx(8.645, rel=1e-12)
    assert round(found[("total", 1)] / found[("above idle", 1)]) == 386
    assert round(found[("rated", 1)] / found[("above idle", 1)]) == 4487


def test_roofline_is_the_larger_of_operations_and_bytes():
    # 2100 operations at 0.5 GFLOP/s are 4.2 us; 610 bytes at 1 MB/s are 610 us: bytes bound. 2 launches.
    alone, batch = parse_baseline(modelled(), "here").points(WORK)
    assert (alone.batch, batch.batch) == (1, 10)
    assert alone.latency_s == pytest.approx(610e-6 + 2e-3, rel=1e-12)
    # Weights are read once, activations ten times.
    assert batch.latency_s == pytest.approx(4210e-6 + 2e-3, rel=1e-12)
    assert alone.watts == pytest.approx(80, rel=1e-12)
    fast = parse_baseline(modelled(bandwidth=q(1, "TB/s"), launch_overhead=q(0, "s")), "here")
    alone, batch = fast.points(WORK)
    assert alone.latency_s == pytest.approx(4.2e-6, rel=1e-12)
    assert batch.latency_s == pytest.approx(42e-6, rel=1e-12)


def test_waiting_power_is_drawn_during_launches():
    found = energies(modelled(waiting_power=q(20, "W")), WORK)
    assert found[("total", 1)] == pytest.approx(80 * 610e-6 + 20 * 2e-3, rel=1e-12)
    assert found[("above idle", 1)] == pytest.approx(70 * 610e-6 + 10 * 2e-3, rel=1e-12)
    assert found[("rated", 1)] == pytest.approx(100 * 2610e-6, rel=1e-12)


def test_each_pass_computes_everything_again():
    once, twice = (parse_baseline(modelled(), "here").points(WORK.repeated(n)) for n in (1, 2))
    assert [p.latency_s for p in twice] == pytest.approx([2 * p.latency_s for p in once], rel=1e-12)
    baseline = load_baseline("int8-45nm")
    assert baseline.energy(WORK.repeated(3)).total == pytest.approx(3 * baseline.energy(WORK).total)


@pytest.mark.parametrize("passes", [0, -1, 1.5, True])
def test_passes_are_whole(passes):
    with pytest.raises(InvalidHardware, match="whole number of passes"):
        WORK.repeated(passes)


def test_a_roofline_without_a_network_has_no_energy():
    assert parse_baseline(modelled(), "here").energies() == []
    assert load_baseline("int8-45nm").energies() == []


def test_digital_energy_by_hand():
    found = parse_baseline(digital(dram_share=q(50, "%")), "here").energy(WORK)
    # 1000 x (0.2 + 0.1) + 100 x 0.1 pJ.
    assert found.arithmetic == pytest.approx(310e-12, rel=1e-12)
    # Weights: max(1000 / 8, 200) + 10. Activations: 1000 / 8 + 150 of a, max(100, 100) + 50 of b.
    assert found.sram == pytest.approx((210 * 20 + (275 + 150) * 10) / 8 * 1e-12, rel=1e-12)
    assert found.dram == pytest.approx(210 / 2 * 1300 / 8 * 1e-12, rel=1e-12)
    assert load_baseline("int8-45nm").energy(WORK).dram == 0


@pytest.mark.parametrize(
    ("ac", "mac", "millijoules"),
    [(0.10, 0.14, "0.734"), (0.50, 2.75, "13.10"), (1.69, 0.20, "2.441"), (0.0, 1.82, "8.372")],
)
def test_proxy_of_published_counts(ac, mac, millijoules):
    assert energy_proxy(round(ac * GIGA), round(mac * GIGA)) == float(f"{millijoules}e-3")


# -- work ------------------------------------------------------------------------------------------


def test_work_of_every_kind_of_layer():
    """8 x 8 x 2 -conv 3x3, padded-> 8 x 8 x 4 -max pool-> 4 x 4 x 4 -pool-> 2 x 2 x 4 -dense-> 10."""
    rng = np.random.default_rng(0)
    pad, half = Axis(3, 1, 1, 1), Axis(2, 2)
    network = Network(
        [
            Population("input", (8, 8, 2), Input()),
            Population("conv", (8, 8, 4), Signed(100, 4)),
            Population("max", (4, 4, 4), MaxGate()),
            Population("mean", (2, 2, 4), Signed(100, 4)),
            Population("out", (1, 1, 10), Readout()),
        ],
        [
            Projection(
                "1", "input", "conv", Conv2d(rng.integers(1, 9, (3, 3, 2, 4)), pad, pad), np.arange(4)
            ),
            Projection("2", "conv", "max", MaxPool(half, half)),
            Projection("3", "max", "mean", AveragePool([5], half, half)),
            Projection("4", "mean", "out", Dense(rng.integers(1, 9, (4, 10)), (2, 2))),
        ],
    )
    work = work_of(network)
    assert work.layers == (
        LayerWork("1", 64 * 9 * 2 * 4, 0, 72 + 4, 128, 256),
        LayerWork("2", 0, 64 * 4, 0, 256, 64),
        LayerWork("3", 0, 16 * 4, 0, 64, 16),
        LayerWork("4", 40, 16, 40, 16, 10),
    )
    assert work.macs + 256 + 64 == network.dense_macs()
    assert (work.weights, work.launches) == (116, 4)
    assert work.operations == 2 * (4608 + 40) + 256 + 64 + 16


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", baseline_names())
def test_presets_state_kind_and_source_of_every_value(name):
    baseline = load_baseline(name)
    assert baseline.name == name
    assert load_baseline(baseline) is baseline
    rows = baselines.values_table(baseline).rows
    assert len(rows) >= 4
    for row in rows:
        assert row[2].main in ("published", "derived", "estimated", "assumed")
        assert len(row[3].main) > 10


def test_only_the_data_sheet_of_the_modelled_card_is_published():
    rows = baselines.values_table(load_baseline("rtx-3090-ti")).rows
    published = {
        row[0].main: row[1].main.replace("\u00a0", " ") for row in rows if row[2].main == "published"
    }
    assert published == {
        "rated power": "450 W",
        "roofline peak": "40 TFLOP/s",
        "roofline bandwidth": "1008 GB/s",
    }


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (measured(rated_power=q(100, "J")), r"rated_power: .*'J' is not a unit of power"),
        (measured(idle_power=q(-1, "W")), r"idle_power.value: .*greater than or equal to 0"),
        (measured(rated_power=q(math.nan, "W")), r"rated_power.value"),
        (measured(rated_power=q(0, "W"), idle_power=q(0, "W")), r"rated_power: .*above 0"),
        (measured(idle_power=q(60, "W")), r"idle_power is 60 W, above measurements.1.power of 40 W"),
        (measured(idle_power=q(101, "W")), r"idle_power is 101 W, above rated_power of 100 W"),
        (measured(measurements=measured()["measurements"][:1]), r"none is of batch 1 \(there is 64\)"),
        (measured(measurements=2 * measured()["measurements"]), "two are of the same batch"),
        (measured(measurements=[]), "there is neither"),
        (measured(roofline=roofline()), "there is both"),
        (without(measured(), "workload"), "need a 'workload'"),
        (modelled() | {"workload": "this"}, "leave out 'workload'"),
        (without(measured(), "idle_power"), "idle_power: Field required"),
        (measured(colour="red"), "colour"),
        (measured(schema=2), "schema"),
        (measured(format="eventsnn-architecture"), "'format' is 'eventsnn-architecture'; allowed are"),
        (measured(format=["x"]), "no baseline"),
        ([], "no baseline"),
        (modelled(efficiency=q(1.5, "1")), r"roofline.efficiency: .*more than the whole"),
        (modelled(efficiency=q(0, "1")), r"roofline.efficiency: .*above 0"),
        (modelled(peak=q(1, "GB/s")), r"roofline.peak: .*operations per second"),
        (modelled(bandwidth=q(1, "GFLOP/s")), r"roofline.bandwidth: .*unit of bandwidth"),
        (modelled(large_batch=q(1, "samples")), r"roofline.large_batch: .*at least 2"),
        (modelled(large_batch=q(2.5, "samples")), r"roofline.large_batch: .*not a whole number"),
        (modelled(waiting_power=q(5, "W")), "above roofline.waiting_power of 5 W"),
        (modelled(active_power=q(5, "W")), "above roofline.active_power of 5 W"),
        (digital(add=q(1, "ns")), r"add: .*unit of energy"),
        (digital(weight_reuse=q(0, "x")), r"weight_reuse: .*at least 1"),
        (digital(word=q(0, "B")), r"word: .*above 0"),
        (without(digital(), "dram_share"), "dram_share: Field required"),
    ],
)
def test_a_wrong_file_names_its_place(document, message):
    with pytest.raises(InvalidHardware, match=message):
        parse_baseline(document, "here")


@pytest.mark.parametrize("batch", [0, 1.5, "1", True])
def test_a_batch_is_a_whole_number(batch):
    document = measured()
    document["measurements"][1]["batch"] = batch
    with pytest.raises(InvalidHardware, match=r"measurements.1.batch"):
        parse_baseline(document, "here")


def test_a_latency_is_above_zero():
    document = measured()
    document["measurements"][0]["latency"] = q(0, "ms")
    with pytest.raises(InvalidHardware, match=r"measurements.0.latency: .*above 0"):
        parse_baseline(document, "here")


def test_files_are_read_or_refused(tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text(yaml.safe_dump(measured()))
    assert load_baseline(path).name == load_baseline(str(path)).name == "bench"
    path.write_text("a: [")
    with pytest.raises(InvalidHardware, match="not readable as YAML"):
        load_baseline(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidHardware, match="not a text file"):
        load_baseline(path)
    with pytest.raises(InvalidHardware, match="neither a file nor a preset; presets are int8-45nm"):
        load_baseline("h100")
    with pytest.raises(InvalidHardware, match="a baseline is a int"):
        load_baseline(3)


def test_the_example_of_the_documentation_is_valid():
    text = (Path(__file__).parents[1] / "docs" / "baselines.md").read_text(encoding="utf-8")
    block = text[text.index("    format: ") : text.index("Measure the dense network")]
    card = parse_baseline(yaml.safe_load(block), "docs/baselines.md")
    assert card.energies()[1].joules == pytest.approx(118 * 2.1e-3)


# -- the report ------------------------------------------------------------------------------------


def a_run(network, joules=(1e-3, 3e-3), operations=1000, multiplications=400, **configuration):
    """Samples of 1 ms with given energies; every count is in the last population."""
    counters = np.zeros((len(network.order), len(COUNTERS)), np.int64)
    counters[-1, COLUMN["synaptic_operations"]] = operations
    counters[-1, COLUMN["multiplications"]] = multiplications
    empty = np.zeros(0)
    samples = tuple(
        SampleRecord(
            index=index,
            label=0,
            prediction=0,
            first_event_ps=0,
            decision_time_ps=10**9,
            decided_early=False,
            input_events=1,
            synaptic_operations=operations,
            spikes=1,
            energy_j=energy,
            counters=counters,
            trace=dict.fromkeys(("time_ps", "readout", "synaptic_operations", "spikes", "energy_aj"), empty),
            digest=b"",
        )
        for index, energy in enumerate(joules)
    )
    return Results(ResultTable({"network": network.checksum, **configuration}, network.order, 1.0, samples))


def test_ratios_are_the_run_over_the_baseline():
    network = small_network()
    found = baselines.compare(a_run(network), network, [parse_baseline(measured(), "here")])
    assert found.joules == 2e-3
    ratios = {(r.energy.definition, r.energy.batch): r.ratio for r in found.ratios}
    assert ratios[("rated", 1)] == pytest.approx(0.01)
    assert ratios[("total", 1)] == pytest.approx(0.025)
    assert ratios[("above idle", 64)] == pytest.approx(0.2)
    assert [r.baseline for r in found.ratios if r.basis == "proxy"] == ["proxy"]
    assert found.proxy_joules == pytest.approx(600 * 0.9e-12 + 400 * 4.6e-12)
    rows = json.loads(json.dumps(found.to_dict()))["ratios"]
    assert rows[0] == {
        "baseline": "bench",
        "basis": "measured",
        "workload": "a small network",
        "definition": "rated",
        "batch": 1,
        "energy_j": pytest.approx(0.2),
        "ratio": pytest.approx(0.01),
        "in_published_band": False,
    }


def test_the_published_band_and_what_it_takes():
    network = small_network()
    card = parse_baseline(measured(), "here")
    # 4 mJ are 5 % of the 80 mJ of total power at batch 1 and 6.7 % of the 60 mJ above idle.
    run = a_run(network, (4e-3, 4e-3))
    found = baselines.section(run, network, [card])
    inside = [row[1].main for row in found.ratios.rows if row[-1].main == "yes"]
    assert inside == ["total", "above idle"]
    text = " ".join(found.sentences).replace("\u00a0", " ")
    assert "4.43 to 7.88 %" in text
    assert "50.8 mJ to 90.3 mJ" in text
    assert "holds for: bench, total, batch 1; bench, above idle, batch 1." in text
    assert "factor of 20.0" in text
    # At 40 W: 50.76 mJ / 40 W and 90.29 mJ / 40 W, where the card takes 2 ms.
    cells = [cell.main.replace("\u00a0", " ") for cell in found.band.rows[1]]
    assert cells == ["bench", "total", "1", "40 W", "1.27 ms to 2.26 ms", "2.00 ms"]
    low, high = baselines.band_of(4e-3)
    assert (4e-3 / low, 4e-3 / high) == pytest.approx((0.0788, 0.0443))


def test_every_preset_beside_a_run():
    network = small_network()
    found = baselines.section(a_run(network), network)
    names = [row[0].main for row in found.ratios.rows]
    assert names == ["int8-45nm"] * 2 + ["rtx-3090-ti"] * 6 + ["yao2024-rtx-3090"] * 3 + ["proxy"]
    assert [name for name, _, _ in found.values] == baseline_names()
    assert len(found.band.rows) == 9
    for table in (found.ratios, found.band, *(table for _, _, table in found.values)):
        assert all(len(row) == len(table.header) for row in table.rows)
    assert "DRAM 0 J" in found.ratios.rows[1][3].detail.replace("\u00a0", " ")
    assert any("not this network" in sentence for sentence in found.sentences)


def test_static_power_is_set_apart_where_a_baseline_has_none():
    """1 W for 1 ms of the run's 2 mJ is static; the proxy of the dense network is 4.6 pJ a MAC."""
    network = small_network()
    found = baselines.section(a_run(network, static_watts=1.0), network, [])
    (row,) = found.ratios.rows
    dense = 4.6e-12 * network.dense_macs()
    assert row[4].main == baselines.ratio_text(2e-3 / dense)
    assert row[4].detail == f"without static power {baselines.ratio_text(1e-3 / dense)}"
    assert baselines.compare(a_run(network, static_watts=1.0)).dynamic_joules == pytest.approx(1e-3)
    assert baselines.compare(a_run(network)).dynamic_joules is None


def test_without_the_network_only_measurements_are_compared():
    network = small_network()
    found = baselines.section(a_run(network))
    assert {row[0].main for row in found.ratios.rows} == {"yao2024-rtx-3090"}
    assert any("network was not given" in sentence for sentence in found.sentences)
    assert not any("digital accelerator" in sentence for sentence in found.sentences)


def test_results_know_the_dense_work_of_their_network():
    network = small_network()
    run = a_run(network, dense_work=json.loads(json.dumps(work_of(network).description())))
    assert baselines.compare(run).work == work_of(network)
    assert baselines.compare(run, passes=3).to_dict() == baselines.compare(run, network, passes=3).to_dict()


@pytest.mark.parametrize(
    ("joules", "static_watts", "said"),
    [
        (2.0, None, "the run loses, it spends 2.00 times as much."),
        (0.25, None, "the run wins, that is 4.00 times as much."),
        (1.0, None, "the run wins, that is 1.00 times as much."),
        (0.0, None, "the run wins."),
        (2.0, 1.5, "the run loses, it spends 2.00 times as much; without the run's static power, which that "
         "baseline leaves out, the run wins, that is 2.00 times as much."),
    ],
)  # fmt: skip
def test_a_digital_accelerator_wins_or_loses_openly(joules, static_watts, said):
    """Energies in units of what int8-45nm needs; a sample lasts 1 ms."""
    network = small_network()
    unit = load_baseline("int8-45nm").energy(work_of(network)).total
    more = {} if static_watts is None else {"static_watts": static_watts * unit / 1e-3}
    found = baselines.section(a_run(network, (joules * unit,), **more), network, ["int8-45nm"])
    (sentence,) = [s for s in found.sentences if s.startswith("int8-45nm")]
    assert sentence.endswith(said)


def test_a_measurement_of_the_network_that_ran_says_so():
    network = small_network()
    own = parse_baseline(measured(network=network.checksum), "here")
    other = parse_baseline(measured(network="0" * 32), "here")
    found = baselines.compare(a_run(network), network, [own, other])
    assert [row.workload for row in found.ratios[::6]] == ["this network", "a small network", "this network"]


def test_a_card_at_rest_has_no_ratio_above_idle():
    document = measured(idle_power=q(40, "W"))
    found = baselines.section(a_run(small_network()), None, [parse_baseline(document, "here")])
    assert found.ratios.rows[2][4].main == "–"
    assert len(found.band.rows) == 5


def test_a_run_without_accelerator_has_no_section():
    network = small_network()
    assert baselines.section(a_run(network, (math.nan, math.nan)), network) is None


def test_another_network_is_refused():
    with pytest.raises(InvalidRequest, match="give the network that was run"):
        baselines.compare(a_run(small_network()), small_network(settle_time=5))


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(None, "–"), (0.0443, "4.43 %"), (2.66, "266 %"), (386.0, "386 ×"), (1e-5, "0.00100 %")],
)
def test_ratio_text(ratio, text):
    assert baselines.ratio_text(ratio).replace("\u00a0", " ") == text


def test_a_simulated_run_has_ratios():
    from eventsnn.run.simulate import simulate

    network = small_network()
    events = random_events(np.random.default_rng(1))
    run = simulate(network, [(events, 0)], hardware="event-conv-small", engine="reference")
    found = baselines.compare(run, None, passes=2)
    assert found.joules == run.table.column("energy_j").mean() > 0
    assert found.work.macs == 2 * network.dense_macs()
    assert all(row.ratio > 0 for row in found.ratios)
