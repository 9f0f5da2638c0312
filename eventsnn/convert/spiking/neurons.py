"""What stands for a library's neurons while a model is followed: one step from rest, without memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from eventsnn.convert.graph.operations import Spiking


class Neurons(nn.Module):
    """The first step of spiking neurons.

    Parameters
    ----------
    operation : Spiking
    gives_state : int
        Tensors of state that a call returns behind the spikes, for forwards that hand the state on
        themselves.
    """

    def __init__(self, operation: Spiking, gives_state: int = 0) -> None:
        super().__init__()
        self.operation, self.gives_state = operation, gives_state
        self.step_mode = "s"

    def forward(self, input: Tensor, *state: Any) -> Tensor | tuple[Tensor, ...]:
        """Spikes of shape ``input`` (voltages, where nothing fires); behind them zeros for each state."""
        found = self._result(input)
        if not self.gives_state:
            return found
        return (found, *(torch.zeros_like(found) for _ in range(self.gives_state)))

    def _result(self, input: Tensor) -> Tensor:
        one = self.operation
        gain, drift, start, threshold = (
            torch.as_tensor(getattr(one, name), dtype=input.dtype)
            for name in ("gain", "drift", "start", "threshold")
        )
        voltage = one.leak * start + gain * input + drift
        if not one.fires:
            return voltage
        fires = voltage > threshold if one.strict else voltage >= threshold
        number = torch.floor(voltage / threshold) if one.many else torch.ones_like(voltage)
        return torch.where(fires, number, torch.zeros_like(voltage))

    # What forwards call that hand states on themselves; a state is nothing here.

    def no_state(self) -> Any:
        """Zeros, one for each tensor of state."""
        zeros = tuple(torch.zeros(1, dtype=torch.float64) for _ in range(max(1, self.gives_state)))
        return zeros if len(zeros) > 1 else zeros[0]

    init_leaky = reset_mem = init_lapicque = init_synaptic = no_state


class InTurn(nn.Sequential):
    """Modules one after the other, of which some return their state: the result, and no state."""

    def forward(self, input: Any, state: Any = None) -> Any:
        """The last module's result, and None."""
        for module in self:
            result = module(input)
            input = result[0] if _gives_state(module) else result
        return input, None


def _gives_state(module: nn.Module) -> bool:
    return isinstance(module, InTurn) or (isinstance(module, Neurons) and module.gives_state > 0)
