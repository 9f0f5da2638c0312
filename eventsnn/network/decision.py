"""What a decision compares: activations, not the counts or quanta that stand for them.

Where one count of an output channel stands for more than one of another, counts are weighed before they are
compared: by ``round(2^20 x unit / largest unit)`` and at least 1, int64, so that every machine and engine
decides alike. Counts are below 2^31; weighed ones are below 2^51.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork

LARGEST_WEIGHT = 2**20


def weights_of_units(unit: float | Sequence[float] | NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Decision weights of units (activations per spike, one a channel); None where all weigh the same."""
    units = np.atleast_1d(np.asarray(unit, dtype=np.float64))
    weights = np.maximum(np.rint(LARGEST_WEIGHT * (units / units.max())), 1).astype(np.int64)
    return None if (weights == LARGEST_WEIGHT).all() else weights


def with_decision_weights(population: Any) -> Any:
    """An output population that keeps the weights of its units, where they differ."""
    weights = decision_weights(population)
    return population if weights is None else replace(population, decision_weights=weights)


def decision_weights(population: Any) -> NDArray[np.int64] | None:
    """The decision weights of an output's channels, int64 of shape (channels,).

    Those the population keeps, else those of its neurons' units; None where counts are compared as they are.

    Raises
    ------
    InvalidNetwork
        The neurons have neither one unit nor one a channel, or one that is no number above 0.
    """
    if population.decision_weights is not None:
        kept: NDArray[np.int64] = population.decision_weights
        return None if (kept == LARGEST_WEIGHT).all() else kept
    units = np.atleast_1d(np.asarray(getattr(population.neuron, "unit", 1.0), dtype=np.float64))
    if units.shape not in ((1,), (population.shape[2],)) or not (np.isfinite(units) & (units > 0)).all():
        raise InvalidNetwork(
            f"the output population {population.name!r} of {population.shape[2]} channels has the units "
            f"{units.tolist()}; it takes one activation per spike, or one a channel, each a number above 0"
        )
    return weights_of_units(units)


def weights_of_neurons(population: Any) -> NDArray[np.int64] | None:
    """``decision_weights`` of every neuron of an output, int64 of shape (neurons,)."""
    weights = decision_weights(population)
    return None if weights is None else np.tile(weights, population.size // len(weights))


def check_decision_weights(population: Any) -> NDArray[np.int64] | None:
    """The weights a population was given, checked.

    Raises
    ------
    InvalidNetwork
        They are not one whole number a channel from 1 to 2^20, the largest 2^20; its neurons hold nothing
        that could be weighed; or they contradict the units of its channels.
    """
    if population.decision_weights is None:
        return None
    where = f"population {population.name!r} of {population.shape[2]} channels"
    array = np.asarray(population.decision_weights)
    if not np.issubdtype(array.dtype, np.integer) or array.shape != (population.shape[2],):
        raise InvalidNetwork(
            f"{where} has decision_weights of shape {array.shape} and dtype {array.dtype}; it takes one "
            f"whole number a channel"
        )
    if int(array.min()) < 1 or int(array.max()) != LARGEST_WEIGHT:
        raise InvalidNetwork(
            f"{where} has decision_weights from {int(array.min())} to {int(array.max())}; they are at "
            f"least 1, and the largest is {LARGEST_WEIGHT}: round(2^20 x unit / largest unit)"
        )
    if population.neuron.is_input or population.neuron.drawn:
        raise InvalidNetwork(
            f"{where} has decision_weights, but {population.neuron.kind} neurons have no activation per "
            "spike to weigh; leave them out"
        )
    array = np.array(array, dtype=np.int64)
    units = np.atleast_1d(np.asarray(population.neuron.unit, dtype=np.float64))
    if len(units) > 1:
        of_units = weights_of_units(units)
        expected = np.full(len(units), LARGEST_WEIGHT) if of_units is None else of_units
        # Another machine may have rounded a quotient the other way.
        if len(units) != len(array) or (np.abs(expected - array) > 1).any():
            raise InvalidNetwork(
                f"{where} has decision_weights {array.tolist()}, but its units {units.tolist()} give "
                f"{expected.tolist()}; a decision compares activations. Leave decision_weights out"
            )
    array.flags.writeable = False
    return array
