"""Placing populations on cores: strategies, what a user writes, and every limit."""

import json

import numpy as np
import pytest
from builders.command_line import eventsnn
from builders.deep_networks import resnet18, vgg11
from builders.draws import SEEDS, generator
from builders.floors import asserting, asserts_at_least
from builders.networks import random_network
from builders.presets import preset
from builders.recordings import random_events, small_network, write_recordings
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.errors import DoesNotFit, InvalidMapping, InvalidRequest
from eventsnn.hardware import INPUT_PORT, Mapping, load_architecture, load_mapping, map_network
from eventsnn.hardware.architecture import COUNT_UNITS, parse_architecture
from eventsnn.hardware.mapping.checks import use_of_cores
from eventsnn.hardware.mapping.limits import LIMITS, Demand
from eventsnn.network import (
    Axis,
    Conv2d,
    Dense,
    Identity,
    Input,
    Network,
    Population,
    Projection,
    Readout,
    Sparse,
    save_network,
)
from eventsnn.run.settings import Settings
from eventsnn.run.simulate import simulate


def accelerator(*kinds, units=()):
    """Cores of several kinds, each (how many, limits)."""
    data, tiles = preset(name="drawn"), {}
    kind = data["cores"]["convolution"]
    fields = {key: value for key, value in kind.items() if key not in LIMITS}
    of = kind["neurons"]
    data["cores"] = {}
    first = 0
    for number, (cores, limits) in enumerate(kinds):
        given = {
            name: {**of, "value": limits[name], "unit": COUNT_UNITS[name][0]}
            for name in LIMITS
            if name in limits
        }
        data["cores"][f"kind{number}"] = {**fields, **given}
        tiles[f"tile[{first}..{first + cores - 1}]"] = {"core": f"kind{number}"}
        first += cores
    data["network_on_chip"] = {"topology": "ideal"}
    data["tiles"] = tiles
    data["synapse_units"] = dict.fromkeys(units, data["actions"]["synapse"])
    return parse_architecture(data, "drawn")


def large(cores):
    """Cores that hold the small network: 108 and 10 neurons, 150 and 1080 weights."""
    return accelerator((cores, {"neurons": 1000, "weights": 2000}))


def mapping_file(**entries):
    return {"format": "eventsnn-mapping", "schema": 1, **entries}


def boxes(mapping, name):
    return [[p.core, p.y0, p.y1, p.c0, p.c1] for p in mapping.parts[name]]


# -- limits, against the synapses listed one by one ------------------------------------------------------


def inside(part, shape):
    """Whether each neuron of a population of some shape lies in a part."""
    found = np.zeros(shape, dtype=bool)
    found[part.y0 : part.y1, :, part.c0 : part.c1] = True
    return found.reshape(-1)


def naive_use(network, mapping, core):
    """Neurons, axons in and axons out of a core."""
    here = [p for parts in mapping.parts.values() for p in parts if p.core == core]
    neurons, heard, sent = 0, set(), 0
    for part in here:
        mine = inside(part, network.populations[part.population].shape)
        neurons += int(mine.sum())
        for projection in network.incoming(part.population):
            source, target, _ = network.edges(projection)
            heard |= {(projection.source, int(i)) for i in source[mine[target]]}
        for projection in network.outgoing(part.population):
            source, target, _ = network.edges(projection)
            for other in mapping.parts[projection.target]:
                theirs = inside(other, network.populations[projection.target].shape)
                sent += len({int(i) for i in source[theirs[target]] if mine[i]})
    return neurons, len(heard), sent


