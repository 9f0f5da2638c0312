"""A traced graph without changes of tensors in place and without types of numbers but float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from eventsnn.convert.importers.torch_names import DROPOUTS, MOVES, SAME, place_of
from eventsnn.errors import UnsupportedLayer

_FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_FUNCTIONAL = {
    getattr(space, name): getattr(space, name[:-1])
    for space in (torch, functional)
    for name in dir(space)
    if name.endswith("_")
    and not name.startswith("_")
    and callable(getattr(space, name))
    and hasattr(space, name[:-1])
}


def rewrite(graph: fx.Graph, root: nn.Module) -> None:
    """Calls that change a tensor in place become calls with a new one; casts become casts to float64.

    Parameters
    ----------
    graph : fx.Graph
        Changed.
    root : nn.Module
        The wrapper that it is the trace of; its modules lose their option ``inplace``.

    Raises
    ------
    UnsupportedLayer
        A change in place whose reach is not plain.
    """
    for module in root.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
            for node in graph.nodes:
                if node.op == "call_module" and root.get_submodule(node.target) is module:
                    node.meta["in place"] = True
    _without_changes_in_place(graph, root)
    for node in graph.nodes:
        _cast_to_float64(node)


def _cast_to_float64(node: fx.Node) -> None:
    """Casts between floating-point types only cost digits; the copy computes in float64 throughout."""
    if node.op != "call_method" or not node.args:
        return
    floating = node.target in ("float", "half", "bfloat16", "double", "type_as", "cpu", "cuda")
    if node.target in ("to", "type"):
        wanted = [*node.args[1:], *node.kwargs.values()]
        floating = all(_keeps_floats(argument) for argument in wanted)
    if floating:
        node.target, node.args, node.kwargs = "double", (node.args[0],), {}


def _keeps_floats(argument: Any) -> bool:
    """Whether ``to(argument)`` leaves floating-point numbers what they are, up to digits."""
    if isinstance(argument, torch.dtype):
        return argument in _FLOATING
    if isinstance(argument, fx.Node):  # another value, or its dtype or device
        return argument.op != "call_function" or argument.target is not getattr or argument.args[1] != "shape"
    return isinstance(argument, torch.device | str | bool)


def _without_changes_in_place(graph: fx.Graph, root: nn.Module) -> None:
    """Calls that change a tensor become calls that give a new one, read by what read the old one later."""
    place = {node: number for number, node in enumerate(graph.nodes)}
    shares: dict[fx.Node, fx.Node] = {}  # the first of the nodes whose tensors may share memory
    for node in graph.nodes:
        source = node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None
        shares[node] = shares[source] if source is not None and _may_share(node, root) else node
        if not _changes_in_place(node) or source is None:
            continue
        for other in [other for other in shares if shares[other] is shares[source] and other is not source]:
            if other is not node and any(place[user] > place[node] for user in other.users):
                owner = place_of(node, type(root.model).__name__)
                raise UnsupportedLayer(
                    f"{owner} changes a tensor in place ({node.target}) that is read later "
                    "through another view of it; give the call a result of its own (inplace=False)"
                )
        source.replace_all_uses_with(
            node,
            delete_user_cb=lambda user, node=node: place[user] > place[node],  # type: ignore[misc]
        )


def _may_share(node: fx.Node, root: nn.Module) -> bool:
    if node.op == "call_module":
        module = root.get_submodule(str(node.target))
        return type(module).__module__.startswith("torch.nn.") and isinstance(
            module, (nn.Identity, nn.Flatten, nn.Unflatten, nn.ChannelShuffle, *DROPOUTS)
        )
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] in ("data", "T", "mT")
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return node.op in ("call_function", "call_method") and name in MOVES | SAME | {"to", "type", "float"}


def _changes_in_place(node: fx.Node) -> bool:
    """Whether a call changed its first argument; it does no more."""
    if node.op == "call_module":
        return bool(node.meta.get("in place"))
    if node.kwargs.get("inplace") is True:
        node.kwargs = {**node.kwargs, "inplace": False}
        return True
    if node.op == "call_function" and node.target in _FUNCTIONAL:
        node.target = _FUNCTIONAL[node.target]
        return True
    target = node.target
    if node.op == "call_method" and target == "requires_grad_":
        node.target, node.args, node.kwargs = "detach", node.args[:1], {}
        return False
    if node.op == "call_method" and isinstance(target, str) and target.endswith("_") and target[0] != "_":
        if not callable(getattr(torch.Tensor, target[:-1], None)):
            raise UnsupportedLayer(
                f"the forward changes a tensor in place with Tensor.{target}, which has no conversion; "
                "write it without"
            )
        node.target = target[:-1]
        return True
    return False
