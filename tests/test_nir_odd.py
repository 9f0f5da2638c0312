"""Odd, old and malformed NIR files: read as their equations say, or refused in one message."""

import sys
import warnings

import h5py
import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="the extra nir is not installed")

from builders.nir_graphs import random_graph  # noqa: E402
from builders.nir_runs import OWN, check, random_frames  # noqa: E402

from eventsnn.errors import (  # noqa: E402
    EventsnnError,
    InvalidFile,
    InvalidNetwork,
    InvalidRequest,
    MissingExtra,
    MissingFile,
    NirWarning,
    UnsupportedLayer,
)
from eventsnn.nir import from_nir  # noqa: E402


def chain(*nodes):
    return nir.NIRGraph.from_list(*nodes, type_check=False)


def fires(size=3, **changes):
    fields = {"r": np.ones(size), "v_threshold": np.ones(size), "v_reset": np.zeros(size)}
    return nir.IF(**fields | changes)


def saved(graph, path, change=None):
    """A file, changed behind the back of the package nir."""
    nir.write(str(path), graph)
    if change is not None:
        with h5py.File(path, "r+") as file:
            change(file["node/nodes"])
    return path


def put(name, value):
    def change(nodes):
        if name in nodes:
            del nodes[name]
        if value is not None:
            nodes[name] = value

    return change


def simple():
    weight = np.arange(12).reshape(3, 4) / 8 - 0.5
    return chain(nir.Linear(weight), fires())


