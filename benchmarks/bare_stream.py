"""The limit of the event engine: nothing but ``V += w``, over the very weight walk of a recorded run.

Every spike of the run adds a few contiguous rows of int32 weights to as many contiguous rows of int32
charge. Here the rows (target start, weight start, length) of all its spikes are listed beforehand, in the
order of the run, and one Numba loop walks the list: no queue, no threshold, no counter, no digest. Memory
bandwidth between the caches and the vector units bounds it; short rows (A: 80 to 160 lanes) cost more than
long ones (B: 192 to 768). The charges it ends with are checked against the run's.

``tested_stream`` takes the weights as the engine stores them, in 16 bits where a layer's fit, and tests every
charge on the way by the engine's own vector step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from networks import pool_of
from numpy.typing import NDArray

from eventsnn.engine import SampleRun, Stimulus
from eventsnn.engine.kernels.lanes import BLOCK, SHORT_BLOCK, add, add_short
from eventsnn.network import Conv2d, Dense, Input, IntegrateAndFire, Network, Projection

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]


@numba.njit(nogil=True, boundscheck=False, error_model="numpy")
def _add_row(charge, weights, target, start, length):
    for lane in range(length):
        charge[target + lane] = np.int32(charge[target + lane] + weights[start + lane])


@numba.njit(nogil=True, boundscheck=False, error_model="numpy")
def stream(charge, weights, rows):
    """Add every row of weights to its charges: all of a run's synaptic operations, and no more."""
    for i in range(len(rows)):
        _add_row(charge, weights, np.uint64(rows[i, 0]), np.uint64(rows[i, 1]), np.uint64(rows[i, 2]))


@numba.njit(nogil=True, boundscheck=False, error_model="numpy")
def _tested_row(charge, weights, target, start, length):
    seen, x, y, stop = np.uint64(0), target, start, target + length
    block, short = np.uint64(BLOCK), np.uint64(SHORT_BLOCK)
    while x + block <= stop:
        seen |= add(charge, weights, x, y)
        x, y = x + block, y + block
    while x + short <= stop:
        seen |= add_short(charge, weights, x, y)
        x, y = x + short, y + short
    while x < stop:
        charge[x] = np.int32(charge[x] + weights[y])
        seen |= np.uint64(charge[x] >= 0)
        x, y = x + np.uint64(1), y + np.uint64(1)
    return seen


@numba.njit(nogil=True, boundscheck=False, error_model="numpy")
def tested_stream(charge, weights, narrow, rows):
    """``stream`` over weights as they are stored, with the test; how many rows left a charge at 0 or more."""
    found = 0
    for i in range(len(rows)):
        target, start, length = np.uint64(rows[i, 0]), np.uint64(rows[i, 1]), np.uint64(rows[i, 2])
        if rows[i, 3]:
            seen = _tested_row(charge, narrow, target, start, length)
        else:
            seen = _tested_row(charge, weights, target, start, length)
        found += seen != 0
    return found


@dataclass(frozen=True)
class Walk:
    """A run's weight walk: charges (neurons,), flat weights, and rows (rows, 4), all int32.

    A row is target, weight, length, and whether its weights are stored in 16 bits: ``narrow``.
    """

    neurons: int
    weights: Int32
    narrow: NDArray[np.int16]
    rows: Int32

    @property
    def operations(self) -> int:
        """Synaptic operations in the walk."""
        return int(self.rows[:, 2].sum(dtype=np.int64))

    def charges(self) -> Int32:
        """What every neuron receives in all."""
        charge = np.zeros(self.neurons, dtype=np.int32)
        stream(charge, self.weights, self.rows)
        return charge


