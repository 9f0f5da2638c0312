"""Results on disk, one HDF5 file: no bit of it can change without a word.

The attribute ``contents`` has the hash of every dataset but the columns of traces, the attribute ``checksum``
that of all other attributes; both are verified on opening. Traces stay on disk and have a hash for each
sample, verified when one is read (``trace_file``); HDF5's own checksum (fletcher32) stands at each chunk for
whoever reads with other tools. As HDF5 itself may crash or hang on damage, a hash of all bytes stands behind
the end of the file and is verified first; where other tools removed it, traces are verified on opening, too.

Schema 1 had traces as they are, check by check; files of it are read, those of versions that wrote no hashes
with types and shapes checked.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COUNTERS, HARDWARE_COUNTERS
from eventsnn.decide import REJECTED
from eventsnn.errors import EventsnnError, InvalidFile
from eventsnn.output import hdf5_replaced_whole, require_seal
from eventsnn.provenance import require_records
from eventsnn.results.reader import Damaged, Reader, checksum_of, fingerprint, require
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
from eventsnn.results.trace_file import GROUP, StoredTrace, StoredTraces, write_traces
from eventsnn.results.traces import CHANGE_COLUMNS, LATER_COLUMNS, PACKED_COLUMNS, Kinds, Trace, classes_of

FORMAT = "eventsnn-results"
SCHEMA = 2
SCHEMAS = (1, 2)
CONFIGURATION_TYPES: dict[str, tuple[type, ...]] = {
    "version": (str,),
    "network": (str, type(None)),
    "dense_work": (list,),
    "original_macs": (dict,),
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
    "decision_energy_aj": (int,),
    "exit": (str, type(None)),
    "schedule": (str,),
    "step_ps": (int,),
    "history_ps": (int,),
    "engine": (str,),
    "seed": (int,),
}


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
        of_traces, classes = write_traces(file, [sample.trace for sample in table.samples])
        for name, array in (_datasets(table) | of_traces).items():
            # What is there of every sample is read as a whole, and is verified as a whole.
            kept: dict[str, Any] = {} if name.startswith("samples/") else {"fletcher32": True}
            if name.startswith("history/") and not name.endswith("/start"):
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
            "classes": classes,
            "contents": json.dumps(contents),
        }
        if table.trained is not None:
            attributes["trained"] = json.dumps(table.trained)
        if table.provenance:
            attributes["provenance"] = json.dumps(table.provenance)
        if table.failures:
            attributes["sources"] = json.dumps(table.sources)
        file.attrs["checksum"] = checksum_of(attributes)
        for name, value in attributes.items():
            file.attrs[name] = value


def _datasets(table: ResultTable) -> dict[str, NDArray[Any]]:
    """Every dataset of a results file, by its path."""
    samples = table.samples
    found: dict[str, NDArray[Any]] = {f"samples/{name}": table.column(name) for name in SCALAR_FIELDS}
    found["samples/digest"] = np.array([s.digest for s in samples], dtype="S32")
    if table.sources.keys() >= {s.index for s in samples}:
        found["samples/source"] = np.array([table.sources[s.index] for s in samples], dtype="S16")
    if table.contents.keys() >= {s.index for s in samples}:
        found["samples/content"] = np.array([table.contents[s.index] for s in samples], dtype="S16")
    found |= {f"populations/{name}": table.counter(index) for index, name in enumerate(COUNTERS)}
    parts = [s.parts for s in samples if s.parts is not None]
    if parts and len(parts) == len(samples):
        for index, name in enumerate(COUNTERS):
            found[f"parts/{name}"] = np.stack([rows[:, index] for rows in parts])
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
        with ExitStack() as stack:
            opened = stack.enter_context(Path(path).open("rb"))
            sealed = require_seal(opened, path)
            file = stack.enter_context(h5py.File(opened, "r"))
            found, schema = file.attrs.get("format"), file.attrs.get("schema")
            known = isinstance(schema, int | np.integer) and int(schema) in SCHEMAS
            if not isinstance(found, str) or found != FORMAT or not known:
                raise InvalidFile(
                    f"{path}: format is {found!r}, schema {schema}; a results file has {FORMAT!r}, schema "
                    f"{' or '.join(map(str, SCHEMAS))}. Results are written by 'eventsnn run'"
                )
            reader = Reader(file, os.fstat(opened.fileno()).st_size)
            if int(schema) == 1:
                return _read_table(reader, _read_dense_traces)
            require(reader.contents is not None, "its checksum is missing")
            table = _read_table(reader, partial(_stored_traces, opened, os.fspath(path), sealed))
            file.close()
            stack.pop_all()  # traces are read from the open file later
            return table
    except EventsnnError:
        raise
    except Damaged as error:
        raise InvalidFile(
            f"{path}: {error}. The file was changed or damaged after it was written; run 'eventsnn run' again"
        ) from error
    except Exception as error:
        # HDF5 answers to damage with any kind of error.
        raise InvalidFile(
            f"{path} cannot be read as eventsnn results: {error}. It may be truncated or another kind of "
            "file; run 'eventsnn run' again"
        ) from error


def _read_rows(
    reader: Reader, group: str, samples: int, shapes: dict[str, tuple[int | None, ...]]
) -> list[dict[str, NDArray[Any]]]:
    """What ``_rows`` gave, by sample."""
    start = reader.read(f"{group}/start", "i8", samples + 1)
    require(start[0] == 0 and bool((np.diff(start) >= 0).all()), f"{group}/start does not ascend from 0")
    columns = {name: reader.read(f"{group}/{name}", "i8", int(start[-1]), *s) for name, s in shapes.items()}
    return [{name: rows[a:b] for name, rows in columns.items()} for a, b in pairwise(start)]


def _counters(reader: Reader, group: str, samples: int, rows: int | None) -> NDArray[np.int64]:
    """Counters of samples; a hardware counter that came later than the file is zero."""
    there = [name for name in COUNTERS if name not in HARDWARE_COUNTERS or reader.has(f"{group}/{name}")]
    found = {name: reader.read(f"{group}/{name}", "i8", samples, rows) for name in there}
    shapes = {array.shape for array in found.values()}
    require(len(shapes) == 1, f"the datasets of {group!r} differ in shape")
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


def _read_failures(reader: Reader) -> tuple[FailedSample, ...]:
    if not reader.has("failures"):
        return ()
    index = reader.read("failures/index", "i8", None)
    name, reason = (reader.read(f"failures/{text}", "S", len(index)) for text in ("name", "reason"))
    rows = zip(index.tolist(), name.tolist(), reason.tolist(), strict=True)
    return tuple(
        FailedSample(i, n.decode("utf-8", "surrogateescape"), r.decode("utf-8", "surrogateescape"))
        for i, n, r in rows
    )


def _read_dense_traces(reader: Reader, samples: int) -> list[Trace]:
    """As schema 1 had them."""
    found: list[Trace] = [*_read_rows(reader, GROUP, samples, _trace_shapes())]
    return found


def _stored_traces(file: BinaryIO, path: str, sealed: bool, reader: Reader, samples: int) -> list[Trace]:
    """Traces that stay in the file; where nothing says that it is as it was written, each is verified."""
    classes = reader.attributes.get("classes")
    require(isinstance(classes, int) and 0 <= classes < 1 << 32, f"classes is {classes!r}")
    starts = {name: reader.read(f"{GROUP}/{name}", "i8", samples + 1) for name in ("start", "change_start")}
    for name, start in starts.items():
        require(start[0] == 0 and bool((np.diff(start) >= 0).all()), f"{GROUP}/{name} does not ascend from 0")
    hashes = reader.read(f"{GROUP}/checksum", "S", samples).tolist()
    kinds: Kinds = {}
    for column in (*PACKED_COLUMNS, *(name for name in LATER_COLUMNS if reader.holds(f"{GROUP}/{name}"))):
        start = starts["change_start" if column in CHANGE_COLUMNS else "start"]
        kinds[column] = reader.fitting(f"{GROUP}/{column}", "i", int(start[-1])).dtype
    traces = StoredTraces(
        file, path, starts["start"], starts["change_start"], hashes, kinds, int(str(classes))
    )
    if not sealed:
        for position in range(samples):
            traces.packed(position)
    return [StoredTrace(traces, position) for position in range(samples)]


def _read_table(reader: Reader, read_traces: Callable[[Reader, int], list[Trace]]) -> ResultTable:
    order = reader.json("population_order", list)
    require(
        bool(order) and all(isinstance(name, str) for name in order) and len(set(order)) == len(order),
        "population_order is no list of names",
    )
    scale: Any = reader.attributes.get("readout_scale")
    require(isinstance(scale, int | float) and math.isfinite(scale), f"readout_scale is {scale!r}")
    count = len(reader.read("samples/index", "i8", None))
    there = [name for name in SCALAR_FIELDS if name not in LATER_FIELDS or reader.has(f"samples/{name}")]
    scalars = {name: reader.read(f"samples/{name}", SCALAR_FIELDS[name], count) for name in there}
    digests = [text.decode("ascii") for text in reader.read("samples/digest", "S32", count).tolist()]
    failures = _read_failures(reader)
    indices = scalars["index"].tolist() + [failure.index for failure in failures]
    require(len(set(indices)) == len(indices), "two samples have one index")
    counters = _counters(reader, "populations", count, len(order))
    parts = _counters(reader, "parts", count, None) if reader.has("parts") else None
    trace = read_traces(reader, count)
    history = None
    if reader.has("history"):
        shapes = {"time_ps": (), "counters": (len(order), None), "readout": (None,)}
        history = _read_rows(reader, "history", count, shapes)
    classes = classes_of(trace[0]) if count else 0
    for name, least in (("label", -1), ("prediction", REJECTED)):
        inside = (scalars[name] >= least) & (scalars[name] < classes)
        require(bool(inside.all()), f"samples/{name} has values outside the {classes} classes")
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
    contents = {}
    if reader.has("samples/content"):
        held = reader.read("samples/content", "S", count).tolist()
        contents = {i: s.decode("ascii") for i, s in zip(scalars["index"].tolist(), held, strict=True)}
    trained = None
    if "trained" in reader.attributes:
        trained = {int(i): str(name) for i, name in reader.json("trained", dict).items()}
    try:
        kept = reader.json("provenance", list) if "provenance" in reader.attributes else []
        records = require_records(kept)
    except InvalidFile as error:
        raise Damaged(str(error)) from error
    table = ResultTable(
        configuration, tuple(order), float(scale), samples, failures, sources, records, contents, trained
    )
    require(reader.attributes.get("digest") == table.digest, "its samples do not give its digest")
    return table


def _trace_shapes() -> dict[str, tuple[int | None, ...]]:
    found: dict[str, Sequence[int | None]] = dict.fromkeys(TRACE_FIELDS, ()) | {"readout": (None,)}
    return {name: tuple(shape) for name, shape in found.items()}
