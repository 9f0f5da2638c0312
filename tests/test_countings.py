"""Operations as sinabs, syops and NeuroBench count them: by hand, against an oracle, refused."""

import csv
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders.counted import NEVER, STEP_US, cases, chain, conv, dense, firing, spikes
from builders.recordings import random_events, small_network
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app
from eventsnn.counting import COLUMN
from eventsnn.errors import InvalidRequest
from eventsnn.events import spike_train
from eventsnn.insight.countings import COUNTINGS, layers_of
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
    Sparse,
    Upsample,
)
from eventsnn.run.spikes import RunAgain

ROOT = Path(__file__).resolve().parents[1]
ALL = ",".join(COUNTINGS)
TRUE = ("synaptic_operations", "effective_synaptic_operations", "multiplications")


def in_steps(network, samples, **settings):
    return eventsnn.simulate(network, samples, schedule="step", step_us=STEP_US, **settings)


def counted(network, sample, names=ALL):
    """Totals of one sample by counting."""
    found = eventsnn.countings(in_steps(network, [sample]), names, network, [sample])
    columns = found.columns(by_layer=False)
    return {
        kind.name: tuple(columns[f"{kind.name}_{quantity}"].item() for quantity in kind.quantities)
        for kind in found.kinds
    }


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_by_hand(case):
    results = in_steps(case.network, [case.sample])
    true = tuple(int(results.table.counter(COLUMN[name]).sum()) for name in TRUE)
    assert true == case.true
    found = counted(case.network, case.sample)
    for name in COUNTINGS:
        assert found[name] == pytest.approx(getattr(case, name), rel=1e-12), name


def test_the_docs_have_the_cases_by_hand():
    """Each row of its table: a case, its true counts, and the others'."""
    text = (ROOT / "docs" / "countings.md").read_text()
    table = re.search(r"<!-- by hand -->\n(.*?)<!-- end -->", text, re.S)[1]
    rows = {}
    for line in table.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0]] = [tuple(float(n) for n in cell.split(", ")) for cell in cells[2:]]
    expected = {
        case.name: [tuple(map(float, c)) for c in (case.true, case.sinabs, case.syops, case.neurobench)]
        for case in cases()
    }
    assert rows == expected


# -- random networks against sums over listed synapses ----------------------------------------------------


