"""The samples of a run that are done, while it is going.

Each finished sample becomes a file of its own in ``RESULTS.h5.partial/``, written aside and renamed, so
that a run killed at any moment loses at most the samples it was working on. When all are there the
HDF5 file is assembled, renamed into place, and the journal removed. A sample that could not be read
leaves a file, too, and is tried again when the run goes on. A lock in the folder is held as long as a run
writes there; it ends with the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from io import FileIO
from pathlib import Path
from typing import Any

from eventsnn.errors import InvalidFile, InvalidRequest, UnfinishedRun
from eventsnn.output import HDF5, WRITING, lock, remove_leftovers, require_replaceable, room_for, write_whole
from eventsnn.provenance import Record, require_records
from eventsnn.results.parts import left_in_file, pack, unpack
from eventsnn.results.store import read_configuration, read_results, write_results
from eventsnn.results.table import FailedSample, ResultTable, SampleRecord

HEADER = "configuration.json"
RECORDS = "provenance-*.json"
NOTED_EVERY_S = 10.0
"""How often what a run has taken so far is kept, so that a killed one has said it."""
LOCK = "lock"
# Where the data lie says nothing about what was run; the dense work follows from the network.
NOT_IDENTITY = ("data_path", "network_path", "dense_work", "original_macs")


def journal_folder(path: str | os.PathLike[str]) -> Path:
    """Where the samples of a run that writes a results file are kept while it is going."""
    return Path(path).with_name(Path(path).name + ".partial")


def identity(configuration: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that two runs must share to be the same run."""
    return {key: value for key, value in configuration.items() if key not in NOT_IDENTITY}