def walk_of(network: Network, stimulus: Stimulus, run: SampleRun) -> Walk:
    """The weight walk of a run that kept its spikes, checked against the run.

    Raises
    ------
    ValueError
        The walk's operations or charges are not the run's.
    """
    if run.spikes is None:
        raise ValueError("the run kept no spikes; run it with RunOptions(record_spikes=True)")
    offsets = dict(zip(network.order, np.cumsum([0, *(p.size for p in network)]), strict=False))
    inner = run.spikes.rank > 0
    time = np.concatenate([stimulus.time, run.spikes.time[inner]])
    rank = np.concatenate([np.zeros(len(stimulus.time), dtype=np.int64), run.spikes.rank[inner]])
    neuron = np.concatenate([stimulus.neuron, run.spikes.neuron[inner]])
    times = np.concatenate([np.ones(len(stimulus.time), dtype=np.int64), run.spikes.payload[inner]])
    order = np.lexsort((neuron, rank, time))
    rank, neuron = np.repeat(rank[order], times[order]), np.repeat(neuron[order], times[order])

    weights: list[Int32] = []
    place = np.full(len(rank), -1, dtype=np.int64)  # of each spike's rows among those of all neurons
    firsts, counts, tables, known = [], [], [], 0
    for number, name in enumerate(network.order):
        for projection in network.outgoing(name):
            start = sum(w.size for w in weights)
            flat, first, count, table = _rows(network, projection)
            weights.append(flat)
            here = rank == number
            if (place[here] >= 0).any():
                raise ValueError(f"population {name!r} has two projections; the walk takes one")
            place[here] = neuron[here] + sum(len(c) for c in counts)
            fits = int(np.abs(flat).max(initial=0)) < 2**15
            table += [offsets[projection.target], start, 0]
            table = np.pad(table, ((0, 0), (0, 1)), constant_values=fits)
            firsts.append(first + known)
            counts.append(count)
            tables.append(table)
            known += len(table)
    every_first, every_count = np.concatenate(firsts), np.concatenate(counts)
    spikes = place[place >= 0]
    count = every_count[spikes]
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    chosen = np.repeat(every_first[spikes], count) + within
    rows = np.concatenate(tables)[chosen].astype(np.int32)
    flat = np.concatenate(weights)
    walk = Walk(int(sum(p.size for p in network)), flat, flat.astype(np.int16), rows)
    _check(network, stimulus, run, walk)
    return walk


def _rows(network: Network, projection: Projection) -> tuple[Int32, Int64, Int64, Int64]:
    """Flat weights; per source neuron its first row and how many; the rows (target, weight, length)."""
    source, target = (network.populations[n].shape for n in (projection.source, projection.target))
    synapses = projection.synapses
    if isinstance(synapses, Dense):
        row = synapses.rows(source)
        width = target[2]
        table = np.stack([np.zeros_like(row), row * width, np.full_like(row, width)], axis=1)
        return synapses.weight.reshape(-1), np.arange(len(row)), (row >= 0).astype(np.int64), table
    plain = isinstance(synapses, Conv2d) and synapses.groups == 1
    if not plain or any(axis.stride * axis.dilation != 1 for axis in (synapses.y, synapses.x)):
        raise ValueError(f"projection {projection.name!r}: the walk knows plain convolutions only")
    taps, channels = synapses.y.taps, target[2]
    # (source channel, taps flipped, target channel): targets and weights of a row both ascend.
    flat = np.ascontiguousarray(synapses.weight[::-1, ::-1].transpose(2, 0, 1, 3)).reshape(-1)
    pool = pool_of(projection)
    y, x, channel = (a.reshape(-1) for a in np.indices(source))
    top, left = y // pool + synapses.y.pad_before - taps + 1, x // pool + synapses.x.pad_before - taps + 1
    first_y, last_y = np.maximum(top, 0), np.minimum(top + taps, target[0])
    first_x, last_x = np.maximum(left, 0), np.minimum(left + taps, target[1])
    count = last_y - first_y
    neuron = np.repeat(np.arange(len(y)), count)
    first = np.cumsum(count) - count
    row = first_y[neuron] + np.arange(len(neuron)) - first[neuron]
    place = (row * target[1] + first_x[neuron]) * channels
    tap = (channel[neuron] * taps + row - top[neuron]) * taps + first_x[neuron] - left[neuron]
    length = (last_x - first_x)[neuron] * channels
    return flat, first, count, np.stack([place, tap * channels, length], axis=1)


def _check(network: Network, stimulus: Stimulus, run: SampleRun, walk: Walk) -> None:
    """Equal operations, and charge received = remaining + emitted - initial - currents, of every neuron."""
    from eventsnn.counting.counters import COLUMN

    counted = int(run.counters[:, COLUMN["synaptic_operations"]].sum())
    if counted != walk.operations:
        raise ValueError(f"the walk has {walk.operations} operations, the run counted {counted}")
    received, start = walk.charges(), 0
    for population in network:
        found = received[start : start + population.size]
        start += population.size
        neuron = population.neuron
        if isinstance(neuron, Input):
            continue
        expected = run.charge[population.name].copy()
        if isinstance(neuron, IntegrateAndFire):
            expected += neuron.threshold * run.counts[population.name] - neuron.initial_charge
        if neuron.period:
            periods, rest = divmod(min(run.decision_time, stimulus.end), neuron.period)
            bias = network.bias(population.name)
            expected -= bias * periods + bias * rest // neuron.period
        if not np.array_equal(found, expected):
            raise ValueError(f"the walk gives population {population.name!r} other charges than the run")
