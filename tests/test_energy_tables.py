"""Energy: its interval from the values' bands, and that every way to add it up gives the same."""

from dataclasses import replace

import numpy as np
import pytest
from builders.old_results import write_older
from builders.recordings import random_events, small_network, write_recordings
from hypothesis import given
from hypothesis import strategies as st

from eventsnn.counting import COLUMN, COUNTERS
from eventsnn.errors import InvalidHardware, InvalidRequest
from eventsnn.hardware import Chip, load_architecture, map_network
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.distributions import time_table
from eventsnn.hardware.energy import EnergyModel, dynamic_energy_aj
from eventsnn.report import cores, energy, sections
from eventsnn.results import ResultTable
from eventsnn.results.results import Results
from eventsnn.run.simulate import simulate

PICOJOULE = 10**6  # in attojoules


def banded(**bands):
    """The small preset with bands: ``synapse=(10, 20)`` picojoules, ``static=(0.4, 2.0)`` milliwatts."""
    data = load_architecture("event-conv-small").document()
    del data["static_power"]["band"]
    for name, band in bands.items():
        value = data["static_power"] if name == "static" else data["actions"][name]["energy"]
        value["band"] = list(band)
    return data


def run_on(document, n=3, **settings):
    rng = np.random.default_rng(5)
    samples = [(random_events(rng), index % 10) for index in range(n)]
    hardware = parse_architecture(document, "here")
    return simulate(small_network(), samples, hardware=hardware, engine="reference", **settings)


@pytest.fixture(scope="module")
def run():
    return run_on(banded(synapse=(10, 20), static=(0.4, 2.0)))


def test_a_chip_has_its_energies_at_either_end():
    mapping = map_network(small_network(), parse_architecture(banded(synapse=(10, 20)), "here"))
    chip = Chip(mapping)
    order = small_network().order
    low, nominal, high = (chip.energy(order, end=end) for end in ("low", "nominal", "high"))
    columns = [COLUMN["synaptic_operations"], COLUMN["synapses_served"]]  # the latter counts in steps alone
    for table, picojoules in ((low, 10), (nominal, 12.6), (high, 20)):
        assert (table[:, columns] == picojoules * PICOJOULE).all()
    rest = [i for i in range(nominal.shape[1]) if i not in columns]
    assert (low[:, rest] == nominal[:, rest]).all()
    assert (high[:, rest] == nominal[:, rest]).all()


def test_a_sample_at_an_end_differs_by_the_banded_counts_alone(run):
    for sample in run.table.samples:
        operations = sample.counters[:, COLUMN["synaptic_operations"]].sum()
        down = 2.6e-12 * operations + 0.4e-3 * sample.latency_s
        up = 7.4e-12 * operations + 1.2e-3 * sample.latency_s
        assert sample.energy_low_j == pytest.approx(sample.energy_j - down, rel=1e-12)
        assert sample.energy_high_j == pytest.approx(sample.energy_j + up, rel=1e-12)


def test_the_interval_holds_every_choice_within_the_bands(run):
    """Any architecture whose values lie inside the bands gives an energy inside the interval."""
    rng = np.random.default_rng(1)
    model = EnergyModel.of(run_chip(run), run.table.order, False)
    for _ in range(20):
        document = banded()
        document["actions"]["synapse"]["energy"]["value"] = float(rng.uniform(10, 20))
        document["static_power"]["value"] = float(rng.uniform(0.4, 2.0))
        chip = Chip(map_network(small_network(), parse_architecture(document, "here")))
        other = EnergyModel.of(chip, run.table.order, False)
        for sample in run.table.samples:
            low, high = (model.joules(sample.counters, sample.latency_s, end) for end in ("low", "high"))
            assert low <= other.joules(sample.counters, sample.latency_s) <= high


def run_chip(run):
    found = energy.chip_of(run)
    assert found is not None
    return found


def test_summary_and_report_state_the_interval(run):
    found = run.summary()
    for name in ("mean", "p50", "p95", "max"):
        low, high = found["energy_interval_j"][name]
        assert low < found["energy_j"][name] < high
    assert found["energy_interval_j"]["mean"] == [
        run.table.column("energy_low_j").mean(),
        run.table.column("energy_high_j").mean(),
    ]
    table = energy.energy_of(run)
    assert table.ends == pytest.approx(tuple(found["energy_interval_j"]["mean"]), rel=1e-12)
    assert table.total == pytest.approx(found["energy_j"]["mean"], rel=1e-12)
    between = energy.between_text(*table.ends)
    assert between in energy.shares(table)
    assert energy.energy_table(table).rows[-1][1].detail == between
    headline = {row[0].main: row[1].detail for row in sections.headline([run], ["run"]).rows}
    assert between in headline["Energy per sample"]
    amounts = {
        row[0].main: row[1].detail for row in energy.accelerator_table(run_chip(run).architecture).rows
    }
    assert amounts["synapse energy"].replace("\u00a0", " ") == "10 to 20 pJ"


