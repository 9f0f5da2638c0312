"""The digest of a run: what must be equal for two runs to be the same run (design, law 7).

A sample's digest is blake2b-128 over its spikes (time, population name, neuron, payload) in the order
of law 2, then the decision, then the model counters by population name. A run's digest hashes its
samples' digests by sample index. Floating-point numbers stay out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from eventsnn.results.counters import MODEL_COUNTERS

SPIKE_RECORD = np.dtype([("time", "<i8"), ("population", "S16"), ("neuron", "<i8"), ("payload", "<i8")])


class SampleDigest:
    """Accumulates one sample's digest, in as many pieces as its spikes come in.

    Parameters
    ----------
    order : sequence of str
        Population names by rank; spikes name populations by their place in it.
    """

    def __init__(self, order: Sequence[str]) -> None:
        self._order = list(order)
        # A name of any length enters as its own hash, so that a record has one size.
        keys = [hashlib.blake2b(name.encode(), digest_size=16).digest() for name in order]
        self._keys = np.array(keys, dtype="S16")
        self._hash = hashlib.blake2b(digest_size=16)

    def add_spikes(self, time: NDArray, rank: NDArray, neuron: NDArray, payload: NDArray) -> None:
        """Add spikes in emission order; a piece must end where a tick ends.

        Within a tick an engine may emit populations interleaved, so the piece is put in the order of
        law 2 first; the sort is stable, which keeps each neuron's emission ordinals in order.
        """
        if not _in_order(time, rank, neuron):
            order = np.lexsort((neuron, rank, time))
            time, rank, neuron, payload = time[order], rank[order], neuron[order], payload[order]
        records = np.empty(len(time), dtype=SPIKE_RECORD)
        records["time"] = time
        records["population"] = self._keys[rank]
        records["neuron"] = neuron
        records["payload"] = payload
        self._hash.update(records.data)

    def finish(self, prediction: int, decision_time: int, counters: NDArray[np.int64]) -> str:
        """Close with the decision and the model counters (ranks x counters); returns 32 hex digits."""
        self._hash.update(np.array([prediction, decision_time], dtype="<i8").tobytes())
        by_name = np.argsort(np.array(self._order))
        model = counters[by_name, : len(MODEL_COUNTERS)]
        self._hash.update(np.ascontiguousarray(model, dtype="<i8").tobytes())
        return self._hash.hexdigest()


def _in_order(time: NDArray, rank: NDArray, neuron: NDArray) -> bool:
    """Whether spikes already stand in the order of law 2, as those of signed networks mostly do."""
    place = rank * 2**32 + neuron
    later = time[1:] > time[:-1]
    return bool(np.all(later | ((time[1:] == time[:-1]) & (place[1:] >= place[:-1]))))


def run_digest(samples: Iterable[tuple[int, str]]) -> str:
    """The digest of a run from (sample index, sample digest), in any order."""
    digest = hashlib.blake2b(digest_size=16)
    for index, sample in sorted(samples):
        digest.update(f"{index}:{sample};".encode())
    return digest.hexdigest()
