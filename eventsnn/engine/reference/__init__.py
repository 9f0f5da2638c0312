"""The reference engine: one event, or one step, at a time in plain Python, written to be read.

Charges are Python integers, synapses explicit edge lists, pending events one sorted set ordered by the
tuple of law 2. It is the oracle of the compiled engine and thousands of times slower.
"""

from __future__ import annotations

from typing import Any, ClassVar

from eventsnn.engine.analog import AnalogInput
from eventsnn.engine.contract import Engine, RunOptions, SampleRun, Stimulus
from eventsnn.engine.reference.chip_steps import ChipSteps
from eventsnn.engine.reference.event import EventSample
from eventsnn.engine.reference.parts import make_destinations, parts_of_neurons, whole_populations
from eventsnn.engine.reference.step import StepSample
from eventsnn.engine.request import FEATURES
from eventsnn.hardware import Chip, Mapping
from eventsnn.network import Network


class ReferenceEngine(Engine):
    """One event at a time, one neuron at a time; ``chip_steps`` play steps on an accelerator."""

    event_sample: ClassVar[Any] = EventSample
    chip_steps: ClassVar[Any] = ChipSteps
    supports: ClassVar[frozenset[str]] = frozenset(FEATURES)

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        super().__init__(network, mapping, options)
        self.chip = None if mapping is None else Chip(mapping)
        self.energy = None if self.chip is None else self.chip.energy(network.order, self.step > 0)
        # In steps what happens is the same on an accelerator and without one.
        placed = None if self.step else mapping
        self.parts = whole_populations(network) if placed is None else placed.parts
        self.part_of = parts_of_neurons(network, self.parts)
        self.destinations = make_destinations(network, placed, self.step)
        self.analog = AnalogInput(network, self.step)

    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample; see ``Engine.run``."""
        self.check(stimulus)
        schedule = StepSample if self.step else self.event_sample
        return schedule(self, stimulus, index).run()


__all__ = ["ReferenceEngine"]
