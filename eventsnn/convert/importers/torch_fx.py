"""A PyTorch model as a conversion graph, found by following its forward.

The forward is traced with ``torch.fx`` and run once on random samples; every call on the way becomes an
operation of the graph or a refusal that names it. Last, what the model itself gives for these samples is
compared with what the trace gave: a forward that does something else than its trace is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from eventsnn.convert.graph.graph import Graph, Original
from eventsnn.convert.importers.torch_evaluate import Evaluator, Float64Mode
from eventsnn.convert.importers.torch_prepare import float64_copy, settle_weights
from eventsnn.convert.importers.torch_read import BATCHES, INPUT, Reading
from eventsnn.convert.importers.torch_trace import traced
from eventsnn.convert.importers.torch_values import Nodes
from eventsnn.errors import UnsupportedLayer

_EQUAL = 1e-9


def import_torch(
    model: nn.Module, input_shape: Sequence[int], change: Callable[[fx.GraphModule], bool] | None = None
) -> Original:
    """The graph of a model, and the model itself to evaluate.

    Parameters
    ----------
    model : torch.nn.Module
        A feed-forward model with one input and one output, evaluated as in evaluation mode. Not changed.
    input_shape : sequence of int
        Of one sample: ``(channels, y, x)`` or ``(features,)``.
    change : callable, optional
        Changes the calls of the forward before they are read; whether they still give what the model gives,
        the first of several results.

    Raises
    ------
    UnsupportedLayer
        A module or function without conversion, named with its place, or a forward that cannot be followed.
    InvalidNetwork
        Shapes that do not fit, weights that are not finite.
    """
    copied = float64_copy(model)
    shape = tuple(int(length) for length in input_shape)
    samples = torch.randn(
        BATCHES[-1], *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    truth = _own_result(copied, samples[: BATCHES[0]])
    settle_weights(copied)
    module, returned = traced(copied, [samples[:number] for number in BATCHES])
    same = change is None or change(module)
    reading = Reading(module, returned, samples, type(copied).__name__)
    output = reading.all_nodes()
    if same:
        while change is not None and isinstance(truth, tuple | list) and truth:
            truth = truth[0]
        _compare(type(copied).__name__, truth, reading.result[: BATCHES[0]])
    nodes = reading.nodes
    kept = _read_by(nodes, output)
    graph = Graph([nodes.nodes[name] for name in kept], output)
    evaluate = Evaluator(module, {name: nodes.places[name] for name in kept}, shape)
    return Original(graph, evaluate, f"torch {torch.__version__}")


def _read_by(nodes: Nodes, output: str) -> list[str]:
    """Names of the nodes that the output depends on, and of the input, in order."""
    needed = {output, INPUT}
    for name in reversed(nodes.nodes):
        if name in needed:
            needed.update(nodes.nodes[name].inputs)
    return [name for name in nodes.nodes if name in needed]


def _own_result(model: nn.Module, samples: Tensor) -> Any:
    try:
        with torch.no_grad(), Float64Mode():
            return model(samples.clone())
    except Exception as error:  # whatever the user's forward raises
        return error


def _compare(name: str, truth: Any, result: Tensor) -> None:
    if isinstance(truth, Exception):
        raise UnsupportedLayer(
            f"the forward of {name} does not run in float64 on a batch of {BATCHES[0]}: {truth}. Write it "
            "for any number of samples, without fixed types of numbers"
        ) from truth
    scale = max(1.0, float(result.abs().max()))
    if truth.shape != result.shape or not bool(((truth - result).abs() <= _EQUAL * scale).all()):
        raise UnsupportedLayer(
            f"the forward of {name} gives something else than the calls that it consists of: it is random in "
            "evaluation mode, changes tensors in place that are read later, or computes with several "
            "samples. Write it as a function of its input alone"
        )
