"""Counter-based randomness: every draw is a hash of (seed, sample, purpose, ...) and of nothing else."""

from __future__ import annotations

_MASK = 2**64 - 1


def mix(key: int) -> int:
    """One round of splitmix64 (Steele, Lea, Flood 2014) on a 64-bit word."""
    key = (key + 0x9E3779B97F4A7C15) & _MASK
    key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _MASK
    return key ^ (key >> 31)


def sample_key(seed: int, sample: int) -> int:
    """The key of one sample's draws."""
    return mix(mix(seed & _MASK) ^ (sample & _MASK))


def draw(key: int, *words: int) -> int:
    """A random 53-bit integer for a purpose and what it concerns."""
    for word in words:
        key = mix(key ^ (word & _MASK))
    return key >> 11


PURPOSE_TIES = 3
PURPOSE_SOFTMAX_WAIT = 4
PURPOSE_SOFTMAX_WINNER = 5
PURPOSE_SOFTMAX_NEURON = 6
# Random times of a message: (rank, neuron, ordinal, destination, hop).
PURPOSE_SERIALISE = 16
PURPOSE_HOP_X = 17
PURPOSE_HOP_Y = 18
PURPOSE_BUS = 19
PURPOSE_DECODE = 20
PURPOSE_SYNAPSE = 21
