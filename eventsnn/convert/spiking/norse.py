"""Norse 1.1: what its modules compute in a step of ``dt`` seconds.

After ``torch/module/`` and ``torch/functional/`` of version 1.1.0. Neurons fire above the threshold only.
With a for ``dt tau_mem_inv`` and b for ``dt tau_syn_inv``:

- IAF: ``v + x``, starts at ``v_reset``;
- LIFBox: ``v + a (v_leak - v + x)``, starts at ``v_leak``;
- LIF: a current ``i = (1 - b) i + x``, then ``v + a (v_leak - v + i)``;
- LIBox, LI: the same without spikes: their voltage is what comes out.

A spike sets the voltage to ``v_reset``; of LIFBox it takes off the threshold where ``reset_method`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventsnn.convert.spiking.base import LEAK, SYNAPTIC, Described, Module, as_array, read, spiking
from eventsnn.convert.spiking.neurons import InTurn
from eventsnn.errors import UnsupportedLayer

ROOT = "norse"
CERTAIN = ("super", "heaviside", "tanh", "circ", "triangle", "heavi_erfc", "adjoint")
"""Methods of gradients whose spikes are those of a threshold; others draw them."""


class _Parameters:
    """The numbers of a module's ``p``."""

    def __init__(self, of: Module) -> None:
        self.of, self.p = of, of.value("p")
        self.dt = of.number("dt")
        if getattr(self.p, "method", "super") not in CERTAIN:
            of.refuse(
                f"has the method {self.p.method!r}, whose spikes are drawn; allowed are {', '.join(CERTAIN)}"
            )

    def number(self, name: str) -> float:
        found = as_array(getattr(self.p, name), f"{self.of.place}: {name}")
        if found.size != 1:
            self.of.refuse(f"has several values of {name}; one for a whole layer is read here")
        return float(found.reshape(()))

    def share(self, name: str) -> float:
        """What a step takes of a difference."""
        # In the precision in which the library multiplies the two.
        found = float(as_array(self.dt * getattr(self.p, name), f"{self.of.place}: {name}").reshape(()))
        if not 0 < found <= 1:
            self.of.refuse(
                f"has a dt of {self.dt:g} s and a {name} of {self.number(name):g}: a step longer than that"
            )
        return found


def _iaf(of: Module) -> Described:
    p = _Parameters(of)
    return Described(spiking(of, p.number("v_th") - p.number("v_reset"), strict=True), "", 1)


def _lif_box(of: Module) -> Described:
    p = _Parameters(of)
    share, reset = p.share("tau_mem_inv"), p.number("v_reset")
    method = getattr(getattr(p.p, "reset_method", None), "__name__", "reset_value")
    if method not in RESETS:
        of.refuse(f"has the reset_method {method}; allowed are {', '.join(RESETS)}")
    hard = RESETS[method]
    if not hard and reset:
        of.refuse(f"subtracts at a spike, and has a v_reset of {reset:g}; allowed is 0")
    above = p.number("v_leak") - reset
    made = spiking(
        of, p.number("v_th") - reset, gain=share, drift=share * above, start=above, leak=1 - share,
        hard=hard, strict=True,
    )  # fmt: skip
    return Described(made, LEAK, 1)


def _lif(of: Module) -> Described:
    p = _Parameters(of)
    share, above = p.share("tau_mem_inv"), p.number("v_leak") - p.number("v_reset")
    if above:
        of.refuse(
            f"has a v_leak {above:g} above v_reset beside a synaptic current, which no neurons here "
            "have; shift its "
            "voltages so that both are one"
        )
    made = spiking(
        of, p.number("v_th") - p.number("v_reset"), gain=share, leak=1 - share, strict=True,
        synapse=(1 - p.share("tau_syn_inv")) or None,
    )  # fmt: skip
    return Described(made, f"{LEAK}; {SYNAPTIC}", 1)


def _li_box(of: Module) -> Described:
    p = _Parameters(of)
    share, rest = p.share("tau_mem_inv"), p.number("v_leak")
    made = read(of, gain=share, drift=share * rest, start=rest, leak=1 - share)
    return Described(made, f"as the output; {LEAK}", 1)


def _li(of: Module) -> Described:
    p = _Parameters(of)
    if p.number("v_leak"):
        of.refuse("has a v_leak that is not 0 beside a synaptic current, which no output here has; shift it")
    share = p.share("tau_mem_inv")
    made = read(of, gain=share, leak=1 - share, synapse=(1 - p.share("tau_syn_inv")) or None)
    return Described(made, f"as the output; {LEAK}; {SYNAPTIC}", 1)


RESETS = {"reset_value": True, "reset_subtract": False}
"""Whether a reset is hard, by the name of the function."""

NEURONS: dict[str, Callable[[Module], Described]] = {
    **dict.fromkeys(("IAFCell", "IAF"), _iaf),
    "LIFBoxCell": _lif_box,
    **dict.fromkeys(("LIFCell", "LIF"), _lif),
    "LIBoxCell": _li_box,
    **dict.fromkeys(("LICell", "LI"), _li),
}
"""By class."""


def _in_turn(module: Any) -> InTurn:
    if module.return_hidden:
        raise UnsupportedLayer("a SequentialState with return_hidden returns several values; leave it out")
    return InTurn(*module)


LAYERS: dict[str, Any] = {"SequentialState": _in_turn, "Lift": lambda module: module.lifted_module}
"""Layers by class: what computes the same in each step."""

STATELESS: tuple[str, ...] = ()
MODELS = ""