def test_without_bands_there_is_no_interval():
    run = run_on(banded(), 1)
    assert run.summary()["energy_interval_j"] is None
    assert run.table.column("energy_low_j") == run.table.column("energy_j")
    assert "no interval" in energy.shares(energy.energy_of(run))
    ideal = simulate(small_network(), [(random_events(np.random.default_rng(0)), 0)], engine="reference")
    assert ideal.summary()["energy_interval_j"] is None


def test_a_band_of_an_action_that_did_not_happen_changes_nothing():
    run = run_on(banded(multiply=(0.1, 0.3)), 1)
    assert run.table.counter(COLUMN["multiplications"]).sum() == 0
    assert run.summary()["energy_interval_j"] is None


def test_results_files_keep_the_ends_and_older_ones_open(run, tmp_path):
    run.save(tmp_path / "r.h5")
    again = Results.load(tmp_path / "r.h5")
    assert again.summary() == run.summary()
    late = ("samples/energy_low_j", "samples/energy_high_j")
    older = Results.load(write_older(tmp_path / "r.h5", tmp_path / "old.h5", late))
    assert older.summary() == run.summary() | {"energy_interval_j": None}


def test_a_stopped_run_resumes_with_its_ends(tmp_path):
    """Samples kept beside the results file carry both ends."""
    write_recordings(tmp_path / "set", 1, 2)
    hardware = parse_architecture(banded(synapse=(10, 20)), "here")
    asked = {"hardware": hardware, "engine": "reference"}

    def interrupt(done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(
            small_network(),
            f"nmnist:{tmp_path}/set",
            output=tmp_path / "r.h5",
            progress=interrupt,
            **asked,
        )
    resumed = simulate(small_network(), f"nmnist:{tmp_path}/set", output=tmp_path / "r.h5", **asked)
    whole = simulate(small_network(), f"nmnist:{tmp_path}/set", **asked)
    assert resumed.summary() == whole.summary()
    assert [s.parts.tolist() for s in resumed.table.samples] == [
        s.parts.tolist() for s in whole.table.samples
    ]


def test_a_corner_scales_both_ends():
    document = banded(synapse=(10, 20), static=(0.4, 2.0))
    document["corners"] = {"hot": {"energy": 2, "static_power": 3, "source": "a test"}}
    document["corner"] = "hot"
    architecture = parse_architecture(document, "here")
    synapse = architecture.action("synapse")
    assert architecture.energy_attojoules(synapse, "low") == 20 * PICOJOULE
    assert architecture.energy_attojoules(synapse, "high") == 40 * PICOJOULE
    assert architecture.static_watts_at("high") == pytest.approx(6e-3)


def test_a_corner_scales_idle_power_as_the_energy_of_a_cycle_over_its_time():
    """A cycle that costs twice as much and takes four times as long; leakage is another matter."""
    document = load_architecture("odin").document()
    leakage, idle = 27.3e-6, 1.78e-12 * 75e6
    document["corners"] = {"slow": {"time": 4, "energy": 2, "static_power": 3, "source": "a test"}}
    nominal = parse_architecture(document, "here")
    assert nominal.static_watts == pytest.approx(leakage + idle, rel=1e-12)
    slow = parse_architecture(document | {"corner": "slow"}, "here")
    assert slow.static_watts == pytest.approx(3 * leakage + idle * 2 / 4, rel=1e-12)
    # So an idle cycle costs the same at a corner however long it takes.
    cycle = [time_table(at.actions.synapse, at.clock_hz, at.time_factor)[0] / 2 for at in (nominal, slow)]
    assert cycle[1] == pytest.approx(4 * cycle[0], rel=1e-4)
    assert (slow.static_watts - 3 * leakage) * cycle[1] == pytest.approx(2 * idle * cycle[0], rel=1e-4)
    rows = [[cell.main for cell in row] for row in energy.accelerator_table(slow).rows]
    assert rows[0][:2] == ["corner slow", "times × 4, energies × 2, static power × 3"]
    assert len(rows) == 1 + len(energy.accelerator_table(nominal).rows)
    for wrong in (0, -1, 1e4, float("nan"), float("inf")):
        document["corners"]["slow"]["time"] = wrong
        with pytest.raises(InvalidHardware, match=r"corners.slow.time"):
            parse_architecture(document, "here")


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        ({"synapse": (13, 20)}, "lies outside its band"),
        ({"synapse": (20, 10)}, "lies outside its band"),
        ({"synapse": (-1, 20)}, r"actions.synapse.energy.band.0"),
        ({"synapse": (1, float("inf"))}, r"actions.synapse.energy.band.1"),
        ({"synapse": (1, 1e20)}, "more than an action may cost"),
    ],
)
def test_a_wrong_band_names_its_place(bands, message):
    with pytest.raises(InvalidHardware, match=message):
        parse_architecture(banded(**bands), "here")


# -- by core ---------------------------------------------------------------------------------------


