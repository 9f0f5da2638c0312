"""``calibrate``: the threshold that saves most among those that a test certifies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import shown, truth, whole
from eventsnn.calibration.binomial import (
    fixed_sequence,
    least_limit,
    least_samples,
    p_values,
    share,
    upper_bound,
)
from eventsnn.calibration.halt_times import halt_time_p_values
from eventsnn.calibration.risks import RISKS, Risk
from eventsnn.decide import ExitRule, parse_kind
from eventsnn.decide.certificate import Certificate, conditions_of
from eventsnn.errors import InvalidRequest
from eventsnn.results.results import Results
from eventsnn.results.stops import Stops, rules_by_name, stops
from eventsnn.results.training import require_untrained
from eventsnn.version import __version__

GRID: NDArray[np.float64] = np.unique(
    np.concatenate([np.linspace(0, 1, 101), 1 - 10.0 ** -np.linspace(1, 8, 71)])
)
"""Thresholds, fixed before any data is seen; dense near 1, where confidences of softmax lie."""
SAVES = ("synaptic_operations", "latency_s", "energy_j")
ASSUMPTIONS = (
    "calibration samples and later ones are drawn alike and independently of one another",
    "the network, the rules and the grid of thresholds were fixed before the calibration data were seen",
)


@dataclass(frozen=True)
class _Found:
    """A rule's certified thresholds, safest first."""

    rule: ExitRule
    stops: Stops
    losses: NDArray[np.bool_]
    p: NDArray[np.float64]
    order: NDArray[np.int64]
    certified: int
    tested: NDArray[np.int64]


def calibrate(
    results: Results,
    rule: str | ExitRule | Sequence[str | ExitRule] = "margin",
    risk: str = "gap",
    limit: float = 0.01,
    confidence: float = 0.95,
    *,
    deadline_s: float | None = None,
    by_halt_time: bool = False,
    saves: str = "synaptic_operations",
    grid: Any = None,
    seed: int = 0,
) -> Certificate:
    """Certify a threshold: with probability ``confidence`` the risk of stopping there is at most ``limit``.

    Learn-then-Test (Angelopoulos et al. 2021, arXiv:2110.01052): thresholds are tested from the safest on,
    each by the exact binomial test at level 1 - ``confidence``, up to the first that fails. Of m rules each
    is tested at (1 - ``confidence``) / m, and of all that is certified what saves most is chosen.

    Parameters
    ----------
    results : Results
        A run without an exit rule, over samples that neither trained the network nor will be reported on.
    rule : str, ExitRule, or several
    risk : str
        ``"gap"``: P(full run right, stopped wrong), which the loss of accuracy does not exceed. ``"error"``:
        P(stopped wrong). ``"disagreement"``: P(stopped otherwise than the full run), without labels.
        ``"deadline"``: P(decision later than ``deadline_s``), its safest threshold being the lowest.
    limit : float
        Of the risk, between 0 and 1.
    confidence : float
        Over the draw of the calibration samples, between 0 and 1.
    deadline_s : float, optional
        Seconds since the first event.
    by_halt_time : bool
        Hold the limit among the samples that have stopped by a time, not only over all, for every time by
        which enough of them have: those that stop
        early are not sacrificed (Ringel et al., ICML 2024, arXiv:2402.00857). Half of the samples, drawn by
        ``seed``, only choose the times.
    saves : str
        What is to be small: ``"synaptic_operations"``, ``"latency_s"`` or ``"energy_j"``.
    grid : float array, optional
        Thresholds, fixed beforehand; ``GRID`` unless given.

    Raises
    ------
    InvalidRequest
        Too few samples for the limit, no threshold that can be certified, samples without labels or that
        could not be read, settings that are not allowed. The least limit that could be certified is told.
    InvalidExitRule
        An unknown rule or threshold.
    """
    if not isinstance(results, Results):
        raise InvalidRequest(f"results are {shown(results)}; give Results, of simulate or a file")
    if risk not in RISKS:
        raise InvalidRequest(
            f"risk is {shown(risk)}; allowed are {', '.join(RISKS)}; coverage has calibrate_sets"
        )
    if saves not in SAVES:
        raise InvalidRequest(f"saves is {shown(saves)}; allowed are {', '.join(SAVES)}")
    limit, confidence = share(limit, "limit"), share(confidence, "confidence")
    by_halt_time = truth(by_halt_time, "by_halt_time", InvalidRequest)
    chosen_risk = RISKS[risk]
    require_sound(results, risk, chosen_risk.labelled)
    _require_deadline(results, risk, deadline_s)
    rules = list(rules_by_name(rule).values())
    delta = (1 - confidence) / len(rules)
    if len(results) < least_samples(limit, delta):
        raise InvalidRequest(
            f"{len(results)} samples are too few: even without an error they certify {risk} at most "
            f"{least_limit(len(results), delta):.3g} at best with confidence {confidence:g}"
            f"{f' among {len(rules)} rules' if len(rules) > 1 else ''}; {limit:g} needs at least "
            f"{least_samples(limit, delta)} samples"
        )
    thresholds = GRID if grid is None else np.asarray(grid)
    tried = [
        _certified(results, parse_kind(each), chosen_risk, limit, delta, thresholds, deadline_s,
                   whole(seed, "seed", InvalidRequest) if by_halt_time else None)
        for each in rules
    ]  # fmt: skip
    found = [each for each in tried if each.certified]
    if not found:
        raise InvalidRequest(_why_none(tried, risk, limit, confidence, delta))
    best = min(found, key=lambda each: float(getattr(each.stops, saves)[:, _place(each)].mean()))
    if not np.isfinite(getattr(best.stops, saves)[:, _place(best)]).all():
        raise InvalidRequest(
            f"these results have no {saves}, so nothing can be chosen by it; run them on an accelerator "
            "(--hardware), or choose by synaptic_operations"
        )
    return _certificate(
        results, best, [str(each.rule.name) for each in tried], risk, limit, confidence, delta, deadline_s,
        by_halt_time,
    )  # fmt: skip


