"""Integer tables of the spiking softmax, computed in decimal arithmetic: the same on every machine."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from itertools import pairwise

from eventsnn.engine.seeds import PURPOSE_SOFTMAX_WAIT, draw
from eventsnn.network import Neuron
from eventsnn.network.neurons import LOGIT_BITS

LOGIT_STEPS = 256  # entries of the exponential table per logit
LOGIT_SHIFT = LOGIT_BITS - 8  # from a product of charge and ``logit_unit`` to a place in it
WEIGHT_BITS = 30  # the weight of the largest charge is 2^30
WAIT_BITS = 20  # the mean of the waiting times is 2^20
WAITS = 4096


@cache
def exponentials() -> tuple[int, ...]:
    """``round(2^30 exp(-x / 256))`` for x = 0, 1, ... down to the last entry above 0."""
    table = []
    with localcontext() as context:
        context.prec = 40
        ratio, value = (Decimal(-1) / LOGIT_STEPS).exp(), Decimal(2**WEIGHT_BITS)
        while round(value):
            table.append(round(value))
            value *= ratio
    return tuple(table)


@cache
def waits() -> tuple[int, ...]:
    """Exponential waiting times of mean 2^20: the mean of each of 4096 equally likely slices."""

    def below(i: int) -> Decimal:
        # The integral of -ln(1 - u) from 0 to i / WAITS.
        rest = 1 - Decimal(i) / WAITS
        return 1 - rest + (rest * rest.ln() if rest else Decimal(0))

    with localcontext() as context:
        context.prec = 40
        edges = [below(i) for i in range(WAITS + 1)]
        return tuple(round((after - before) * WAITS * 2**WAIT_BITS) for before, after in pairwise(edges))


def next_event(neuron: Neuron, key: int, rank: int, event: int, last: int) -> int:
    """The tick of the ``event``-th event, counted from 0, the last one having been at ``last``."""
    if neuron.ruled.filter == "independent":
        return int(last + neuron.ruled.interval)
    table = waits()
    wait = table[draw(key, PURPOSE_SOFTMAX_WAIT, rank, event) % len(table)]
    return last + max(1, int(neuron.ruled.interval * wait + (1 << (WAIT_BITS - 1))) >> WAIT_BITS)
