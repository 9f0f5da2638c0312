"""A critical path: what a decision waited for, one piece of time after the other, without a gap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# Pieces of time, in the order of a message's route.
STAGES = {
    "refractory": "until the neuron could fire again",
    "settle": "until the neuron was tested",
    "test wait": "the test behind other jobs of its core",
    "test": "the threshold test",
    "walk": "the neurons before it in its core's step",
    "fire": "from the test to the spike",
    "serialiser wait": "behind other messages of its core",
    "serialise": "through the serialiser or the input port",
    "serialiser blocked": "held by the serialiser for want of room",
    "link wait": "behind other messages at a link",
    "link": "over a link",
    "link blocked": "held by a link for want of room",
    "hops": "over links without queues",
    "delay": "the projection's own delay",
    "services": "what the busiest core serves in a step",
    "core wait": "in the input queue of the core",
    "decode": "decoding the message",
    "synapses": "the synapse loop",
    "update": "the threshold tests of the synapse loop",
    "step end": "barrier and least time of a step",
    "rest of the run": "from the last change of the readout to the end of the run",
    "decision": "the decision unit",
}


@dataclass(frozen=True)
class Piece:
    """A stretch of a path.

    Attributes
    ----------
    stage : str
        One of ``STAGES``.
    layer : str
        The population it is counted for: the sender's until a message joins the queue of its target; ``""``
        for what all cores wait for.
    place : str
        Core or link, ``""`` where it is neither.
    begin, end : int
        Ticks.
    behind : dict of str to int
        Of a wait: ticks that the server spent on jobs of each population meanwhile.
    """

    stage: str
    layer: str
    place: str
    begin: int
    end: int
    behind: dict[str, int] = field(default_factory=dict)

    @property
    def ticks(self) -> int:
        """How long it took."""
        return self.end - self.begin


@dataclass(frozen=True)
class Path:
    """What a decision waited for, from where it began.

    Attributes
    ----------
    origin : str
        ``input event``; ``current`` (a bias or an analog value carried the charge over the threshold);
        ``charge at time 0``; ``clock`` (of a softmax); ``end of input`` (the settle pass at the end);
        ``nothing`` (no spike reached the readout). In the step schedule ``start`` (of the run) or ``step
        input`` (a step waited for its input to be complete).
    layer, neuron : str, int
        Where it began; -1 where it was no neuron.
    first_event, decision : int
        Ticks of the first input event and of the decision.
    pieces : tuple of Piece
        In order of time; each begins where the one before it ended, the last ends at the decision. None
        takes no time.
    """

    origin: str
    layer: str
    neuron: int
    first_event: int
    decision: int
    pieces: tuple[Piece, ...]

    @property
    def begin(self) -> int:
        """Tick at which the path begins."""
        return self.pieces[0].begin if self.pieces else self.decision

    @property
    def before(self) -> int:
        """Ticks from the first input event to the path: nothing but input was waited for."""
        return self.begin - self.first_event

    def shares(self) -> dict[tuple[str, str], int]:
        """Ticks by (stage, layer)."""
        return shares_of([self])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times in ticks of 1 ps."""
        return {
            "origin": self.origin,
            "origin_layer": self.layer,
            "origin_neuron": self.neuron,
            "begin_ps": self.begin,
            "decision_ps": self.decision,
            "first_event_to_begin_ps": self.before,
            "path_ps": self.decision - self.begin,
            "pieces": [
                {
                    "stage": piece.stage,
                    "layer": piece.layer,
                    "place": piece.place,
                    "begin_ps": piece.begin,
                    "end_ps": piece.end,
                    "behind_ps": piece.behind,
                }
                for piece in self.pieces
            ],
        }


def shares_of(paths: Iterable[Path]) -> dict[tuple[str, str], int]:
    """Ticks of paths by (stage, layer), added up; the largest first."""
    found: dict[tuple[str, str], int] = {}
    for path in paths:
        for piece in path.pieces:
            key = piece.stage, piece.layer
            found[key] = found.get(key, 0) + piece.ticks
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
