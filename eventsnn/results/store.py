"""Results on disk: a journal while a run is going, one HDF5 file when it is done.

Each finished sample becomes a file of its own in ``RESULTS.h5.partial/``, written aside and renamed, so
that a run killed at any moment loses at most the samples it was working on. When all are there the
HDF5 file is assembled aside, renamed into place, and the journal removed.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.output import HDF5, replaced_whole, require_replaceable
from eventsnn.results.counters import COUNTERS, HARDWARE_COUNTERS
from eventsnn.results.table import (
    HISTORY_FIELDS,
    LATER_FIELDS,
    SCALAR_FIELDS,
    TRACE_FIELDS,
    CounterHistory,
    ResultTable,
    SampleRecord,
)

FORMAT = "eventsnn-results"
SCHEMA = 1
# Where the data lie says nothing about what was run; the dense work follows from the network.
NOT_IDENTITY = ("data_path", "network_path", "dense_work")


def identity(configuration: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that two runs must share to be the same run."""
    return {key: value for key, value in configuration.items() if key not in NOT_IDENTITY}


def same_run(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two configurations describe the same run."""
    return json.dumps(identity(one), sort_keys=True) == json.dumps(identity(other), sort_keys=True)


def _require_same(found: dict[str, Any], wanted: dict[str, Any], where: Path) -> None:
    if same_run(found, wanted):
        return
    one, other = identity(found), identity(wanted)
    differing = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
    # The accelerator's name says more in a message than its whole description.
    shown = [key for key in differing if key not in ("architecture", "class_names")] or differing
    details = "; ".join(f"{k}: {_short(one.get(k))} there, {_short(other.get(k))} now" for k in shown[:4])
    raise InvalidRequest(
        f"{where} holds the results of another run ({details}). Choose another output file, or remove it"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class Journal:
    """The samples of a run that are already done, on disk.

    Parameters
    ----------
    path : path
        The results file to be; the journal is the folder beside it.
    table : ResultTable
        The run's configuration, with no samples.

    Raises
    ------
    InvalidRequest
        The file or the journal belongs to a run of another configuration.
    """

    def __init__(self, path: str | os.PathLike[str], table: ResultTable) -> None:
        self.path = Path(path)
        self.folder = self.path.with_name(self.path.name + ".partial")
        self.table = table
        self.done: dict[int, SampleRecord] = {}
        require_replaceable(self.path, HDF5)
        if self.path.exists() and self.path.stat().st_size:
            found = read_results(self.path)
            _require_same(found.configuration, table.configuration, self.path)
            self.done = {sample.index: sample for sample in found.samples}
            return
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidRequest(f"{self.folder} is in the way: samples are kept in a folder of that name")
        header = self.folder / "configuration.json"
        if header.exists():
            _require_same(_read_header(header), table.configuration, self.folder)
            for file in sorted(self.folder.glob("sample-*.npz")):
                record = _read_sample(file)
                if record is not None:
                    self.done[record.index] = record
            return
        # Samples without a configuration are of nobody knows which run.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        _replace(header, lambda partial: partial.write_text(json.dumps(table.configuration)))

    def add(self, record: SampleRecord) -> None:
        """Keep one finished sample."""
        target = self.folder / f"sample-{record.index:09d}.npz"
        _replace(target, lambda partial: _write_sample(partial, record))
        self.done[record.index] = record

    def close(self) -> ResultTable:
        """Assemble the results file and remove the journal."""
        samples = tuple(self.done[index] for index in sorted(self.done))
        table = ResultTable(self.table.configuration, self.table.order, self.table.readout_scale, samples)
        if not self.path.exists() or not self.path.stat().st_size:
            write_results(self.path, table)
        self._remove()
        return table

    def discard(self) -> None:
        """Remove a journal in which no sample was finished."""
        if not self.done:
            self._remove()

    def _remove(self) -> None:
        """Remove the journal; its configuration never goes before its samples."""
        for file in sorted(self.folder.glob("sample-*")):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _replace(target: Path, write: Any) -> None:
    partial = target.with_name(target.name + ".writing")
    write(partial)
    os.replace(partial, target)


def _write_sample(path: Path, record: SampleRecord) -> None:
    arrays: dict[str, Any] = {
        name: np.array(getattr(record, name), dtype=kind) for name, kind in SCALAR_FIELDS.items()
    }
    arrays |= {f"trace_{name}": record.trace[name] for name in TRACE_FIELDS}
    if record.history is not None:
        arrays |= {f"history_{name}": getattr(record.history, name) for name in HISTORY_FIELDS}
    if record.parts is not None:
        arrays["parts"] = record.parts
    with path.open("wb") as file:
        np.savez(file, digest=np.array(record.digest), counters=record.counters, **arrays)


def _read_header(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise InvalidFile(
            f"{path} is damaged; remove the folder {path.parent} to start the run afresh"
        ) from error
    return found


def _read_sample(path: Path) -> SampleRecord | None:
    """A finished sample, or None if the file is damaged: it is then simulated again."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return SampleRecord(
                **{
                    name: data[name].item()
                    for name in SCALAR_FIELDS
                    if name in data or name not in LATER_FIELDS
                },
                counters=data["counters"],
                trace={name: data[f"trace_{name}"] for name in TRACE_FIELDS},
                digest=str(data["digest"]),
                history=CounterHistory(**{name: data[f"history_{name}"] for name in HISTORY_FIELDS})
                if "history_time_ps" in data
                else None,
                parts=data.get("parts"),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def write_results(path: str | os.PathLike[str], table: ResultTable) -> None:
    """Write a results file; an existing one is replaced only once the new one is whole."""
    with replaced_whole(path, HDF5) as partial:
        _write_hdf5(partial, table)


def _write_hdf5(path: Path, table: ResultTable) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["schema"] = SCHEMA
        file.attrs["digest"] = table.digest
        file.attrs["configuration"] = json.dumps(table.configuration)
        file.attrs["population_order"] = json.dumps(table.order)
        file.attrs["readout_scale"] = table.readout_scale
        for name in SCALAR_FIELDS:
            file[f"samples/{name}"] = table.column(name)
        file["samples/digest"] = np.array([s.digest for s in table.samples], dtype="S32")
        for index, name in enumerate(COUNTERS):
            file[f"populations/{name}"] = table.counter(index)
        parts = [s.parts for s in table.samples if s.parts is not None]
        if parts and len(parts) == len(table.samples):
            for index, name in enumerate(COUNTERS):
                file[f"parts/{name}"] = np.stack([rows[:, index] for rows in parts])
        traces = [s.trace for s in table.samples]
        _write_rows(file, "trace", {name: [trace[name] for trace in traces] for name in TRACE_FIELDS})
        histories = [s.history for s in table.samples if s.history is not None]
        if histories and len(histories) == len(table.samples):
            _write_rows(
                file, "history", {name: [getattr(h, name) for h in histories] for name in HISTORY_FIELDS}
            )


def _write_rows(file: Any, group: str, columns: dict[str, list[Any]]) -> None:
    """Samples' rows one after another; those of sample i stand from ``start[i]`` to ``start[i + 1]``."""
    lengths = [len(rows) for rows in columns["time_ps"]]
    file[f"{group}/start"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    for name, rows in columns.items():
        data = np.concatenate(rows)
        file.create_dataset(f"{group}/{name}", data=data, compression="gzip", shuffle=True)


def _read_rows(file: Any, group: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """What ``_write_rows`` wrote, by sample."""
    start = file[f"{group}/start"][...]
    columns = {name: file[f"{group}/{name}"][...] for name in names}
    return [{name: rows[a:b] for name, rows in columns.items()} for a, b in pairwise(start)]


def read_results(path: str | os.PathLike[str]) -> ResultTable:
    """Read a results file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    InvalidFile
        Not HDF5, another format or schema, or truncated.
    """
    import h5py

    if not Path(path).is_file():
        raise FileNotFoundError(f"no results file {path}; 'eventsnn run ... -o {path}' writes one")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT or file.attrs.get("schema") != SCHEMA:
                raise InvalidFile(
                    f"{path}: format is {file.attrs.get('format')!r}, schema {file.attrs.get('schema')}; "
                    f"a results file has {FORMAT!r}, schema {SCHEMA}. Results are written by 'eventsnn run'"
                )
            return _read_table(file)
    except (OSError, RuntimeError, KeyError, ValueError, IndexError) as error:
        if isinstance(error, InvalidFile):
            raise
        raise InvalidFile(
            f"{path} cannot be read as eventsnn results: {error}. It may be truncated or another kind of "
            "file; run 'eventsnn run' again"
        ) from error


def _counter(file: Any, group: str, name: str) -> Any:
    """A counter's table; a hardware counter that came later than the file is zero."""
    if name in HARDWARE_COUNTERS and f"{group}/{name}" not in file:
        return np.zeros_like(file[f"{group}/{COUNTERS[0]}"][...])
    return file[f"{group}/{name}"][...]


def _read_table(file: Any) -> ResultTable:
    there = [name for name in SCALAR_FIELDS if f"samples/{name}" in file or name not in LATER_FIELDS]
    scalars = {name: file[f"samples/{name}"][...] for name in there}
    counters = np.stack([_counter(file, "populations", name) for name in COUNTERS], axis=-1)
    parts = None
    if "parts" in file:
        parts = np.stack([_counter(file, "parts", name) for name in COUNTERS], axis=-1)
    trace = _read_rows(file, "trace", TRACE_FIELDS)
    history = _read_rows(file, "history", HISTORY_FIELDS) if "history" in file else None
    digests = file["samples/digest"][...]
    samples = tuple(
        SampleRecord(
            **{name: values[i].item() for name, values in scalars.items()},
            counters=counters[i],
            trace=trace[i],
            digest=digests[i].decode(),
            history=None if history is None else CounterHistory(**history[i]),
            parts=None if parts is None else parts[i],
        )
        for i in range(len(digests))
    )
    return ResultTable(
        configuration=json.loads(file.attrs["configuration"]),
        order=tuple(json.loads(file.attrs["population_order"])),
        readout_scale=float(file.attrs["readout_scale"]),
        samples=samples,
    )
