"""The neurons of NIR as what the engines step: one small function for each node.

Charges are relative to ``v_reset``, so that a hard reset sets them to 0. Per step a neuron's voltage becomes
``leak x voltage + gain x input + drift``, then it is tested. With time constants, per step of D:

- ``exponential``: leak = exp(-D / tau), gain = r (1 - leak): the exact solution for an input held over the
  step;
- ``euler``: leak = 1 - D / tau, gain = r D / tau.

CubaLIF and CubaLI have a current with a time constant of its own, stepped likewise from ``w_in`` times the
input; the voltage takes the current of the same step. Without (IF, I) the input of a step is added as it is:
gain = r, as every library does whatever its step. Voltages start at 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eventsnn.errors import InvalidNetwork, UnsupportedLayer
from eventsnn.nir.choices import Choices
from eventsnn.nir.kept import kept_in
from eventsnn.nir.operations import Floats, floats, refused

FAITHFUL, APPROXIMATE = "faithful", "approximate"
"""Two of the three words; what is unsupported is refused by name."""


@dataclass(frozen=True)
class Cell:
    """Neurons of one node, arrays of the node's own shape (NIR's order); shape () where it says none.

    Attributes
    ----------
    name : str
    fires : bool
        Otherwise it is only read.
    choices : Choices
        Reset, comparison and so on, of this node.
    gain, drift, start : float64 arrays
        Voltage per input; per step; at time 0.
    threshold : float64 array or None
        Voltage above ``v_reset``.
    reset : float64 array
        ``v_reset`` itself.
    leak : float, float64 array or None
        What a step leaves of the voltage: of all neurons, or where they have several time constants of each.
    synapse : float, float64 array or None
        What a step leaves of the synaptic current, which takes the input and which the voltage takes.
    """

    name: str
    fires: bool
    choices: Choices
    gain: Floats
    drift: Floats
    start: Floats
    threshold: Floats | None
    reset: Floats
    leak: float | Floats | None
    synapse: float | Floats | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the arrays."""
        return self.gain.shape


def cell(name: str, node: Any, choices: Choices) -> Cell:
    """The neurons of a node.

    Raises
    ------
    InvalidNetwork
        Numbers that are not possible, or that no population can have.
    UnsupportedLayer
        Neurons that are not there yet.
    """
    return CELLS[type(node).__name__](name, node, choices)


def _if(name: str, node: Any, choices: Choices) -> Cell:
    gain, reset = floats(name, node, "r"), _reset(name, node)
    return _firing(name, node, choices, gain, np.zeros_like(gain), reset, None)


def _lif(name: str, node: Any, choices: Choices) -> Cell:
    leak, gain = _stepped(name, node, choices)
    reset = _reset(name, node)
    drift = (1 - leak) * (floats(name, node, "v_leak") - reset)
    return _firing(name, node, choices, gain, drift, reset, leak)


def _firing(
    name: str,
    node: Any,
    choices: Choices,
    gain: Floats,
    drift: Floats,
    reset: Floats,
    leak: float | Floats | None,
) -> Cell:
    threshold = floats(name, node, "v_threshold") - reset
    if threshold.min() <= 0:
        raise refused(
            name,
            node,
            f"has a v_threshold that is {threshold.min():g} above v_reset: a neuron would fire for ever",
        )
    if choices.reset == "soft" and reset.any():
        raise refused(
            name,
            node,
            "has a v_reset that is not 0, and the soft reset takes off the threshold: what v_reset means "
            "then is not defined. Use the hard reset (--reset hard), or set v_reset to 0",
        )
    start = -reset
    if (start >= threshold).any():
        raise refused(name, node, "has a v_threshold of 0 or less: it would fire before anything came")
    return Cell(name, True, choices, gain, drift, start, threshold, reset, leak)


