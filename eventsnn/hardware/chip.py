"""A mapped accelerator as the integers the engines work with: ticks of 1 ps, attojoules.

A message goes: serialiser of its core (one message at a time) -> links or hops -> input FIFO of the
destination core (first come, first served) -> decode + ceil(fan-out / PE) synapse cycles -> its charge
lands. A rate neuron's threshold test is part of each synapse cycle's pass (``update`` time per cycle as
well). The tests of signed neurons occupy their core for ceil(tested neurons / PE) update cycles, queued
like a message; the spikes they cause enter the serialiser when that scan ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN, COUNTERS
from eventsnn.hardware.actions import Action, charged
from eventsnn.hardware.architecture import Architecture
from eventsnn.hardware.distributions import time_table
from eventsnn.hardware.mapping.parts import INPUT_PORT, Mapping
from eventsnn.hardware.quantities import End

Table = NDArray[np.int64]


@dataclass(frozen=True)
class CoreCosts:
    """What one core is like.

    Attributes
    ----------
    processing_elements : int
        Synapses served, or neurons tested, in one cycle.
    input_depth, output_depth : int or None
        Messages that may wait in front of the core and of its serialiser; None is any number.
    policy : str
        ``block``, ``drop-new`` or ``drop-old``.
    serialise, decode : int64 array
        Equally likely times; one element if the time is constant.
    access, update, fire : int
        Constant times.
    """

    processing_elements: int
    input_depth: int | None
    policy: str
    output_depth: int | None
    serialise: Table = field(repr=False)
    decode: Table = field(repr=False)
    access: int
    update: int
    fire: int


class Chip:
    """An accelerator with a network on it.

    Parameters
    ----------
    mapping : Mapping
    """

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.architecture: Architecture = mapping.architecture
        self._clock = self.architecture.clock_hz
        self._core_costs: dict[str, CoreCosts] = {}
        self._synapses: dict[tuple[str, int], Table] = {}

    # -- times -------------------------------------------------------------------------------------

    def _table(self, action: Action) -> Table:
        return time_table(action, self._clock, self.architecture.time_factor)

    def _constant(self, name: str, core: int | None = None) -> int:
        return int(self._table(self.architecture.action(name, core))[0])

    def core(self, core: int) -> CoreCosts:
        """What a core is like; the input port is a core that only serialises, its time that of ``input``."""
        kind = "" if core == INPUT_PORT else self.architecture.kind_of_core[core]
        if kind not in self._core_costs:
            self._core_costs[kind] = self._costs(core)
        return self._core_costs[kind]

    def _costs(self, core: int) -> CoreCosts:
        none = np.zeros(1, dtype=np.int64)
        if core == INPUT_PORT:
            sends = self._table(self.architecture.actions.input)
            return CoreCosts(1, None, "block", None, sends, none, 0, 0, 0)
        kind, action = self.architecture.kind(core), self.architecture.action
        return CoreCosts(
            processing_elements=kind.processing_elements.count(),
            input_depth=kind.input_depth,
            policy=kind.input_fifo.policy,
            output_depth=kind.output_depth,
            serialise=self._table(action("serialise", core)),
            decode=self._table(action("decode", core)),
            access=self._constant("access", core),
            update=self._constant("update", core),
            fire=self._constant("fire", core),
        )

    def synapse(self, population: str, core: int) -> Table:
        """Times of one cycle of synapses of a population on a core."""
        if (population, core) not in self._synapses:
            unit = self.mapping.synapse_units.get(population)
            found = self._table(self.architecture.action("synapse", core, unit))
            self._synapses[population, core] = found
        return self._synapses[population, core]

    @cached_property
    def hop_x(self) -> Table:
        """Times of a hop along x."""
        return self._table(self.architecture.actions.hop_x)

    @cached_property
    def hop_y(self) -> Table:
        """Times of a hop along y."""
        return self._table(self.architecture.actions.hop_y)

    @cached_property
    def bus(self) -> Table:
        """Times of one message on the bus."""
        return self._table(self.architecture.actions.bus)

    @property
    def decision(self) -> int:
        """Time of an exit check, ticks."""
        return self._constant("decision")

    @property
    def step(self) -> int:
        """What every timestep takes the whole accelerator at least, ticks."""
        return self._constant("step")

    @property
    def barrier(self) -> int:
        """Time of the barrier, ticks: by the tiles that hold neurons."""
        parts = [part for parts in self.mapping.parts.values() for part in parts if part.core != INPUT_PORT]
        return self.architecture.barrier_ticks(len({self.architecture.tile(part.core) for part in parts}))

    # -- energy ------------------------------------------------------------------------------------

    @property
    def static_watts(self) -> float:
        """Static power, watts."""
        return self.architecture.static_watts

    def energy(
        self, populations: tuple[str, ...], steps: bool = False, end: End = "nominal"
    ) -> NDArray[np.int64]:
        """Attojoules per count, shape (populations, counters); ``steps`` for the step schedule.

        ``end`` takes every energy at the low or high end of its band.

        A population's parts lie on cores of one kind, and one synapse unit serves all its synapses. Events
        that enter elsewhere than at the port cost nothing but their messages.
        """
        table = np.zeros((len(populations), len(COUNTERS)), dtype=np.int64)
        for row, name in enumerate(populations):
            core = self.mapping.parts[name][0].core
            for counter, action_name in charged(steps).items():
                if action_name == "input" and core != INPUT_PORT:
                    continue
                unit = self.mapping.synapse_units.get(name) if action_name == "synapse" else None
                action = self.architecture.action(action_name, core, unit)
                table[row, COLUMN[counter]] = self.architecture.energy_attojoules(action, end)
        return table
