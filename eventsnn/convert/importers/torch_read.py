"""A traced model read call by call: each becomes operations of the graph, or a refusal."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from eventsnn.convert.graph.operations import Input
from eventsnn.convert.importers.torch_calls import Call
from eventsnn.convert.importers.torch_evaluate import (
    Float64Mode,
    last_readers,
    reads_shapes_only,
    run,
    without_values,
)
from eventsnn.convert.importers.torch_functions import FUNCTIONS, METHODS, Rule
from eventsnn.convert.importers.torch_modules import ADVICE, MODULES
from eventsnn.convert.importers.torch_names import name_of, path_of, place_of
from eventsnn.convert.importers.torch_values import EQUAL, Nodes, Site, Value, depends
from eventsnn.errors import InvalidNetwork, UnsupportedLayer

INPUT = "input"
"""Name of the node of the network's input."""

BATCHES = (2, 3)
"""Numbers of samples tried: what a call gives for one may not depend on how many there are."""


def _constants(module: fx.GraphModule, samples: Tensor) -> dict[fx.Node, Any]:
    """What the calls that do not depend on the values of the input give for these samples."""
    free = without_values(module.graph)
    wanted = [
        node for node, constant in free.items() if constant and node.op in ("call_function", "call_method")
    ]
    found: dict[fx.Node, Any] = {}
    try:
        run(module, module.graph, samples, wanted, found.__setitem__)
    except Exception as error:
        if isinstance(error, KeyboardInterrupt | MemoryError):
            raise
        return {}  # the same error is met, and told, where calls are read
    return found


def _alike(first: Any, second: Any) -> bool:
    """Whether results for few and for more samples are the same, apart from that number along a first axis.

    Up to rounding: scales of gradients hold the number of samples and cancel.
    """
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=EQUAL)
    if not isinstance(first, Tensor) or not isinstance(second, Tensor):
        return bool(first == second)
    if first.ndim == second.ndim > 0 and (len(first), len(second)) == BATCHES[::-1]:
        first, second = first[:1], second[:1]
    return first.shape == second.shape and torch.allclose(
        first.double(), second.double(), rtol=EQUAL, atol=0, equal_nan=True
    )


