"""How faithful each module is, in one of three words: faithful, approximate, unsupported (refused)."""

from __future__ import annotations

from collections.abc import Sequence

from eventsnn.convert.graph.graph import Graph
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import (
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Input,
    LinearMap,
    MaxPool,
    Rearrange,
    Softmax,
)
from eventsnn.convert.spiking.base import APPROXIMATE, FAITHFUL
from eventsnn.convert.spiking.stand_ins import StandIns

WEIGHTS = "weights rounded to quanta; a bias comes once a step"
WORDS: dict[type, tuple[str, str]] = {
    Input: (FAITHFUL, ""),
    Convolution: (FAITHFUL, WEIGHTS),
    Dense: (FAITHFUL, WEIGHTS),
    LinearMap: (FAITHFUL, WEIGHTS),
    Affine: (FAITHFUL, "folded into the synapses beside it"),
    AveragePool: (FAITHFUL, "folded into the synapses beside it"),
    MaxPool: (FAITHFUL, "neurons that fire in a step in which any of their window does"),
    Add: (FAITHFUL, "synapses from each of its terms"),
    Concatenate: (FAITHFUL, ""),
    Rearrange: (FAITHFUL, ""),
    Softmax: (FAITHFUL, "left out: the order of the classes stays"),
}
"""By operation: the word, and what to know of it."""

READOUT = "read as the running sum of what reaches it: the model's mean over the steps, times their number"


def fidelity(graph: Graph, layers: Sequence[Layer], replaced: StandIns) -> dict[str, list[str]]:
    """Class, word and what to know of each module or call of the forward, by name."""
    found = {}
    for node in graph:
        if node.name in replaced.neurons:
            described = replaced.neurons[node.name]
            found[node.name] = [replaced.kinds[node.name], FAITHFUL, described.note]
            continue
        word, note = WORDS[type(node.operation)]
        if node.name == graph.output and layers[-1].operation is None:
            word, note = APPROXIMATE, READOUT
        found[node.name] = [node.origin or type(node.operation).__name__, word, note]
    return found
