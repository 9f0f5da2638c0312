"""Input neurons: they emit what the recording says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.network.neurons.base import Neuron, added, check_parameters, require


@dataclass(frozen=True)
class Input(Neuron):
    """Neurons that emit what the recording says, and hold no charge.

    ``unit`` is the activation per spike. An analog value is a whole number of parts of
    ``analog_scale``: a value of ``analog_scale`` acts like one spike per bias period.
    """

    kind: ClassVar[str] = "input"
    is_input: ClassVar[bool] = True
    holds_charge: ClassVar[bool] = False
    rule = "input"
    tested = "never"
    emits = "what arrives"
    current_period = 0
    unit: float = 1.0
    analog_scale: int = added(256)

    def __post_init__(self) -> None:
        check_parameters(self)
        require(
            1 <= self.analog_scale <= 2**20,
            f"analog_scale is {self.analog_scale}; allowed are 1 to 2^20",
        )

    def parameters_of_rule(self) -> dict[str, int | str]:
        return {}

    def comes_to_rest(self, biased: bool) -> bool:
        return True
