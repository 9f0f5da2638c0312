"""Seeded damage to network files and to what users write in YAML: one error of ours each, never another."""

import random
import time
from collections import Counter
from importlib import resources
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from builders.networks import random_network

import eventsnn
from eventsnn.errors import EventsnnError, InvalidFile, InvalidHardware, InvalidMapping
from eventsnn.hardware import load_architecture, load_mapping
from eventsnn.hardware.baselines import load_baseline
from eventsnn.hardware.baselines.files import baseline_names
from eventsnn.hardware.documents import read_document
from eventsnn.hardware.exchange.sanafe import from_sanafe
from eventsnn.hardware.variations import vary
from eventsnn.network import Input, Network, Population, Projection, Rate, Readout, Sparse

# -- network files --

ATTRIBUTES = [
    0, -1, 2**40, 1.5, float("nan"), 1j, True, "text", "", b"\xff\xfe", np.zeros(0), np.ones((2, 2)),
    np.array(["a", "b"], dtype="S1"), h5py.Empty("f4"), [1, 2, 3, 4], np.array([1.5, 1, 1]),
]  # fmt: skip


def nodes(file):
    found = []
    file.visit(found.append)
    return found


def damage(path, draw):
    """One change of what the file holds."""
    with h5py.File(path, "r+") as file:
        name = draw.choice(["/", *nodes(file)])
        node, how = file[name], draw.randrange(7)
        if how < 3:
            keys = list(node.attrs) or ["neuron"]
            node.attrs[draw.choice(keys)] = draw.choice(ATTRIBUTES)
        elif how == 3 and len(node.attrs):
            del node.attrs[draw.choice(list(node.attrs))]
        elif name == "/":
            file[draw.choice(["populations", "projections"]) + "/more"] = np.ones(3)
        elif how == 4:
            del file[name]
        elif how == 5:
            del file[name]
            file.create_group(f"{name}/inner")
        else:
            del file[name]
            file[name] = draw.choice(
                [np.ones((2, 2, 2)), np.array(["a"], dtype="S1"), np.zeros(0, int), 3, np.full(4, np.nan), 1j]
            )


def sparse():
    return Network(
        [Population("in", (1, 1, 2), Input()), Population("hidden", (1, 1, 2), Rate(8)),
         Population("out", (1, 1, 2), Readout())],
        [Projection("a", "in", "hidden", Sparse([3, 4], [0, 1, 2], [0, 1], (1, 1, 2)), np.array([1, 2])),
         Projection("b", "hidden", "out", Sparse([3, 4], [0, 1, 2], [0, 1], (1, 1, 2)))],
    )  # fmt: skip


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    networks = [
        random_network(seed, kind, delays=True) for seed, kind in enumerate(["signed", "rate", "mixed"])
    ]
    found = []
    for number, network in enumerate([*networks, sparse()]):
        path = tmp_path_factory.mktemp("fuzz") / f"{number}.h5"
        network.save(path)
        found.append((path.read_bytes(), network.checksum))
    return found


def tried(call, *arguments):
    """What a call gave, and its error if that is one of ours."""
    try:
        return call(*arguments), None
    except EventsnnError as error:
        return None, error


def loads_or_is_invalid(path, checksum):
    """Whether it was refused; it loads where the change was none, or of metadata."""
    found, refused = tried(eventsnn.load, path)
    if refused is None:
        assert found.checksum == checksum
    else:
        assert isinstance(refused, InvalidFile)
        assert str(path) in str(refused)
    return refused is not None


@pytest.mark.parametrize("seed", range(4))
def test_changed_network_files_are_invalid_files(tmp_path, originals, seed):
    draw, path, refused = random.Random(seed), tmp_path / "net.h5", 0
    for _ in range(100):
        data, checksum = draw.choice(originals)
        path.write_bytes(data)
        damage(path, draw)
        refused += loads_or_is_invalid(path, checksum)
    assert refused > 50


@pytest.mark.parametrize("seed", range(2))
def test_flipped_bits_and_missing_ends_are_invalid_files(tmp_path, originals, seed):
    draw, path, refused = random.Random(seed), tmp_path / "net.h5", 0
    for number in range(100):
        data, checksum = draw.choice(originals)
        found = bytearray(data)
        if number % 4 == 0:
            del found[draw.randrange(len(found)) :]
        else:
            for _ in range(draw.choice([1, 1, 8])):
                found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
        path.write_bytes(found)
        refused += loads_or_is_invalid(path, checksum)
    assert refused > 20


