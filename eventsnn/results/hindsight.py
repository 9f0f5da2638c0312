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

from eventsnn.results.stops import stops_of_rules
from eventsnn.results.table import ResultTable

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
    found = stops_of_rules(table, [f"{kind}-correct" for kind in ORACLES], [0.0])
    return {
        kind: Hindsight(
            stops.prediction[:, 0] == stops.label,
            stops.latency_s[:, 0],
            stops.synaptic_operations[:, 0],
            stops.energy_j[:, 0],
        )
        for kind, stops in zip(ORACLES, found, strict=True)
    }


def realised(full: float, stopped: float, at_best: float) -> float | None:
    """The share of an oracle's saving that a rule realises: (full - stopped) / (full - at best).

    None where the oracle saves nothing, or something is not known (NaN).
    """
    possible = full - at_best
    return (full - stopped) / possible if np.isfinite(possible + stopped) and possible > 0 else None
