"""When a rule is asked: schedules, one file a kind."""

from eventsnn.decide.schedules.base import Schedule, Watching
from eventsnn.decide.schedules.each import EachOutputEvent, EachStep
from eventsnn.decide.schedules.every import EveryEvents
from eventsnn.decide.schedules.given_times import GivenTimes

SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind for kind in (EachOutputEvent, EachStep, EveryEvents, GivenTimes)
}
"""Schedules by name; what has a parameter is called like it."""

__all__ = [
    "SCHEDULES",
    "EachOutputEvent",
    "EachStep",
    "EveryEvents",
    "GivenTimes",
    "Schedule",
    "Watching",
]
