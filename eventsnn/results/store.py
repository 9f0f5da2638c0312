"""Results on disk, one HDF5 file: no bit of it can change without a word.

The attribute ``contents`` has the hash of every dataset, the attribute ``checksum`` that of all other
attributes; both are verified on opening, with the datasets of ``samples/``. The other datasets are verified
when they are read, and HDF5's own checksum (fletcher32) stands at each of their chunks for whoever reads
them with other tools. As HDF5 itself may crash or hang on damage, a hash of all bytes stands behind the end
of the file and is verified first. Files of versions that wrote none of this are read, their types and shapes
checked.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COUNTERS, HARDWARE_COUNTERS
from eventsnn.errors import EventsnnError, InvalidFile
from eventsnn.output import hdf5_replaced_whole, require_seal
from eventsnn.results.table import (
    HISTORY_FIELDS,
    LATER_FIELDS,
    SCALAR_FIELDS,
    TRACE_FIELDS,
    CounterHistory,
    FailedSample,
    ResultTable,
    SampleRecord,
)

FORMAT = "eventsnn-results"
SCHEMA = 1
# No compression that HDF5 has makes more of a byte than this.
LARGEST_EXPANSION = 1100
CONFIGURATION_TYPES: dict[str, tuple[type, ...]] = {
    "version": (str,),
    "network": (str, type(None)),
    "dense_work": (list,),
    "data": (dict,),
    "data_path": (str, type(None)),
    "class_names": (list,),
    "input": (str, type(None)),
    "duration_ps": (int, type(None)),
    "max_rate_hz": (int, float, type(None)),
    "hardware": (str, type(None)),
    "architecture": (dict, type(None)),
    "mapping": (dict, type(None)),
    "static_watts": (int, float),
    "decision_latency_ps": (int,),
    "exit": (str, type(None)),
    "schedule": (str,),
    "step_ps": (int,),
    "history_ps": (int,),
    "engine": (str,),
    "seed": (int,),
}


def fingerprint(array: NDArray[Any]) -> str:
    """blake2b-128 of an array: type, shape and values, byte order left out."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest = hashlib.blake2b(f"{little.dtype.str}{array.shape}".encode(), digest_size=16)
    digest.update(little.data if little.size else b"")
    return digest.hexdigest()


def write_results(path: str | os.PathLike[str], table: ResultTable) -> None:
    """Write a results file; an existing one is replaced only once the new one is whole.

    Raises
    ------
    InvalidRequest
        The path is none to write to, or a file of another kind is there.
    CannotWrite
        The disk is full.
    """
    with hdf5_replaced_whole(path, FORMAT, sealed=True) as file:
        contents = {}
        for name, array in _datasets(table).items():
            # What is there of every sample is read as a whole, and is verified as a whole.
            kept: dict[str, Any] = {} if name.startswith("samples/") else {"fletcher32": True}
            if name.startswith(("trace/", "history/")) and not name.endswith("/start"):
                kept |= {"compression": "gzip", "shuffle": True}
            file.create_dataset(name, data=array, **kept)
            contents[name] = fingerprint(array)
        attributes = {
            "format": FORMAT,
            "schema": SCHEMA,
            "digest": table.digest,
            "configuration": json.dumps(table.configuration),
            "population_order": json.dumps(table.order),
            "readout_scale": float(table.readout_scale),
            "contents": json.dumps(contents),
        }
        if table.failures:
            attributes["sources"] = json.dumps(table.sources)
        file.attrs["checksum"] = attributes_checksum(attributes)
        for name, value in attributes.items():
            file.attrs[name] = value


def attributes_checksum(attributes: dict[str, Any]) -> str:
    found = {
        name: value if isinstance(value, str | int) else float(value).hex()
        for name, value in attributes.items()
        if name != "checksum"
    }
    return hashlib.blake2b(json.dumps(found, sort_keys=True).encode(), digest_size=16).hexdigest()


def _datasets(table: ResultTable) -> dict[str, NDArray[Any]]:
    """Every dataset of a results file, by its path."""
    samples = table.samples
    found: dict[str, NDArray[Any]] = {f"samples/{name}": table.column(name) for name in SCALAR_FIELDS}
    found["samples/digest"] = np.array([s.digest for s in samples], dtype="S32")
    if table.sources.keys() >= {s.index for s in samples}:
        found["samples/source"] = np.array([table.sources[s.index] for s in samples], dtype="S16")
    found |= {f"populations/{name}": table.counter(index) for index, name in enumerate(COUNTERS)}
    parts = [s.parts for s in samples if s.parts is not None]
    if parts and len(parts) == len(samples):
        for index, name in enumerate(COUNTERS):
            found[f"parts/{name}"] = np.stack([rows[:, index] for rows in parts])
    found |= _rows("trace", {name: [s.trace[name] for s in samples] for name in TRACE_FIELDS})
    histories = [s.history for s in samples if s.history is not None]
    if histories and len(histories) == len(samples):
        found |= _rows("history", {name: [getattr(h, name) for h in histories] for name in HISTORY_FIELDS})
    if table.failures:
        # Not text of any length: HDF5 keeps that where no checksum reaches.
        found["failures/index"] = np.array([f.index for f in table.failures], dtype=np.int64)
        found["failures/name"] = np.array([_stored(f.name) for f in table.failures])
        found["failures/reason"] = np.array([_stored(f.reason) for f in table.failures])
    return found


