"""When to stop: exit rules as pure functions of the readout."""

from eventsnn.decide.base import ExitRule, asks_to_stop, decision, started, weighed
from eventsnn.decide.margin import Margin
from eventsnn.decide.max_probability import MaxProbability
from eventsnn.decide.rules import RULES, check_rule, kernel_of, parse_rule

__all__ = [
    "RULES",
    "ExitRule",
    "Margin",
    "MaxProbability",
    "asks_to_stop",
    "check_rule",
    "decision",
    "kernel_of",
    "parse_rule",
    "started",
    "weighed",
]