def random_case(seed):
    """Two or three layers, folded pools, strides, groups, zero weights, signed spikes, several in a step."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(4, 8)), int(rng.integers(4, 8)), int(rng.choice([2, 4])))
    source, layers = shape, []
    for _ in range(rng.integers(1, 3)):
        groups, outputs = int(rng.choice([1, 2])), int(rng.choice([2, 4]))
        pool = int(rng.choice([1, 1, 2])) if min(source[:2]) > 3 else 1
        axis = Axis(int(rng.integers(1, 4)), int(rng.integers(1, 3)), 1, int(rng.integers(0, 2)), pool=pool)
        weight = rng.integers(-2, 3, (axis.taps, axis.taps, source[2] // groups, outputs))
        synapses = Conv2d(weight, axis, axis, groups)
        bias = rng.integers(-1, 2, outputs) if rng.random() < 0.5 else None
        layers.append((synapses, bias, Signed(3, 4) if rng.random() < 0.5 else firing(2)))
        source = synapses.target_shape(source)
    if rng.random() < 0.4 and min(source[:2]) > 1:
        gate, signed = MaxPool(Axis(2, 1), Axis(2, 1)), isinstance(layers[-1][2], Signed)
        layers.append((gate, None, MaxGate("exact" if signed else "average")))
        source = gate.target_shape(source)
    layers.append((Dense(rng.integers(-2, 3, (int(np.prod(source)), 3))), None, None))
    steps, n = int(rng.integers(1, 6)), int(rng.integers(1, 60))
    payload = rng.choice([1, 1, 1, -1, 2], n) if rng.random() < 0.5 else None
    size = int(np.prod(shape))
    train = spike_train(
        rng.uniform(0, steps, n).round(3), rng.integers(0, size, n), payload, duration_us=float(steps)
    )
    return chain(shape, *layers), train


def dense_tensors(network, run, step, steps):
    """What each population emitted, (steps, y, x, channel)."""
    found = {}
    for rank, name in enumerate(network.order):
        shape = network.populations[name].shape
        tensor = np.zeros((steps, int(np.prod(shape))))
        mine = run.spikes.rank == rank
        at = run.spikes.time[mine] // step - 1
        np.add.at(tensor, (at, run.spikes.neuron[mine]), run.spikes.payload[mine])
        found[name] = tensor.reshape(steps, *shape)
    return found


def averaged(tensor, rows, columns):
    """Average pool of (steps, y, x, channel), what fills no whole cell left out."""
    steps, height, width, channels = tensor.shape
    cut = tensor[:, : height // rows * rows, : width // columns * columns]
    cells = cut.reshape(steps, height // rows, rows, width // columns, columns, channels)
    return cells.mean(axis=(2, 4))


def by_oracle(network, run, step, steps):
    """All three countings from whole tensors and listed synapses, call by call."""
    tensors = dense_tensors(network, run, step, steps)
    found = {name: np.zeros(len(kind.quantities)) for name, kind in COUNTINGS.items()}

    def syops_of(operations, value):
        if len(np.unique(value)) <= 2 and value.max() <= 1 and value.min() >= 0:
            found["syops"] += (operations * value.mean(), 0, operations)
        else:
            found["syops"] += (0, operations, operations)

    for projection in network.projections.values():
        tensor, synapses = tensors[projection.source], projection.synapses
        if isinstance(synapses, MaxPool):
            for value in tensor:
                syops_of(value.size, value)
            continue
        pool = (1, 1)
        if isinstance(synapses, Conv2d):
            pool = (synapses.y.pool, synapses.x.pool)
            y, x = (replace(axis, pool=1) for axis in (synapses.y, synapses.x))
            synapses = replace(synapses, y=y, x=x)
        cells = averaged(tensor, *pool)
        if isinstance(synapses, Conv2d) and y.pad_before != y.pad_after:
            # A module pads alike on both sides; so the layer reads what another one padded.
            edge = (y.pad_before, y.pad_after)
            cells = np.pad(cells, ((0, 0), edge, edge, (0, 0)))
            none = replace(y, pad_before=0, pad_after=0)
            synapses = replace(synapses, y=none, x=none)
        shape = cells.shape[1:]
        own = synapses.target_shape(shape)
        sources, _, weights = synapses.edges(shape, own)
        positions = np.prod(own[:2]) if isinstance(synapses, Conv2d) else 1
        operations = positions * synapses.weight.size + (projection.bias is not None) * np.prod(own)
        for before, value in zip(tensor, cells, strict=True):
            flat = value.reshape(-1)
            found["sinabs"] += flat[sources].sum() * np.prod(pool)
            pairs = ((flat[sources] != 0) & (weights != 0)).sum()
            binary = np.isin(flat, (-1, 0, 1)).all()
            found["neurobench"] += (0 if binary else pairs, pairs if binary else 0, len(sources))
            if pool != (1, 1):
                syops_of(before.size, before)
            syops_of(operations, value)
    for population in network:
        if population.neuron.rule == "rate":
            found["syops"] += np.array([1, 0, 1]) * population.size * steps
    return found


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_against_tensors(seed):
    network, train = random_case(seed)
    results = in_steps(network, [train])
    again = RunAgain(results, network, [train])
    ((_, run),) = again.samples()
    expected = by_oracle(network, run, again.step, run.decision_time // again.step)
    found = counted(network, train)
    for name in COUNTINGS:
        assert found[name] == pytest.approx(tuple(expected[name]), rel=1e-9, abs=1e-9), name


def test_layers_add_up_and_the_true_count_stands_beside():
    network, train = random_case(3)
    results = in_steps(network, [train, train])
    columns = eventsnn.countings(results, ALL, network, [train, train]).columns()
    for name in [name for name in columns if "." not in name]:
        layers = [column for key, column in columns.items() if key.startswith(f"{name}.")]
        assert np.allclose(columns[name], np.sum(layers, axis=0)), name
    true = [column for key, column in columns.items() if key.startswith("synaptic_operations.")]
    assert np.sum(true, axis=0).tolist() == results.table.column("synaptic_operations").tolist()


def test_one_spike_a_step_without_pools_is_counted_truly_by_sinabs_and_neurobench():
    """Where nothing departs: border, stride and groups are exact in both."""
    network = chain(
        (6, 5, 2),
        (conv(3, Axis(3, 2, 1, 1), 2, 4, 2), None, firing(1)),
        (dense(36, 3), None, None),
    )
    train = spikes(*((step, neuron) for step in range(3) for neuron in range(step, 60, 7)), steps=4)
    results = in_steps(network, [train])
    true = int(results.table.column("synaptic_operations")[0])
    found = counted(network, train, "sinabs,neurobench")
    assert found["sinabs"] == (true,)
    assert found["neurobench"][:2] == (0, true)


# -- steps ------------------------------------------------------------------------------------------------


def test_a_run_by_events_is_cut_into_steps():
    """Three spikes at 0, 1 and 4 us in steps of 2: values 2 and 1."""
    network = chain((1, 1, 2), (dense(2, 3), None, None))
    train = spike_train([0, 1, 4], [0, 0, 1])
    results = eventsnn.simulate(network, [train])
    columns = eventsnn.countings(results, ALL, network, [train], step_us=2.0).columns(by_layer=False)
    found = {name: column.item() for name, column in columns.items()}
    assert found == {
        "sinabs_synops": 9,
        "syops_acs": 3, "syops_macs": 6, "syops_total": 18,
        "neurobench_effective_macs": 3, "neurobench_effective_acs": 3, "neurobench_dense": 18,
    }  # fmt: skip
    assert eventsnn.countings(results, ["sinabs"], network, [train]).columns(False)["sinabs_synops"] == [9]


def test_a_stopped_run_is_counted_up_to_its_end():
    network = chain((1, 1, 2), (dense(2, 3), None, None))
    train = spikes((0, 0), (3, 0), steps=8)
    whole, stopped = in_steps(network, [train]), in_steps(network, [train], exit="margin:0")
    assert stopped.table.column("decided_early").all()
    counts = [
        eventsnn.countings(results, "neurobench", network, [train]).columns(False)
        for results in (whole, stopped)
    ]
    assert [c["neurobench_dense"].item() for c in counts] == [48, 6]
    assert [c["neurobench_effective_acs"].item() for c in counts] == [6, 3]


def test_a_delayed_spike_is_read_when_it_arrives():
    network = chain((1, 1, 1), (dense(1, 3), None, firing(NEVER)))
    late = replace(network.projections["l0"], delay=2 * 10**6)
    delayed = Network(list(network), [late])
    train = spikes((0, 0), (1, 0), steps=3)
    # The second arrives after the last step.
    assert counted(delayed, train, "neurobench")["neurobench"] == (0, 3, 9)
    assert in_steps(delayed, [train]).table.column("synaptic_operations") == [3]


# -- what is refused --------------------------------------------------------------------------------------


def listed(several):
    rows, columns = ([0, 1], [0, 0]) if several else ([0, 1], [1, 0])
    return Sparse.from_edges(np.array(rows), np.array(columns), np.array([1, 1]), 2, (1, 1, 2))


def test_listed_synapses_count_only_where_they_move_values():
    train = spikes((0, 0))
    moved = chain((1, 1, 2), (listed(several=False), None, firing(1)), (dense(2, 3), None, None))
    assert counted(moved, train, "neurobench")["neurobench"] == (0, 3, 6)
    with pytest.raises(InvalidRequest, match="'l0' lists its synapses one by one"):
        counted(chain((1, 1, 2), (listed(several=True), None, firing(1)), (dense(2, 3), None, None)), train)


def test_upsampling_is_counted_by_syops_alone():
    network = chain((1, 1, 2), (Upsample(np.array([1]), 2, 2), None, firing(1)), (dense(8, 3), None, None))
    found = counted(network, spikes((0, 0)))
    # Eight values of mean 1/2, eight neurons, 24 products of mean 1/2.
    assert found == {"sinabs": (12,), "syops": (4 + 8 + 12, 0, 8 + 8 + 24), "neurobench": (0, 12, 24)}


def branching_pools():
    average = AveragePool(np.array([1]), Axis(2, 2), Axis(2, 2))
    plain = conv(2, Axis(2, 2))
    return Network(
        [
            Population("input", (2, 2, 1), Input()),
            Population("both", (1, 1, 1), firing(1)),
            Population("out", (1, 1, 3), Readout()),
        ],
        [
            Projection("a", "input", "both", average),
            Projection("b", "input", "both", plain),
            Projection("c", "both", "out", dense(1, 3)),
        ],
    )


def recurrent():
    network = chain((1, 1, 2), (dense(2, 2), None, firing(2)), (dense(2, 3), None, None))
    loop = Projection("again", "p0", "p0", dense(2, 2), delay=10**6)
    return Network(list(network), [*network.projections.values(), loop])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("sinab", "no counting 'sinab'; did you mean 'sinabs'"),
        ("sinabs,", "no counting ''"),
        ([], "give some of sinabs, syops, neurobench"),
        (["syops", "syops"], "named twice"),
        (3, "give some of"),
    ],
)
def test_names_are_refused_by_name(names, message):
    network, train = random_case(0)
    with pytest.raises(InvalidRequest, match=message):
        eventsnn.countings(in_steps(network, [train]), names, network, [train])


def test_networks_are_refused_by_name():
    train = spikes((0, 0))
    with pytest.raises(InvalidRequest, match="in front of 'both' differ by branch"):
        counted(branching_pools(), train)
    assert counted(branching_pools(), train, "neurobench")["neurobench"] == (0, 1 + 3, 4 + 3)
    with pytest.raises(InvalidRequest, match="form a cycle through p0"):
        counted(recurrent(), train)
    half = Conv2d(np.ones((2, 2, 1, 1), dtype=int), Axis(2, 2, transposed=True), Axis(2))
    with pytest.raises(InvalidRequest, match="'l0' is transposed along one axis alone"):
        layers_of(chain((2, 2, 1), (half, None, None)))


def test_steps_are_refused_by_name():
    network = chain((1, 1, 2), (dense(2, 3), None, None))
    train = spike_train([0, 1, 4], [0, 0, 1])
    by_events, stepped = eventsnn.simulate(network, [train]), in_steps(network, [train])
    with pytest.raises(InvalidRequest, match="syops counts step by step, and this run has no steps"):
        eventsnn.countings(by_events, "sinabs,syops", network, [train])
    with pytest.raises(InvalidRequest, match="has its own; leave it out"):
        eventsnn.countings(stepped, "syops", network, [train], step_us=1.0)
    for wrong in (0, -1, float("nan"), "2"):
        with pytest.raises(InvalidRequest, match="step_us"):
            eventsnn.countings(by_events, "syops", network, [train], step_us=wrong)
    with pytest.raises(InvalidRequest, match="another digest"):
        eventsnn.countings(stepped, "syops", network, [spike_train([0, 1, 4], [0, 1, 1])])
    with pytest.raises(InvalidRequest, match="give Results"):
        eventsnn.countings("r.h5", "syops")


def test_an_analog_image_needs_steps_where_it_flows():
    case = next(case for case in cases() if case.name == "analog first layer")
    neuron = replace(firing(NEVER), multispike=True)
    network = chain((1, 1, 3), (dense(3, 2), None, neuron))
    results = eventsnn.simulate(network, [case.sample])
    with pytest.raises(InvalidRequest, match="flows into 'p0' as long as the sample lasts"):
        eventsnn.countings(results, "sinabs", network, [case.sample])
    found = eventsnn.countings(results, "sinabs", network, [case.sample], step_us=STEP_US)
    assert found.columns(by_layer=False)["sinabs_synops"] == case.sinabs


# -- files ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network, events and results of a run in steps, as files."""
    folder, rng = tmp_path_factory.mktemp("countings"), np.random.default_rng(4)
    small_network().save(folder / "net.h5")
    data = folder / "data"
    for label in range(2):
        (data / str(label)).mkdir(parents=True)
        eventsnn.events.write_nmnist(data / str(label) / "00000.bin", random_events(rng, 60))
    for schedule in ("step", "event"):
        step = {"step_us": 1000.0} if schedule == "step" else {}
        eventsnn.simulate(
            folder / "net.h5", f"nmnist:{data}", split="all", schedule=schedule,
            output=folder / f"{schedule}.h5", **step,
        )  # fmt: skip
    return folder


