"""``docs/api.md`` lists the public names, each once, and each can be imported by the path given."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import eventsnn

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "api.md").read_text()
PATHS = re.findall(r"^\| `(eventsnn\.[\w.]+)` \| .+ \|$", PAGE, re.M)


@pytest.mark.parametrize("path", PATHS)
def test_a_listed_name_can_be_imported(path):
    if path.startswith("eventsnn.convert"):
        pytest.importorskip("torch")
    module, name = path.rsplit(".", 1)
    assert getattr(import_module(module), name) is not None
    assert name in import_module(module).__all__


def test_every_public_name_is_listed_once():
    short = [path.removeprefix("eventsnn.") for path in PATHS]
    assert sorted(short) == sorted(set(short))
    assert {name for name in short if "." not in name} == set(eventsnn.__all__)


def test_every_line_of_a_table_names_something():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line != "| name | what it is |"]
    assert len(rows) == len(PATHS) > 40


def test_names_load_only_when_they_are_used():
    """Each works first thing in a process, and a kind of synapse brings no compiler with it."""
    code = "import sys, eventsnn\nassert callable(getattr(eventsnn, {!r}))\nprint('numba' in sys.modules)"
    for name, heavy in (("Dense", False), ("ExitRule", False), ("sweep", None), ("profile", None)):
        done = subprocess.run(
            [sys.executable, "-c", code.format(name)], capture_output=True, text=True, check=True
        )
        if heavy is not None:
            assert done.stdout.strip() == str(heavy), name
