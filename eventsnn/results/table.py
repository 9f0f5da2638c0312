"""What a run produced, sample by sample, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.digest import run_digest
from eventsnn.results.traces import TRACE_FIELDS as TRACE_FIELDS
from eventsnn.results.traces import Trace


@dataclass(frozen=True, eq=False)
class CounterHistory:
    """What a sample had counted at the end of each multiple of a period.

    Attributes
    ----------
    time_ps : int64 array, shape (rows,)
        Picoseconds since the sample's start; the last row, at or after the decision, has the final counts.
    counters : int64 array, shape (rows, populations, counters)
        As ``SampleRecord.counters``, everything at or before that time included.
    readout : int64 array, shape (rows, classes)
        Charge in quanta (readout populations) or spike counts.
    """

    time_ps: NDArray[np.int64]
    counters: NDArray[np.int64]
    readout: NDArray[np.int64]


HISTORY_FIELDS = tuple(field.name for field in fields(CounterHistory))


@dataclass(frozen=True)
class SampleRecord:
    """One sample's outcome.

    Attributes
    ----------
    index : int
        Position in the sorted list of its data set.
    label, prediction : int
        -1 when unknown, or undecided; a prediction of -2 is "none of these" (an exit rule with ``reject``).
    first_event_ps, decision_time_ps : int
        Picoseconds since the sample's start.
    decided_early : bool
        An exit rule stopped it before its full run ended.
    input_events, synaptic_operations, spikes : int
        Totals; ``spikes`` are those of all populations but the input.
    energy_j : float
        Joules up to the decision, NaN without an accelerator.
    energy_low_j, energy_high_j : float
        The same with every energy and power of the accelerator at that end of its band.
    counters : int64 array, shape (populations, counters)
        Columns as ``counting.COUNTERS``.
    trace : mapping to int64 arrays
        ``TRACE_FIELDS``, one row per check; ``readout`` has shape (checks, classes). As ``simulate`` and
        files give it, it is kept small or stays on disk, and a column is made whenever it is asked for.
    digest : str
        32 hex digits.
    history : CounterHistory or None
        Counters over time, if the run kept them.
    parts : int64 array, shape (parts, counters), or None
        What was counted by part of a population on the accelerator, parts in the order of the populations
        and of the mapping; what is not told apart by part is 0 there. None without an accelerator.
    strain : str
        How the sample is far from what the network was calibrated for; for a warning, not kept in files.
    """

    index: int
    label: int
    prediction: int
    first_event_ps: int
    decision_time_ps: int
    decided_early: bool
    input_events: int
    synaptic_operations: int
    spikes: int
    energy_j: float
    counters: NDArray[np.int64] = field(repr=False)
    trace: Trace = field(repr=False)
    digest: str = ""
    history: CounterHistory | None = field(default=None, repr=False)
    energy_low_j: float = float("nan")
    energy_high_j: float = float("nan")
    parts: NDArray[np.int64] | None = field(default=None, repr=False)
    strain: str = field(default="", repr=False, compare=False)

    @property
    def latency_s(self) -> float:
        """Decision time minus the first event, seconds."""
        return (self.decision_time_ps - self.first_event_ps) * 1e-12


SCALAR_FIELDS: dict[str, str] = {
    "index": "i8",
    "label": "i8",
    "prediction": "i8",
    "first_event_ps": "i8",
    "decision_time_ps": "i8",
    "decided_early": "?",
    "input_events": "i8",
    "synaptic_operations": "i8",
    "spikes": "i8",
    "energy_j": "f8",
    "energy_low_j": "f8",
    "energy_high_j": "f8",
}
# Not known of runs that were made before these were.
LATER_FIELDS = ("energy_low_j", "energy_high_j")


@dataclass(frozen=True)
class FailedSample:
    """A sample that could not be read: its position in the data set, its name, and why."""

    index: int
    name: str
    reason: str


@dataclass(frozen=True)
class ResultTable:
    """A run: its configuration and its samples by index.

    ``order`` names the rows of the counters, by rank; ``readout_scale`` is the logit per unit of the
    readout, weighed where the decision weighs it, needed to score traces again. ``failures`` are no part of
    accuracy and digest. ``sources`` has a hash of the input of each sample by index: input that failed may be
    mended, and the rest must stay as it was; a calibrated threshold is not for the samples that gave it.
    ``contents`` has a hash of what each sample holds, whatever its name (``eventsnn.events.contents``), and
    ``trained`` the name of the training data that it is of, by index: empty where none is, None where the
    network's file names no data. ``provenance`` has a record of each time that a part of the run was done
    (``eventsnn.provenance``).
    """

    configuration: dict[str, Any]
    order: tuple[str, ...]
    readout_scale: float
    samples: tuple[SampleRecord, ...]
    failures: tuple[FailedSample, ...] = ()
    sources: dict[int, str] = field(default_factory=dict)
    provenance: tuple[dict[str, Any], ...] = ()
    contents: dict[int, str] = field(default_factory=dict)
    trained: dict[int, str] | None = None

    @property
    def decision_weights(self) -> NDArray[np.int64] | None:
        """What a count of each output channel weighs in the decision; None: all the same.

        Of the network's output, kept with the configuration; classes lie channel by channel.
        """
        kept = self.configuration.get("decision_weights")
        return None if kept is None else np.array(kept, dtype=np.int64)

    def column(self, name: str) -> NDArray[Any]:
        """One scalar of every sample, in sample order."""
        return np.array([getattr(sample, name) for sample in self.samples], dtype=SCALAR_FIELDS[name])

    def counter(self, index: int) -> NDArray[np.int64]:
        """One counter of every sample and population, shape (samples, populations)."""
        return np.array([sample.counters[:, index] for sample in self.samples], dtype=np.int64)

    def chosen(self, samples: tuple[SampleRecord, ...]) -> ResultTable:
        """The run over some of its samples; those that could not be read are left out."""
        indices = {sample.index for sample in samples}
        sources, contents, trained = (
            {index: value for index, value in values.items() if index in indices}
            for values in (self.sources, self.contents, self.trained or {})
        )
        return replace(
            self, samples=samples, failures=(), sources=sources, contents=contents,
            trained=None if self.trained is None else trained,
        )  # fmt: skip

    @property
    def digest(self) -> str:
        """The run's digest: equal for equal runs, whatever the engine, workers or machine."""
        return run_digest((sample.index, sample.digest) for sample in self.samples)
