"""When to stop: exit rules as pure functions of the readout."""

from eventsnn.decide.base import ExitRule, decision
from eventsnn.decide.margin import Margin
from eventsnn.decide.max_probability import MaxProbability
from eventsnn.decide.rules import RULES, parse_rule

__all__ = ["RULES", "ExitRule", "Margin", "MaxProbability", "decision", "parse_rule"]
