"""Which runs go layer by layer over slabs of time, and the arrays for it (``kernels.slabs``)."""

from __future__ import annotations

import numpy as np

from eventsnn.engine.contract import RunOptions
from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import Plan, Slabs
from eventsnn.engine.stimulus import Stimulus

KINDS = (k.KIND_INPUT, k.KIND_SIGNED, k.KIND_RATE, k.KIND_READOUT)
# How long slabs are. At the begin of each every population with a current opens a window: a pass over it.
PERIODS = 16  # of the currents
EVENTS = 4096  # of the input, where no current gives a measure


def can_run_slabs(plan: Plan, options: RunOptions, step: int) -> bool:
    """Whether what each population does depends on those of lower rank only, and nobody looks in between.

    An exit rule may stop the run in the middle of a slab, and a history asks what there was at a time.
    Crossings at the end of refractory times may be queued beyond a slab.
    """
    if step or options.exit_rule is not None or options.history_period or options.ties != "ordered":
        return False
    population, destination = plan.population, plan.destination
    spikes_go_on = (destination.target > destination.source).all()
    alone = (population.direct == 1).all() and not population.interleaved.any()
    known = np.isin(population.kind, KINDS).all() and not (
        population.refractory.any() or population.synaptic.any()
    )
    return bool(spikes_go_on and alone and known)


def slab_unit(plan: Plan, rank: k.Records) -> int:
    """How long slabs are with such currents, ticks; 0 where none flow."""
    driven = (plan.population.kind == k.KIND_RATE) & (rank.bias_length > 0)
    return PERIODS * int(plan.population.period[driven].max()) if driven.any() else 0


def slab_ticks(unit: int, stimulus: Stimulus, sixteenths: int) -> int:
    """How long a sample's slabs are: ``slab_unit``, or without currents some share of the input.

    ``sixteenths`` of that, where there is not room for all its spikes.
    """
    usual = unit or stimulus.end * EVENTS // max(EVENTS, len(stimulus.time))
    return max(1, usual * sixteenths // 16)


def slabs(plan: Plan, marks: int) -> Slabs:
    """Arrays with room for so many marks in a slab."""
    ranks, target = len(plan.population), plan.destination.target
    order = np.lexsort((np.arange(len(target)), plan.destination.source, target))
    counts = np.bincount(target, minlength=ranks)
    return Slabs(
        incoming=order.astype(np.int64),
        incoming_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        cursor=np.zeros(len(target), dtype=np.int64),
        mark=np.empty(marks, k.MARK),
        first=np.zeros(ranks, dtype=np.int64),
        stop=np.zeros(ranks, dtype=np.int64),
        place=np.zeros(ranks, dtype=np.int64),
    )
