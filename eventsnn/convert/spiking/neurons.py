"""What stands for a library's neurons while a model is followed: one step from rest, without memory."""

from __future__ import annotations

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

    def forward(self, input: Tensor, *state: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Spikes of shape ``input``; behind them zeros for each tensor of state."""
        one = self.operation
        gain, drift, start, threshold = (
            torch.as_tensor(getattr(one, name), dtype=input.dtype) for name in Spiking.ARRAYS
        )
        voltage = one.leak * start + gain * input + drift
        fires = voltage > threshold if one.strict else voltage >= threshold
        number = torch.floor(voltage / threshold) if one.many else torch.ones_like(voltage)
        spikes = torch.where(fires, number, torch.zeros_like(voltage))
        if not self.gives_state:
            return spikes
        return (spikes, *(torch.zeros_like(spikes) for _ in range(self.gives_state)))