def on_small_cores():
    """Cores of 36 neurons: each channel of ``conv`` has one, the input port and ``out`` one each."""
    document = banded()
    document["cores"]["convolution"]["neurons"]["value"] = 36
    return document


def parts_of(counters, order, mapping, rng, told_apart):
    """Some split of each population's counters over its parts; columns not told apart are left out."""
    rows = []
    for rank, name in enumerate(order):
        share = rng.multinomial(
            counters[rank], np.full(len(mapping.parts[name]), 1 / len(mapping.parts[name]))
        )
        rows += list(share.T * told_apart)
    return np.array(rows, dtype=np.int64)


@given(st.integers(0, 2**32 - 1))
def test_energy_by_core_adds_up_to_the_attojoule(seed):
    rng = np.random.default_rng(seed)
    network = small_network()
    chip = Chip(map_network(network, parse_architecture(on_small_cores(), "here")))
    assert len(chip.mapping.parts["conv"]) == 3
    counters = rng.integers(0, 10**6, (len(network.order), len(COUNTERS)))
    parts = parts_of(counters, network.order, chip.mapping, rng, rng.integers(0, 2, len(COUNTERS)))
    found = cores.locate(counters, parts, network.order, chip.mapping)
    assert (found.counters >= 0).all()
    for rank in range(len(network.order)):
        assert (found.counters[found.ranks == rank].sum(axis=0) == counters[rank]).all()
    table = chip.energy(network.order)
    assert int(cores.place_energies_aj(found, table).sum()) == dynamic_energy_aj(counters, table)


@pytest.mark.parametrize("exit_rule", [None, "margin:0.3"])
def test_what_an_engine_counts_by_core_adds_up_to_the_attojoule(exit_rule):
    run = run_on(on_small_cores(), exit=exit_rule)
    chip, order = run_chip(run), run.table.order
    table = chip.energy(order)
    for sample in run.table.samples:
        found = cores.locate(sample.counters, sample.parts, order, chip.mapping)
        energies = cores.place_energies_aj(found, table)
        assert int(energies.sum()) == dynamic_energy_aj(sample.counters, table) > 0
        assert (found.counters >= 0).all()
        # Everything this run pays for happens on one core or another.
        assert None not in found.parts
    assert "shared" not in [row[0].main for row in cores.core_table(run).rows]


def test_without_counts_by_part_there_is_no_table_of_cores(run):
    table = run.table
    samples = tuple(replace(sample, parts=None) for sample in table.samples)
    without = Results(ResultTable(table.configuration, table.order, table.readout_scale, samples))
    assert cores.core_table(without) is None
    ideal = simulate(small_network(), [(random_events(np.random.default_rng(0)), 0)], engine="reference")
    assert cores.core_table(ideal) is None


def with_parts(run, seed=3):
    """The run as if its engine had counted parts, all but threshold tests told apart."""
    rng = np.random.default_rng(seed)
    mapping = run_chip(run).mapping
    told = np.ones(len(COUNTERS), dtype=np.int64)
    told[COLUMN["neuron_updates"]] = 0
    samples = tuple(
        replace(s, parts=parts_of(s.counters, run.table.order, mapping, rng, told)) for s in run.table.samples
    )
    table = run.table
    return Results(ResultTable(table.configuration, table.order, table.readout_scale, samples))


def test_the_table_of_cores_has_the_sums_of_the_table_of_layers(tmp_path):
    run = with_parts(run_on(on_small_cores()))
    table = cores.core_table(run)
    names = [row[0].main for row in table.rows]
    assert names == ["input port", "core 0", "core 1", "core 2", "core 3", "shared", "dynamic, all cores"]
    assert table.rows[2][0].detail == "conv y 0–5, c 1–1"
    assert table.rows[5][0].detail == "conv, cores not told apart"
    layers = energy.energy_table(energy.energy_of(run))
    assert [c.main for c in table.rows[-1]][3:] == [c.main for c in layers.rows[-3]][3:]
    assert table.rows[-1][1].main == layers.rows[-3][1].main
    assert table.header[3:] == layers.header[3:]
    run.save(tmp_path / "r.h5")
    again = Results.load(tmp_path / "r.h5")
    assert (again.table.samples[1].parts == run.table.samples[1].parts).all()
    assert cores.core_table(again) == table


def test_an_accelerator_of_an_earlier_version_is_named_with_a_way_out(run):
    described = {**run.configuration["architecture"], "schema": 1}
    table = replace(run.table, configuration={**run.configuration, "architecture": described})
    with pytest.raises(InvalidRequest, match=r"'event-conv-small' in schema 1, not in 2.*run again.*curve"):
        energy.energy_of(Results(table))


def test_energies_beyond_64_bits_are_refused():
    counters, table = np.array([[3, 2**40]]), np.array([[5, 2**22]])
    assert dynamic_energy_aj(counters, table) == 15 + 2**62
    with pytest.raises(InvalidHardware, match=r"a sample take 9\.223 J, and at most 9\.2 J can be held"):
        dynamic_energy_aj(counters * 2, table)
