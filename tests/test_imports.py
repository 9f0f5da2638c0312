"""Start-up stays light, and public names exist; how the package is laid out: ``test_layout``."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import eventsnn


def modules_after(statement):
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_eventsnn_loads_only_the_standard_library():
    loaded = {name.split(".")[0] for name in modules_after("import eventsnn")}
    outside = loaded - set(sys.stdlib_module_names) - {"eventsnn"}
    # Site-packages hooks (editable installs, coverage) load before us.
    before = {name.split(".")[0] for name in modules_after("")}
    assert outside <= before


def test_the_command_line_loads_nothing_heavy():
    loaded = modules_after("import eventsnn.cli.app")
    assert not loaded & {"numpy", "numba", "h5py", "scipy", "torch", "pydantic", "matplotlib", "simpy"}


def test_public_names_exist():
    for name in eventsnn.__all__:
        assert getattr(eventsnn, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = eventsnn.nothing


def test_no_test_imports_another():
    """What several tests need stands in ``tests/builders`` or ``tests/oracles``."""
    for path in Path(__file__).parent.rglob("*.py"):
        assert not re.search(r"^\s*(from|import) test_", path.read_text(), re.MULTILINE), path.name
