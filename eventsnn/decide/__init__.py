"""When to stop: exit rules as pure functions of the readout."""

from eventsnn.decide.accumulators import (
    Accumulator,
    Charge,
    Counts,
    Leaky,
    Mean,
    Rate,
    Readout,
    Sum,
)
from eventsnn.decide.as_parts import as_combination
from eventsnn.decide.base import (
    REJECTED,
    Check,
    ExitRule,
    Verdict,
    considered,
    decision,
    started,
    weighed,
)
from eventsnn.decide.combination import Combination, with_threshold
from eventsnn.decide.margin import Margin
from eventsnn.decide.max_probability import MaxProbability
from eventsnn.decide.memories import Memory, NoMemory, Patience, ProbabilityRatio
from eventsnn.decide.rules import KEYS, ORACLES, RULES, check_rule, kernel_of, parse_kind, parse_rule
from eventsnn.decide.schedules import EachOutputEvent, EachStep, EveryEvents, GivenTimes, Schedule
from eventsnn.decide.scores import (
    SCORES,
    CheckpointLead,
    Count,
    CountLead,
    Entropy,
    FirstSpike,
    FixedTime,
    LogitLead,
    MarginScore,
    MaxProbabilityScore,
    Score,
)

__all__ = [
    "KEYS",
    "ORACLES",
    "REJECTED",
    "RULES",
    "SCORES",
    "Accumulator",
    "Charge",
    "Check",
    "CheckpointLead",
    "Combination",
    "Count",
    "CountLead",
    "Counts",
    "EachOutputEvent",
    "EachStep",
    "Entropy",
    "EveryEvents",
    "ExitRule",
    "FirstSpike",
    "FixedTime",
    "GivenTimes",
    "Leaky",
    "LogitLead",
    "Margin",
    "MarginScore",
    "MaxProbability",
    "MaxProbabilityScore",
    "Mean",
    "Memory",
    "NoMemory",
    "Patience",
    "ProbabilityRatio",
    "Rate",
    "Readout",
    "Schedule",
    "Score",
    "Sum",
    "Verdict",
    "as_combination",
    "check_rule",
    "considered",
    "decision",
    "kernel_of",
    "parse_kind",
    "parse_rule",
    "started",
    "weighed",
    "with_threshold",
]
