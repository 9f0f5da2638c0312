"""Start-up stays light, and no room imports a room above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import eventsnn

PACKAGE = Path(eventsnn.__file__).parent
# Rooms from the ground up (design, section 6). A room may import those before its own level.
LEVELS = [
    {"errors", "arguments", "compilation", "output"},
    {"network", "events", "results"},
    {"convert", "hardware", "decide"},
    {"engine", "insight", "report"},
    {"run"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
# Rooms of one level that may know another of their level, one way.
BESIDE = {("insight", "engine"), ("report", "engine"), ("report", "insight")}


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "eventsnn" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("room", sorted(set(LEVEL) - LEVELS[0]))
def test_no_room_imports_a_room_above_it(room):
    for path in (PACKAGE / room).rglob("*.py"):
        for other in imported_rooms(path):
            below = LEVEL[other] < LEVEL[room] or other == room or (room, other) in BESIDE
            assert below, f"{path.relative_to(PACKAGE)} imports eventsnn.{other}"


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
