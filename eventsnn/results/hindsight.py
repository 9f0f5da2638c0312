"""What stopping could save at best: oracles that know the label, from a full run's traces.

Two are told apart. *First correct* stops at the first check whose decision is right (SEENN's AET, Li et al.,
NeurIPS 2023, arXiv:2304.01230); *stays correct* at the first from which on it is right up to the end of the
run (OCT of Wu et al., Front. Neurosci. 2025, arXiv:2301.09522). A sample that is never right, or wrong at its
end, runs whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.results.latency import time_passed
from eventsnn.results.table import ResultTable, SampleRecord
from eventsnn.results.traces import PackedTrace, classes_of, pack_trace

ORACLES = {"first": "first correct", "stays": "stays correct"}


@dataclass(frozen=True, eq=False)
class Hindsight:
    """Where an oracle stops each sample.

    Attributes
    ----------
    correct : bool array, shape (samples,)
    latency_s : float64 array, shape (samples,)
        NaN where no time passes in any sample.
    synaptic_operations : int64 array, shape (samples,)
    energy_j : float64 array, shape (samples,)
        NaN without an accelerator; that of the decision unit is left out.
    """

    correct: NDArray[np.bool_]
    latency_s: NDArray[np.float64]
    synaptic_operations: NDArray[np.int64]
    energy_j: NDArray[np.float64]


def oracles(table: ResultTable) -> dict[str, Hindsight]:
    """Where each of ``ORACLES`` stops the samples of a full run; each trace is read once.

    Parameters
    ----------
    table : ResultTable
        A run without an exit rule, with labels.

    Raises
    ------
    InvalidRequest
        A run with an exit rule, a sample without a label, or a network with one output.
    """
    if table.configuration.get("exit") not in (None, "none"):
        raise InvalidRequest("an oracle looks at the whole of each sample; run again with --exit none")
    if (table.column("label") < 0).any():
        raise InvalidRequest("an oracle needs labels, which some of these samples lack")
    whole = np.array([sample.latency_s for sample in table.samples])
    timeless = np.isnan(time_passed(whole, table.configuration)).any()
    rows = [_stopped(table, sample) for sample in table.samples]
    found = {}
    for kind in ORACLES:
        correct, latency, operations, energy = (
            np.array(column) for column in zip(*(row[kind] for row in rows), strict=True)
        )
        latency = np.full(len(rows), np.nan) if timeless else latency.astype(np.float64)
        found[kind] = Hindsight(correct, latency, operations.astype(np.int64), energy.astype(np.float64))
    return found


_Row = tuple[bool, float, int, float]


def _stopped(table: ResultTable, sample: SampleRecord) -> dict[str, _Row]:
    """A sample's row for each oracle: correct, latency, operations, energy."""
    classes = classes_of(sample.trace)
    if classes < 2:
        raise InvalidRequest("these results are of a network with one output; a decision needs two")
    packed = pack_trace(sample.trace)
    times, readout = packed["time_ps"][:-1], packed["readout"][:-1]
    weights = table.decision_weights
    if weights is not None:
        readout = readout * np.tile(weights, classes // len(weights))
    decided = np.any(readout != 0, axis=1) & (times >= sample.first_event_ps)
    right = decided & (readout.argmax(axis=1) == sample.label)
    end = sample.prediction == sample.label
    # Right at a check and at each after it, up to the end of the run.
    stays = np.logical_and.accumulate(np.append(right, end)[::-1])[::-1][:-1]
    whole = end, sample.latency_s, sample.synaptic_operations, sample.energy_j
    return {
        kind: _at(table, sample, packed, int(np.argmax(checks))) if checks.any() else whole
        for kind, checks in (("first", right), ("stays", stays))
    }


def _at(table: ResultTable, sample: SampleRecord, packed: PackedTrace, check: int) -> _Row:
    """The row of a sample that is stopped at a check, where its decision is right."""
    stop_ps = int(packed["time_ps"][check]) + int(table.configuration.get("decision_latency_ps", 0))
    latency = (stop_ps - sample.first_event_ps) * 1e-12
    energy = sample.energy_j
    if not np.isnan(energy):
        watts = float(table.configuration.get("static_watts", 0.0))
        energy = float(packed["energy_aj"][check]) * 1e-18 + watts * latency
    return True, latency, int(packed["synaptic_operations"][check]), energy


def realised(full: float, stopped: float, at_best: float) -> float | None:
    """The share of an oracle's saving that a rule realises: (full - stopped) / (full - at best).

    None where the oracle saves nothing, or something is not known (NaN).
    """
    possible = full - at_best
    return (full - stopped) / possible if np.isfinite(possible + stopped) and possible > 0 else None
