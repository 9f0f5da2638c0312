"""Names of populations: the paths of the original's layers, made readable and unique."""

from __future__ import annotations

from collections.abc import Sequence

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import AveragePool, Input

INPUT = "input"
"""Name of the input population."""

FIRST_SPIKES = f"{INPUT}#first"
"""Name of the neurons that fire once for each value of the input."""


def population_names(layers: Sequence[Layer]) -> dict[str, str]:
    """The population's name of each layer, by layer.

    That of the weighted node it comes from, behind the kind of node if it is only a number; a name that
    repeats is numbered from the second time on.
    """
    found: dict[str, str] = {}
    taken = [INPUT]
    for layer in layers:
        if isinstance(layer.operation, Input):
            found[layer.name] = INPUT
            continue
        readable = any(letter.isalpha() for letter in layer.path)
        name = (layer.path if readable else f"{_kind(layer)}_{layer.path}").replace("/", "_")
        if name in (".", "..", ""):
            name = f"{_kind(layer)}_{name}"
        times = taken.count(name) + 1
        found[layer.name] = f"{name}#{times}" if times > 1 else name
        taken.append(name)
    return found


def _kind(layer: Layer) -> str:
    if len(layer.branches) == 1 and isinstance(layer.branches[0].linear, AveragePool):
        return "mean"
    return layer.origin.rpartition(".")[2].lower() or "layer"


def projection_name(source: str, target: str, taken: Sequence[str]) -> str:
    """``source-target``, numbered from the second one on."""
    name = f"{source}-{target}"
    times = 2
    while name in taken:
        name = f"{source}-{target}#{times}"
        times += 1
    return name