def same_run(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two configurations describe the same run."""
    return json.dumps(identity(one), sort_keys=True) == json.dumps(identity(other), sort_keys=True)


def _require_same(found: ResultTable, wanted: ResultTable, where: Path) -> None:
    one, other = identity(found.configuration), identity(wanted.configuration)
    if found.failures and _mended(found, wanted):
        one = one | {"data": other.get("data")}
    if same_run(one, other):
        return
    differing = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
    # The accelerator's name says more in a message than its whole description.
    shown = [key for key in differing if key not in ("architecture", "class_names")] or differing
    details = "; ".join(f"{k}: {_short(one.get(k))} there, {_short(other.get(k))} now" for k in shown[:4])
    raise InvalidRequest(
        f"{where} holds the results of another run ({details}). Choose another output file, or remove it"
    )


def _mended(found: ResultTable, wanted: ResultTable) -> bool:
    """Whether the data differ, if at all, in the samples that could not be read."""
    one, other = (dict(table.configuration.get("data", {}), files=None) for table in (found, wanted))
    failed = {failure.index for failure in found.failures}
    there, now = (
        {index: source for index, source in table.sources.items() if index not in failed}
        for table in (found, wanted)
    )
    return one == other and bool(found.sources) and there == now


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
        The run's configuration and ``sources``, with no samples.
    taken : callable, optional
        Gives the record of provenance of what is done from now on.

    Raises
    ------
    InvalidRequest
        The file or the journal belongs to a run of another configuration, or another run is writing it.
    InvalidFile
        The file or the journal is damaged.
    CannotWrite
        The disk is full.
    """

    def __init__(
        self, path: str | os.PathLike[str], table: ResultTable, taken: Callable[[], Record] | None = None
    ) -> None:
        self._taken = taken
        self._noted = time.monotonic()
        self._record: Path | None = None
        self.path = require_replaceable(path, HDF5)
        self.folder = journal_folder(path)
        self.table = table
        self.done: dict[int, SampleRecord] = {}
        self.failed: dict[int, FailedSample] = {}
        self._lock: FileIO | None = None
        self._whole = False
        if self._adopt_file():
            return
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidRequest(f"{self.folder} is in the way: samples are kept in a folder of that name")
        self._take_lock()
        try:
            # The run that had the lock may have ended just now.
            if not self._adopt_file():
                remove_leftovers(self.path)
                self._open_folder()
        except BaseException:
            if not (self.folder / HEADER).exists():
                self._remove()
            self.release()
            raise

    def _adopt_file(self) -> bool:
        """Take over what the results file has; whether it is there and has every sample."""
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        found = read_results(self.path)
        _require_same(found, self.table, self.path)
        self.table = replace(self.table, provenance=found.provenance)
        self.done = {sample.index: sample for sample in found.samples}
        self._whole = not found.failures
        return self._whole

    def _take_lock(self) -> None:
        place = self.folder / LOCK
        while True:
            with room_for(self.path):
                self.folder.mkdir(exist_ok=True)
            try:
                file = place.open("a+b", buffering=0)
            except FileNotFoundError:
                continue
            if not lock(file):
                file.seek(0)
                writer = (file.read(20) or b"").decode("ascii", "replace").strip()
                file.close()
                raise InvalidRequest(
                    f"{self.path} is being written by another run (process {writer or 'unknown'}); wait for "
                    "it, stop it, or choose another output file"
                )
            # The run before may have removed the folder between the two lines.
            try:
                ours = os.path.samestat(os.fstat(file.fileno()), place.stat())
            except FileNotFoundError:
                ours = False
            if ours:
                break
            file.close()
        self._lock = file
        # It helps whoever is refused, no more.
        with contextlib.suppress(OSError):
            file.truncate(0)
            file.write(f"{os.getpid()}\n".encode())

    def _open_folder(self) -> None:
        header = self.folder / HEADER
        if not header.exists():
            # Samples without a configuration are of nobody knows which run.
            self._clear()
            self._write_header()
            self._note()
            return
        found = _read_folder(self.folder)
        _require_same(found, self.table, self.folder)
        for file in self.folder.glob(f"*{WRITING}"):
            file.unlink(missing_ok=True)
        self._write_header()
        self.done |= {sample.index: sample for sample in found.samples}
        self._note()

    def _note(self) -> None:
        """Keep what this run has taken so far."""
        if self._taken is None:
            return
        if self._record is None:
            numbers = [
                int(file.stem[-6:]) for file in self.folder.glob(RECORDS) if file.stem[-6:].isdecimal()
            ]
            self._record = self.folder / f"provenance-{max(numbers, default=-1) + 1:06d}.json"
        write_whole(self._record, json.dumps(self._taken()).encode())
        self._noted = time.monotonic()

    def _write_header(self) -> None:
        content = {
            "configuration": self.table.configuration,
            "population_order": self.table.order,
            "readout_scale": self.table.readout_scale,
            "sources": self.table.sources,
            "contents": self.table.contents,
            "trained": self.table.trained,
        }
        text = json.dumps(content)
        text = json.dumps({**content, "checksum": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()})
        write_whole(self.folder / HEADER, text.encode())

    def add(self, record: SampleRecord) -> None:
        """Keep one finished sample."""
        file = self.folder / f"sample-{record.index:09d}.npz"
        write_whole(file, pack(record))
        self._failure(record.index).unlink(missing_ok=True)
        self.done[record.index] = left_in_file(record, file)
        if time.monotonic() - self._noted > NOTED_EVERY_S:
            self._note()

    def add_failure(self, failure: FailedSample) -> None:
        """Keep that a sample could not be read, and why."""
        write_whole(self._failure(failure.index), json.dumps(asdict(failure)).encode())
        self.failed[failure.index] = failure

    def _failure(self, index: int) -> Path:
        return self.folder / f"failed-{index:09d}.json"

    def close(self) -> ResultTable:
        """Assemble the results file, open it, and remove the journal."""
        samples = tuple(self.done[index] for index in sorted(self.done))
        failures = tuple(self.failed[index] for index in sorted(self.failed))
        table = replace(self.table, samples=samples, failures=failures)
        if not self._whole:
            self._note()
            table = replace(table, provenance=table.provenance + _records(self.folder))
            write_results(self.path, table)
            table = replace(table, samples=read_results(self.path).samples)
        self._remove()
        return table

    def discard(self) -> None:
        """Remove a journal in which no sample was finished."""
        if not self.done:
            self._remove()

    def release(self) -> None:
        """Let other runs write here."""
        if self._record is not None and self._record.exists():
            # What ended early says what it took.
            with contextlib.suppress(OSError):
                self._note()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _clear(self) -> None:
        """Remove the samples; the configuration never goes before them."""
        for pattern in ("sample-*", "failed-*", RECORDS, f"*{WRITING}", HEADER):
            for file in sorted(self.folder.glob(pattern)):
                file.unlink(missing_ok=True)

    def _remove(self) -> None:
        self._clear()
        (self.folder / LOCK).unlink(missing_ok=True)
        # Whatever else is there is not ours.
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def _read_folder(folder: Path) -> ResultTable:
    """What a journal has so far; what is damaged of its samples is left out."""
    header = _read_header(folder / HEADER)
    samples, failures = [], {}
    for file in sorted(folder.glob("sample-*.npz")):
        record = unpack(_content(file))
        if record is not None and file.name == f"sample-{record.index:09d}.npz":
            samples.append(left_in_file(record, file))
    for file in sorted(folder.glob("failed-*.json")):
        with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError, RecursionError):
            found = json.loads(_content(file))
            failure = FailedSample(int(found["index"]), str(found["name"]), str(found["reason"]))
            if file.name == f"failed-{failure.index:09d}.json":
                failures[failure.index] = failure
    for record in samples:
        failures.pop(record.index, None)
    return replace(
        header, samples=tuple(samples), failures=tuple(failures.values()), provenance=_records(folder)
    )


