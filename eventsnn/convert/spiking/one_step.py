"""The forward of a spiking model as one step of time: loops over steps and axes of time taken out.

What models do around their steps is known in a few forms, and anything else is refused by the shapes that no
longer fit, or by name:

- samples and steps that change places at the start (``x.transpose(0, 1)``);
- an image repeated for each step (``x.unsqueeze(0).repeat(T, 1, 1, 1, 1)``, ``x.repeat(T, ...)`` with one
  factor more than axes, ``torch.stack([x] * T)``), and the mean or sum over the steps at the end;
- a loop that gives each step the same input, collects or adds up what comes out, and hands states on;
- several results, of which the first is the output.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from typing import Any

import torch
from torch import fx

from eventsnn.convert.spiking.neurons import Neurons
from eventsnn.errors import UnsupportedLayer

ADDS = (operator.add, operator.iadd, torch.add)
SCALES = (operator.truediv, operator.itruediv, operator.mul, torch.div, torch.mul)


def one_step(module: fx.GraphModule) -> bool:
    """Change a trace to the calls of one step; whether the model itself gives the same for its input.

    Raises
    ------
    UnsupportedLayer
        Steps that differ from each other, or no output that is a step's.
    """
    graph = module.graph
    (output,) = (node for node in graph.nodes if node.op == "output")
    given = _first(module, output.args[0])
    if not isinstance(given, fx.Node):
        return True  # refused where the output is read
    calls = _calls(module)
    repeated = any(len(found) > 1 for found in calls.values())
    same = True
    if repeated:
        given, same = _of_first_step(module, calls, given), False
    without = _without_mean(given)
    if without is not given:
        given, same = without, False
    output.args = (given,)
    if _without_repeats(graph):
        same = False
    graph.eliminate_dead_code()
    module.recompile()
    return same


def _neurons(module: fx.GraphModule, node: Any) -> Neurons | None:
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    found = module.get_submodule(str(node.target))
    return found if isinstance(found, Neurons) else None


def _calls(module: fx.GraphModule) -> dict[str, list[fx.Node]]:
    found: dict[str, list[fx.Node]] = defaultdict(list)
    for node in module.graph.nodes:
        if _neurons(module, node) is not None:
            found[str(node.target)].append(node)
    return found


def _first(module: fx.GraphModule, given: Any) -> Any:
    """The first of several results, the spikes of neurons that return their state, too."""
    while isinstance(given, tuple | list) and given:
        given = given[0]
    neurons = _neurons(module, given)
    if neurons is None or not neurons.gives_state:
        return given
    with module.graph.inserting_after(given):
        return module.graph.call_function(operator.getitem, (given, 0))


# -- loops --------------------------------------------------------------------------------------------------


def _of_first_step(module: fx.GraphModule, calls: dict[str, list[fx.Node]], given: fx.Node) -> fx.Node:
    """What the first step gives to the output.

    Raises
    ------
    UnsupportedLayer
        Steps differ, or the output is no collection or sum of what they give.
    """
    loop = _Loop(module, calls)
    loop.require_alike()
    listed: list[Any] = []
    joined = _without_scale(given)
    if joined.target is torch.stack:
        _flat(joined.args[0], listed)
    else:
        waiting: list[Any] = [joined]
        while waiting:
            node = waiting.pop()
            if isinstance(node, fx.Node) and _adds(node) and (loop.latest[node] > 0 or 0 in node.args):
                waiting += [one for one in node.args if not (isinstance(one, int | float) and one == 0)]
            else:
                listed.append(node)
    nodes = [node for node in listed if isinstance(node, fx.Node) and loop.latest[node] >= 0]
    first = [node for node in nodes if loop.latest[node] == 0]
    steps = sorted(loop.latest[node] for node in nodes)
    if len(first) != 1 or steps != list(range(len(nodes))) or len(nodes) < loop.steps:
        raise UnsupportedLayer(
            "the forward loops over steps and returns what is no list, sum or mean of one value of "
            "each; return "
            "that, or give the module that computes one step"
        )
    for node in nodes:
        if not loop.same(node, first[0], loop.latest[node]):
            raise UnsupportedLayer(LOOP)
    return _first(module, first[0])


LOOP = (
    "the forward calls its neurons several times, and not always with the same: a loop over steps "
    "gives each step "
    "the same input. Give the module that computes one step, and neurons of its own to each place"
)


class _Loop:
    """The calls of a forward that loops over steps.

    Attributes
    ----------
    steps : int
    number : dict of Node to int
        Of each call of neurons, the step.
    latest : dict of Node to int
        The latest step that a call depends on; -1 for none.
    """

    def __init__(self, module: fx.GraphModule, calls: dict[str, list[fx.Node]]) -> None:
        self.module, self.calls = module, calls
        self.number = {node: place for found in calls.values() for place, node in enumerate(found)}
        self.steps = max(len(found) for found in calls.values())
        self.latest: dict[fx.Node, int] = {}
        for node in module.graph.nodes:
            before = [self.latest[one] for one in node.all_input_nodes]
            self.latest[node] = max([self.number.get(node, -1), *before])

    def require_alike(self) -> None:
        """Refuse steps whose calls of neurons differ from those of the first one.

        Raises
        ------
        UnsupportedLayer
        """
        for found in self.calls.values():
            if len(found) != self.steps:
                raise UnsupportedLayer(LOOP)
            for place, node in enumerate(found[1:], start=1):
                states = [one for one in node.args[1:] if isinstance(one, fx.Node)]
                follows = all(self._follows(state, node) for state in states)
                if not follows or not self.same(node.args[0], found[0].args[0], place):
                    raise UnsupportedLayer(LOOP)

    def same(self, one: Any, other: Any, place: int) -> bool:
        """Whether what a later step computes is what the first one does."""
        if not isinstance(one, fx.Node) or not isinstance(other, fx.Node):
            if isinstance(one, tuple | list) and isinstance(other, tuple | list):
                return len(one) == len(other) and all(
                    self.same(a, b, place) for a, b in zip(one, other, strict=True)
                )
            return type(one) is type(other) and bool(one == other)
        if one in self.number or other in self.number:  # their arguments are compared on their own
            alike = one.target == other.target
            return alike and self.number.get(one) == place and self.number.get(other) == 0
        if one is other:
            return self.latest[one] == -1 or place == 0
        alike = one.op == other.op and one.target == other.target and one.kwargs == other.kwargs
        return alike and self.same(one.args, other.args, place)

    def _follows(self, state: fx.Node, call: fx.Node) -> bool:
        """Whether a state that is handed to a call comes from the call before of the same neurons."""
        if state.target is not operator.getitem or state.args[1] == 0:
            return False
        source = state.args[0]
        if not isinstance(source, fx.Node) or source.target != call.target:
            return False
        return self.number.get(source) == self.number[call] - 1


def _adds(node: fx.Node) -> bool:
    return node.target in ADDS or (node.op == "call_method" and node.target in ("add", "add_"))


def _without_scale(node: fx.Node) -> fx.Node:
    """What the means, sums over steps and factors at the end of a forward read."""
    while True:
        source = _without_mean(node)
        scales = node.target in SCALES or (node.op == "call_method" and node.target in ("div", "mul"))
        if source is node and scales and len(node.args) == 2:
            left, right = node.args
            if isinstance(left, fx.Node) and isinstance(right, int | float) and right > 0:
                source = left
        if source is node:
            return node
        node = source


def _flat(value: Any, into: list[Any]) -> None:
    if isinstance(value, tuple | list):
        for one in value:
            _flat(one, into)
    else:
        into.append(value)


# -- axes of time -------------------------------------------------------------------------------------------


def _without_mean(node: fx.Node) -> fx.Node:
    """What a mean or sum over the first axis, that of time, reads."""
    axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", node.kwargs.get("axis"))
    over = (node.op == "call_method" and node.target in ("mean", "sum")) or node.target in (
        torch.mean,
        torch.sum,
    )
    if over and axis in (0, (0,), [0]) and not node.kwargs.get("keepdim"):
        source = node.args[0]
        assert isinstance(source, fx.Node)
        return source
    return node


def _without_repeats(graph: fx.Graph) -> bool:
    """Take out what repeats the input along a new first axis, or swaps it; whether anything did."""
    (start,) = (node for node in graph.nodes if node.op == "placeholder")
    changed = False
    for node in list(start.users):
        repeated = node if _swaps_time(node) else _repeated(node)
        if repeated is not None:
            repeated.replace_all_uses_with(start)
            changed = True
    return changed


def _repeated(node: fx.Node) -> fx.Node | None:
    """The call that ends in an input for each step, where a call begins that."""
    if node.target is torch.stack:
        listed, behind_it = node.args[0], node.args[1:]
        axis = behind_it[0] if behind_it else node.kwargs.get("dim", 0)
        alike = isinstance(listed, tuple | list) and len(set(listed)) == 1
        return node if alike and axis == 0 else None
    if node.op == "call_method" and node.target == "repeat":
        factors = _numbers(node)
        return node if len(factors) in (3, 5) and all(one == 1 for one in factors[1:]) else None
    if _unsqueezes(node) and len(node.users) == 1:
        (behind,) = node.users
        if behind.op == "call_method" and behind.target in ("repeat", "expand"):
            rest = _numbers(behind)[1:]
            return behind if rest and all(one in (1, -1) for one in rest) else None
    return None


def _swaps_time(node: fx.Node) -> bool:
    """Whether the first two axes change places: samples and steps, since a step of a sample has no axis."""
    if node.op == "call_method" and node.target == "permute":
        return _numbers(node) in ((1, 0, 2, 3, 4), (1, 0, 2))
    named = node.op == "call_method" and node.target in ("transpose", "swapaxes", "swapdims")
    axes = _numbers(node)
    return bool(named or node.target is torch.transpose) and sorted(map(str, axes)) == ["0", "1"]


def _unsqueezes(node: fx.Node) -> bool:
    axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    return bool(axis == 0) and (
        (node.op == "call_method" and node.target == "unsqueeze") or node.target is torch.unsqueeze
    )


def _numbers(node: fx.Node) -> tuple[Any, ...]:
    given = node.args[1:]
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], tuple | list) else tuple(given)
