"""What a score is: how sure the accumulated values are at one check, from 0 to 1."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from eventsnn.decide.base import Check
from eventsnn.decide.parts import Part


class Asked(NamedTuple):
    """A check at which the score is asked.

    Attributes
    ----------
    check : Check
    number : int
        It is the ``number``-th of this sample, from 1.
    place : int
        It is due because of the ``place``-th of the given times, from 0; 0 where none are given.
    """

    check: Check
    number: int
    place: int


@dataclass(frozen=True)
class Score(Part):
    """How sure values are; equal for equal arguments."""

    unweighed: ClassVar[bool] = False
    """Whether it needs counts that weigh alike for all classes."""
    places: ClassVar[str] = ""
    """The parameter, if any, that has a value for each of the given times."""

    @abstractmethod
    def confidence(self, values: Sequence[float], asked: Asked) -> float:
        """From 0 to 1, of one value per class."""


@dataclass(frozen=True)
class LogitScore(Score):
    """A score of logits: values times ``scale``, divided by ``temperature``."""

    temperature: float = 1.0

    def __post_init__(self) -> None:
        self.positive("temperature")

    def logits(self, values: Sequence[float], asked: Asked) -> list[float]:
        """How far each class is behind the best."""
        best, scale = max(values), asked.check.scale / self.temperature
        return [(value - best) * scale for value in values]

    def lead(self, values: Sequence[float], asked: Asked) -> float:
        """Of the best class over the second, in logits."""
        return -sorted(self.logits(values, asked))[-2]