def export(*words):
    return CliRunner().invoke(app, ["export", *map(str, words)])


def test_columns_in_files(saved, tmp_path):
    results = eventsnn.Results.load(saved / "step.h5")
    columns = eventsnn.countings(results, ALL).columns()
    assert (
        export(saved / "step.h5", "--to", "csv", "--counting", ALL, "-o", tmp_path / "r.csv").exit_code == 0
    )
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    for name, column in columns.items():
        assert [float(row[name]) for row in rows] == column.tolist(), name
    assert {"sinabs_synops.1", "syops_acs.2", "neurobench_dense.1", "synaptic_operations.conv"} <= set(
        rows[0]
    )
    assert "." not in rows[0]["neurobench_dense"]
    done = export(saved / "step.h5", "--to", "json", "--counting", "sinabs", "-o", tmp_path / "r.json")
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "r.json").read_text())
    mean = document["countings"]["sinabs"]
    assert mean["package"] == "sinabs 3.1.3"
    assert mean["synops"] == columns["sinabs_synops"].mean()
    assert mean["layers"]["2"]["synops"] == columns["sinabs_synops.2"].mean()
    assert [row["sinabs_synops"] for row in document["rows"]] == columns["sinabs_synops"].tolist()
    pandas = pytest.importorskip("pandas", reason="the extra tables is not installed")
    pytest.importorskip("pyarrow", reason="the extra tables is not installed")
    parquet = tmp_path / "r.parquet"
    assert export(saved / "step.h5", "--to", "parquet", "--counting", ALL, "-o", parquet).exit_code == 0
    frame = pandas.read_parquet(parquet)
    assert frame["neurobench_effective_macs"].tolist() == columns["neurobench_effective_macs"].tolist()


