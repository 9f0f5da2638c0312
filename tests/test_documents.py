"""YAML that users write: a key twice, what is no value, and what is no YAML."""

from pathlib import Path

import pytest

from eventsnn.errors import InvalidHardware, InvalidMapping
from eventsnn.hardware import load_architecture, load_mapping
from eventsnn.hardware.baselines import load_baseline
from eventsnn.hardware.documents import read_document
from eventsnn.hardware.exchange.sanafe import from_sanafe

TWICE = "format: x\nactions:\n  fire: {energy: 1}\n  fire: {energy: 2}\n"
READERS = {
    load_architecture: InvalidHardware,
    load_mapping: InvalidMapping,
    load_baseline: InvalidHardware,
    lambda path: from_sanafe(Path(path)): InvalidHardware,
}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWICE, "'fire' stands twice in one mapping; keep one\n.*line 4"),
        ("published: 2014-13-45", "month must be in"),
        ("[" * 5000, "nested too deeply"),
        ("a: [1", "not readable as YAML"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path, read, text, message):
    path = tmp_path / "written.yaml"
    path.write_text(text)
    with pytest.raises(READERS[read], match=message) as refused:
        read(str(path))
    assert "written.yaml" in str(refused.value)


def test_equal_keys_of_different_mappings_and_merges_are_no_repetition():
    text = "a: &base {x: 1, y: 2}\nb: {<<: *base, y: 3}\nc: {<<: *base, x: 4}\n"
    assert read_document(text, "here", InvalidHardware) == {
        "a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 4, "y": 2},
    }  # fmt: skip