def random_limits(rng, network):
    """Limits under which something is split, mostly."""
    largest = max(p.size for p in network)
    row = max(p.shape[1] for p in network)
    limits = {"neurons": int(rng.integers(row, 2 * largest)), "weights": int(rng.integers(200, 20000))}
    for name in ("axons_in", "axons_out"):
        if rng.random() < 0.5:
            limits[name] = int(rng.integers(largest // 2 + 1, 4 * largest))
    return limits


@asserts_at_least(30)
@settings(max_examples=100, deadline=None)
@given(SEEDS, st.sampled_from(["layer", "channel:3", "area", "area:2", "pack"]))
def test_what_is_placed_holds_every_neuron_once_within_all_limits(seed, strategy):
    rng = generator(seed)
    network = random_network(seed, "signed")
    chip = accelerator(*((int(rng.integers(1, 40)), random_limits(rng, network)) for _ in range(2)))
    try:
        mapping = map_network(network, chip, strategy)
    except DoesNotFit:
        return
    asserting()
    for population in network:
        parts = mapping.parts[population.name]
        assert (np.sum([inside(part, population.shape) for part in parts], axis=0) == 1).all()
        assert len({part.core for part in parts}) == len(parts)
        assert len({chip.kind_of_core[part.core] for part in parts if part.core != INPUT_PORT}) <= 1
    cores = [p.core for parts in mapping.parts.values() for p in parts if p.core != INPUT_PORT]
    assert strategy == "pack" or len(set(cores)) == len(cores)
    for core in use_of_cores(network, mapping):
        neurons, axons_in, axons_out = naive_use(network, mapping, core.core)
        expected = {"neurons": neurons, "axons_in": axons_in, "axons_out": axons_out}
        for name, (used, has) in core.together.items():
            assert used <= has
            assert used == expected.get(name, used)


def test_weights_of_a_part():
    """A kernel counts once, whatever the rows; listed synapses count where they end."""
    rng = np.random.default_rng(2)
    listed = Sparse.from_edges(range(8), [0, 1, 2, 3, 4, 5, 6, 7], rng.integers(1, 9, 8), 8, (2, 2, 2))
    network = Network(
        [Population("in", (2, 2, 2), Input()), Population("out", (2, 2, 5), Readout())],
        [
            Projection("1", "in", "out", listed),
            Projection("2", "in", "out", Conv2d(rng.integers(1, 9, (1, 1, 2, 3)), Axis(1), Axis(1)),
                       channel_offset=2),
        ],
    )  # fmt: skip
    mapping = map_network(
        network,
        large(2),
        {"populations": {"out": [{"core": 0, "rows": 0}, {"core": 1, "rows": 1}]}},
    )
    assert [Demand(network).weights(part) for part in mapping.parts["out"]] == [4 + 6, 4 + 6]


# -- strategies ------------------------------------------------------------------------------------------


def test_channels_or_rows_are_cut_as_asked():
    network, chip = small_network(), large(20)
    assert boxes(map_network(network, chip), "conv") == [[0, 0, 6, 0, 3]]
    assert boxes(map_network(network, chip, "layer"), "out") == [[1, 0, 1, 0, 10]]
    assert boxes(map_network(network, chip, "channel:2"), "conv") == [[0, 0, 6, 0, 1], [1, 0, 6, 1, 3]]
    # Ten outputs have one row: area:4 leaves them whole.
    mapping = map_network(network, chip, "area:4")
    assert boxes(mapping, "conv") == [[0, 0, 1, 0, 3], [1, 1, 3, 0, 3], [2, 3, 4, 0, 3], [3, 4, 6, 0, 3]]
    assert boxes(mapping, "out") == [[4, 0, 1, 0, 10]]
    small = accelerator((20, {"neurons": 40, "weights": 2000}))
    assert len(map_network(network, small, "channel").parts["conv"]) == 3
    assert len(map_network(network, small, "area").parts["conv"]) == 3
    assert boxes(map_network(network, small, "area"), "conv")[0] == [0, 0, 2, 0, 3]


def test_what_one_axis_cannot_do_the_other_does():
    """Ten outputs of 108 weights each, cores of 300: rows cannot be cut, channels are."""
    chip = accelerator((20, {"neurons": 1000, "weights": 300}))
    assert len(map_network(small_network(), chip, "area").parts["out"]) == 5


def test_packing_shares_cores_and_takes_the_emptiest():
    network = small_network()
    assert {p.core for p in sum(map_network(network, large(1), "pack").parts.values(), ())} == {-1, 0}
    mapping = map_network(network, large(2), "pack")
    assert (boxes(mapping, "conv")[0][0], boxes(mapping, "out")[0][0]) == (0, 1)
    # 108 neurons do not fit a core of 64: two pieces by channel have up to 72, two by area 54.
    mapping = map_network(network, accelerator((2, {"neurons": 64, "weights": 2000})), "pack")
    assert boxes(mapping, "conv") == [[0, 0, 3, 0, 3], [1, 3, 6, 0, 3]]
    assert boxes(mapping, "out") == [[0, 0, 1, 0, 10]]


def test_of_several_kinds_the_one_that_needs_fewest_pieces():
    small, roomy = {"neurons": 40, "weights": 2000}, {"neurons": 200, "weights": 2000}
    mapping = map_network(small_network(), accelerator((8, small), (2, roomy)))
    assert boxes(mapping, "conv") == [[8, 0, 6, 0, 3]]
    assert boxes(mapping, "out") == [[0, 0, 1, 0, 10]]
    # Only one roomy core: what needs it most gets it, though it comes second.
    roomy = accelerator((1, {"neurons": 200, "weights": 2000}), (1, {"neurons": 200, "weights": 200}))
    mapping = map_network(small_network(), roomy)
    assert (boxes(mapping, "conv")[0][0], boxes(mapping, "out")[0][0]) == (1, 0)


def test_splitting_a_target_makes_its_sources_send_more_copies():
    """Each of 108 neurons sends to 5 parts: 540 copies, more than a core of 300 may send."""
    limits = {"neurons": 1000, "weights": 300, "axons_out": 300}
    mapping = map_network(small_network(), accelerator((20, limits)))
    assert len(mapping.parts["out"]) == 5
    assert len(mapping.parts["conv"]) == 3
    uses = [core.together["axons_out"][0] for core in use_of_cores(small_network(), mapping)]
    assert uses == [180, 180, 180, 0, 0, 0, 0, 0]


def test_axons_in_are_kept_by_cutting_rows():
    """Every channel hears all 2 x 33 x 33 pixels it sees; half the rows hear about half."""
    mapping = map_network(
        small_network(), accelerator((20, {"neurons": 1000, "weights": 2000, "axons_in": 1200}))
    )
    assert boxes(mapping, "conv") == [[0, 0, 3, 0, 3], [1, 3, 6, 0, 3]]


@pytest.mark.parametrize("network", [vgg11(), resnet18()], ids=["vgg11", "resnet18"])
def test_deep_networks_share_a_few_large_cores(network):
    chip = accelerator((4, {"neurons": 2**18, "weights": 2**22}))
    with pytest.raises(DoesNotFit, match=r"'pack' .* fits"):
        map_network(network, chip)
    mapping = map_network(network, chip, "pack")
    assert {p.core for parts in mapping.parts.values() for p in parts} == {-1, 0, 1, 2, 3}
    assert all(len(parts) == 1 for parts in mapping.parts.values())
    few = map_network(network, load_architecture("atsnn-style"), "pack")
    assert {p.core for parts in few.parts.values() for p in parts} == set(range(-1, 8))
    many = accelerator((1024, {"neurons": 1024, "weights": 2**17}))
    assert len(map_network(network, many).parts["01_conv2d"]) == 64


# -- what does not fit -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"neurons": 5, "weights": 999}, r"'conv' does not fit .* row of one channel has 6 neurons, .* 5\."),
        ({"neurons": 999, "weights": 49}, r"'conv' does not fit .* has 50 weights, .* room for 49\."),
        ({"neurons": 999, "weights": 999, "axons_in": 99}, r"'conv' .* source neurons \(axons_in\), .* 99\."),
    ],
)
def test_a_layer_too_large_at_any_split_says_limit_need_and_room(limits, message):
    with pytest.raises(DoesNotFit, match=message):
        map_network(small_network(), accelerator((8, limits)))