# -- YAML --

MAPPING = """format: eventsnn-mapping
schema: 1
populations:
  conv1:
    - {core: 5, channels: 0..1}
    - {core: 40, channels: 2..3, rows: 0..5}
  conv2: {split: channel, pieces: 4, cores: 8..11}
others: layer
synapse_units: {conv1: conv}
"""
SANAFE = """architecture:
  name: chip
  attributes: {topology: mesh, width: 1, height: 1, link_buffer_size: 16}
  tile:
    - name: tile[0..0]
      attributes: {energy_north_hop: 1.0e-12, latency_north_hop: 1.0e-9}
      core:
        - name: core[0..1]
          attributes: {buffer_position: soma, max_neurons_supported: 64}
          axon_in: [{name: in, attributes: {energy_message_in: 0.0, latency_message_in: 1.0e-9}}]
          synapse: [{name: syn, attributes: {model: current_based, energy_process_spike: 1.0e-12}}]
          dendrite: [{name: den, attributes: {model: accumulator}}]
          soma: [{name: soma, attributes: {model: leaky_integrate_fire}}]
          axon_out: [{name: out, attributes: {energy_message_out: 1.0e-12}}]
"""
VALUES = [
    None, True, -1, 0, 1.5, 2**70, 1e308, float("nan"), float("inf"), "", "text", "1e-9", "\0", [], {}, [[]],
    {"a": 1}, [1, 2], {"value": 1}, "0..5", "5..0", "x[0..9999999]", b"\xff", "2014-01-01",
]  # fmt: skip


TEXTS = {
    "architecture": (load_architecture, None, InvalidHardware),
    "mapping": (load_mapping, MAPPING, InvalidMapping),
    "baseline": (load_baseline, None, InvalidHardware),
    "sanafe": (lambda path: from_sanafe(Path(path)), SANAFE, InvalidHardware),
}


def text_of(kind):
    """A valid document of a kind."""
    found = TEXTS[kind][1]
    if found is not None:
        return found
    room = {"architecture": "eventsnn.hardware", "baseline": "eventsnn.hardware.baselines"}[kind]
    name = {"architecture": "event-conv-small", "baseline": baseline_names()[0]}[kind]
    return (resources.files(room) / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def places(value, place=()):
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*place, key))


def changed(text, draw):
    """The document with one value, key or piece of text changed."""
    how = draw.randrange(5)
    if how == 0:
        at = draw.randrange(len(text))
        return text[:at] + draw.choice(list("\0\x07:{}[]&*!|>%@`'\"#\t\n-?,~é\u2028")) + text[at + 1 :]
    if how == 1:
        start = draw.randrange(len(text))
        return text[:start] + text[start + draw.randrange(40) :]
    document = yaml.safe_load(text)
    place = draw.choice([found for found in places(document) if found])
    parent = document
    for key in place[:-1]:
        parent = parent[key]
    if how == 2:
        del parent[place[-1]]
    elif how == 3 and isinstance(parent, dict):
        parent[draw.choice([None, 3, True, "", "extra", "nane", 2.5])] = parent.pop(place[-1])
    else:
        parent[place[-1]] = draw.choice(VALUES)
    return yaml.safe_dump(document, sort_keys=False)


@pytest.mark.parametrize("kind", TEXTS)
def test_changed_documents_are_read_or_refused(tmp_path, kind):
    draw, path, text = random.Random(7), tmp_path / "written.yaml", text_of(kind)
    answers = Counter()
    for _ in range(200):
        path.write_text(changed(text, draw), encoding="utf-8")
        start = time.process_time()
        _, refused = tried(TEXTS[kind][0], str(path))
        assert refused is None or "written.yaml" in str(refused)
        assert time.process_time() - start < 5  # what expands takes tens of seconds; a second is usual
        answers[refused is None] += 1
    assert answers[True] > 5
    assert answers[False] > 50


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
LOOP = "a: &a [*a]\n"
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{{', '.join(f'k{i}: *{old}' for i in range(9))}}}\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("bomb", [BOMB, LOOP, MERGES])
def test_aliases_that_grow_are_refused_at_once(tmp_path, kind, bomb):
    path = tmp_path / "written.yaml"
    for text in (bomb, text_of(kind) + "\n" + bomb):
        path.write_text(text)
        with pytest.raises(
            TEXTS[kind][2], match=r"with its aliases written out|inside what it stands for"
        ) as refused:
            TEXTS[kind][0](str(path))
        assert "written.yaml" in str(refused.value)
        assert len(str(refused.value)) < 2000


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    "content",
    [b"a: \0", b"\0", b"\xff\xfe\xfa", b"a: \x07", b"\x80abc", b"", b"a", b"[]", b"? [a, b]\n: 3",
     b"? {a: b}\n: c",
     b"!!python/object:os.system x", b"--- a\n--- b", b"a: !!binary '*'", b"a: !!int x", b"<<: 3", b"- &a *a",
     b"a: !!timestamp 3", b"a: !!float x", b"a: !!bool x", b"{a: 1, a: 2}", b"{1: 1, 1: 2}"],
)  # fmt: skip
def test_bytes_that_are_no_document_are_refused(tmp_path, kind, content):
    path = tmp_path / "written.yaml"
    path.write_bytes(content)
    with pytest.raises(TEXTS[kind][2], match=r"written\.yaml"):
        TEXTS[kind][0](str(path))


