"""Rules that are a threshold alone, as the parts they are made of."""

from __future__ import annotations

from eventsnn.decide.base import ExitRule
from eventsnn.decide.combination import Combination
from eventsnn.decide.margin import Margin
from eventsnn.decide.max_probability import MaxProbability
from eventsnn.decide.scores import MarginScore, MaxProbabilityScore


def as_combination(rule: ExitRule) -> Combination | None:
    """A rule as parts; None where only the rule itself can say what it does."""
    if type(rule) is Combination:
        return rule
    own = (getattr(method, "__func__", None) for method in (rule.confidence, rule.start, rule.consider))
    said = tuple(own)
    for known, score in ((Margin, MarginScore), (MaxProbability, MaxProbabilityScore)):
        if said == (known.confidence, known.start, known.consider):
            return Combination(rule.threshold, score())
    return None
