"""How much room a sample's buffers have: kept from sample to sample, so that growing is rare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.contract import RunOptions
from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import Plan, State

SLAB_SPIKES = 1 << 22
"""Where lists have room for so many in all, slabs get shorter and lists no longer."""


@dataclass
class Capacities:
    """Rows of the buffers that grow; ``lists`` has those of every rank's spikes of one tick, or of a slab.

    ``sixteenths`` of a slab's usual length are what its spikes leave room for.
    """

    lists: NDArray[np.int64]
    log: int = 1 << 16
    pending: int = 1 << 12
    messages: int = 1 << 10
    service: int = 1
    trace: int = 256
    history: int = 1
    marks: int = 1 << 12
    sixteenths: int = 16

    @classmethod
    def of(cls, plan: Plan, options: RunOptions) -> Capacities:
        """What a first sample begins with."""
        return cls(
            lists=np.minimum(plan.population.neurons, 1 << 16) + 64,
            service=1 << 16 if options.record_service else 1,
            history=256 if options.history_period else 1,
        )

    def enlarge(self, status: int, state: State, slabs: bool = False) -> None:
        """Make room where a kernel found none; the sample starts afresh then."""
        if status == k.GROW_LISTS and slabs and self.sixteenths > 1 and self.lists.sum() > SLAB_SPIKES:
            self.sixteenths //= 2
        elif status == k.GROW_LISTS:
            full = state.rank["list_limit"] - state.rank["list_stop"] < self.lists // 2
            # One test may emit more than a list holds: then no list is full, and any may be the one.
            grows = full | (not full.any())
            self.lists = np.where(grows, 4 * self.lists, self.lists)
        elif status == k.GROW_HEAP:
            self.pending *= 4
        elif status == k.GROW_MESSAGES:
            self.messages *= 4
        elif status == k.GROW_SLAB:
            self.marks *= 4
            self.trace *= 4
        else:
            self.service *= 4
