"""How sure: scores, one file a kind."""

from eventsnn.decide.scores.base import Asked, LogitScore, Score
from eventsnn.decide.scores.checkpoint_lead import CheckpointLead
from eventsnn.decide.scores.count_race import Count, CountLead
from eventsnn.decide.scores.entropy import Entropy
from eventsnn.decide.scores.first_spike import FirstSpike
from eventsnn.decide.scores.fixed_time import FixedTime
from eventsnn.decide.scores.logit_lead import LogitLead
from eventsnn.decide.scores.margin import MarginScore
from eventsnn.decide.scores.max_probability import MaxProbabilityScore
from eventsnn.decide.scores.prediction_set import PredictionSet

SCORES: dict[str, type[Score]] = {
    kind.name: kind
    for kind in (
        MaxProbabilityScore, MarginScore, Entropy, LogitLead, CheckpointLead, Count, CountLead, FirstSpike,
        FixedTime, PredictionSet,
    )
}  # fmt: skip
"""Scores by name."""

__all__ = [
    "SCORES",
    "Asked",
    "CheckpointLead",
    "Count",
    "CountLead",
    "Entropy",
    "FirstSpike",
    "FixedTime",
    "LogitLead",
    "LogitScore",
    "MarginScore",
    "MaxProbabilityScore",
    "PredictionSet",
    "Score",
]
