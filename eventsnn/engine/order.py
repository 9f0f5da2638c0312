"""The one order of pending events (design, law 2).

Events are processed by ascending

    (time, rank of the emitting population, class, emitting neuron, its emission ordinal, destination)

``class`` is 0 for a threshold test, a crossing or an input event becoming a spike, and 1 for a
delivery. A test of a population stands at neuron -1: it tests all its touched neurons in index order.
``destination`` counts a source population's outgoing (projection name, core) pairs. No field counts
queue pushes, so the order does not depend on how an engine came to know of an event.
"""

from __future__ import annotations

from typing import NamedTuple

TEST = 0
DELIVERY = 1


class EventKey(NamedTuple):
    """A pending event's place in the order; compares as the tuple it is."""

    time: int
    rank: int
    kind: int
    neuron: int
    ordinal: int
    destination: int


# The compiled engine compares (time, rank and neuron in one word, ordinal and destination in another).
NEURON_BITS = 31
DESTINATION_BITS = 20
