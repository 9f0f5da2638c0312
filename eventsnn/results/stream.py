"""What the replay of a stream gave: decisions over time, and their file."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn import arguments
from eventsnn.counting.counters import COUNTERS, MODEL_COUNTERS
from eventsnn.errors import EventsnnError, InvalidFile, InvalidRequest
from eventsnn.output import hdf5_replaced_whole, require_seal
from eventsnn.results.reader import checksum_of, fingerprint
from eventsnn.results.results import distribution

FORMAT = "eventsnn-stream"
SCHEMA = 1

DECISION_FIELDS: dict[str, str] = {
    "time_ps": "when, in picoseconds of the stream",
    "label": "class of the recording that is being replayed then, -1 where there is none or nobody says",
    "prediction": "class decided for, -1 where undecided",
    "since_ps": "since when that has been the decision",
    "event_ps": "time of the event that made it so, -1 where none did",
    "input_events": "events received since the decision before",
    "forgotten_events": "events received once more with the opposite sign, as they left the window",
    "held_events": "events that count: those of the window, without one all since the start or a reset",
    "resets": "times that the network began anew",
    "synaptic_operations": "in the interval, for received and forgotten events",
    "spikes": "in the interval, of all populations but the input",
    "host_ns": "nanoseconds that simulating the interval took on this machine",
}
"""Columns of decisions, all int64. ``host_ns`` is no part of the digest."""


@dataclass(frozen=True, eq=False)
class StreamResults:
    """Decisions over time.

    Attributes
    ----------
    configuration : dict
        What was run.
    order : tuple of str
        Populations, in the order of the counters' rows.
    decisions : dict of int64 arrays, shape (decisions,)
        By the names of ``DECISION_FIELDS``.
    readout : int64, shape (decisions, classes)
        Charges or counts, as they are.
    counters : int64, shape (ranks, counters)
        Of the whole stream, in the columns of ``counting.COUNTERS``.
    start_operations : int
        Synaptic operations of settling what biases say, before the first event.
    replayed : str
        Hash over the runs of all intervals, 32 hex digits.
    """

    configuration: dict[str, Any]
    order: tuple[str, ...]
    decisions: dict[str, NDArray[np.int64]]
    readout: NDArray[np.int64]
    counters: NDArray[np.int64]
    start_operations: int
    replayed: str

    def __len__(self) -> int:
        return len(self.readout)

    def __repr__(self) -> str:
        return f"<StreamResults: {len(self)} decisions, accuracy {self.accuracy}, digest {self.digest}>"

    @cached_property
    def digest(self) -> str:
        """32 hex digits: equal for equal spikes, counters and decisions."""
        found = hashlib.blake2b(self.replayed.encode(), digest_size=16)
        for name, values in self.decisions.items():
            if name != "host_ns":
                found.update(f"{name} {fingerprint(values)}".encode())
        found.update(fingerprint(self.readout).encode())
        columns = [i for i, name in enumerate(COUNTERS) if name in MODEL_COUNTERS]
        found.update(f"{json.dumps(self.order)} {fingerprint(self.counters[:, columns])}".encode())
        return found.hexdigest()

    @property
    def accuracy(self) -> float | None:
        """Share of right ones among the decisions that have a label; None without any."""
        known = self.decisions["label"] >= 0
        right = self.decisions["prediction"] == self.decisions["label"]
        return float(right[known].mean()) if known.any() else None

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Where a decision differs from the one before, by an event; shape (decisions,)."""
        found = np.diff(self.decisions["prediction"], prepend=-1) != 0
        return found & (self.decisions["event_ps"] >= 0)

    @property
    def latency_s(self) -> NDArray[np.float64]:
        """Seconds from the deciding event to the decision, of those that changed, shape (changes,)."""
        elapsed = self.decisions["time_ps"] - self.decisions["event_ps"]
        return elapsed[self.changed].astype(np.float64) * 1e-12

    def to_dict(self) -> dict[str, Any]:
        """The stream as plain JSON values; distributions are over decisions."""
        found = self.decisions
        events, forgotten = int(found["input_events"].sum()), int(found["forgotten_events"].sum())
        operations, host_ns = int(found["synaptic_operations"].sum()), int(found["host_ns"].sum())
        duration_s = float(found["time_ps"][-1]) * 1e-12
        return {
            "stream": True,
            "decisions": len(self),
            "changes": int(self.changed.sum()),
            "accuracy": self.accuracy,
            "duration_s": duration_s,
            "total_input_events": events,
            "forgotten_events": forgotten,
            "resets": int(found["resets"].sum()),
            "operations_per_event": operations / events if events else None,
            "host_ns_per_event": host_ns / events if events else None,
            "replay_speed": duration_s / (host_ns * 1e-9) if host_ns else None,
            "synaptic_operations": distribution(found["synaptic_operations"]),
            "spikes": distribution(found["spikes"]),
            "input_events": distribution(found["input_events"]),
            "latency_s": distribution(self.latency_s),
            "start_synaptic_operations": self.start_operations,
            "digest": self.digest,
            "version": self.configuration.get("version"),
            "configuration": self.configuration,
        }

    def to_json(self) -> str:
        """``to_dict`` as JSON text."""
        return json.dumps(self.to_dict())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file, sealed and with checksums as those of results are.

        Raises
        ------
        InvalidRequest
            The path is none to write to, or a file of another kind is there.
        CannotWrite
            The disk is full.
        """
        arrays = {f"decisions/{name}": values for name, values in self.decisions.items()}
        arrays |= {"readout": self.readout, "counters": self.counters}
        target = arguments.path(path, "results file", InvalidRequest)
        with hdf5_replaced_whole(target, FORMAT, sealed=True) as file:
            for name, values in arrays.items():
                file.create_dataset(name, data=values, fletcher32=True, compression="gzip", shuffle=True)
            attributes = {
                "format": FORMAT,
                "schema": SCHEMA,
                "digest": self.digest,
                "replayed": self.replayed,
                "start_operations": self.start_operations,
                "configuration": json.dumps(self.configuration),
                "population_order": json.dumps(self.order),
                "contents": json.dumps({name: fingerprint(values) for name, values in arrays.items()}),
            }
            file.attrs["checksum"] = checksum_of(attributes)
            for name, value in attributes.items():
                file.attrs[name] = value

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StreamResults:
        """Open a file that ``save`` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        InvalidFile
            Another format, truncated, or changed since it was written.
        """
        import h5py

        where = Path(arguments.path(path, "results file", InvalidRequest))
        if not where.is_file():
            raise FileNotFoundError(f"no file {where}; 'eventsnn run ... --stream -o {where}' writes one")
        try:
            with where.open("rb") as opened:
                require_seal(opened, where)
            with h5py.File(where, "r") as file:
                said = {n: v.item() if isinstance(v, np.generic) else v for n, v in file.attrs.items()}
                if (said.get("format"), said.get("schema")) != (FORMAT, SCHEMA):
                    raise InvalidFile(
                        f"{where}: format is {said.get('format')!r}, schema {said.get('schema')}; the "
                        f"results of a stream have {FORMAT!r}, schema {SCHEMA}"
                    )
                contents = json.loads(said["contents"])
                arrays = {name: file[name][...] for name in contents}
        except EventsnnError:
            raise
        except Exception as error:  # HDF5 answers to damage with any kind of error
            raise InvalidFile(f"{where} cannot be read as the results of a stream: {error}") from error
        right = said.get("checksum") == checksum_of(said)
        if not right or any(fingerprint(arrays[name]) != contents[name] for name in contents):
            raise InvalidFile(f"{where} does not give its checksums; it was changed after it was written")
        if contents.keys() != {*(f"decisions/{name}" for name in DECISION_FIELDS), "readout", "counters"}:
            raise InvalidFile(f"{where} holds {', '.join(contents)}, not what the results of a stream hold")
        return cls(
            configuration=json.loads(said["configuration"]),
            order=tuple(json.loads(said["population_order"])),
            decisions={name: arrays[f"decisions/{name}"] for name in DECISION_FIELDS},
            readout=arrays["readout"],
            counters=arrays["counters"],
            start_operations=int(said["start_operations"]),
            replayed=str(said["replayed"]),
        )


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a file says of itself that it holds a stream's results."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("format") == FORMAT)
    except (OSError, RuntimeError):
        return False
