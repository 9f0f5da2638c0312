"""How faithful each node is, in one of three words: faithful, approximate, unsupported."""

from __future__ import annotations

from dataclasses import dataclass

from eventsnn.nir.cells import APPROXIMATE, FAITHFUL
from eventsnn.nir.choices import NIRS_OWN, Choices
from eventsnn.nir.described import Described

CUBA = "steps of both time constants; in the event schedule, too, it is updated at the end of each step"
WORDS: dict[str, tuple[str, str]] = {
    "Input": (FAITHFUL, ""),
    "Output": (FAITHFUL, ""),
    "Affine": (FAITHFUL, "weights rounded to quanta; the bias comes once a step"),
    "Linear": (FAITHFUL, "weights rounded to quanta"),
    "Conv1d": (FAITHFUL, "weights rounded to quanta; the bias comes once a step"),
    "Conv2d": (FAITHFUL, "weights rounded to quanta; the bias comes once a step"),
    "AvgPool2d": (FAITHFUL, "folded into the synapses beside it, padding counts as zeros"),
    "SumPool2d": (FAITHFUL, "folded into the synapses beside it"),
    "Flatten": (FAITHFUL, ""),
    "Scale": (FAITHFUL, "folded into the synapses beside it"),
    "Delay": (FAITHFUL, "several delays are several projections"),
    "Threshold": (FAITHFUL, "in the step schedule; in the event schedule it sums up to the end of the step"),
    "IF": (FAITHFUL, ""),
    "LIF": (APPROXIMATE, "steps of the time constant; the leak is on a grid of steps in either schedule"),
    "I": (FAITHFUL, "as the output: its charge is read"),
    "LI": (APPROXIMATE, "as the output; steps of the time constant, on a grid of steps in either schedule"),
    "CubaLIF": (APPROXIMATE, CUBA),
    "CubaLI": (APPROXIMATE, f"as the output; {CUBA}"),
}
"""By node: the word, and what to know of it."""


@dataclass(frozen=True)
class Fidelity:
    """One node: its name, NIR's type, the word, and the reason or what to know."""

    node: str
    kind: str
    word: str
    reason: str


def fidelity(graph: Described) -> list[Fidelity]:
    """Each node of a graph under the choices made: what departs from NIR's own is approximate, and named."""
    found = []
    for name, node in graph.flat.nodes.items():
        kind = type(node).__name__
        word, reason = WORDS[kind]
        notes = [reason] if reason else []
        if kind in ("IF", "LIF", "CubaLIF"):
            departs = _departs(graph.cells[name].choices)
            if departs:
                word = APPROXIMATE
                notes.append(f"as asked: {', '.join(departs)}")
        if name in graph.looped:
            notes.append("its own spikes come back one step later, as the libraries step it")
        if name == graph.readout:
            word = APPROXIMATE
            notes = ["the running sum of what reaches it; NIR's Output is the value of each moment"]
        found.append(Fidelity(name, kind, word, "; ".join(notes)))
    return found


def _departs(choices: Choices) -> list[str]:
    """Choices that are not NIR's own."""
    found = [
        f"{name} {getattr(choices, name)}"
        for name in ("reset", "comparison", "spikes")
        if getattr(choices, name) != NIRS_OWN[name]
    ]
    if choices.lower_clamp is not None:
        found.append(f"lower clamp {choices.lower_clamp:g}")
    return found