def same_as(path, graph, **choices):
    """The file reads with one warning at most, and as the graph."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        network = from_nir(path, **choices)
    assert network.checksum == from_nir(graph, **choices).checksum
    return [str(one.message) for one in said]


def test_files_without_v_reset_and_from_old_versions_read_as_zero(tmp_path):
    path = saved(simple(), tmp_path / "old.nir", put("if/v_reset", None))
    with h5py.File(path, "r+") as file:
        del file["version"]
        file["version"] = b"0.2.0"
    assert same_as(path, simple()) == []
    assert from_nir(path).metadata["nir"]["version"] == "0.2.0"


def test_single_numbers_for_arrays_are_taken_for_each_with_a_warning(tmp_path):
    path = saved(simple(), tmp_path / "one.nir", put("if/v_threshold", 1.0))
    (said,) = same_as(path, simple())
    assert "one value for all neurons in v_threshold" in said

    def all_single(nodes):
        for name in ("r", "v_threshold", "v_reset"):
            put(f"if/{name}", float(name != "v_reset"))(nodes)

    path = saved(simple(), tmp_path / "all.nir", all_single)
    (said,) = same_as(path, simple())
    assert "it is taken for each of (3,)" in said


def test_a_flatten_without_input_type_is_read(tmp_path):
    graph = chain(
        nir.Input(np.array([2, 3, 3])),
        nir.Flatten({"input": np.array([2, 3, 3])}, 0),
        nir.Linear(np.eye(18)[:3]),
        fires(),
    )
    path = saved(graph, tmp_path / "flat.nir", put("flatten/input_type", None))
    assert same_as(path, graph) == []


def test_a_convolution_that_says_another_shape_is_refused(tmp_path):
    conv = nir.Conv2d((5, 5), np.ones((1, 2, 3, 3)), 1, 0, 1, 1, np.zeros(1))
    graph = nir.NIRGraph.from_list(
        nir.Input(np.array([2, 6, 5])),
        conv,
        fires((1, 4, 3)),
        nir.Output(np.array([1, 4, 3])),
        type_check=False,
    )
    with pytest.raises(InvalidNetwork, match=r"\(5, 5\) comes in, and \(6, 5\) does"):
        from_nir(graph)
    path = saved(graph, tmp_path / "conv.nir", put("conv2d/input_shape", [6, 5]))
    conv.input_shape = None
    assert same_as(path, graph) == []


def test_choices_stand_in_metadata_and_a_contradiction_is_warned_of():
    graph = simple()
    graph.metadata = {"reset": "subtract", "comparison": ">="}
    neuron = from_nir(graph).populations["if"].neuron
    assert (neuron.reset, neuron.strict, neuron.multispike) == ("soft", False, False)
    with pytest.warns(NirWarning, match="says reset is soft, and hard was asked for: hard it is"):
        neuron = from_nir(graph, reset="hard").populations["if"].neuron
    assert neuron.reset == "hard"
    own = from_nir(simple())
    neuron = own.populations["if"].neuron
    assert (neuron.reset, neuron.strict, neuron.multispike, neuron.lower_clamp) == ("hard", True, False, None)
    assert own.metadata["nir"]["nodes"]["if"] == ["IF", "faithful", ""]
    assert from_nir(simple(), reset="soft").metadata["nir"]["nodes"]["if"][1] == "approximate"


@pytest.mark.parametrize(
    ("size", "quanta"), [(1.0, 2**16), (1e-4, 2**20), (3e-2, 2**16), (5000.0, 2**11), (1e5, 2**7)]
)
def test_thresholds_are_chosen_so_that_weights_fit(size, quanta):
    graph = chain(nir.Linear(np.array([[size, -size / 2]])), fires(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if size < 1e-3 else "error")
        network = from_nir(graph)
    assert network.populations["if"].neuron.threshold == quanta
    told = network.metadata["nir"]["thresholds"]["if"]
    assert (told["quanta"], told["largest_weight"]) == (quanta, size)


def test_a_threshold_may_be_asked_for():
    assert from_nir(simple(), threshold=800).populations["if"].neuron.threshold == 800


def test_weights_that_rounding_would_spoil_are_warned_of():
    with pytest.warns(NirWarning, match="rounding to whole quanta takes up to"):
        from_nir(chain(nir.Linear(np.array([[1.3e-5, 1e-6]])), fires(1)))


TAU = {"tau": np.full(3, 0.01), "r": np.ones(3), "v_leak": np.zeros(3)}
CUBA = {"tau_syn": np.full(3, 0.01), "tau_mem": np.full(3, 0.01), "r": np.ones(3), "v_leak": np.zeros(3)}
WIDE = np.ones((3, 4))
REFUSED = {
    "no step": (nir.LIF(**TAU, v_threshold=np.ones(3)), {}, InvalidNetwork, "give step_us"),
    "no tau": (
        nir.LIF(np.array([0.01, 0.0, 0.01]), np.ones(3), np.zeros(3), np.ones(3)),
        {"step_us": 1000}, InvalidNetwork, "'lif' .*has a tau of 0 s",
    ),
    "shifted current": (
        nir.CubaLIF(**CUBA | {"v_leak": np.full(3, 0.5)}, v_threshold=np.ones(3)), {"step_us": 1000},
        UnsupportedLayer, "'cubalif' .*a v_leak that is not v_reset",
    ),
    "one tau below the step": (
        nir.CubaLI(**CUBA | {"tau_syn": np.array([0.01, 0.001, 0.01])}),
        {"step_us": 2000, "integration": "euler"}, InvalidNetwork, "longer than the tau_syn of 0.001 s",
    ),
    "soft and reset": (
        fires(v_reset=np.full(3, 0.5)), {"reset": "soft"}, InvalidNetwork, "v_reset that is not 0",
    ),
    "threshold below": (fires(v_threshold=np.zeros(3)), {}, InvalidNetwork, "fire for ever"),
    "many and hard": (fires(), {"spikes": "many"}, InvalidRequest, "many spikes .* need the soft reset"),
    "euler too long": (
        nir.LIF(**TAU, v_threshold=np.ones(3)), {"step_us": 2000 * 1.07, "integration": "euler"}, None, "",
    ),
    "clamp": (fires(v_threshold=np.array([1.0, 2, 1])), {"lower_clamp": -1}, InvalidNetwork, "lower clamp"),
    "clamp above": (fires(), {"lower_clamp": 0.5}, InvalidNetwork, "above v_reset"),
    "shape": (fires(4), {}, InvalidNetwork, r"\(3,\) reaches node 'if'.* has the shape \(4,\)"),
    "nan": (fires(r=np.array([1, np.nan, 1])), {}, InvalidNetwork, "'if' .*NaN"),
    "word": (fires(), {"reset": "subtract"}, InvalidRequest, "allowed are hard, soft"),
    "step": (fires(), {"step_us": 5000}, InvalidRequest, "a timestep has"),
}  # fmt: skip


@pytest.mark.parametrize(("node", "choices", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_by_name(node, choices, error, message):
    graph = chain(nir.Linear(WIDE), node)
    if error is None:
        from_nir(graph, **choices)
        return
    with pytest.raises(error, match=message):
        from_nir(graph, **choices)


def test_graphs_that_do_not_hold_together_are_refused():
    nodes = {
        "input": nir.Input(np.array([4])),
        "w": nir.Linear(WIDE),
        "n": fires(),
        "output": nir.Output(np.array([3])),
    }
    edges = [("input", "w"), ("w", "n"), ("n", "output")]
    cases = [
        ([*edges, ("n", "nowhere")], "names the node 'nowhere'"),
        ([*edges, ("w", "n")], "from w to n is there twice"),
        (edges[:2], "nothing reaches the Output"),
        ([("w", "w"), *edges], "cycle without neurons"),
    ]
    for given, message in cases:
        with pytest.raises(InvalidNetwork, match=message):
            from_nir(nir.NIRGraph(dict(nodes), given, type_check=False))
    del nodes["output"]
    with pytest.raises(InvalidNetwork, match="none as its Output"):
        from_nir(nir.NIRGraph(nodes, edges[:2], type_check=False))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(MissingFile):
        from_nir(tmp_path / "none.nir")
    (tmp_path / "text.nir").write_text("no HDF5")
    with pytest.raises(InvalidFile, match="cannot be read as a NIR graph"):
        from_nir(tmp_path / "text.nir")
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(InvalidFile, match="no group 'node'"):
        from_nir(tmp_path / "other.nir")
    nir.write(str(tmp_path / "single.nir"), fires())
    with pytest.raises(InvalidFile, match="a single IF node, no graph"):
        from_nir(tmp_path / "single.nir")
    with pytest.raises(InvalidRequest, match="is no NIR graph"):
        from_nir(np.ones(3))


def test_without_the_extra_the_message_says_what_to_install(tmp_path, monkeypatch):
    nir.write(str(tmp_path / "a.nir"), simple())
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(MissingExtra, match=r"pip install 'eventsnn\[nir\]'"):
        from_nir(tmp_path / "a.nir")


# -- at random ----------------------------------------------------------------------------------------------


def datasets(group):
    found = []
    group.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return sorted(found)


def damage(rng, file):
    """One change to a data set, a type or an edge."""
    name = str(rng.choice(datasets(file["node"])))
    value = file[f"node/{name}"][()]
    del file[f"node/{name}"]
    array = np.asarray(value)
    numbers = array.dtype.kind in "fiu" and array.size > 0
    changes = [None, b"something", np.float64(2), np.array([[1.0, 2.0]]), b"IF", np.zeros((0,)), -1, 10**7]
    if numbers:
        spoiled = np.array(array, dtype=np.float64)
        spoiled.reshape(-1)[0] = rng.choice([np.nan, np.inf, -1e300, 1e300, 1e-300, 0.5])
        changes += [spoiled, array[None], array.reshape(-1)[:-1], -array, array.astype(complex)]
        changes += [
            array.astype("S8"),
            array.astype(np.float32),
            array * 0,
            np.asarray(array, dtype=np.float16),
        ]
    change = changes[int(rng.integers(len(changes)))]
    if change is not None:
        file[f"node/{name}"] = change


def cut(rng, path):
    """Cut the end off, or turn some bytes over."""
    content = bytearray(path.read_bytes())
    if rng.random() < 0.5:
        path.write_bytes(content[: int(rng.integers(len(content)))])
        return
    for place in rng.integers(0, len(content), 20):
        content[place] = int(rng.integers(256))
    path.write_bytes(content)


@pytest.mark.parametrize("block", range(10))
def test_over_five_hundred_malformed_files_are_read_rightly_or_refused_in_one_message(block, tmp_path):
    """Half of what is read, and is still exact in binary, is stepped as the nodes that nir makes of it."""
    read = refused = 0
    for seed in range(52 * block, 52 * block + 52):
        rng = np.random.default_rng(seed)
        path = tmp_path / "odd.nir"
        graph = random_graph(rng)
        nir.write(str(path), graph)
        if seed % 4 == 3:
            cut(rng, path)
        else:
            with h5py.File(path, "r+") as file:
                damage(rng, file)
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            try:
                network = from_nir(path, step_us=1000, **OWN)
            except EventsnnError:
                refused += 1
                continue
            read += 1
            try:
                again = nir.read(str(path), type_check=False)
            except Exception:  # nir is stricter or looser than it means to be
                continue
        exact = all(p.exact_weight is None and p.exact_bias is None for p in network.projections.values())
        if seed % 2 or not exact:
            continue
        check(again, random_frames(rng, again, 2), OWN, source=path)
    assert refused > 15
    assert read > 2
