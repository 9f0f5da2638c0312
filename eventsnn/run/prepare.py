"""Any set of event recordings as one file of ours, whose sources are known by their hashes."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eventsnn.arguments import whole
from eventsnn.errors import EventsnnError, InvalidFile, InvalidRequest, MissingFile
from eventsnn.events import Events, RecordingSet, downsample_addresses, open_dataset
from eventsnn.events.event_file import open_event_file
from eventsnn.events.event_parts import Row, part_path, part_says, write_part
from eventsnn.events.long_recordings import parts_of
from eventsnn.run.chunks import Runner
from eventsnn.run.event_sets import SHOWN, Progress, fill_event_file, is_made
from eventsnn.version import __version__

Sums = dict[str, str]


def prepare_recordings(
    data: str,
    output: str | os.PathLike[str],
    *,
    downsample: int = 1,
    orientation: str | None = None,
    clock: str | None = None,
    checksums: str | os.PathLike[str] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    **said: Any,
) -> int:
    """Write all recordings of a data set as one file; go on where a killed call stopped.

    Each source's SHA-256 is kept in the file. What was prepared from a source that has changed since is
    prepared again; where the file is there already, its sources are checked against it.

    Parameters
    ----------
    data
        ``KIND:PATH`` of event recordings.
    output
        The file (``.h5``).
    downsample
        Divide addresses by this.
    orientation, clock, said
        As for ``open_dataset``; said are ``format``, ``sensor``, ``columns``, ``unit`` and ``layout``.
    checksums
        A file of lines ``sha256  name``, as the program sha256sum writes it, with the name of every recording
        relative to the data set's folder.
    workers
        Processes.
    progress
        Called with recordings done and all.

    Returns
    -------
    The number of recordings.

    Raises
    ------
    InvalidRequest
        As of ``open_dataset``; or the output, or what was prepared of it, was made in another way.
    InvalidFile
        Sources that are damaged, or are not those of ``checksums`` or of the file that is there; the first
        few are named, after all others were prepared.
    """
    reading = {"orientation": orientation, "clock": clock, **said}
    found = open_dataset(data, **reading)
    if not isinstance(found, RecordingSet):
        raise InvalidRequest(f"{data} holds images, no event recordings; give recordings")
    factor = whole(downsample, "downsample", InvalidRequest, least=1, most=max(found.height, found.width))
    splits = _own_splits(data, reading)
    rows = [
        Row(file.name, file.label, splits.get(file.index, "") if splits else None) for file in found.files
    ]
    sums = None if checksums is None else _sums_of(Path(checksums), found)
    names = hashlib.blake2b(
        repr([(r.name, r.label, r.split) for r in rows]).encode("utf-8", "surrogateescape")
    )
    job = {
        "made": f"recordings prepared from {found.kind}",
        "names": names.hexdigest()[:32],
        "orientation": found.orientation,
        "clock": found.clock,
        "downsample": factor,
        "version": __version__,
        **({"said": dict(found.said)} if found.said else {}),
    }
    height, width = -(-found.height // factor), -(-found.width // factor)
    attributes: dict[str, Any] = {
        "data": f"recordings of {found.kind}",
        "kind": found.kind,
        "orientation": found.orientation or "",
        "clock": found.clock,
        "origin": found.origin,
        "height": height,
        "width": width,
        "downsampled": factor,
    }
    if found.one_file:
        source = open_event_file(found.path).attributes
        attributes |= {name: source[name] for name in ("data", "kind", "clock")}
        attributes["downsampled"] = factor * int(source["downsampled"])
    if is_made(output, job):
        _require_same_sources(found, output)
        return len(found)
    runner = functools.partial(_preparing, found, rows, factor, sums)
    fill_event_file(
        output, job, len(found), runner, attributes, found.class_names, workers, progress, again=True
    )
    return len(found)


def _own_splits(data: str, reading: dict[str, Any]) -> dict[int, str]:
    """The split of each index, of sets that have splits of their own; else nothing."""
    splits: dict[int, str] = {}
    for split in ("train", "test"):
        try:
            part = open_dataset(data, split, **reading)
        except InvalidRequest:
            continue
        if isinstance(part, RecordingSet):
            splits |= {file.index: split for file in part.files}
    return splits


def _preparing(
    found: RecordingSet, rows: list[Row], factor: int, sums: Sums | None, folder: Path
) -> Runner[str | None]:
    def run(position: int) -> str | None:
        file, row = found.files[position], rows[position]
        try:
            if file.position is None:
                digest = sha256_of(file.path)
                if sums is not None and sums[file.name] != digest:
                    raise InvalidFile(f"{file.path}: its SHA-256 is {digest}, it should be {sums[file.name]}")
                row = Row(row.name, row.label, row.split, source_sha256=digest)
            before = part_says(part_path(folder, position))
            if before is None or before["row"] != vars(row):
                height, width = -(-found.height // factor), -(-found.width // factor)
                pieces = (downsample_addresses(piece, factor) for piece in pieces_of(found, position))
                write_part(folder, position, row, pieces, height, width)
        except (EventsnnError, OSError) as error:
            part_path(folder, position).unlink(missing_ok=True)
            return str(error)
        return None

    return run


def pieces_of(recordings: RecordingSet, position: int) -> Iterable[Events]:
    """The events of a recording piece by piece, where it is long and read so; else in one."""
    file = recordings.files[position]
    if file.position is not None and not recordings.fractions and not recordings.transforms:
        return open_event_file(file.path).chunks(file.position)
    return parts_of(recordings, position)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sums_of(path: Path, found: RecordingSet) -> Sums:
    if not path.is_file():
        raise MissingFile(f"there is no file {path}; give lines 'sha256  name', as sha256sum writes them")
    sums = {}
    for number, line in enumerate(path.read_text("utf-8", "surrogateescape").splitlines(), 1):
        said = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        if said is None and line.strip():
            raise InvalidFile(f"{path}: line {number} is {line[:80]!r}; a line is 'sha256  name'")
        if said is not None:
            sums[said[2].removeprefix("./")] = said[1].lower()
    missing = [file.name for file in found.files if file.name not in sums]
    if missing:
        raise InvalidFile(
            f"{path} has no line for {_some(missing)}; names are relative to {found.path}, as "
            "(cd there; find . -type f | xargs sha256sum) gives them"
        )
    return sums


def _require_same_sources(found: RecordingSet, output: str | os.PathLike[str]) -> None:
    made = open_event_file(output)
    if "source_sha256" not in made.recordings:
        return
    changed = []
    for file, kept in zip(found.files, made.texts("source_sha256"), strict=True):
        if file.position is None and sha256_of(file.path) != kept:
            changed.append(file.name)
    if changed:
        raise InvalidFile(
            f"{len(changed)} of the {len(found)} recordings that {output} was prepared from have changed "
            f"since: {_some(changed)}. Fetch them again, or remove {output} to prepare them as they are"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