def require_sound(results: Results, risk: str, labelled: bool) -> None:
    """Refuse results that are no fair draw of samples, trained the network, or lack labels that are needed.

    Raises
    ------
    InvalidRequest
    """
    if not isinstance(results, Results):
        raise InvalidRequest(f"results are {shown(results)}; give Results, of simulate or a file")
    if results.failures:
        raise InvalidRequest(
            f"{len(results.failures)} samples of this run could not be read: what is left is no fair draw; "
            "calibrate on a run of all its samples"
        )
    require_untrained(results.table, "on them a network does better than on others, and nothing is promised")
    if labelled and (results.table.column("label") < 0).any():
        raise InvalidRequest(f"risk {risk} needs labels, which these samples lack; 'disagreement' needs none")


def _require_deadline(results: Results, risk: str, deadline_s: float | None) -> None:
    if (risk == "deadline") != (deadline_s is not None):
        raise InvalidRequest("a deadline (--deadline-us) goes with the risk 'deadline', and with it alone")
    if deadline_s is not None and not deadline_s > 0:
        raise InvalidRequest(f"the deadline is {deadline_s:g} s; allowed are times above 0")
    if deadline_s is not None and np.isnan(results.latency_s).any():
        raise InvalidRequest("no time passes in this run, so no deadline can be missed; run it on hardware")


def _certified(
    results: Results, rule: ExitRule, risk: Risk, limit: float, delta: float, grid: NDArray[Any],
    deadline_s: float | None, split_seed: int | None,
) -> _Found:  # fmt: skip
    found = stops(results.table, rule, grid)
    losses = risk.losses(found, deadline_s)
    order = np.argsort(found.thresholds)
    order = order if risk.rises else order[::-1]
    if split_seed is None:
        tested = np.arange(len(results))
        p = p_values(losses.sum(axis=0), len(results), limit)
    else:
        p, tested = halt_time_p_values(losses, found.latency_s, limit, delta, split_seed)
    return _Found(rule, found, losses, p[order], order, fixed_sequence(p[order], delta), tested)


def _place(found: _Found) -> int:
    """Column of the threshold that is certified last, and so saves most."""
    return int(found.order[found.certified - 1])


def _why_none(tried: list[_Found], risk: str, limit: float, confidence: float, delta: float) -> str:
    least = min(
        upper_bound(int(each.losses[each.tested, each.order[0]].sum()), len(each.tested), delta)
        for each in tried
    )
    return (
        f"no threshold certifies {risk} at most {limit:g} with confidence {confidence:g}: at the safest one "
        f"the samples exclude risks above {least:.3g} only; give more samples, or a limit above that"
    )


def _certificate(
    results: Results, best: _Found, rules: list[str], risk: str, limit: float, confidence: float,
    delta: float, deadline_s: float | None, by_halt_time: bool,
) -> Certificate:  # fmt: skip
    place = _place(best)
    errors = int(best.losses[best.tested, place].sum())
    return stated(
        results, best.stops, place, rule=best.rule.name, risk=risk, limit=limit, confidence=confidence,
        samples=len(best.tested), errors=errors, p_value=float(best.p[best.certified - 1]),
        bound=upper_bound(errors, len(best.tested), delta), rules=tuple(rules),
        grid=len(best.stops.thresholds), tested=min(best.certified + 1, len(best.p)), deadline_s=deadline_s,
        by_halt_time=by_halt_time, assumptions=ASSUMPTIONS,
    )  # fmt: skip


def stated(results: Results, found: Stops, place: int, **said: Any) -> Certificate:
    """A certificate of the threshold at a place of ``found``, with what was measured, and on what."""
    configuration = results.configuration
    means = {
        name: float(np.mean(getattr(found, name)[:, place]))
        for name in ("latency_s", "synaptic_operations", "spikes", "energy_j")
    }
    full = {
        "latency_s": float(results.latency_s.mean()),
        **{name: float(results.table.column(name).mean()) for name in ("synaptic_operations", "spikes")},
        "energy_j": float(results.table.column("energy_j").mean()),
    }
    if results.accuracy is not None:
        full["accuracy"] = results.accuracy
        means["accuracy"] = float((found.prediction[:, place] == found.label).mean())
    return Certificate(
        threshold=float(found.thresholds[place]),
        measured={"full": _plain(full), "stopped": _plain(means)},
        conditions=conditions_of(configuration),
        calibrated_on={
            "data": configuration.get("data"),
            "data_path": configuration.get("data_path"),
            "digest": results.digest,
            "sources": sorted(results.table.sources.values()),
            "contents": sorted(results.table.contents.values()),
        },
        version=__version__,
        **said,
    )


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in values.items()}
