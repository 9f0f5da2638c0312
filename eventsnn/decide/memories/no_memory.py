"""Memory ``none``: each check for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.decide.memories.base import Memory, Remembering


@dataclass(frozen=True)
class NoMemory(Memory):
    """The score itself."""

    name: ClassVar[str] = "none"
    code: ClassVar[int] = 0

    def start(self) -> Remembering:
        """Forgets."""
        return lambda score, best: score