class Reading(fx.Interpreter):
    """Runs the trace once on random samples and reads each call."""

    def __init__(
        self,
        module: fx.GraphModule,
        returned: Mapping[fx.Node, tuple[str, str]],
        samples: Tensor,
        owner: str,
    ) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.nodes, self.returned, self.samples, self.owner = Nodes(), returned, samples, owner
        self.varying: set[fx.Node] = set()
        self.called: set[Value] = set()
        self.fewer = _constants(module, samples[: BATCHES[0]])
        self.args_iter = iter((samples,))
        self.values: dict[fx.Node, Any] = {}  # Value, several of them, or what does not depend on the input
        self.result: Any = samples

    def all_nodes(self) -> str:
        """Read all calls; the name of the graph's output."""
        *calls, last = self.graph.nodes
        done = last_readers(calls)
        for node in calls:
            self.env[node] = self._run(node)
            self.values[node] = self._read(node)
            if node is last.args[0]:
                self.result = self.env[node]
            for read in done[node]:
                del self.env[read]
        return self._output(last)

    def _output(self, node: fx.Node) -> str:
        (given,) = node.args
        owner = self.owner
        if not isinstance(given, fx.Node) or not isinstance(self.result, Tensor):
            found: Any = self.result if isinstance(given, fx.Node) else given
            kind = next((kind for kind in (dict, tuple, list) if isinstance(found, kind)), type(found))
            keys = f" with {', '.join(map(repr, found))}" if kind is dict else ""
            raise UnsupportedLayer(
                f"{owner} returns a {kind.__name__}{keys}; a model to convert returns one tensor, the "
                "class scores. Wrap it in a module that returns these alone"
            )
        value = self.values[given]
        if not isinstance(value, Value):
            raise UnsupportedLayer(f"{owner} returns what does not depend on its input")
        return self.nodes.read(value)

    def _run(self, node: fx.Node) -> Any:
        try:
            with torch.no_grad(), Float64Mode():
                return self.run_node(node)
        except Exception as error:  # whatever PyTorch says of shapes that do not fit
            if self._rule(node) is None:
                raise self._without_rule(node) from error
            for value in map(self.values.get, node.all_input_nodes):
                if isinstance(value, Value) and value.refusal is not None:
                    raise value.refusal.with_traceback(None) from error  # its shape may be of no use
            raise InvalidNetwork(
                f"{self._place(node)}, which does not fit what it reads, for inputs of shape "
                f"{tuple(self.samples.shape[1:])}: {str(error).splitlines()[0]}; give "
                "samples of the size that the model was trained for"
            ) from error

    def _read(self, node: fx.Node) -> Any:
        result = self.env[node]
        if node.op == "placeholder":
            site = Site(node, INPUT, "input", "the input", "the input")
            value = Value(site, tuple(result.shape[1:]))
            self.nodes.after(value, Input(), ())
            return value
        if reads_shapes_only(node) or not any(
            depends(self.values[source]) for source in node.all_input_nodes
        ):
            if node in self.fewer and not _alike(result, self.fewer[node]):
                self.varying.add(node)
            return result
        site = Site(node, self._name(node), self._origin(node), place_of(node, self.owner), self._place(node))
        rule = self._rule(node)
        if rule is None:
            return Value(site, refusal=self._without_rule(node))
        call = Call(self.nodes, site, result, len(self.samples), self.varying, self._again)
        try:
            arguments, named = self._arguments(node)
            try:
                inspect.signature(rule).bind(call, *arguments, **named)
            except TypeError as error:
                raise site.refusal(f" is called in a way that has no conversion ({error})") from error
            value = rule(call, *arguments, **named)
        except UnsupportedLayer as refusal:
            return Value(site, refusal=refusal)
        return self._named(node, value)

    def _arguments(self, node: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def given(argument: fx.Node) -> Any:
            value = self.values[argument]
            return value if depends(value) else self.env[argument]

        module = (self.module.get_submodule(str(node.target)),) if node.op == "call_module" else ()
        arguments: Any = fx.node.map_arg(node.args, given)
        named: Any = fx.node.map_arg(node.kwargs, given)
        return (*module, *arguments), named

    def _again(self, node: fx.Node, tensor: Tensor) -> Any:
        """The call once more, with a tensor in the place of the first value it reads."""
        source = node.all_input_nodes[0]
        before, self.env[source] = self.env[source], tensor
        try:
            with torch.no_grad(), Float64Mode():
                return self.run_node(node)
        finally:
            self.env[source] = before

    def _named(self, node: fx.Node, value: Any) -> Any:
        """Curves that wait are called after the module that returns them, the innermost."""
        path, origin = self.returned.get(node, ("", ""))
        waits = isinstance(value, Value) and value.name is None and value.base is not None
        if path and waits and value not in self.called:
            self.called.add(value)
            value.site = replace(value.site, name=path, origin=origin)
        return value

    def _rule(self, node: fx.Node) -> Rule | None:
        if node.op == "call_module":
            return MODULES.get(type(self.module.get_submodule(str(node.target))))
        if node.op == "call_method":
            return METHODS.get(str(node.target))
        if node.op == "call_function":
            return FUNCTIONS.get(node.target)
        return None

    def _name(self, node: fx.Node) -> str:
        path = path_of(node)
        if node.op == "call_module":
            return path
        word = name_of(node.target).rpartition(".")[2]
        return ".".join(filter(None, (path, word if word[0].isalpha() else str(node.target.__name__))))  # type: ignore[union-attr]

    def _origin(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.module.get_submodule(str(node.target))).__name__
        return name_of(node.target)

    def _place(self, node: fx.Node) -> str:
        owner = place_of(node, self.owner)
        if node.op == "call_module":
            return f"{owner} is a {self._origin(node)}" if path_of(node) else f"the {self._origin(node)}"
        return f"{owner} calls {self._origin(node)}"

    def _without_rule(self, node: fx.Node) -> UnsupportedLayer:
        word, place = self._origin(node).rpartition(".")[2].lower(), self._place(node)
        advice = ADVICE.get(word.rstrip("_"), "replace it by supported layers and train again")
        if node.op == "call_module" and word in {kind.__name__.lower() for kind in MODULES}:
            own = type(self.module.get_submodule(str(node.target)))
            place = f"{place} of {own.__module__}"  # a quantised one has the same name
            advice = "give the model before it was quantised or compiled"
        return UnsupportedLayer(
            f"{place}, which has no conversion. Supported are convolutions, linear layers, "
            "batch norms, ReLU, integer activations, pools, sums, concatenation and moves of values. To "
            f"convert it, {advice}"
        )
