"""What an accelerator does to spike trains: counts, order and intervals against the ideal run.

The ideal run has the same stimulus and no accelerator. The k-th spike of a neuron there is compared with
the k-th here; spikes that one of the runs does not have count as differences only. Counts are what the
network computes with: emitted spikes of rate neurons, summed payloads of signed ones, whose final count an
accelerator cannot change (design, law 9) though their spikes may toggle more or less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.contract import SampleRun, SpikeList
from eventsnn.errors import InvalidRequest
from eventsnn.network import Network

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Disorder:
    """Of one population, in one sample or in several together.

    Attributes
    ----------
    neuron : str
        Its kind: rate, signed, ...
    neurons : int
        Neurons times samples.
    ideal, here : int
        Spikes in either run.
    changed, largest, total : int
        Neurons whose count differs, the largest difference, and the sum of differences without sign.
    pairs, inverted : int
        Pairs of matched spikes that the ideal run emitted one after the other, and those that come in the
        opposite order here.
    intervals, stretched : int
        Ticks between matched consecutive spikes of each neuron in the ideal run, added up, and how much they
        differ here, without sign.
    late : int64 array, shape (matched spikes,)
        Ticks by which each matched spike is later here.
    """

    neuron: str
    neurons: int
    ideal: int
    here: int
    changed: int
    largest: int
    total: int
    pairs: int
    inverted: int
    intervals: int
    stretched: int
    late: Int64 = field(repr=False)

    @property
    def disorder(self) -> float:
        """Share of pairs whose order is inverted: 0 the ideal order, 1 the opposite one."""
        return self.inverted / self.pairs if self.pairs else float("nan")

    @property
    def interval_distortion(self) -> float:
        """Mean change of an inter-spike interval over the mean interval."""
        return self.stretched / self.intervals if self.intervals else float("nan")

    def __add__(self, other: Disorder) -> Disorder:
        """The same population's in further samples."""
        return Disorder(
            self.neuron,
            self.neurons + other.neurons,
            self.ideal + other.ideal,
            self.here + other.here,
            self.changed + other.changed,
            max(self.largest, other.largest),
            self.total + other.total,
            self.pairs + other.pairs,
            self.inverted + other.inverted,
            self.intervals + other.intervals,
            self.stretched + other.stretched,
            np.concatenate([self.late, other.late]),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times in ticks of 1 ps, null where there is nothing to compare."""
        matched = len(self.late)
        return {
            "neuron": self.neuron,
            "neurons": self.neurons,
            "spikes_ideal": self.ideal,
            "spikes": self.here,
            "matched": matched,
            "neurons_with_another_count": self.changed,
            "largest_count_difference": self.largest,
            "total_count_difference": self.total,
            "pairs": self.pairs,
            "inverted_pairs": self.inverted,
            "disorder": self.disorder,
            "interval_distortion": self.interval_distortion,
            "p50_late_ps": float(np.median(self.late)) if matched else None,
            "p95_late_ps": float(np.percentile(self.late, 95)) if matched else None,
        }


def disorders(network: Network, ideal: SampleRun, here: SampleRun) -> dict[str, Disorder]:
    """Of every population that emits spikes of its own, the ideal run against one on an accelerator.

    Raises
    ------
    InvalidRequest
        A run has not kept its spikes.
    """
    found = {}
    for rank, population in enumerate(network):
        if population.neuron.is_input or population.neuron.emits == "nothing":
            continue
        one, other = _of_rank(ideal, rank), _of_rank(here, rank)
        place_one, place_other = matched_spikes(one, other)
        before, after = one.time[place_one], other.time[place_other]
        inverted, pairs = inversions(before, after)
        same = np.diff(one.neuron[place_one]) == 0  # matched spikes come neuron by neuron
        interval = np.diff(before)[same]
        difference = np.abs(here.counts[population.name] - ideal.counts[population.name])
        found[population.name] = Disorder(
            neuron=population.neuron.kind,
            neurons=population.size,
            ideal=len(one.time),
            here=len(other.time),
            changed=int((difference != 0).sum()),
            largest=int(difference.max()),
            total=int(difference.sum()),
            pairs=pairs,
            inverted=inverted,
            intervals=int(interval.sum()),
            stretched=int(np.abs(np.diff(after)[same] - interval).sum()),
            late=after - before,
        )
    return found


def _of_rank(run: SampleRun, rank: int) -> SpikeList:
    spikes = run.spikes
    if spikes is None:
        raise InvalidRequest("spike trains are compared, and a run has not kept them; use record_spikes=True")
    own = spikes.rank == rank
    return SpikeList(spikes.time[own], spikes.rank[own], spikes.neuron[own], spikes.payload[own])


def matched_spikes(one: SpikeList, other: SpikeList) -> tuple[Int64, Int64]:
    """The k-th spike of each neuron in two lists of one population, by neuron and k: places in each."""
    places, names = [], []
    for spikes in (one, other):
        place = np.argsort(spikes.neuron, kind="stable")
        neuron = spikes.neuron[place]
        ordinal = np.arange(len(place)) - np.searchsorted(neuron, neuron)
        places.append(place)
        names.append(neuron << 32 | ordinal)
    _, first, second = np.intersect1d(names[0], names[1], assume_unique=True, return_indices=True)
    return places[0][first], places[1][second]


def inversions(before: Int64, after: Int64) -> tuple[int, int]:
    """Pairs whose order another time inverts, and pairs that had an order.

    Parameters
    ----------
    before, after : int64 arrays, shape (n,)
        Two times of each thing. A pair of equal times has no order, and none is inverted.

    Returns
    -------
    inverted, pairs : int
    """
    n = len(before)
    _, ties = np.unique(before, return_counts=True)
    pairs = n * (n - 1) // 2 - int((ties * (ties - 1) // 2).sum())
    order = np.lexsort((after, before))
    _, value = np.unique(after[order], return_inverse=True)
    inverted = 0
    # Values are sorted by their bits, the highest first: two that first differ in a bit are inverted
    # if the one with a 1 stands before the one with a 0. Sorting is stable, so that others stay put.
    for bit in reversed(range(int(value.max(initial=0)).bit_length())):
        ones = (value >> bit) & 1
        above = value >> (bit + 1)
        ahead = np.cumsum(ones) - ones
        group = np.concatenate([[0], np.cumsum(np.diff(above) != 0)])
        starts = np.flatnonzero(np.concatenate([[True], np.diff(above) != 0]))
        inverted += int((ahead - ahead[starts][group])[ones == 0].sum())
        value = value[np.argsort(value >> bit, kind="stable")]
    return inverted, pairs
