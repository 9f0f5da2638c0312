"""snnTorch 1.0: what its modules compute in a step.

After ``_neurons/`` of version 1.0.0. Neurons fire above the threshold only and start at 0. What a reset takes
off comes in the *next* step unless ``reset_delay`` is False, so with S the spike of the step before:

- ``subtract``: ``beta v + x - threshold S``. With u the voltage after the threshold is taken off at once that
  is ``beta u + x - (1 - beta) threshold S``: the soft reset, and a synapse of a neuron to itself that brings
  the rest one step later;
- ``zero``: ``beta (1 - S) v + x``, a hard reset;
- ``none``: ``beta v + x``, the soft reset and a synapse that gives ``beta threshold`` back.

Lapicque is Leaky with ``beta`` 1 - time_step / (R C) and an input times time_step / C. Synaptic has a current
``alpha i + x`` that the voltage takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eventsnn.convert.spiking.base import LEAK, SYNAPTIC, Described, Module, spiking

ROOT = "snntorch"


def _leaky(of: Module) -> Described:
    _refuse_what_is_more(of)
    beta = _decay(of, "beta")
    threshold, reset = of.number("threshold"), of.value("reset_mechanism")
    if not of.flag("reset_delay") and reset == "subtract":
        of.refuse(
            "has reset_delay=False and reset_mechanism 'subtract', which tests what is left above "
            "the threshold "
            "less the threshold once more; allowed are reset_delay=True, and 'zero'"
        )
    return _described(of, threshold, beta, 1.0, reset)


def _lapicque(of: Module) -> Described:
    _refuse_what_is_more(of)
    step, capacity = of.number("time_step"), of.number("C")
    if of.value("reset_mechanism") == "zero":
        of.refuse(
            "has reset_mechanism 'zero', which also loses what arrives in the step after a spike; "
            "allowed are "
            "'subtract' and 'none', and Leaky with 'zero'"
        )
    beta = 1 - step / (of.number("R") * capacity)
    return _described(of, of.number("threshold"), beta, step / capacity, of.value("reset_mechanism"))


def _synaptic(of: Module) -> Described:
    _refuse_what_is_more(of)
    if of.value("reset_mechanism") != "zero" or of.flag("reset_delay"):
        of.refuse(
            "has a synaptic current beside a reset that comes a step later, which no neurons here "
            "have; allowed "
            "is reset_mechanism='zero' with reset_delay=False"
        )
    beta, alpha = _decay(of, "beta"), _decay(of, "alpha")
    made = spiking(of, of.number("threshold"), leak=beta, strict=True, synapse=alpha or None)
    return Described(made, f"{LEAK}; {SYNAPTIC}", _states(of, 2))


def _described(of: Module, threshold: float, beta: float, gain: float, reset: Any) -> Described:
    resets = {
        "subtract": (False, -(1 - beta) * threshold),
        "zero": (True, 0.0),
        "none": (False, beta * threshold),
    }
    if reset not in resets:
        of.refuse(f"has reset_mechanism {reset!r}; allowed are {', '.join(resets)}")
    hard, own = resets[reset]
    made = spiking(of, threshold, gain=gain, leak=beta, hard=hard, strict=True, own_spike=own)
    notes = [LEAK] if beta < 1 else []
    if own:
        notes.append("its reset comes a step later, by a synapse of each neuron to itself")
    return Described(made, "; ".join(notes), _states(of, 1))


def _decay(of: Module, name: str) -> float:
    """A decay, which the library keeps between 0 and 1."""
    return float(np.clip(of.number(name), 0.0, 1.0))


def _states(of: Module, number: int) -> int:
    return 0 if of.flag("init_hidden") and not of.flag("output") else number


def _refuse_what_is_more(of: Module) -> None:
    if of.value("state_quant"):
        of.refuse("quantises its state (state_quant); train without")
    if of.flag("inhibition"):
        of.refuse(
            "lets one neuron of a layer fire only (inhibition), which no neurons here do; train without"
        )
    if of.number("graded_spikes_factor") != 1:
        of.refuse(
            f"multiplies its spikes by {of.number('graded_spikes_factor'):g} (graded_spikes_factor); "
            "put the factor "
            "into the weights behind it"
        )


NEURONS: dict[str, Callable[[Module], Described]] = {
    "Leaky": _leaky,
    "Lapicque": _lapicque,
    "Synaptic": _synaptic,
}
"""By class."""

LAYERS: dict[str, Any] = {}
STATELESS: tuple[str, ...] = ()
MODELS = ""
