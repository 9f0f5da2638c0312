"""sinabs 3.1: what its modules compute in a step.

After ``layers/`` and ``activation/`` of version 3.1.3. With a for ``exp(-1 / tau_mem)`` (1 of IAF): the
voltage becomes ``a v + (1 - a) i`` (``norm_input``), else ``a v + i``, where i is the input, or with
``tau_syn`` the current ``b (i + x)``, b for ``exp(-1 / tau_syn)``. MultiSpike emits as many spikes as the
voltage holds thresholds, SingleSpike one at the threshold or above. MembraneSubtract takes off the threshold
(or a value of its own) for each, MembraneReset sets to 0; then the voltage is raised to ``min_v_mem``. It
starts at 0. ExpLeak is LIF without spikes: its voltage is what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from eventsnn.convert.spiking.base import LEAK, SYNAPTIC, Described, Module, read, spiking

ROOT = "sinabs"


def _iaf(of: Module) -> Described:
    return _firing(of, 1.0)


def _lif(of: Module) -> Described:
    return _firing(of, _alpha(of, "mem"))


def _exp_leak(of: Module) -> Described:
    alpha = _alpha(of, "mem")
    if of.value("min_v_mem") is not None:
        of.refuse("has a lowest voltage (min_v_mem) without spikes, which no output here has; leave it out")
    return Described(
        read(of, gain=1 - alpha if of.flag("norm_input") else 1.0, leak=alpha), f"as the output; {LEAK}"
    )


def _alpha(of: Module, which: str) -> float:
    if of.flag("train_alphas"):
        return of.number(f"alpha_{which}")
    return math.exp(-1 / of.number(f"tau_{which}"))


def _firing(of: Module, alpha: float) -> Described:
    many, (hard, taken) = _many(of), _reset(of)
    if many and hard:
        of.refuse(
            "emits several spikes at once (MultiSpike) and is then reset to 0 (MembraneReset), which "
            "no neurons "
            "here do; allowed are MembraneSubtract, and SingleSpike"
        )
    threshold = of.number("spike_threshold")
    gain = 1 - alpha if of.flag("norm_input") else 1.0
    notes = [LEAK] if alpha < 1 else []
    synapse = None
    if getattr(of.module, "tau_syn", None) is not None or getattr(of.module, "alpha_syn", None) is not None:
        synapse = _alpha(of, "syn")
        gain *= synapse
        notes.append(SYNAPTIC)
    lowest = None if of.value("min_v_mem") is None else of.number("min_v_mem")
    if lowest is not None and lowest > 0:
        of.refuse(f"has a lowest voltage (min_v_mem) of {lowest:g}; allowed is 0 and below")
    own = 0.0 if hard or taken is None else alpha * (threshold - taken)
    if own and (lowest is not None or synapse is not None):
        of.refuse(
            f"takes {taken:g} off at a spike and not the threshold, beside min_v_mem or tau_syn; "
            "leave one of "
            "them out"
        )
    made = spiking(
        of,
        threshold,
        gain=gain,
        leak=alpha,
        hard=hard,
        many=many,
        lowest=lowest,
        own_spike=own,
        synapse=synapse,
    )
    return Described(made, "; ".join(notes))


def _many(of: Module) -> bool:
    found = of.value("spike_fn")
    name = getattr(found, "__name__", type(found).__name__)
    if name == "MaxSpike" and getattr(found, "max_num_spikes_per_bin", None) in (None, 1):
        return found.max_num_spikes_per_bin is None
    if name not in ("MultiSpike", "SingleSpike"):
        of.refuse(f"has the spike_fn {name}; allowed are MultiSpike and SingleSpike")
    return bool(name == "MultiSpike")


def _reset(of: Module) -> tuple[bool, float | None]:
    """Whether the reset is hard, and what it takes off if that is not the threshold."""
    found = of.value("reset_fn")
    name = type(found).__name__
    if name == "MembraneSubtract":
        return False, None if found.subtract_value is None else float(found.subtract_value)
    if name != "MembraneReset":
        of.refuse(f"has the reset_fn {name}; allowed are MembraneSubtract and MembraneReset")
    if found.reset_value:
        of.refuse(
            f"has a MembraneReset of {found.reset_value:g}, which the library adds to every neuron in "
            "every step; "
            "allowed is 0"
        )
    return True, None


NEURONS: dict[str, Callable[[Module], Described]] = {
    **dict.fromkeys(("IAF", "IAFSqueeze"), _iaf),
    **dict.fromkeys(("LIF", "LIFSqueeze"), _lif),
    **dict.fromkeys(("ExpLeak", "ExpLeakSqueeze"), _exp_leak),
}
"""By class."""


def _sum_pool(module: Any) -> nn.Module:
    return nn.AvgPool2d(module.kernel_size, module.stride, ceil_mode=module.ceil_mode, divisor_override=1)


LAYERS: dict[str, Any] = {
    "SumPool2d": _sum_pool,
    "Repeat": lambda module: module.module,
    "Network": lambda module: module.spiking_model,
    "FlattenTime": lambda module: nn.Identity(),
    "UnflattenTime": lambda module: nn.Identity(),
}
"""Layers by class: what computes the same in each step."""

STATELESS: tuple[str, ...] = ("SqueezeMixin",)
MODELS = ""