def test_too_few_cores_say_how_many_and_what_would_fit():
    network, chip = small_network(), accelerator((2, {"neurons": 36, "weights": 2000}))
    with pytest.raises(DoesNotFit, match=r"needs 4 cores \(conv 3, out 1\), .* 2 of kind kind0 .* does not"):
        map_network(network, chip)
    with pytest.raises(DoesNotFit, match=r"needs 2 cores \(conv 1, out 1\), .* 1 of kind kind0 .*, fits"):
        map_network(network, large(1))
    with pytest.raises(DoesNotFit, match="no room is left for population 'conv'"):
        map_network(network, chip, "pack")


@pytest.mark.parametrize(
    ("populations", "message"),
    [
        ({"conv": {"core": 0}, "out": {"core": 1}},
         r"core 0 .* room for 40 neurons, and rows 0..5, channels 0..2 of population 'conv' need 108 neurons"
         r".* fits in 3 pieces by channel or 3 pieces by area, on a core each"),
        ({"conv": {"split": "channel", "cores": "0..2"}, "out": {"core": 2}},
         r"core 2 .* 40 neurons, and its parts \(conv 36, out 10\) together need 46 neurons"),
        ({"conv": {"split": "area", "pieces": 2}, "out": {"core": 7}},
         r"'conv' does not fit the free cores .* in 2 pieces by area: kind 'kind0': it fits in 3 pieces by "
         r"channel or 3 pieces by area"),
        ({"conv": {"split": "channel"}, "out": {"split": "channel", "cores": [0, 1, 2, 3, 5, 6]}},
         r"3 cores needed, 2 free"),
    ],
)  # fmt: skip
def test_a_users_placement_that_does_not_fit_gets_the_next_split_that_does(populations, message):
    chip = accelerator((8, {"neurons": 40, "weights": 2000}))
    with pytest.raises(DoesNotFit, match=message):
        map_network(small_network(), chip, mapping_file(populations=populations))


