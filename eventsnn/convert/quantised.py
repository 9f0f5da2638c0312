"""The integer quantised network evaluated layer by layer, without time: what law 9 promises.

Once its input is drained, every signed neuron's count equals the quantised ReLU of what it received.
So the final state of a run can be computed in one pass, exactly, and a run compared with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.network import Network, Projection
from eventsnn.network.rest import largest_of_windows

Int64 = NDArray[np.int64]

EXACT = 2.0**53
"""Sums of integers in float64 are exact up to here."""

MOST_SPIKES = 2.0**31
"""With weights of 32 bits, sums over fewer spikes than this stay inside 64 bits."""


def quantised_activations(
    network: Network, input_counts: ArrayLike, analog: bool = False
) -> dict[str, Int64]:
    """Final count of every signed neuron and final charge of every readout neuron.

    Parameters
    ----------
    network : Network
        Signed populations, exact max gates, and a readout whose bias is a charge at time 0.
    input_counts : integer array
        Input spikes of each neuron: shape (neurons,) or (y, x, channel) for one sample, (samples,
        neurons) or (samples, y, x, channel) for several. Values may be negative.
    analog : bool
        The counts are parts of the input's ``analog_scale``: analog values, whose weighted sum is rounded
        to quanta, halves away from zero.

    Returns
    -------
    dict of str to int64 array, shape (neurons,) or (samples, neurons)
        Per population but the input: counts, 0 to ``levels``, or for a readout charge in quanta.

    Raises
    ------
    InvalidRequest
        The network has rate neurons, gates of rates or a readout with a current: their final state
        depends on time.
    InvalidEvents
        Counts of another shape, not integers, or 2^31 spikes and more.
    """
    shape = network.populations[network.input].shape
    counts = np.asarray(input_counts)
    single = counts.shape in (shape, (int(np.prod(shape)),))
    rows = counts[None] if single else counts
    if rows.shape[1:] not in (shape, (int(np.prod(shape)),)) or counts.dtype.kind not in "iub":
        raise InvalidEvents(
            f"input counts have shape {counts.shape} and dtype {counts.dtype}; the input population of "
            f"shape {shape} takes integers of shape (samples, {int(np.prod(shape))}) or (samples, y, x, "
            "channel)"
        )
    values = {network.input: rows.reshape(len(rows), -1).astype(np.int64)}
    for name in network.order[1:]:
        neuron = network.populations[name].neuron
        if not neuron.comes_to_rest(biased=neuron.current_period > 0):
            raise InvalidRequest(
                f"population {name!r} integrates constant currents or has rate neurons; what it ends with "
                "depends on when its input arrives. Simulate the network, or convert with neuron='signed'"
            )
        if not neuron.holds_charge:
            (projection,) = network.incoming(name)
            values[name] = largest_of_windows(network, projection, values[projection.source].T).T
            continue
        charge = np.broadcast_to(network.bias(name), (len(rows), network.populations[name].size)).copy()
        for projection in network.incoming(name):
            if projection.source != network.input or not analog:
                charge += received(network, projection, values[projection.source])
        if analog:
            charge += _analog_charge(network, name, values[network.input])
        charge += neuron.starting_charge
        counted = neuron.settled_count(charge)
        values[name] = charge if counted is None else counted
    del values[network.input]
    return {name: value[0] for name, value in values.items()} if single else values


def _analog_charge(network: Network, name: str, parts: Int64) -> Int64:
    """Quanta that analog values give a population at time 0."""
    neuron: Any = network.populations[network.input].neuron
    total = np.zeros((len(parts), network.populations[name].size), dtype=np.int64)
    for projection in network.incoming(name):
        if projection.source == network.input:
            # In two halves, as sums go over fewer than 2^31 units.
            total += received(network, projection, parts >> 16) * 2**16
            total += received(network, projection, parts & 0xFFFF)
    scale = neuron.analog_scale
    rounded = (2 * np.abs(total) + scale) // (2 * scale)
    return np.where(total < 0, -rounded, rounded)


def received(network: Network, projection: Projection, counts: Int64) -> Int64:
    """What a projection adds to its targets when its sources emit ``counts`` in all.

    Parameters
    ----------
    network : Network
    projection : Projection
    counts : int64 array, shape (samples, source neurons)

    Returns
    -------
    int64 array, shape (samples, target neurons)
        Exact: sums are formed in float64, in two parts where they could pass 2^53.
    """
    source, target = (network.populations[n].shape for n in (projection.source, projection.target))
    values = counts.astype(np.float64)
    most = float(np.abs(values).sum(axis=1).max(initial=0.0))
    if most >= MOST_SPIKES:
        raise InvalidEvents(
            f"a sample has {most:.3g} spikes from {projection.source!r}; fewer than 2^31 can be summed "
            "exactly"
        )
    synapses = projection.synapses

    def total(part: Callable[[NDArray[np.int32]], NDArray[np.int32]]) -> Int64:
        """The sums over a part of each weight."""
        summed = synapses.summing(source, lambda weight: part(weight).astype(np.float64))
        return summed(values).astype(np.int64)

    if most * max(map(abs, synapses.weight_range(source))) < EXACT:
        own = total(lambda weight: weight)
    else:
        own = total(lambda weight: weight >> 16) * 2**16 + total(lambda weight: weight & 0xFFFF)
    found = np.zeros((len(counts), *target), dtype=np.int64)
    found[..., slice(*projection.channels(source))] = own.reshape(len(counts), *projection.own_shape(source))
    return found.reshape(len(counts), -1)
