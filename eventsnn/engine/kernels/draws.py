"""Counter-based draws, the same as ``engine.seeds``: a hash of a key and what the draw concerns."""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.order import SEEDED_SHIFT
from eventsnn.engine.seeds import PURPOSE_TIES


@inner
def mix(key):
    """One round of splitmix64: a counter-based random word."""
    key = np.uint64(key) + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


@inner
def draw3(key, purpose, first, second, third):
    """``seeds.draw`` of a purpose and three words, none of them negative."""
    key = mix(key ^ np.uint64(purpose))
    key = mix(key ^ np.uint64(first))
    key = mix(key ^ np.uint64(second))
    key = mix(key ^ np.uint64(third))
    return np.int64(key >> np.uint64(11))


@inner
def draw2(key, purpose, first, second):
    """``seeds.draw`` of a purpose and two words, neither negative."""
    key = mix(key ^ np.uint64(purpose))
    key = mix(key ^ np.uint64(first))
    key = mix(key ^ np.uint64(second))
    return np.int64(key >> np.uint64(11))


@inner
def seeded_order(key, time, rank, neuron):
    """What seeded ties put in the neuron's place: 31 bits, see ``order.seeded_place``."""
    return draw3(key, PURPOSE_TIES, time, rank, neuron) >> SEEDED_SHIFT
