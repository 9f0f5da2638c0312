"""SpikingJelly 2.0 (``spikingjelly.activation_based``): what its modules compute in a step.

After ``neuron/`` and ``functional/neuron.py`` of version 2.0.0. Neurons fire at ``v >= v_threshold``; a
spike sets the voltage to ``v_reset``, at which it also starts, or takes off the threshold where ``v_reset``
is None. With r for ``v_reset`` (0 for None) and the voltage relative to it:

- IFNode: ``v + x``;
- LIFNode, ParametricLIFNode: ``v + (x - v) / tau`` (``decay_input``), else ``v - v / tau + x``; tau of the
  parametric one is ``1 / sigmoid(w)``.

Steps one after the other (``step_mode`` 's'), a whole sequence ('m') and the backends compute the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from eventsnn.convert.spiking.base import LEAK, Described, Module, spiking

ROOT = "spikingjelly"


def _if_node(of: Module) -> Described:
    threshold, more = _reset(of)
    return Described(spiking(of, threshold, **more))


def _half_threshold(of: Module) -> Described:
    threshold, more = _reset(of)
    return Described(spiking(of, threshold, start=threshold / 2, **more), "starts at half its threshold")


def _lif_node(of: Module) -> Described:
    tau = of.number("tau")
    if tau < 1:
        of.refuse(f"has a tau of {tau:g} steps; allowed is 1 and more")
    return _leaky(of, 1 / tau)


def _parametric(of: Module) -> Described:
    return _leaky(of, 1 / (1 + math.exp(-of.number("w"))))


def _leaky(of: Module, share: float) -> Described:
    threshold, more = _reset(of)
    gain = share if of.flag("decay_input") else 1.0
    return Described(spiking(of, threshold, gain=gain, leak=1 - share, **more), LEAK)


def _reset(of: Module) -> tuple[float, dict[str, Any]]:
    """The threshold above the voltage of a reset, and whether that is hard."""
    reset = of.value("v_reset")
    threshold = of.number("v_threshold")
    if getattr(of.module, "_neuron_precision", None) is not None:
        of.refuse("computes in a precision of its own; set it back, and give the model as it was trained")
    return (
        (threshold, {"hard": False}) if reset is None else (threshold - of.number("v_reset"), {"hard": True})
    )


NEURONS: dict[str, Callable[[Module], Described]] = {
    "IFNode": _if_node,
    "SimpleIFNode": _if_node,
    "HalfThresholdIFNode": _half_threshold,
    "LIFNode": _lif_node,
    "SimpleLIFNode": _lif_node,
    "ParametricLIFNode": _parametric,
}
"""By class."""


def _as(kind: type[nn.Module], module: Any) -> nn.Module:
    """A norm with the threshold in its weights, which is an ordinary one once it is trained."""
    module.__class__ = kind
    return module


def _votes(size: int) -> nn.Module:
    """Averages of so many neighbours."""
    return nn.Sequential(nn.Unflatten(1, (1, 1, -1)), nn.AvgPool2d((1, size), (1, size)), nn.Flatten())


LAYERS: dict[str, Any] = {
    **{
        name: name
        for name in (
            "Conv2d", "ConvTranspose2d", "Linear", "BatchNorm1d", "BatchNorm2d", "MaxPool2d", "AvgPool2d",
            "AdaptiveAvgPool2d", "Flatten", "Upsample",
        )
    },
    "SeqToANNContainer": "Sequential",
    "MultiStepContainer": "Sequential",
    "StepModeContainer": "Sequential",
    **dict.fromkeys(("Dropout", "Dropout2d"), lambda module: nn.Identity()),
    "ThresholdDependentBatchNorm1d": lambda module: _as(nn.BatchNorm1d, module),
    "ThresholdDependentBatchNorm2d": lambda module: _as(nn.BatchNorm2d, module),
    "VotingLayer": lambda module: _votes(module.voting_size),
}  # fmt: skip
"""Layers by class: what computes the same in each step."""

MODELS = "spikingjelly.activation_based.model"
"""Where the library keeps models, which are looked into as a user's own."""

STATELESS = ("StepModule", "SingleStepModule", "MultiStepModule")
"""Classes that a user's own may derive from: they keep no state."""
