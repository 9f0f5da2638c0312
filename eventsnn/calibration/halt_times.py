"""The risk among samples that have stopped by a time, for every time by which enough of them have.

L. Ringel, R. Cohen, D. Freedman, M. Elad, Y. Romano, "Early time classification with accumulated accuracy
gap control", ICML 2024, arXiv:2402.00857, section 3.2. There a first part of the samples chooses one
candidate for each time; here it chooses the times, and thresholds are tested in their fixed order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.calibration.binomial import least_samples, p_values
from eventsnn.errors import InvalidRequest

TIMES = 20
ENOUGH = 1.5
"""Times are held by which so many times the samples have stopped that certify the limit without error."""


def halt_time_p_values(
    losses: NDArray[np.bool_], latency_s: NDArray[np.float64], limit: float, delta: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """p-values of "by some time the risk among those that have stopped is above ``limit``".

    The hypothesis is a union over times, so its p-value is the largest of theirs; given how many have
    stopped, the lost ones among them are binomial. A random half of the samples chooses the times, and which
    of them are held at a threshold; the other half is tested, so that the choice costs no confidence.

    Parameters
    ----------
    losses, latency_s : arrays, shape (samples, thresholds)

    Returns
    -------
    p : float64 array, shape (thresholds,)
    tested : int64 array
        The samples that were tested.

    Raises
    ------
    InvalidRequest
        No time passes, or too few samples.
    """
    if np.isnan(latency_s).any():
        raise InvalidRequest("no time passes in this run, so samples cannot be told by when they stop")
    needed = int(np.ceil(ENOUGH * least_samples(limit, delta)))
    if len(losses) // 2 < needed:
        raise InvalidRequest(
            f"{len(losses)} samples are too few to hold {limit:g} at halt times: half of them choose the "
            f"times, and {2 * needed} are needed; give more, or leave by_halt_time (--by-halt-time) out"
        )
    drawn = np.random.default_rng(seed).permutation(len(losses))
    chooses, tests = np.sort(drawn[: len(drawn) // 2]), np.sort(drawn[len(drawn) // 2 :])
    times = np.append(np.quantile(latency_s[chooses], np.arange(1, TIMES) / TIMES), np.inf)
    held = _stopped_by(times, latency_s[chooses]).sum(axis=1) >= needed
    stopped = _stopped_by(times, latency_s[tests])
    p = p_values((stopped & losses[tests]).sum(axis=1), stopped.sum(axis=1), limit)
    return np.where(held, p, 0.0).max(axis=0), tests


def _stopped_by(times: NDArray[np.float64], latency_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each sample has stopped, shape (times, samples, thresholds)."""
    return latency_s <= times[:, None, None]
