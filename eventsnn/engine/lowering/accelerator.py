"""What parts, copies of spikes and the accelerator as a whole take, as fields of records."""

from __future__ import annotations

from eventsnn.engine.kernels import records as k
from eventsnn.engine.lowering.times import Times
from eventsnn.hardware import Chip, Part
from eventsnn.network.neurons import Neuron


class Costs:
    """Constant times in ticks, others as rows of ``times``.

    In the event schedule a threshold test may be part of each synapse cycle, and only neurons that are tested
    take time to fire. ``steps``: in the step schedule a core scans its neurons instead, whatever they are.
    """

    def __init__(self, chip: Chip, times: Times, steps: bool = False) -> None:
        self.chip, self.times, self.steps = chip, times, steps

    def part(self, part: Part, neuron: Neuron) -> dict[str, int]:
        """Fields of ``PART``."""
        core = self.chip.core(part.core)
        return {
            "lanes": core.processing_elements, "serialise": self.times.row(core.serialise),
            "access": core.access, "update": core.update,
            "fire": core.fire if self.steps or neuron.tested != "never" else 0,
        }  # fmt: skip

    def copy(self, part: Part, target: Neuron) -> dict[str, int]:
        """Fields of ``DESTINATION``."""
        core = self.chip.core(part.core)
        synapse = self.times.row(self.chip.synapse(part.population, part.core))
        tested_at_once = target.tested == "at delivery" and not self.steps
        return {
            "decode": self.times.row(core.decode), "synapse": synapse, "lanes": core.processing_elements,
            "cycle_update": core.update if tested_at_once else 0,
        }  # fmt: skip

    def whole(self) -> dict[str, int]:
        """Fields of ``CHIP`` in both schedules."""
        return {
            "priced": 1, "decision_latency": self.chip.decision,
            "hop_x_table": self.times.row(self.chip.hop_x), "hop_y_table": self.times.row(self.chip.hop_y),
            "uses_bus": int(self.chip.architecture.network_on_chip.topology == "bus"),
        }  # fmt: skip


def chip_record(fields: dict[str, int]) -> k.Records:
    """The one ``CHIP``; without an accelerator there are no fields."""
    return k.filled(k.CHIP, [fields])[0]
