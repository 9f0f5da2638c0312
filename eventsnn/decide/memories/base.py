"""What a memory is: it makes of the scores and decisions so far how sure the rule is now."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from eventsnn.decide.parts import Part

Remembering = Callable[[float, int], float]


@dataclass(frozen=True)
class Memory(Part):
    """Asked once at each check, with its score and the class decided for; gives a confidence or NOT_SURE."""

    @abstractmethod
    def start(self) -> Remembering:
        """A function for one sample."""
