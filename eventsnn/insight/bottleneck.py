"""What bounds an accelerator in samples together: its busiest server, and the state of every core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.insight.bounds import Bound
from eventsnn.insight.service import CORE, LINK, NEURON_UNIT, RECEIVING_UNIT, SERIALISER, Server
from eventsnn.insight.work import COMPONENTS, LINKS, MESSAGES_IN, MESSAGES_OUT, NEURONS, SYNAPSES

Int64 = NDArray[np.int64]

WAITING_BELOW = 0.5
"""Share of the time that a core's busiest unit works below which the core is said to wait."""
STATES = {
    "neurons": "compute",
    "synapses": "memory",
    "messages in": "traffic",
    "messages out": "traffic",
    "links": "traffic",
}
"""What bounds a core by what its busiest unit spends most on: for every synapse a weight is read."""


@dataclass(frozen=True)
class CoreTimes:
    """What a core's work alone would take, in ticks, and what bounds the core.

    Attributes
    ----------
    core : int
        -1 is the input port.
    neurons, synapses, weight_reads, messages_in, messages_out : int
        Each alone; ``weight_reads`` is the time of reading ``words`` weights as fast as the core can.
    busiest : str
        The unit with the most to do, ``own`` ticks of it, ``share`` of the time that the work took.
    state : str
        ``memory``, ``compute``, ``traffic``: what that unit spends most on; ``waiting`` where it works less
        than half of the time, ``idle`` where it has nothing to do.
    """

    core: int
    neurons: int
    synapses: int
    weight_reads: int
    words: int
    messages_in: int
    messages_out: int
    busiest: str
    own: int
    share: float
    state: str


@dataclass(frozen=True)
class Bottleneck:
    """Bounds of samples on one accelerator, added up."""

    bounds: tuple[Bound, ...]

    @property
    def time(self) -> int:
        """Ticks that the work took."""
        return sum(bound.time for bound in self.bounds)

    @property
    def ticks(self) -> int:
        """The least that it can take."""
        return sum(bound.ticks for bound in self.bounds)

    @property
    def explained(self) -> float:
        """The share of the time that the bound is."""
        return self.ticks / self.time if self.time else float("nan")

    @property
    def pauses(self) -> int:
        """Ticks of the time that barriers and the least time of steps take; 0 in the event schedule."""
        return sum(bound.pause * bound.work.windows for bound in self.bounds if bound.kind != "none")

    @cached_property
    def bounding(self) -> dict[Server, int]:
        """Ticks of the bound by the server whose work they are, the largest first; pauses left out."""
        found: dict[Server, int] = {}
        for bound in self.bounds:
            for server, ticks in bound.bounding.items():
                found[server] = found.get(server, 0) + ticks
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def busiest(self) -> Server | None:
        """The server whose work most of the bound is; None where there is no work."""
        return next(iter(self.bounding), None)

    @cached_property
    def times(self) -> dict[Server, Int64]:
        """Ticks of each server's own work by component, int64 of shape (components,)."""
        found: dict[Server, Int64] = {}
        for bound in self.bounds:
            for server, ticks in bound.work.ticks.items():
                found[server] = found.get(server, 0) + ticks.sum(axis=0)
        return found

    def most(self, server: Server) -> str:
        """What a server spends most of its own work on: one of ``work.COMPONENTS``."""
        return COMPONENTS[int(self.times[server].argmax())]

    @property
    def links(self) -> dict[int, int]:
        """Ticks of each link's work."""
        return {number: int(ticks[LINKS]) for (unit, number), ticks in self.times.items() if unit == LINK}

    @cached_property
    def cores(self) -> tuple[CoreTimes, ...]:
        """Every core in use, the input port first."""
        return tuple(self._cores())

    def _cores(self) -> Iterator[CoreTimes]:
        for core in sorted({number for unit, number in self.times if unit != LINK}):
            units = {unit: self.times[unit, core] for unit in _UNITS if (unit, core) in self.times}
            busiest = max(units, key=lambda unit: int(units[unit].sum()))
            own = int(units[busiest].sum())
            share = own / self.time if self.time else 0.0
            both = np.sum(list(units.values()), axis=0).tolist()
            reads, words = self._weight_reads(core)
            state = STATES[self.most((busiest, core))] if share >= WAITING_BELOW else "waiting"
            yield CoreTimes(
                core=core,
                neurons=both[NEURONS],
                synapses=both[SYNAPSES],
                weight_reads=reads,
                words=words,
                messages_in=both[MESSAGES_IN],
                messages_out=both[MESSAGES_OUT],
                busiest=busiest,
                own=own,
                share=share,
                state=state if own else "idle",
            )

    def _weight_reads(self, core: int) -> tuple[int, int]:
        """Ticks that a core's weight reads take at least, and how many words they are."""
        ticks = words = 0
        for bound in self.bounds:
            for (place, cycle, elements), read in bound.work.words.items():
                if place == core:
                    ticks += int((-(-read // elements)).sum()) * cycle
                    words += int(read.sum())
        return ticks, words

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times in ticks of 1 ps."""
        busiest = self.busiest
        return {
            "time_ps": self.time,
            "bound_ps": self.ticks,
            "explained": self.explained if self.time else None,
            "pauses_ps": self.pauses,
            "busiest": None
            if busiest is None
            else {
                "unit": busiest[0],
                "number": busiest[1],
                "most": self.most(busiest),
                "bound_ps": self.bounding[busiest],
            },
            "cores": [
                {_with_unit(name): value for name, value in asdict(core).items()} for core in self.cores
            ],
            "links": [{"number": number, "own_ps": ticks} for number, ticks in sorted(self.links.items())],
        }


_UNITS = (CORE, RECEIVING_UNIT, NEURON_UNIT, SERIALISER)
_IN_TICKS = ("neurons", "synapses", "weight_reads", "messages_in", "messages_out", "own")


def _with_unit(name: str) -> str:
    return f"{name}_ps" if name in _IN_TICKS else name