def _stored(text: str) -> bytes:
    # Names of files need not be UTF-8; HDF5 has no text of length 0.
    return text.encode("utf-8", "surrogateescape") or b" "


def _rows(group: str, columns: dict[str, list[NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Samples' rows one after another; those of sample i stand from ``start[i]`` to ``start[i + 1]``."""
    lengths = [len(rows) for rows in columns["time_ps"]]
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    joined = {f"{group}/{name}": np.concatenate(rows) for name, rows in columns.items()}
    return {f"{group}/start": start, **joined}


def read_results(path: str | os.PathLike[str]) -> ResultTable:
    """Read a results file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    InvalidFile
        Not HDF5, another format or schema, truncated, or changed since it was written.
    """
    import h5py

    if not Path(path).is_file():
        raise FileNotFoundError(f"no results file {path}; 'eventsnn run ... -o {path}' writes one")
    try:
        require_seal(path)
        with h5py.File(path, "r") as file:
            found, schema = file.attrs.get("format"), file.attrs.get("schema")
            if not isinstance(found, str) or found != FORMAT or not np.array_equal(schema, SCHEMA):
                raise InvalidFile(
                    f"{path}: format is {found!r}, schema {schema}; a results file has {FORMAT!r}, schema "
                    f"{SCHEMA}. Results are written by 'eventsnn run'"
                )
            return _read_table(_Reader(file, Path(path).stat().st_size))
    except EventsnnError:
        raise
    except _Damaged as error:
        raise InvalidFile(
            f"{path}: {error}. The file was changed or damaged after it was written; run 'eventsnn run' again"
        ) from error
    except Exception as error:
        # HDF5 answers to damage with any kind of error.
        raise InvalidFile(
            f"{path} cannot be read as eventsnn results: {error}. It may be truncated or another kind of "
            "file; run 'eventsnn run' again"
        ) from error


class _Damaged(Exception):
    """What does not fit in a results file."""


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise _Damaged(what)


class _Reader:
    """Verified access to an open file; ``contents`` is None where a version wrote no checksums."""

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._size = file, size
        self.attributes: dict[str, Any] = {}
        for name, value in file.attrs.items():
            plain = value.item() if isinstance(value, np.generic) else value
            _require(isinstance(plain, str | int | float), f"attribute {name!r} is a {type(value).__name__}")
            self.attributes[name] = plain
        self.contents: dict[str, str] | None = None
        if {"checksum", "contents"} & self.attributes.keys():
            checksum = attributes_checksum(self.attributes)
            _require(
                self.attributes.get("checksum") == checksum,
                f"checksum is {self.attributes.get('checksum', 'missing')}, its attributes give {checksum}",
            )
            self.contents = self.json("contents", dict)

    def json(self, name: str, kind: type) -> Any:
        """A JSON attribute of a kind."""
        text = self.attributes.get(name)
        _require(isinstance(text, str), f"attribute {name!r} is missing or no text")
        found = json.loads(str(text))
        _require(isinstance(found, kind), f"attribute {name!r} is no JSON {kind.__name__}")
        return found

    def has(self, name: str) -> bool:
        """Whether there is such a dataset or group."""
        if self.contents is None:
            return name in self._file
        return any(path == name or path.startswith(name + "/") for path in self.contents)

    def read(self, name: str, kind: str, *shape: int | None) -> NDArray[Any]:
        """A dataset of a type and shape, None being any length."""
        import h5py

        item = self._file.get(name)
        _require(isinstance(item, h5py.Dataset), f"there is no dataset {name!r}")
        wanted = np.dtype(kind)
        fits = item.dtype.kind == "S" if kind == "S" else item.dtype.newbyteorder("=") == wanted
        _require(fits, f"dataset {name!r} is of type {item.dtype}, which must be {wanted}")
        alike = len(item.shape) == len(shape) and all(
            b is None or a == b for a, b in zip(item.shape, shape, strict=True)
        )
        _require(alike, f"dataset {name!r} has shape {item.shape}, which does not fit the others")
        _require(
            item.nbytes <= LARGEST_EXPANSION * self._size,
            f"dataset {name!r} is larger than the file can hold",
        )
        if self.contents is None:
            # Files without checksums are older than those of chunks.
            _require(not item.fletcher32, "its checksum is missing")
        found = np.asarray(item[...])
        if self.contents is not None:
            _require(
                self.contents.get(name) == fingerprint(found), f"dataset {name!r} does not give its checksum"
            )
        return found.astype(found.dtype.newbyteorder("="), copy=False)


def _read_rows(
    reader: _Reader, group: str, samples: int, shapes: dict[str, tuple[int | None, ...]]
) -> list[dict[str, NDArray[Any]]]:
    """What ``_rows`` gave, by sample."""
    start = reader.read(f"{group}/start", "i8", samples + 1)
    _require(start[0] == 0 and bool((np.diff(start) >= 0).all()), f"{group}/start does not ascend from 0")
    columns = {name: reader.read(f"{group}/{name}", "i8", int(start[-1]), *s) for name, s in shapes.items()}
    return [{name: rows[a:b] for name, rows in columns.items()} for a, b in pairwise(start)]


def _counters(reader: _Reader, group: str, samples: int, rows: int | None) -> NDArray[np.int64]:
    """Counters of samples; a hardware counter that came later than the file is zero."""
    there = [name for name in COUNTERS if name not in HARDWARE_COUNTERS or reader.has(f"{group}/{name}")]
    found = {name: reader.read(f"{group}/{name}", "i8", samples, rows) for name in there}
    shapes = {array.shape for array in found.values()}
    _require(len(shapes) == 1, f"the datasets of {group!r} differ in shape")
    nothing = np.zeros(shapes.pop(), dtype=np.int64)
    return np.stack([found.get(name, nothing) for name in COUNTERS], axis=-1)


def read_configuration(configuration: Any) -> dict[str, Any]:
    """A configuration as a file has it, the types of its values checked.

    Raises
    ------
    InvalidFile
        It is none.
    """
    if not isinstance(configuration, dict):
        raise InvalidFile(f"the configuration is a {type(configuration).__name__}, no JSON object")
    for name, kinds in CONFIGURATION_TYPES.items():
        if name in configuration and not isinstance(configuration[name], kinds):
            raise InvalidFile(
                f"the configuration has {name} {configuration[name]!r}, which is of no type of it"
            )
    if not all(isinstance(name, str) for name in configuration.get("class_names", [])):
        raise InvalidFile("the configuration has class_names that are no texts")
    return configuration


def _read_failures(reader: _Reader) -> tuple[FailedSample, ...]:
    if not reader.has("failures"):
        return ()
    index = reader.read("failures/index", "i8", None)
    name, reason = (reader.read(f"failures/{text}", "S", len(index)) for text in ("name", "reason"))
    rows = zip(index.tolist(), name.tolist(), reason.tolist(), strict=True)
    return tuple(
        FailedSample(i, n.decode("utf-8", "surrogateescape"), r.decode("utf-8", "surrogateescape"))
        for i, n, r in rows
    )


def _read_table(reader: _Reader) -> ResultTable:
    order = reader.json("population_order", list)
    _require(
        bool(order) and all(isinstance(name, str) for name in order) and len(set(order)) == len(order),
        "population_order is no list of names",
    )
    scale: Any = reader.attributes.get("readout_scale")
    _require(isinstance(scale, int | float) and math.isfinite(scale), f"readout_scale is {scale!r}")
    count = len(reader.read("samples/index", "i8", None))
    there = [name for name in SCALAR_FIELDS if name not in LATER_FIELDS or reader.has(f"samples/{name}")]
    scalars = {name: reader.read(f"samples/{name}", SCALAR_FIELDS[name], count) for name in there}
    digests = [text.decode("ascii") for text in reader.read("samples/digest", "S32", count).tolist()]
    failures = _read_failures(reader)
    indices = scalars["index"].tolist() + [failure.index for failure in failures]
    _require(len(set(indices)) == len(indices), "two samples have one index")
    counters = _counters(reader, "populations", count, len(order))
    parts = _counters(reader, "parts", count, None) if reader.has("parts") else None
    trace = _read_rows(reader, "trace", count, _trace_shapes())
    history = None
    if reader.has("history"):
        shapes = {"time_ps": (), "counters": (len(order), None), "readout": (None,)}
        history = _read_rows(reader, "history", count, shapes)
    classes = trace[0]["readout"].shape[1] if count else 0
    for name in ("label", "prediction"):
        inside = (scalars[name] >= -1) & (scalars[name] < classes)
        _require(bool(inside.all()), f"samples/{name} has values outside the {classes} classes")
    samples = tuple(
        SampleRecord(
            **{name: values[i].item() for name, values in scalars.items()},
            counters=counters[i],
            trace=trace[i],
            digest=digests[i],
            history=None if history is None else CounterHistory(**history[i]),
            parts=None if parts is None else parts[i],
        )
        for i in range(count)
    )
    sources = {int(i): str(s) for i, s in reader.json("sources", dict).items()} if failures else {}
    if reader.has("samples/source"):
        named = reader.read("samples/source", "S", count).tolist()
        sources |= {i: s.decode("ascii") for i, s in zip(scalars["index"].tolist(), named, strict=True)}
    configuration = read_configuration(reader.json("configuration", dict))
    table = ResultTable(configuration, tuple(order), float(scale), samples, failures, sources)
    _require(reader.attributes.get("digest") == table.digest, "its samples do not give its digest")
    return table


def _trace_shapes() -> dict[str, tuple[int | None, ...]]:
    found: dict[str, Sequence[int | None]] = dict.fromkeys(TRACE_FIELDS, ()) | {"readout": (None,)}
    return {name: tuple(shape) for name, shape in found.items()}
