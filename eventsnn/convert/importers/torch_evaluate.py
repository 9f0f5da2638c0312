"""A traced model run for the values of some of its calls, holding no other longer than needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from eventsnn.convert.graph.graph import Shape
from eventsnn.convert.importers.torch_values import Float64, Place
from eventsnn.errors import InvalidRequest

_NAMES = (
    "size dim ndimension numel nelement is_floating_point zeros_like ones_like full_like new_zeros new_ones "
    "new_full"
)
_SHAPES_ONLY = frozenset(_NAMES.split())
_SHORT = (torch.float32, torch.float16, torch.bfloat16)
_ATTRIBUTES = ("shape", "ndim", "dtype", "device", "layout", "requires_grad", "is_cuda", "itemsize")


class Float64Mode(TorchFunctionMode):
    """Computes in float64 whatever floating-point type is asked for: types of numbers only cost digits."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given, named = _long(args), _long(kwargs or {})
        if func in (Tensor.float, Tensor.half, Tensor.bfloat16):
            return given[0].double()
        return _long(func(*given, **named))


def _long(value: Any) -> Any:
    """Tensors and types of lower precision as float64, wherever they are in an argument."""
    if isinstance(value, torch.dtype):
        return torch.float64 if value in _SHORT else value
    if isinstance(value, Tensor):
        return value.double() if value.dtype in _SHORT else value
    if type(value) in (tuple, list):
        return type(value)(map(_long, value))
    return {key: _long(part) for key, part in value.items()} if type(value) is dict else value


def reads_shapes_only(node: fx.Node) -> bool:
    """Whether a call reads no more of tensors than their shapes."""
    if node.op == "call_method":
        return node.target in _SHAPES_ONLY
    if node.target is getattr:
        return node.args[1] in _ATTRIBUTES
    name = getattr(node.target, "__name__", "")
    return node.op == "call_function" and name in _SHAPES_ONLY and getattr(torch, name, None) is node.target


def without_values(graph: fx.Graph) -> dict[fx.Node, bool]:
    """For each call whether its result depends at most on the shape of the input."""
    free: dict[fx.Node, bool] = {}
    for node in graph.nodes:
        constant = all(free[source] for source in node.all_input_nodes) and node.op != "placeholder"
        free[node] = constant or reads_shapes_only(node)
    return free


def last_readers(nodes: Sequence[fx.Node]) -> dict[fx.Node, list[fx.Node]]:
    """For each of these nodes in order, those whose values no later one reads."""
    last = {node: node for node in nodes}
    for node in nodes:
        for read in node.all_input_nodes:
            last[read] = node
    done: dict[fx.Node, list[fx.Node]] = {node: [] for node in nodes}
    for node, reader in last.items():
        done[reader].append(node)
    return done


class _Interpreter(fx.Interpreter):
    """Calls forwards without hooks (there are none), so that a model can run while another is traced."""

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """The forward of a module."""
        return self.module.get_submodule(target).forward(*args, **kwargs)


def run(
    module: nn.Module,
    graph: fx.Graph,
    samples: Tensor,
    wanted: Iterable[fx.Node],
    take: Callable[[fx.Node, Any], None],
) -> None:
    """Run what some nodes depend on; ``take`` is given each and its value as soon as it is there."""
    asked = set(wanted)
    needed = set(asked)
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
    nodes = [node for node in graph.nodes if node in needed]
    done = last_readers(nodes)
    interpreter = _Interpreter(module, garbage_collect_values=False, graph=graph)
    interpreter.args_iter = iter((samples,))
    with torch.no_grad(), Float64Mode():
        for node in nodes:
            interpreter.env[node] = interpreter.run_node(node)
            if node in asked:
                take(node, interpreter.env[node])
            for read in done[node]:
                del interpreter.env[read]


class Evaluator:
    """The float64 copy of the model: ``evaluate(values, names)``.

    Parameters
    ----------
    module : fx.GraphModule
    places : mapping of str to Place
        By name of a node of the graph.
    shape : tuple of int
        Of one sample of the input.
    """

    def __init__(self, module: fx.GraphModule, places: Mapping[str, Place], shape: Shape) -> None:
        self.module, self.places, self.shape = module, dict(places), shape

    def __call__(self, values: Float64, names: Sequence[str]) -> dict[str, Float64]:
        """Values of nodes, float64 (samples, *node shape), for a batch (samples, *input shape).

        Raises
        ------
        InvalidRequest
            A name that the graph does not have, values of another shape.
        """
        batch = np.array(values, dtype=np.float64)
        if batch.shape[1:] != self.shape:
            raise InvalidRequest(
                f"values of shape {batch.shape} do not fit the model, which reads (samples, "
                f"{', '.join(map(str, self.shape))})"
            )
        unknown = [name for name in names if name not in self.places]
        if unknown:
            raise InvalidRequest(
                f"the graph has no node {unknown[0]!r}; its nodes are {', '.join(self.places)}"
            )
        # Of one sample two copies: squeeze() without axes would drop the axis of samples.
        given = np.repeat(batch, 2, axis=0) if len(batch) == 1 else batch
        asked: dict[fx.Node, list[str]] = {}
        for name in names:
            asked.setdefault(self.places[name].node, []).append(name)
        found: dict[str, Float64] = {}

        def take(node: fx.Node, result: Any) -> None:
            for name in asked[node]:
                place = self.places[name]
                tensor = result if place.result is None else result[place.result]
                value = np.asarray(tensor.numpy()[: len(batch)], dtype=np.float64)
                found[name] = value if place.change is None else place.change(value)

        run(self.module, self.module.graph, torch.from_numpy(given), asked, take)
        return {name: found[name] for name in names}