def _threshold(name: str, node: Any, choices: Choices) -> Cell:
    threshold = floats(name, node, "threshold")
    if threshold.min() <= 0:
        raise refused(
            name,
            node,
            f"has a threshold of {threshold.min():g}: it would fire at no input; allowed is above 0",
        )
    # No memory: nothing of a step's charge is left in the next.
    one, none = np.ones_like(threshold), np.zeros_like(threshold)
    alone = Choices(
        reset="hard", comparison=choices.comparison, spikes="one", integration=choices.integration,
        step_us=choices.step_us, threshold=choices.threshold,
    )  # fmt: skip
    return Cell(name, True, alone, one, none, none, threshold, none, 0.0)


def _integrator(name: str, node: Any, choices: Choices) -> Cell:
    gain = floats(name, node, "r")
    none = np.zeros_like(gain)
    return Cell(name, False, choices, gain, none, none, None, none, None)


def _leaky_integrator(name: str, node: Any, choices: Choices) -> Cell:
    leak, gain = _stepped(name, node, choices)
    drift, none = (1 - leak) * floats(name, node, "v_leak"), np.zeros_like(gain)
    return Cell(name, False, choices, gain, drift, none, None, none, leak)


def _cuba(fires: bool) -> Callable[[str, Any, Choices], Cell]:
    def made(name: str, node: Any, choices: Choices) -> Cell:
        leak, gain = _stepped(name, node, choices, "tau_mem")
        left, share = _decay(name, node, choices, "tau_syn")
        gain = gain * share * floats(name, node, "w_in")
        reset = _reset(name, node) if fires else np.zeros_like(gain)
        if (floats(name, node, "v_leak") != reset).any():
            raise UnsupportedLayer(
                f"node {name!r} ({type(node).__name__}) has a v_leak that is not "
                f"{'v_reset' if fires else '0'}; beside a "
                "synaptic current that is not stepped. Shift its voltages so that it is"
            )
        if fires:
            return replace(_firing(name, node, choices, gain, 0 * gain, reset, leak), synapse=left)
        none = np.zeros_like(gain)
        return Cell(name, False, choices, gain, none, none, None, none, leak, left)

    return made


def _reset(name: str, node: Any) -> Floats:
    if getattr(node, "v_reset", None) is None:
        return np.zeros_like(floats(name, node, "v_threshold"))
    return floats(name, node, "v_reset")


def _stepped(name: str, node: Any, choices: Choices, constant: str = "tau") -> tuple[float | Floats, Floats]:
    """What a step leaves, and voltage per input."""
    left, share = _decay(name, node, choices, constant)
    return left, floats(name, node, "r") * share


def _decay(name: str, node: Any, choices: Choices, constant: str) -> tuple[float | Floats, float | Floats]:
    """What a step leaves, and the share of its input that it takes; of each neuron if they differ.

    Time constants within 10^-6 of each other are one that was rounded, unless ``to_nir`` says that they are
    several.
    """
    tau, what = floats(name, node, constant), f"node {name!r} ({type(node).__name__})"
    if tau.min() <= 0:
        raise refused(name, node, f"has a {constant} of {tau.min():g} s; allowed is above 0")
    if choices.step_us is None:
        raise InvalidNetwork(
            f"{what} has time constants ({constant} {tau.min():g} s), and NIR does not say how long a step "
            "is; give "
            "step_us (--step-us), the timestep it was trained with"
        )
    several = bool(tau.max() > tau.min() * (1 if kept_in(node, what).get("several") else 1 + 1e-6))
    ratio: Any = choices.step_us * 1e-6 / (tau if several else float(np.median(tau)))
    if choices.integration == "euler":
        if np.max(ratio) > 1:
            raise InvalidNetwork(
                f"{what}: an euler step of {choices.step_us:g} us is longer than the {constant} of "
                f"{tau.min():g} s; "
                "use shorter steps, or integration='exponential'"
            )
        return 1 - ratio, ratio
    if several:
        return np.exp(-ratio), -np.expm1(-ratio)
    return math.exp(-ratio), -math.expm1(-ratio)


CELLS: dict[str, Callable[[str, Any, Choices], Cell]] = {
    "IF": _if,
    "LIF": _lif,
    "Threshold": _threshold,
    "I": _integrator,
    "LI": _leaky_integrator,
    "CubaLIF": _cuba(fires=True),
    "CubaLI": _cuba(fires=False),
}