def test_metrics_of_neurobench_are_its_own_definition(saved, tmp_path):
    columns = eventsnn.countings(eventsnn.Results.load(saved / "step.h5"), "neurobench").columns()
    assert export(saved / "step.h5", "--to", "neurobench", "-o", tmp_path / "n.json").exit_code == 0
    document = json.loads((tmp_path / "n.json").read_text())
    names = ("Effective_MACs", "Effective_ACs", "Dense")
    assert document["SynapticOperations"] == {
        name: columns[f"neurobench_{name.lower()}"].mean() for name in names
    }
    assert document["SynapticOperations"]["Effective_ACs"] > 0
    assert export(saved / "event.h5", "--to", "neurobench", "-o", tmp_path / "e.json").exit_code == 0
    document = json.loads((tmp_path / "e.json").read_text())
    assert "step_us" in document["eventsnn"]["left_out"]["SynapticOperations"]
    assert "SynapticOperations" not in document
    words = (saved / "event.h5", "--to", "neurobench", "--step-us", 500, "-o", tmp_path / "f.json")
    assert export(*words).exit_code == 0
    assert "SynapticOperations" in json.loads((tmp_path / "f.json").read_text())


def test_the_command_line_refuses_what_does_not_belong(saved, tmp_path):
    out, stepped, by_events = tmp_path / "r.csv", saved / "step.h5", saved / "event.h5"
    for words, message in [
        ((stepped, "--to", "csv", "--counting", "nest"), "no counting 'nest'"),
        ((by_events, "--to", "csv", "--counting", "syops"), "step_us"),
        ((by_events, "--to", "csv", "--step-us", "5"), "runs the samples again"),
        ((stepped, "--to", "csv", "--network", saved / "net.h5"), "runs the samples again"),
        ((stepped, "--to", "csv", "--counting", "syops", "--orientation", "raw"), "--data"),
        ((by_events, "--to", "neurobench", "--network", saved / "net.h5"), "give --step-us"),
        ((stepped, "--to", "neurobench", "--counting", "syops"), "counts as neurobench does"),
        ((stepped, "--to", "nir", "--counting", "syops"), "leave them out"),
    ]:
        done = export(*words, "-o", out)
        assert message in str(done.exception), words
        assert not out.exists()


