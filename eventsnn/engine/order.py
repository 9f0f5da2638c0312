"""The one order of pending events (design, law 2).

Events are processed by ascending

    (time, rank of the emitting population, class, emitting neuron, its emission ordinal, destination, stage)

``class`` is 0 for a threshold test, a crossing or an input event becoming a spike, and 1 for a
delivery. A test of a population stands at neuron -1: it tests all its touched neurons in index order.
``destination`` counts a source population's outgoing (projection name, core) pairs. ``stage`` tells the
events of one message on an accelerator apart and grows along its way; the end of a scan stands right after
the population's test, part by part. No field counts queue pushes, so the order does not depend on how an
engine came to know of an event. The smallest pending event is always the next one: on a cycle a delivery may
cause events of a lower rank at its own tick.

With ``ties="seeded"`` the emitting neuron is replaced by 31 bits of hash(seed, sample, time, rank, neuron),
equal ones by neuron; a population's test stays first. Spikes are listed and hashed by neuron all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from eventsnn.engine.seeds import PURPOSE_TIES, draw

TEST = 0
DELIVERY = 1
SEEDED_SHIFT = 22  # of a draw's 53 bits 31 are used

# Stages: a message joins its serialiser's queue, has been sent, has left link i of its way, arrives, lands.
JOIN, SENT, LINKED = range(3)
ARRIVAL = 2**15
LANDING = ARRIVAL + 1


class EventKey(NamedTuple):
    """A pending event's place in the order; compares as the tuple it is."""

    time: int
    rank: int
    kind: int
    neuron: int
    ordinal: int
    destination: int
    stage: int = 0


def seeded_place(sample_key: int) -> Callable[[EventKey], tuple[int, ...]]:
    """What pending events of a sample are sorted by when ties are seeded."""

    def place(key: EventKey) -> tuple[int, ...]:
        time, rank, kind, neuron, ordinal, destination, stage = key
        drawn = -1 if neuron < 0 else draw(sample_key, PURPOSE_TIES, time, rank, neuron) >> SEEDED_SHIFT
        return (time, rank, kind, drawn, neuron, ordinal, destination, stage)

    return place


# The compiled engine compares (time, rank and neuron in one word, ordinal and destination in another).
NEURON_BITS = 31
DESTINATION_BITS = 20
DESTINATION_MASK = (1 << DESTINATION_BITS) - 1
