"""A recorded trace followed by an exit rule, at each of many thresholds: where a run would have stopped."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.decide import Check, ExitRule, considered, started
from eventsnn.results.oracles import ORACLES

if TYPE_CHECKING:
    from eventsnn.decide.program import Program

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """The checks of a full run: its trace but the last row, which is the end.

    Attributes
    ----------
    readout : int64 array, shape (checks, classes)
        Weighed.
    time_ps : int64 array, shape (checks,)
        Since the first event.
    input_events : int64 array, shape (checks,)
        Zeros where the trace has none.
    scale : float
        Logit per unit of the readout.
    final : int
        Prediction at the end.
    """

    readout: Int64
    time_ps: Int64
    input_events: Int64
    scale: float
    final: int

    def decided(self) -> NDArray[np.bool_]:
        """Whether each check has something to decide."""
        found: NDArray[np.bool_] = np.any(self.readout != 0, axis=1) & (self.time_ps >= 0)
        return found


@dataclass(frozen=True, eq=False)
class Followed:
    """By threshold, int64 arrays.

    Attributes
    ----------
    check : int64 array, shape (thresholds,)
        That stops the run; the number of checks where none does.
    prediction : int64 array, shape (thresholds,)
    looks : int64 array, shape (thresholds,)
        Checks at which the decision unit compared the readout.
    """

    check: Int64
    prediction: Int64
    looks: Int64


def follow(rule: ExitRule, thresholds: Float64, moments: Moments) -> Followed:
    """A rule with each of ``thresholds`` in place of its own."""
    from eventsnn.decide.program import program_of

    return follow_program(rule, program_of(rule), thresholds, moments)


def follow_program(
    rule: ExitRule, program: Program | None, thresholds: Float64, moments: Moments
) -> Followed:
    """``follow`` of a rule whose program is at hand."""
    if program is None:
        found = [_ask(rule, threshold, moments) for threshold in thresholds.tolist()]
        check, prediction, looks = (np.array(column, dtype=np.int64) for column in zip(*found, strict=True))
        return Followed(check, prediction, looks)
    from eventsnn.decide import kernels as k
    from eventsnn.decide.trace_kernels import replay

    checks, classes = moments.readout.shape
    sure, chosen, looks = np.full(checks, k.NOT_SURE), np.empty(checks, np.int64), np.empty(checks, np.int64)
    state = program.state(classes)
    replay(
        np.ascontiguousarray(moments.readout), moments.time_ps, moments.input_events, moments.scale,
        *program, state, sure, chosen, looks,
    )  # fmt: skip
    # The first check that reaches a threshold is the first whose largest confidence so far does.
    check = np.searchsorted(np.maximum.accumulate(sure), thresholds, side="left").astype(np.int64)
    last = float(state[k.LAST])
    at_end = k.REJECTED if last < program.numbers[k.REJECT] and moments.final >= 0 else moments.final
    if state[k.FORCED]:
        # All that follow are as unsure as it: it is the last that was looked at.
        forced = int(np.flatnonzero((moments.time_ps >= program.parts[k.UNTIL]) & moments.decided())[0])
        unsure = check > forced
        check = np.minimum(check, forced)
        rejected = unsure & (last < program.numbers[k.REJECT])
        return Followed(check, np.where(rejected, k.REJECTED, chosen[check]), looks[check])
    if not checks:
        nothing = np.zeros(len(thresholds), dtype=np.int64)
        return Followed(nothing, np.full(len(thresholds), at_end), nothing)
    early, place = check < checks, np.minimum(check, checks - 1)
    return Followed(check, np.where(early, chosen[place], at_end), looks[place])


def _ask(rule: ExitRule, threshold: float, moments: Moments) -> tuple[int, int, int]:
    """The same of a rule that has no kernel: it is asked as it is in a run with that threshold."""
    asked: Any = copy(rule)
    object.__setattr__(asked, "threshold", threshold)
    asked.__post_init__()
    watching = started(asked)
    assert watching is not None
    looks = 0
    rows = zip(moments.readout.tolist(), moments.time_ps.tolist(), moments.input_events.tolist(), strict=True)
    for n, (readout, time, events) in enumerate(rows):
        verdict = considered(watching, Check(readout, moments.scale, time, events))
        looks += verdict.due
        if verdict.stops:
            return n, verdict.prediction, looks
    return len(moments.readout), watching.at_end(moments.final), looks


def follow_oracle(name: str, thresholds: Float64, moments: Moments, label: int) -> Followed:
    """A stop that knows the label, the same at every threshold; it looks at nothing that costs."""
    best = moments.readout.argmax(axis=1)
    decided = moments.decided()
    check = ORACLES[name](best == label, decided) if len(best) else 0
    if name == "stays-correct" and moments.final != label:
        check = len(best)
    prediction = int(best[check]) if check < len(best) else moments.final
    many = np.ones(len(thresholds), dtype=np.int64)
    return Followed(check * many, prediction * many, 0 * many)
