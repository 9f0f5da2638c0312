"""How many quanta a threshold is, so that float weights of any scale become whole ones that fit.

A power of two, so that binary fractions stay exact: 2^16 by default; fewer where the largest weight is many
thresholds (so that hundreds of such spikes fit into 32 bits), more, up to 2^20, where all weights are small
beside the threshold and rounding would show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork
from eventsnn.network.neurons import CHARGE_LIMIT, THRESHOLD_LIMIT

Floats = NDArray[np.float64]

USUAL = 2**16
LARGEST_QUANTA = 2**24
"""Of a weight: 128 spikes over it fit into a charge."""
FINE = 2**10
"""Quanta that the largest weight of a population should have: it is off by 0.05 % at most."""


@dataclass(frozen=True)
class Chosen:
    """The choice for one population, as it is printed and kept.

    Attributes
    ----------
    quanta : int
        Of a threshold (of one unit of voltage where nothing fires).
    largest : float
        The largest weight, in thresholds.
    error : float
        The largest that rounding took a weight off, in thresholds.
    """

    quanta: int
    largest: float
    error: float


def quanta_for(name: str, largest: float, asked: int | None) -> int:
    """Quanta of a threshold for weights of up to ``largest`` thresholds.

    Raises
    ------
    InvalidNetwork
        The weights do not fit, whatever it is.
    """
    if not math.isfinite(largest):
        raise InvalidNetwork(
            f"node {name!r}: weights beside its threshold are beyond floating point; rescale them"
        )
    if asked is not None:
        quanta = asked
    else:
        quanta = USUAL
        while quanta > 1 and largest * quanta > LARGEST_QUANTA:
            quanta //= 2
        while largest > 0 and quanta < THRESHOLD_LIMIT and largest * quanta < FINE:
            quanta *= 2
    if largest * quanta > CHARGE_LIMIT // 4:
        raise InvalidNetwork(
            f"node {name!r}: a weight is {largest:.3g} times its threshold, {largest * quanta:.3g} quanta of "
            f"a threshold of {quanta}; charges have 32 bits. Use a smaller threshold (--threshold), or "
            "rescale the node"
        )
    return quanta


def rounded(values: Floats, name: str) -> NDArray[np.int32]:
    """Quanta as whole numbers, halves to even."""
    found = np.rint(values)
    if np.abs(found).max(initial=0) > CHARGE_LIMIT:
        raise InvalidNetwork(
            f"node {name!r}: a weight or bias has {np.abs(found).max():.3g} quanta, beyond 32 bits; use a "
            "smaller threshold (--threshold)"
        )
    return found.astype(np.int32)
