"""``calibrate_sets``: stop where a prediction set that covers the true class has become small (SpikeCP)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import whole
from eventsnn.calibration.binomial import share
from eventsnn.calibration.certify import require_sound, stated
from eventsnn.calibration.conformal import bounds_of, scores
from eventsnn.decide import Combination, GivenTimes, PredictionSet
from eventsnn.decide.certificate import Certificate
from eventsnn.errors import InvalidRequest
from eventsnn.results.results import Results
from eventsnn.results.stops import stops, weighed_readout
from eventsnn.results.table import SampleRecord

RISK = "coverage"
SAYS = "the true class is missing from a set at one or more of the given times"
ROUNDING = 1e-9
"""By how much bounds of probabilities are widened: a score that is one must stay in the set."""
ASSUMPTIONS = (
    "calibration samples and later ones are drawn alike (exchangeably)",
    "the network, the times and the size were fixed before the calibration data were seen",
    "the promise is over the draw of calibration samples, too: after one draw the share may be a bit larger",
)


def calibrate_sets(
    results: Results, at_us: Sequence[float], limit: float = 0.05, size: int = 1
) -> Certificate:
    """Bounds of prediction sets at given times, and the rule that stops at the first that is small.

    A class is in the set where its probability is at least that time's bound. Conformal calibration with
    Bonferroni's correction (``conformal``) makes the true class be in the sets of all times with probability
    1 - ``limit``; the stopped decision, the best class of a set of one, is wrong at most so often.

    Parameters
    ----------
    results : Results
        A run without an exit rule, over samples with labels that neither trained the network nor will be
        reported on.
    at_us : sequence of float
        When to look, microseconds since the first event, fixed beforehand; each time more needs more samples.
    limit : float
        How often the true class may be missing at one time or more, between 0 and 1.
    size : int
        Stop at so many classes or fewer.

    Raises
    ------
    InvalidRequest
        Too few samples, samples without labels or that could not be read or trained the network, settings
        that are not allowed.
    InvalidExitRule
        The times are none.
    """
    limit, size = share(limit, "limit"), whole(size, "size", InvalidRequest, 1)
    times = GivenTimes(tuple(at_us))
    require_sound(results, RISK, labelled=True)
    if np.isnan(results.latency_s).any():
        raise InvalidRequest(
            "no time passes in this run, so there are no times to look at; run it on hardware"
        )
    own = np.array([_own_scores(results, sample, times.times_ps) for sample in results.table.samples])
    bound = bounds_of(own, limit)
    # Where too few looked to tell, no class leaves the set.
    least = tuple(math.exp(-b) * (1 - ROUNDING) if np.isfinite(b) else 0.0 for b in bound)
    rule = Combination(1.0 / size, PredictionSet(least=least), schedule=times)
    found = stops(results.table, rule, [rule.threshold])
    missed = int((own > bound).any(axis=1).sum())
    return stated(
        results, found, 0, rule=rule.name, risk=RISK, limit=limit, confidence=None, samples=len(results),
        errors=missed, p_value=None, bound=None, rules=(rule.name,), grid=1, tested=1, deadline_s=None,
        by_halt_time=False, assumptions=ASSUMPTIONS,
    )  # fmt: skip


def _own_scores(results: Results, sample: SampleRecord, times: Sequence[int]) -> NDArray[np.float64]:
    """How little the true class conforms at each time; -inf where the rule would not look then.

    It looks at the first change of the readout from a time on, unless that is after the next, or silent.
    """
    changed = np.asarray(sample.trace["time_ps"])[:-1] - sample.first_event_ps
    readout = weighed_readout(results.table, np.asarray(sample.trace["readout"]))[:-1]
    found = np.full(len(times), -np.inf)
    changed, readout = changed[changed >= 0], readout[changed >= 0]
    row = np.searchsorted(changed, times)
    last = np.append(times[1:], np.iinfo(np.int64).max)
    for k in np.flatnonzero(row < len(changed)):
        if changed[row[k]] < last[k] and readout[row[k]].any():
            found[k] = scores(readout[row[k]] * results.table.readout_scale)[sample.label]
    return found
