"""The digest of a run: what must be equal for two runs to be the same run (design, law 7).

A sample's digest is blake2b-128 over its spikes in the order of law 2, then the decision, then the model
counters by population name. A run's digest hashes its samples' digests by sample index. Floating-point
numbers stay out.

Spikes are hashed as the *log* the compiled engine writes, int64 words: for each tick and population that
emits, in order, four of header (time, two of the population's key, how many spikes) and one a spike,
neuron << 32 | payload as 32 bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import MODEL_COUNTERS

HEADER_WORDS = 4


def population_key(name: str) -> NDArray[np.int64]:
    """What the log calls a population: the hash of its name, two words whatever its length."""
    return np.frombuffer(hashlib.blake2b(name.encode(), digest_size=16).digest(), dtype="<i8")


def spike_log(
    order: Sequence[str], time: NDArray[Any], rank: NDArray[Any], neuron: NDArray[Any], payload: NDArray[Any]
) -> NDArray[np.int64]:
    """The log of spikes that stand in the order of law 2; ``rank`` is a place in ``order``."""
    words = (neuron.astype(np.int64) << 32) | (payload.astype(np.int64) & 0xFFFFFFFF)
    begins = np.flatnonzero(np.r_[True, (np.diff(time) != 0) | (np.diff(rank) != 0)][: len(time)])
    keys = np.array([population_key(name) for name in order])
    counts = np.diff(np.r_[begins, len(time)])
    headers = np.column_stack([time[begins], keys[rank[begins]], counts]).astype(np.int64)
    return np.insert(words, np.repeat(begins, HEADER_WORDS), headers.reshape(-1))


@cache
def _by_name(order: tuple[str, ...]) -> NDArray[np.int64]:
    """Ranks in the order of their names."""
    return np.argsort(np.array(order))


def spikes_of_log(order: Sequence[str], log: NDArray[np.int64]) -> NDArray[np.int64]:
    """The spikes of a log: columns time, rank, neuron, payload; shape (spikes, 4)."""
    rank_of = {population_key(name).tobytes(): rank for rank, name in enumerate(order)}
    pieces, position = [np.zeros((0, 4), dtype=np.int64)], 0
    while position < len(log):
        time, count = log[position], log[position + 3]
        rank = rank_of[log[position + 1 : position + 3].tobytes()]
        words = log[position + HEADER_WORDS : position + HEADER_WORDS + count]
        piece = np.empty((count, 4), dtype=np.int64)
        piece[:, 0], piece[:, 1], piece[:, 2] = time, rank, words >> 32
        piece[:, 3] = (words & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
        pieces.append(piece)
        position += HEADER_WORDS + count
    return np.concatenate(pieces)


class SampleDigest:
    """Accumulates one sample's digest, in as many pieces as its log comes in.

    Parameters
    ----------
    order : sequence of str
        Population names by rank.
    """

    def __init__(self, order: Sequence[str]) -> None:
        self._order = tuple(order)
        self._hash = hashlib.blake2b(digest_size=16)

    def add_log(self, log: NDArray[np.int64]) -> None:
        """Add a piece of the log, contiguous."""
        self._hash.update(log.astype("<i8", copy=False).data)

    def add_spikes(
        self, time: NDArray[Any], rank: NDArray[Any], neuron: NDArray[Any], payload: NDArray[Any]
    ) -> None:
        """Add all spikes, in the order of law 2."""
        self.add_log(spike_log(self._order, time, rank, neuron, payload))

    def finish(self, prediction: int, decision_time: int, counters: NDArray[np.int64]) -> str:
        """Close with the decision and the model counters (ranks x counters); returns 32 hex digits."""
        self._hash.update(np.array([prediction, decision_time], dtype="<i8").tobytes())
        model = counters[_by_name(self._order), : len(MODEL_COUNTERS)]
        self._hash.update(np.ascontiguousarray(model, dtype="<i8").tobytes())
        return self._hash.hexdigest()


def run_digest(samples: Iterable[tuple[int, str]]) -> str:
    """The digest of a run from (sample index, sample digest), in any order."""
    digest = hashlib.blake2b(digest_size=16)
    for index, sample in sorted(samples):
        digest.update(f"{index}:{sample};".encode())
    return digest.hexdigest()