def test_few_aliases_stay_allowed():
    text = "a: &a {x: 1, y: [1, 2]}\nb: *a\nc: *a\nd: {<<: *a, y: 3}\n"
    one = {"x": 1, "y": [1, 2]}
    assert read_document(text, "here", InvalidHardware) == {
        "a": one,
        "b": one,
        "c": one,
        "d": {"x": 1, "y": 3},
    }


def test_a_document_may_hold_what_the_limit_says():
    wide = "a: &a [" + ", ".join(["1"] * 999) + "]\nb: [" + ", ".join(["*a"] * 98) + "]\n"
    assert len(read_document(wide, "here", InvalidHardware)["b"]) == 98
    with pytest.raises(InvalidHardware, match="more than 100000 values"):
        read_document(wide.replace("b: [", "b: [*a, "), "here", InvalidHardware)


def test_unknown_keys_get_the_nearest_known_one(tmp_path):
    path = tmp_path / "written.yaml"
    document = yaml.safe_load(text_of("architecture"))
    for place, wrong, right in (
        (("actions",), "synaps", "synapse"),
        (("actions", "synapse"), "enrgy", "energy"),
        ((), "descripton", "description"),
        (("network_on_chip",), "topologie", "topology"),
        (("cores", next(iter(document["cores"]))), "weigths", "weights"),
    ):
        changed_one = yaml.safe_load(text_of("architecture"))
        parent = changed_one
        for key in place:
            parent = parent[key]
        parent[wrong] = 1
        path.write_text(yaml.safe_dump(changed_one))
        with pytest.raises(InvalidHardware, match=f"{wrong}: .*; did you mean '{right}'"):
            load_architecture(str(path))
    for text, right in (
        (MAPPING.replace("others", "other"), "others"),
        (MAPPING.replace("rows", "row"), "rows"),
        (MAPPING.replace("pieces", "peices"), "pieces"),
    ):
        path.write_text(text)
        with pytest.raises(InvalidMapping, match=f"did you mean '{right}'"):
            load_mapping(str(path))
    path.write_text(text_of("baseline").replace("name:", "nmae:", 1))
    with pytest.raises(InvalidHardware, match="did you mean 'name'"):
        load_baseline(str(path))


def test_overrides_are_read_or_refused():
    draw, nominal = random.Random(3), load_architecture("event-conv-small")
    paths = [
        "actions.synapse.time",
        "actions.synapse",
        "network_on_chip.topology",
        "",
        "a.b",
        "name",
        "tiles",
    ]
    pieces = [
        "5",
        "ns",
        " ",
        "x",
        "-",
        "[",
        "{",
        "&a",
        "*a",
        "!!int",
        "\0",
        "1e999",
        "nan",
        "é",
        ":",
        "'",
        "~",
    ]
    answers = Counter()
    for _ in range(150):
        value = "".join(draw.choices(pieces, k=draw.randrange(1, 4)))
        found, refused = tried(vary, nominal, draw.choice(paths), [value])
        assert (found is None) == (refused is not None)
        answers[refused is None] += 1
    assert min(answers[True], answers[False]) > 0


@pytest.mark.parametrize("value", ["true", "'2'", "2.5", "-1", "[1]", ".nan"])
def test_whole_numbers_of_an_architecture_are_whole(tmp_path, value):
    path = tmp_path / "written.yaml"
    document = yaml.safe_load(text_of("architecture"))
    document["network_on_chip"] = {"topology": "mesh", "width": yaml.safe_load(value), "height": 4}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(InvalidHardware, match=r"network_on_chip\.width"):
        load_architecture(str(path))
