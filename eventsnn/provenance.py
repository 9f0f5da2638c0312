"""How a file came to be: software, parameters, environment and resources, in tskit's provenance schema 1.1.0.

The schema is that of tskit (docs/provenance.md and python/tskit/provenance.schema.json in tskit-dev/tskit).
Records are told beside what a file holds and are no part of its digest.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eventsnn.errors import InvalidFile
from eventsnn.version import __version__

SCHEMA_VERSION = "1.1.0"
LIBRARIES = ("numpy", "scipy", "numba", "h5py", "simpy", "sortedcontainers", "torch", "onnx", "onnxruntime")
"""Those that were imported are told with their versions."""
# What the schema asks of a record, and of what is in it: name, type, whether it must be there.
FIELDS: dict[str, tuple[tuple[str, type | tuple[type, ...], bool], ...]] = {
    "": (
        ("schema_version", str, True),
        ("software", dict, True),
        ("parameters", dict, True),
        ("environment", dict, True),
        ("resources", dict, False),
    ),
    "software": (("name", str, True), ("version", str, True)),
    "environment": (("os", dict, False), ("libraries", dict, False)),
    "resources": tuple(
        (name, (int, float), False) for name in ("elapsed_time", "user_time", "sys_time", "max_memory")
    ),
}
Record = dict[str, Any]


def started(command: str, parameters: Mapping[str, Any]) -> Callable[[], Record]:
    """Begin to measure; the function that is returned gives the record, as often as it is asked.

    Parameters
    ----------
    command : str
        What is done, as ``simulate``.
    parameters : mapping
        JSON values that say with what. The words of the command line, if there is one, stand beside them.

    Returns
    -------
    callable
        Gives a record whose ``resources`` are those since now: seconds on the clock; seconds of processors in
        user and in system mode, of this process and of its workers that have ended; and the most memory that
        this process or one of those had at a time, bytes, left out where the system does not tell.
    """
    told = {"command": command, **parameters}
    line = command_line()
    if line is not None:
        told["args"] = line
    clock, times = time.perf_counter(), os.times()

    def record() -> Record:
        now = os.times()
        resources: dict[str, Any] = {
            "elapsed_time": time.perf_counter() - clock,
            "user_time": now.user - times.user + now.children_user - times.children_user,
            "sys_time": now.system - times.system + now.children_system - times.children_system,
        }
        most = max_memory()
        return {
            "schema_version": SCHEMA_VERSION,
            "software": {"name": "eventsnn", "version": __version__},
            "parameters": told,
            "environment": environment(),
            "resources": resources if most is None else resources | {"max_memory": most},
        }

    return record


def command_line() -> list[str] | None:
    """The words after ``eventsnn`` where this process is the command; None elsewhere."""
    path = Path(sys.argv[0]) if sys.argv else Path()
    of_module = path.name == "__main__.py" and path.parent.name == "eventsnn"
    # Names of files need not be text, and JSON is.
    words = [word.encode("utf-8", "backslashreplace").decode() for word in sys.argv[1:]]
    return words if of_module or path.stem == "eventsnn" else None


def max_memory() -> int | None:
    """The most memory of this process, or of one that it waited for, bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return int(most) * (1 if sys.platform == "darwin" else 1024)


def environment() -> dict[str, Any]:
    """The system, Python, and the libraries that are in use."""
    system = platform.uname()
    versions = {name: getattr(sys.modules.get(name), "__version__", None) for name in LIBRARIES}
    return {
        "os": {name: getattr(system, name) for name in ("system", "node", "release", "version", "machine")},
        "python": {"implementation": platform.python_implementation(), "version": platform.python_version()},
        "libraries": {name: {"version": str(found)} for name, found in versions.items() if found is not None},
        "processors": os.cpu_count(),
    }


def require_records(found: Any) -> tuple[Record, ...]:
    """Records of a file.

    Raises
    ------
    InvalidFile
        They do not follow the schema.
    """
    if not isinstance(found, list | tuple):
        raise InvalidFile(f"provenance is {_short(found)}; it is a list of records")
    for record in found:
        _require(record, "")
    return tuple(found)


def _require(part: Any, name: str) -> None:
    if not isinstance(part, dict):
        raise InvalidFile(f"a record of provenance is {_short(part)}; it has names and values")
    for inner, kind, needed in FIELDS[name]:
        if inner not in part and not needed:
            continue
        value = part.get(inner)
        if not isinstance(value, kind) or isinstance(value, bool) or value == "":
            where = f"{name}.{inner}" if name else inner
            raise InvalidFile(f"in a record of provenance {where} is {_short(value)}; see docs/results.md")
        if inner in FIELDS:
            _require(value, inner)


def _short(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."


def line_of(record: Record) -> str:
    """A record as one line of text."""
    software, about = record["software"], record["environment"]
    python, system = about.get("python", {}), about.get("os", {})
    words = [
        f"{software['name']} {software['version']} {record['parameters'].get('command', '')}".strip(),
        f"Python {python['version']}" if "version" in python else "",
        " ".join(str(system[name]) for name in ("system", "machine") if name in system),
    ]
    resources = record.get("resources", {})
    names = {"elapsed_time": "elapsed", "user_time": "user", "sys_time": "system"}
    words += [f"{resources[name]:.3g} s {called}" for name, called in names.items() if name in resources]
    if "max_memory" in resources:
        words.append(f"at most {resources['max_memory'] / 1e6:,.0f} MB")
    if not resources:
        words.append("ended before it could say what it took")
    return ", ".join(word for word in words if word)