# -- what a user writes ----------------------------------------------------------------------------------

WRITTEN = """
format: eventsnn-mapping
schema: 1
populations:
  input: {core: 7}
  conv:
    - {core: 5, channels: 0..1}
    - {core: 3, channels: 2, rows: 0..3}
    - {core: 1, channels: "2", rows: 4..5}
  out: {split: channel, pieces: 2, cores: 0..1}
synapse_units: {conv: fast}
"""


def test_a_mapping_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(WRITTEN)
    # 3,462 input neurons and 2,312 copies of their spikes fit the core that they are on.
    chip = accelerator((8, {"neurons": 4000, "weights": 2000}), units=["fast"])
    mapping = map_network(small_network(), chip, path)
    assert boxes(mapping, "input") == [[7, 0, 34, 0, 2]]
    assert boxes(mapping, "conv") == [[5, 0, 6, 0, 2], [3, 0, 4, 2, 3], [1, 4, 6, 2, 3]]
    assert boxes(mapping, "out") == [[0, 0, 1, 0, 5], [1, 0, 1, 5, 10]]
    assert mapping.synapse_units == {"conv": "fast"}
    assert Mapping.from_description(chip, mapping.description()) == mapping


def test_a_range_of_cores_and_a_list_of_them():
    network, chip = small_network(), large(8)
    for cores, expected in (("2..4", [2, 3, 4]), ([2, 4], [2, 4]), (3, [3])):
        asked = {"conv": {"split": "channel", "cores": cores}, "out": {"core": 7}}
        mapping = map_network(network, chip, {"populations": asked})
        assert [box[0] for box in boxes(mapping, "conv")] == expected


def test_what_is_left_open_goes_to_free_cores():
    network, chip = small_network(), large(8)
    spread = {"conv": {"split": "area", "pieces": 2}, "out": {"core": 1}}
    mapping = map_network(network, chip, {"populations": spread})
    assert [box[0] for box in boxes(mapping, "conv")] == [0, 2]
    mapping = map_network(network, chip, {"populations": {"out": {"core": 0}}, "others": "layer"})
    assert boxes(mapping, "conv") == [[1, 0, 6, 0, 3]]
    mapping = map_network(network, large(1), {"populations": {"out": {"core": 0}}, "others": "pack"})
    assert boxes(mapping, "conv") == [[0, 0, 6, 0, 3]]


