"""What can go wrong when a run stops early, sample by sample and threshold by threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.results.stops import Stops

Losses = NDArray[np.bool_]


@dataclass(frozen=True)
class Risk:
    """A risk: the probability that a sample is lost.

    Attributes
    ----------
    losses : callable
        Of ``Stops`` and a limit in seconds, of shape (samples, thresholds).
    labelled : bool
        Whether it needs labels.
    says : str
        What is bounded, in words.
    rises : bool
        Whether stopping later is what is risky, so that the lowest threshold is the safest.
    """

    losses: Callable[[Stops, float | None], Losses]
    labelled: bool
    says: str
    rises: bool = False


def _full_is_right(stops: Stops) -> Losses:
    found: Losses = (stops.full_prediction == stops.label)[:, None]
    return found


def _error(stops: Stops, _: float | None) -> Losses:
    found: Losses = stops.prediction != stops.label[:, None]
    return found


def _gap(stops: Stops, _: float | None) -> Losses:
    return _error(stops, None) & _full_is_right(stops)


def _disagreement(stops: Stops, _: float | None) -> Losses:
    found: Losses = stops.prediction != stops.full_prediction[:, None]
    return found


def _deadline(stops: Stops, deadline_s: float | None) -> Losses:
    assert deadline_s is not None
    return stops.latency_s > deadline_s


RISKS: dict[str, Risk] = {
    # P(full right, early wrong) bounds the loss of accuracy, which is that less P(full wrong, early right).
    "gap": Risk(_gap, True, "a sample that the full run decides right is decided wrong"),
    "error": Risk(_error, True, "a sample is decided wrong"),
    "disagreement": Risk(_disagreement, False, "a sample is decided otherwise than by the full run"),
    "deadline": Risk(_deadline, False, "a decision comes after the deadline", rises=True),
}
