"""What of earlier checks counts: memories, one file a kind."""

from eventsnn.decide.memories.base import Memory, Remembering
from eventsnn.decide.memories.no_memory import NoMemory
from eventsnn.decide.memories.patience import Patience
from eventsnn.decide.memories.probability_ratio import ProbabilityRatio

MEMORIES: dict[str, type[Memory]] = {kind.name: kind for kind in (NoMemory, Patience, ProbabilityRatio)}
"""Memories by name, which is the key of the parameter that they must be given."""

__all__ = ["MEMORIES", "Memory", "NoMemory", "Patience", "ProbabilityRatio", "Remembering"]
