"""Compact mode: the same network in int8 weights and thresholds of 2^6 to 2^12 quanta.

It is another quantised network with its own digest: each population's charge is measured in larger (or
smaller) quanta, one rational factor a population, and rounded. Any engine runs it. Where ``charge_bound``
proves that no charge leaves 16 bits, a population's charge may be held in int16; ``is_compact`` says so.

Measured with the row kernel of the compiled engine (add, sign test), three rows of k lanes a spike, one
core with AVX2, G synaptic operations a second:

| lanes a row | int32 charge, int32 weights | int32, int8 | int16, int8 |
|---|---|---|---|
| 48 | 3.7 | 3.3 | 4.4 |
| 192 | 5.4 | 7.9 | 10.7 |
| 384 | 6.7 | 8.3 | 14.9 |
| 1536 | 9.4 | 11.2 | 26.4 |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork
from eventsnn.network.bounds import EVENTS, InputLimits, charge_bound
from eventsnn.network.graph import Network
from eventsnn.network.neurons import CHARGE_LIMIT
from eventsnn.network.population import Population
from eventsnn.network.projections import Projection
from eventsnn.network.synapses import Shape

WEIGHT_LIMIT = 2**7 - 1
LEAST_THRESHOLD, MOST_THRESHOLD = 2**6, 2**12
COMPACT_CHARGE = 2**15 - 1


def compacted(
    network: Network, schedule: str = "event", limits: InputLimits = EVENTS, prove: bool = True
) -> Network:
    """The network with int8 weights and thresholds of 2^6 to 2^12, each population by a factor of its own.

    The finest quantum is taken that the weights allow; with ``prove``, the finest at which 16 bits are
    proven enough, if there is one. A population that fits already stays as it is, and so does what a spike
    stands for; a weight w of threshold t becomes one within 1 / (2 t') of w / t. Readouts, which have no
    threshold, get the finest quantum their weights allow, and their ``unit`` changes with it.

    ``metadata["compact"]`` names each population's ``scale`` (numerator, denominator) and ``bound`` (of
    ``charge_bound``, None if unproven).

    Parameters
    ----------
    network : Network
        Starting empty, or at rest: then the compact network is put at rest anew.
    schedule, limits
        What a proof may rely on; see ``charge_bound``.
    prove : bool
        Prefer quanta coarse enough for a proof.

    Raises
    ------
    InvalidNetwork
        A weight is too large beside its threshold, or the loaded state is not the resting state.
    """
    # What beside rate neurons is loaded is no resting state: it is scaled with its population.
    rested = any(p.initial_charge is not None or p.initial_count is not None for p in network)
    rested = rested and not any(p.neuron.rule == "rate" for p in network)
    if rested:
        network = _emptied(network)
    scales: dict[str, Fraction] = {}
    for name in network.order:
        if network.populations[name].neuron.holds_charge:
            network, scales[name] = _compact_population(network, name, schedule, limits, prove)
    if rested:
        network = network.at_rest()
    noted = {
        name: {
            "scale": [scale.numerator, scale.denominator],
            "bound": charge_bound(network, name, schedule, limits),
        }
        for name, scale in scales.items()
    }
    return _rebuilt(network, network, metadata={**network.metadata, "compact": noted})


def is_compact(
    network: Network,
    population: str,
    schedule: str = "event",
    limits: InputLimits = EVENTS,
    in_order: bool = True,
) -> bool:
    """Whether int8 weights and int16 charge are proven to hold a population; see ``charge_bound``."""
    bound = charge_bound(network, population, schedule, limits, in_order)
    return (
        bound is not None and bound <= COMPACT_CHARGE and _largest_weight(network, population) <= WEIGHT_LIMIT
    )


def _emptied(network: Network) -> Network:
    empty = [replace(p, initial_charge=None, initial_count=None) for p in network]
    plain = _rebuilt(network, empty)
    if plain.at_rest().checksum != network.checksum:
        raise InvalidNetwork(
            "the network starts from a loaded state that is not its resting state; in other quanta that "
            "state has no meaning of its own. Compact the network that starts empty, or the one at rest"
        )
    return plain


def _compact_population(
    network: Network, name: str, schedule: str, limits: InputLimits, prove: bool
) -> tuple[Network, Fraction]:
    """The network with one population compact, and the factor of its charges."""
    neuron = network.populations[name].neuron
    if neuron.only_read:
        scale = _readout_scale(_largest_weight(network, name))
        return _scaled(network, name, scale), scale
    given = neuron.ruled.threshold
    threshold = finest = _finest_threshold(network, name, given)
    found = first = _scaled(network, name, Fraction(threshold, given))
    while prove:
        bound = charge_bound(found, name, schedule, limits)
        if bound is not None and bound <= COMPACT_CHARGE:
            return found, Fraction(threshold, given)
        if bound is not None:
            threshold = min(threshold - 1, threshold * COMPACT_CHARGE // bound)
        if bound is None or threshold < LEAST_THRESHOLD:
            break  # nothing coarse enough is proven
        found = _scaled(network, name, Fraction(threshold, given))
    return first, Fraction(finest, given)


def _finest_threshold(network: Network, name: str, threshold: int) -> int:
    """The threshold at which the largest weight still fits 8 bits."""
    largest = _largest_weight(network, name)
    if largest <= WEIGHT_LIMIT and LEAST_THRESHOLD <= threshold <= MOST_THRESHOLD:
        return threshold
    whole = -(-LEAST_THRESHOLD // threshold)
    if threshold < LEAST_THRESHOLD and largest * whole <= WEIGHT_LIMIT:
        return threshold * whole  # nothing is rounded
    # Rounded half away from zero, largest * t / threshold is at most 127 while below 127.5.
    limit = ((2 * WEIGHT_LIMIT + 1) * threshold - 1) // (2 * largest) if largest else MOST_THRESHOLD
    if limit < LEAST_THRESHOLD:
        raise InvalidNetwork(
            f"population {name!r} cannot be compact: its largest weight is {largest} quanta, "
            f"{largest / threshold:.3g} thresholds of {threshold}; with 8-bit weights its threshold would be "
            f"{limit} quanta, and {LEAST_THRESHOLD} to {MOST_THRESHOLD} are allowed. Clip weights at "
            f"{(2 * WEIGHT_LIMIT + 1) / (2 * LEAST_THRESHOLD):.3g} thresholds, normalise with a higher "
            "percentile, or run the network as it is"
        )
    return min(limit, MOST_THRESHOLD)


def _readout_scale(largest: int) -> Fraction:
    return Fraction(1) if largest <= WEIGHT_LIMIT else Fraction(WEIGHT_LIMIT, largest)


def _largest_weight(network: Network, name: str) -> int:
    found = 0
    for projection in network.incoming(name):
        low, high = projection.synapses.weight_range(network.populations[projection.source].shape)
        found = max(found, -low, high)
    return found


def _scaled(network: Network, name: str, scale: Fraction) -> Network:
    """The network with the charge of one population in other quanta: new quanta = old x scale, rounded."""
    if scale == 1:
        return network
    populations = [_scaled_population(p, scale) if p.name == name else p for p in network]
    projections = [
        _scaled_projection(p, scale, network.populations[p.source].shape) if p.target == name else p
        for p in network.projections.values()
    ]
    return _rebuilt(network, populations, projections)


def _scaled_population(population: Population, scale: Fraction) -> Population:
    bias = None if population.bias is None else _rounded(population.bias, scale)
    neuron = population.neuron.in_quanta(scale, lambda value: _round(value, scale))
    charge = population.initial_charge
    if charge is not None:
        charge = np.minimum(_rounded(charge, scale), neuron.largest_start)
    return replace(population, neuron=neuron, bias=bias, initial_charge=charge)


def _scaled_projection(projection: Projection, scale: Fraction, source: Shape) -> Projection:
    bias = None if projection.bias is None else _rounded(projection.bias, scale)
    synapses = projection.synapses.with_weights(lambda weight: _rounded(weight, scale), source)
    return replace(projection, synapses=synapses, bias=bias, exact_weight=None, exact_bias=None)


def _round(value: int, scale: Fraction) -> int:
    """``value`` times ``scale``, halves away from zero."""
    return int(_rounded(np.array([value]), scale)[0])


def _rounded(values: NDArray[Any], scale: Fraction) -> NDArray[np.int32]:
    whole = values.astype(np.int64)
    # Below 2^53: a scale is one threshold over another, or 127 over a weight.
    magnitude = (2 * np.abs(whole) * scale.numerator + scale.denominator) // (2 * scale.denominator)
    if int(magnitude.max(initial=0)) > CHARGE_LIMIT:
        raise InvalidNetwork(
            f"a charge of {int(np.abs(whole).max())} quanta times {scale} leaves the 32-bit range; biases "
            "and clamps are that large beside a threshold that compact mode makes finer. Run it as it is"
        )
    return (np.sign(whole) * magnitude).astype(np.int32)


def _rebuilt(
    network: Network,
    populations: Iterable[Population],
    projections: Iterable[Projection] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Network:
    kept = network.projections.values() if projections is None else projections
    return Network(populations, kept, network.metadata if metadata is None else metadata)
