"""Rules as the parts that they are made of, where all of them are parts that kernels know."""

from __future__ import annotations

from collections.abc import Mapping

from eventsnn.decide.accumulators import ACCUMULATORS
from eventsnn.decide.base import ExitRule
from eventsnn.decide.combination import Combination
from eventsnn.decide.margin import Margin
from eventsnn.decide.max_probability import MaxProbability
from eventsnn.decide.memories import MEMORIES
from eventsnn.decide.parts import Part
from eventsnn.decide.schedules import SCHEDULES
from eventsnn.decide.scores import SCORES, MarginScore, MaxProbabilityScore

KINDS: dict[str, Mapping[str, type[Part]]] = {
    "score": SCORES,
    "accumulator": ACCUMULATORS,
    "memory": MEMORIES,
    "schedule": SCHEDULES,
}
"""The parts that have kernels, by the kind of part and name."""


def own_parts(rule: Combination) -> list[tuple[str, Part]]:
    """The parts that a user wrote, with their kinds; one derived from a part here is another part, too."""
    kinds = zip(KINDS.items(), rule.parts, strict=True)
    return [(kind, part) for (kind, known), part in kinds if type(part) not in known.values()]


def as_combination(rule: ExitRule) -> Combination | None:
    """A rule as parts; None where only the rule itself can say what it does."""
    if type(rule) is Combination:
        return None if own_parts(rule) else rule
    own = (getattr(method, "__func__", None) for method in (rule.confidence, rule.start, rule.consider))
    said = tuple(own)
    for known, score in ((Margin, MarginScore), (MaxProbability, MaxProbabilityScore)):
        if said == (known.confidence, known.start, known.consider):
            return Combination(rule.threshold, score())
    return None
