"""What an exit rule needs of the run that it is to stop."""

from __future__ import annotations

from dataclasses import dataclass

from eventsnn.decide.as_parts import as_combination
from eventsnn.decide.base import ExitRule
from eventsnn.decide.combination import Combination
from eventsnn.errors import InvalidExitRule


@dataclass(frozen=True)
class Setting:
    """What a rule finds.

    Attributes
    ----------
    spikes : bool or None
        The output spikes, or its charge is read; None where it is not known.
    weighs : bool
        Counts of different classes weigh differently in the decision.
    steps : bool
        The schedule is the step schedule.
    times : bool
        The times of the checks are those that the rule goes by.
    events : bool
        The input has events, and they are counted.
    """

    spikes: bool | None
    weighs: bool
    steps: bool
    times: bool = True
    events: bool = True


def require_followable(rule: ExitRule, setting: Setting) -> None:
    """Refuse a rule that cannot be followed there; rules of one's own are not looked into, but parts are.

    Raises
    ------
    InvalidExitRule
    """
    found = rule if type(rule) is Combination else as_combination(rule)
    if found is None:
        return
    said = f"exit rule '{rule}'"
    for part in found.parts:
        if part.of_spikes is not None and part.of_spikes is not setting.spikes:
            needs = "an output that spikes" if part.of_spikes else "an output whose charge is read"
            has = {None: "does not say what its output is", True: "spikes", False: "does not spike"}
            raise InvalidExitRule(
                f"{said}: {part.name!r} needs {needs}, and this network {has[setting.spikes]}; use "
                f"{'logit-lead or margin' if part.of_spikes else 'the accumulator counts or readout'}"
            )
        if part.of_steps and not setting.steps:
            raise InvalidExitRule(
                f"{said}: {part.name!r} needs the step schedule (--schedule step); in the event schedule "
                "leave it out, to be asked at each output event"
            )
    if found.score.unweighed and setting.weighs:
        raise InvalidExitRule(
            f"{said}: {found.score.name!r} counts spikes, and here those of different classes weigh "
            "differently; use logit-lead or margin"
        )
    timed = any(part.of_time for part in found.parts) or found.after_us > 0 or found.until_us is not None
    if timed and not setting.times:
        raise InvalidExitRule(
            f"{said} goes by the time of timesteps, and traces of steps played on an accelerator have its "
            "time; run with --exit, or take the curve of a run without --hardware"
        )
    if found.schedule.of_events and not setting.events:
        raise InvalidExitRule(
            f"{said}: 'every' counts events of the input, and here there are none, or the trace was recorded "
            "without them; use another schedule, or run again"
        )