TWO_KINDS = accelerator((2, {"neurons": 9999, "weights": 9999}), (2, {"neurons": 9999, "weights": 9999}))
WHOLE = {"core": 0}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"populations": {"conv": {"core": 4}, "out": WHOLE}}, "'conv' is placed on core 4; .* cores 0 to 3"),
        ({"populations": {"conv": [WHOLE, {"core": 1, "rows": 5}], "out": WHOLE}},
         "two cores: rows 5..5, channels 0..2 of population 'conv' are placed on core 1"),
        ({"populations": {"conv": {"core": 0, "channels": "0..1"}, "out": WHOLE}},
         "row 0 of channel 2 of population 'conv', of 6 rows and 3 channels, lies on no core"),
        ({"populations": {"conv": WHOLE}}, "'out' is placed nowhere"),
        ({"populations": {"conv": {"core": 0, "rows": "0..6"}, "out": WHOLE}},
         "'conv' has 6 rows, 0 to 5; on core 0 stands row 6"),
        ({"populations": {"conv": {"core": 0, "channels": "1..3"}, "out": WHOLE}},
         "'conv' has 3 channels, 0 to 2; on core 0 stands channel 3"),
        ({"populations": {"conv": [{"core": 0, "rows": "0..2"}, {"core": 0, "rows": "3..5"}], "out": WHOLE}},
         "two parts on core 0; a core holds one box"),
        ({"populations": {"conv": [{"core": 0, "rows": "0..2"}, {"core": 2, "rows": "3..5"}], "out": WHOLE}},
         "cores of several kinds .core 0 of kind 'kind0', core 2 of kind 'kind1'"),
        ({"populations": {"hidden": WHOLE}, "others": "layer"}, "population 'hidden'; .* input, conv, out"),
        ({"others": "layer", "synapse_units": {"conv": "fast"}}, "unit 'fast', .* none but actions.synapse"),
        ({"others": "layer", "synapse_units": {"hidden": "fast"}}, "synapse_units: there is no population"),
        ({"populations": {"conv": {"split": "area", "cores": "0..1", "pieces": 3}}}, "as many cores"),
        ({"populations": {"out": {"split": "area", "pieces": 2}}, "others": "layer"}, "1 rows and cannot"),
        ({"populations": {"conv": {"split": "channel", "cores": [0, -1]}}, "others": "layer"},
         "conv.cores: .*core below 0; cores are numbered from 0"),
        ({"populations": {"conv": {"split": "rows"}}, "others": "layer"}, "conv.split: .*'channel'"),
        ({"populations": {"conv": {"core": "first"}}, "others": "layer"}, "conv.core: .*integer"),
        ({"populations": {"conv": {"core": 0, "rows": "all"}}, "others": "layer"}, "'all' is not a range"),
        ({"populations": {"conv": {"core": 0, "rows": "5..0"}}, "others": "layer"}, "is not a range"),
        ({"populations": {"conv": {"core": 0, "rows": [0, 5]}}, "others": "layer"},
         r"conv.rows: .*\[0, 5\] is not a range: write 0..5 or 3; .* only 'cores' takes one"),
        ({"populations": {"conv": {"split": "channel", "cores": [0, "2"]}}, "others": "layer"},
         r"conv.cores: .*\[0, '2'\] does not name cores: write a range, 5..8, or a list"),
        ({"populations": {"conv": {"split": "channel", "cores": []}}, "others": "layer"}, "not name cores"),
        ({"populations": {"conv": {"split": "area", "cores": [0, 2], "pieces": 3}}}, r"\[5, 8\] are two"),
        ({"populations": {"conv": 3}, "others": "layer"}, "conv: 3 places nothing"),
        ({"populations": [{"conv": 3}]}, "one entry by population"),
        ({"colour": "red"}, "colour"),
        ({"others": "spread"}, "'spread' is not a strategy; strategies are layer, channel, area, pack"),
        ({"others": "layer:2"}, "pieces are given as channel:4"),
        ({"schema": 2, "others": "layer"}, "schema"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_says_where(entries, message):
    with pytest.raises(InvalidMapping, match=message):
        map_network(small_network(), TWO_KINDS, mapping_file() | entries)


def test_what_is_no_mapping_at_all(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("a: [1")
    with pytest.raises(InvalidMapping, match=r"broken.yaml is not readable as YAML"):
        load_mapping(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidMapping, match=r"broken.yaml is not a text file"):
        load_mapping(path)
    path.write_text("just words")
    with pytest.raises(InvalidMapping, match=r"broken.yaml is not a valid mapping"):
        load_mapping(path)
    with pytest.raises(InvalidMapping, match=r"no mapping 'missing.yaml': it is not a file"):
        load_mapping("missing.yaml")
    with pytest.raises(InvalidMapping, match="mapping is a int"):
        load_mapping(3)


def test_a_mapping_needs_an_accelerator():
    with pytest.raises(InvalidRequest, match="give hardware"):
        Settings(mapping="pack")


def test_dense_and_identity_sources_are_heard():
    """Identity and dense synapses of one source count each source neuron once on a shared core."""
    network = Network(
        [
            Population("in", (2, 1, 3), Input()),
            Population("same", (2, 1, 3), Readout()),
        ],
        [Projection("1", "in", "same", Identity([1])), Projection("2", "in", "same", Identity([2]))],
    )
    chip = accelerator((2, {"neurons": 99, "weights": 99, "axons_in": 99}))
    rows = {"same": [{"core": 0, "rows": 0}, {"core": 1, "rows": 1}]}
    use = use_of_cores(network, map_network(network, chip, {"populations": rows}))
    assert [core.together["axons_in"] for core in use] == [(3, 99), (3, 99)]
    assert [core.together["weights"] for core in use] == [(6, 99), (6, 99)]
    dense = Network(
        [Population("in", (2, 1, 3), Input()), Population("out", (1, 1, 4), Readout())],
        [Projection("1", "in", "out", Dense(np.ones((6, 4), dtype=int)))],
    )
    (core,) = use_of_cores(dense, map_network(dense, chip, "pack"))
    assert core.together == {"neurons": (4, 99), "weights": (24, 99), "axons_in": (6, 99)}


def test_a_run_takes_a_mapping(tmp_path):
    """Signed neurons keep their counts wherever they lie; the results say where they lay."""
    rng = np.random.default_rng(6)
    data = [(random_events(rng), label) for label in (3, 8)]
    network, whole = small_network(), {"conv": [[0, 0, 6, 0, 3]], "out": [[1, 0, 1, 0, 10]]}
    path = tmp_path / "mine.yaml"
    path.write_text("{format: eventsnn-mapping, schema: 1, others: 'area:2'}")
    found = {}
    for mapping in (None, "layer", path):
        found[mapping] = simulate(network, data, "event-conv-small", mapping=mapping)
        assert found[mapping].table.configuration["mapping"]["parts"]["conv"] == (
            [[0, 0, 3, 0, 3], [1, 3, 6, 0, 3]] if mapping == path else whole["conv"]
        )
    assert found[None].digest == found["layer"].digest
    assert found[None].digest != found[path].digest
    one, two = ([sample.trace["readout"][-1] for sample in found[m].table.samples] for m in (None, path))
    np.testing.assert_array_equal(one, two)


def test_the_commands(tmp_path):
    save_network(small_network(), tmp_path / "net.h5")
    data = f"nmnist:{write_recordings(tmp_path / 'set', per_class=1, classes=2)}"
    path = tmp_path / "mine.yaml"
    path.write_text("{format: eventsnn-mapping, schema: 1, populations: {conv: {core: 3}, out: {core: 3}}}")
    done = eventsnn(
        "hardware", "check", "event-conv-small", "--network", tmp_path / "net.h5", "--mapping", path
    )
    assert done.returncode == 0
    rows = {tuple(line.split()) for line in done.stdout.splitlines()}
    assert ("conv", "3", "0-5", "0-2", "0.7", "%", "0.2", "%", "-", "-") in rows  # 108 of 16384, 150 of 65536
    assert ("out", "3", "0-0", "0-9", "0.1", "%", "1.6", "%", "-", "-") in rows
    assert ("all", "on", "this", "core", "3", "0.7", "%", "1.9", "%", "-", "-") in rows
    asked = ("--network", tmp_path / "net.h5", "--data", data, "--mapping", path)
    done = eventsnn("hardware", "load", "event-conv-small", *asked)
    assert done.returncode == 0
    assert "core 3" in done.stdout
    found = json.loads(eventsnn("hardware", "load", "event-conv-small", *asked, "--json").stdout)
    assert {server["server"] for server in found["servers"]} >= {"core 3", "input port"}
    path.write_text("{format: eventsnn-mapping, schema: 1, populations: {conv: {core: 3}, out: {core: 4}}}")
    run = ("run", tmp_path / "net.h5", "--data", data, "--hardware", "event-conv-small", "--json")
    shown = json.loads(eventsnn(*run, "--mapping", path).stdout)
    assert shown["configuration"]["mapping"]["parts"]["out"] == [[4, 0, 1, 0, 10]]
    for wrong, message in (
        ("nowhere.yaml", "it is not a file"),
        (tmp_path / "net.h5", "not a text file"),
    ):
        done = eventsnn(*run, "--mapping", wrong)
        assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    timeline = ("timeline", tmp_path / "net.h5", "--data", data, "--hardware", "event-conv-small")
    assert eventsnn(*timeline, "--mapping", path, "-o", tmp_path / "t.json").returncode == 0
    assert "core 3" in (tmp_path / "t.json").read_text()
