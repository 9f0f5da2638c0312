"""A step of neurons that fire once: what has arrived is a slope, added to the charge in each step.

Deliveries add to ``Neurons.charge``, which is the slope here; the charge itself stands in ``Neurons.ready``.
"""

import numpy as np

from eventsnn.compilation import inner
from eventsnn.engine.kernels.firing import append_spikes
from eventsnn.engine.kernels.records import CHARGE_LIMIT, OVERFLOW


@inner
def _fires(j, row, live, neurons, lists, scalar):
    neurons.emitted[j] = np.int32(1)
    neurons.ready[j] = 0
    append_spikes(lists, live, scalar, j - row.offset, 1, 1)


@inner
def step_first_spike(rank, row, live, neurons, quanta, lists, scalar, now, end):
    """Add slopes and currents, fire what is at threshold; returns how many had not fired before."""
    slope, held, emitted = neurons.charge, neurons.ready, neurons.emitted
    start, stop, length = row.offset, row.offset + row.neurons, live.bias_length
    waiting, best = np.int64(0), np.int64(-1)
    if row.alone:
        for j in range(start, stop):
            if emitted[j] != 0:
                return waiting
    for j in range(start, stop):
        if emitted[j] != 0:
            continue
        waiting += 1
        value = held[j] + np.int64(slope[j])
        if length > 0 and now <= end:
            value += np.int64(quanta[live.bias_start + (j - start) % length])
        held[j] = value
        if abs(value) > CHARGE_LIMIT:
            scalar.status = OVERFLOW
            scalar.bad_rank = rank
            scalar.bad_neuron = j - start
            return waiting
        if value >= row.threshold:
            if row.alone == 0:
                _fires(j, row, live, neurons, lists, scalar)
            elif best < 0 or value > held[best]:
                best = j
    if best >= 0:
        _fires(best, row, live, neurons, lists, scalar)
    return waiting