def _records(folder: Path) -> tuple[Record, ...]:
    """Records of provenance in a journal; what is damaged of them is left out."""
    found: tuple[Record, ...] = ()
    for file in sorted(folder.glob(RECORDS)):
        with contextlib.suppress(ValueError, InvalidFile, RecursionError):
            found += require_records([json.loads(_content(file))])
    return found


def _content(file: Path) -> bytes:
    """A part of a journal, empty if it cannot be read: it is then made again."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _read_header(path: Path) -> ResultTable:
    """A journal's configuration, as a table without samples."""
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict) and not {"configuration", "checksum"} & found.keys():
            # So did versions write it that kept no checksums, and nothing but the configuration.
            return ResultTable(read_configuration(found), (), 1.0, ())
        checksum = found.pop("checksum")
        if checksum != hashlib.blake2b(json.dumps(found).encode(), digest_size=16).hexdigest():
            raise ValueError("its checksum does not fit")
        return ResultTable(
            read_configuration(found["configuration"]),
            tuple(found["population_order"]),
            float(found["readout_scale"]),
            (),
            sources=_by_index(found["sources"]),
            # So did versions write it that knew neither.
            contents=_by_index(found.get("contents", {})),
            trained=None if found.get("trained") is None else _by_index(found["trained"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidFile(
            f"{path} is damaged; remove the folder {path.parent} to start the run afresh"
        ) from error


def _by_index(found: dict[str, str]) -> dict[int, str]:
    return {int(index): text for index, text in found.items()}


def unfinished_run(path: str | os.PathLike[str]) -> Path | None:
    """The journal that a path names, or that stands in the place of a results file; None if there is none."""
    given = Path(path)
    folder = given if given.is_dir() else journal_folder(given)
    return None if given.is_file() or not (folder / HEADER).is_file() else folder


def open_results(path: str | os.PathLike[str]) -> ResultTable:
    """Read a results file, or what there is so far of a run that has not ended.

    Parameters
    ----------
    path : path
        A results file; or the folder ``RESULTS.h5.partial``. Where there is only the folder, it is read in
        the place of ``RESULTS.h5``. Either way a warning (``UnfinishedRun``) says how many samples it has.

    Raises
    ------
    FileNotFoundError
        There is neither.
    InvalidFile
        As ``read_results``; or no sample is there yet.
    InvalidRequest
        It is no path.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InvalidRequest(f"{path!r} is no path; give that of a results file")
    given, folder = Path(path), unfinished_run(path)
    if folder is None:
        return read_results(given)
    table = _read_folder(folder)
    if not table.samples or not table.order:
        raise InvalidFile(f"{folder} has no finished sample yet; let the run go on")
    instead = "" if folder == given else f"{given} is not there, and {folder} is read: "
    warnings.warn(
        f"{instead}{folder.name} has {_so_far(table)} of a run that has not ended; the first of a list that "
        "lies class by class are no picture of the whole",
        UnfinishedRun,
        stacklevel=3,
    )
    return table


def _so_far(table: ResultTable) -> str:
    data = table.configuration.get("data")
    total = data.get("samples") if isinstance(data, dict) else None
    return f"{len(table.samples)} of {total} samples" if total else f"{len(table.samples)} samples"
