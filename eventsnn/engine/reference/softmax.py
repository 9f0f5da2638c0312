"""Spiking softmax outputs: integer weights, waiting times, and draws."""

from __future__ import annotations

from eventsnn.engine.seeds import (
    PURPOSE_SOFTMAX_NEURON,
    PURPOSE_SOFTMAX_WINNER,
    draw,
)
from eventsnn.engine.softmax_tables import LOGIT_SHIFT, exponentials
from eventsnn.network import Neuron


def weights(charges: list[int], neuron: Neuron) -> list[int]:
    """Softmax weights in parts of 2^30 of the largest one."""
    table, unit, largest = exponentials(), neuron.ruled.logit_unit, max(charges)
    found = []
    for charge in charges:
        place = ((largest - charge) * unit + (1 << (LOGIT_SHIFT - 1))) >> LOGIT_SHIFT
        found.append(table[place] if place < len(table) else 0)
    return found


def spikes(charges: list[int], neuron: Neuron, key: int, rank: int, event: int) -> list[int]:
    """The neurons that spike at the ``event``-th event of the clock or the grid, ascending."""
    parts = weights(charges, neuron)
    total = sum(parts)
    if neuron.ruled.filter == "independent":
        return [
            j
            for j, part in enumerate(parts)
            if draw(key, PURPOSE_SOFTMAX_NEURON, rank, event, j) % total < part
        ]
    drawn = draw(key, PURPOSE_SOFTMAX_WINNER, rank, event) % total
    for j, part in enumerate(parts):
        drawn -= part
        if drawn < 0:
            return [j]
    raise AssertionError("the weights of a softmax add up to their total")