# -- the packages themselves ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packages():
    """What sinabs, syops and neurobench count, of jobs made as ``benchmarks/countings.py`` makes them."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import countings as script

    if script.rival_python() is None:
        pytest.skip("sinabs, syops and neurobench are not installed: make bench-countings")
    chosen = [(case.name, case.network, case.sample) for case in cases()]
    chosen += [(f"random {seed}", *random_case(seed)) for seed in range(20)]
    jobs = []
    for _, network, sample in chosen:
        again = RunAgain(in_steps(network, [sample]), network, [sample])
        ((stimulus, run),) = again.samples()
        steps = run.decision_time // again.step
        jobs.append(script.job_of(network, stimulus, run, again.step, 1, steps))
    counts = script.counted_by_packages(jobs)
    return {
        name: (counted(network, sample), theirs)
        for (name, network, sample), theirs in zip(chosen, counts, strict=True)
    }


@pytest.mark.parametrize("name", COUNTINGS)
def test_the_packages_count_as_we_say(packages, name):
    for case, (ours, theirs) in packages.items():
        found = [theirs[name][quantity] for quantity in COUNTINGS[name].quantities]
        assert ours[name] == pytest.approx(found, rel=1e-6, abs=1e-6), case
        assert f"{name} {theirs[name]['version']}" == COUNTINGS[name].package
