"""One of several choices for each of several layers, under a budget that all share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

STEPS = 20_000
"""Parts of the budget that costs are rounded up to."""


def least_loss(cost: Float64, loss: Float64, budget: float) -> list[int]:
    """The column of each row with the least sum of losses, of costs that sum up to the budget at most.

    Costs are rounded up to a part of the budget; the cheapest choice is taken where only it is left.

    Parameters
    ----------
    cost, loss : float64 array, shape (layers, choices)
    budget : float
        At least the sum of the cheapest.
    """
    cheapest = [int(k) for k in cost.argmin(axis=1)]
    spare = budget - float(cost.min(axis=1).sum())
    if not spare > 0:
        return cheapest
    # What each choice costs beyond the cheapest of its layer.
    share = (cost - cost.min(axis=1, keepdims=True)) / spare
    more = np.ceil(np.minimum(share * (1 - 1e-12), 2) * STEPS).astype(np.int64)
    best = np.zeros(STEPS + 1)
    taken = np.zeros((len(cost), STEPS + 1), dtype=np.int64)
    for row in range(len(cost)):
        found = np.full(STEPS + 1, np.inf)
        for k in range(cost.shape[1]):
            if more[row, k] > STEPS:
                continue
            value = np.full(STEPS + 1, np.inf)
            value[more[row, k] :] = best[: STEPS + 1 - more[row, k]] + loss[row, k]
            better = value < found
            found[better], taken[row, better] = value[better], k
        best = found
    place, chosen = STEPS, []
    for row in reversed(range(len(cost))):
        chosen.append(int(taken[row, place]))
        place -= int(more[row, chosen[-1]])
    return chosen[::-1]
