"""The forward of a model as a list of calls: traced symbolically, without changes in place.

``torch.fx`` follows the forward with stand-ins for tensors. Parameters are no stand-ins here: what a
forward computes from them alone (standardised weights, learned scales) becomes constants.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from eventsnn.convert.importers.torch_evaluate import run, without_values
from eventsnn.convert.qcfs import QCFS
from eventsnn.errors import UnsupportedLayer

ROOT = "model"
"""What the traced model is called in its wrapper."""

_MOVES = (
    "flatten unflatten view view_as reshape reshape_as ravel squeeze unsqueeze permute transpose swapaxes "
    "swapdims movedim moveaxis getitem pad chunk split tensor_split unbind narrow select index_select flip "
    "roll repeat repeat_interleave tile expand expand_as broadcast_to interpolate pixel_shuffle "
    "pixel_unshuffle channel_shuffle"
)
MOVES = frozenset(_MOVES.split())
"""Functions and methods that move, repeat or drop values, or put zeros between them, in all forms."""

SAME = frozenset(("contiguous", "clone", "detach", "double", "dropout", "dropout1d", "dropout2d", "dropout3d",
                  "alpha_dropout", "feature_alpha_dropout", "positive"))  # fmt: skip
"""Functions and methods that give their input in evaluation mode."""

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)

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


class _Root(nn.Module):
    """Calls the model with one argument, as convert does: other arguments keep their defaults."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any) -> Any:
        return self.model(x)


class _Tracer(fx.Tracer):
    """Stops at PyTorch's own modules and at ours; looks into everything else."""

    def __init__(self, batches: Sequence[Tensor]) -> None:
        super().__init__()
        self.batches = batches
        self.returned: dict[fx.Node, tuple[str, str]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module becomes one call."""
        return type(m) is QCFS or super().is_leaf_module(m, module_qualified_name)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Parameters themselves."""
        return attr_val

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Branches by shapes are taken, those by values or by the number of samples refused."""
        if not without_values(self.graph)[obj.node]:
            return super().to_bool(obj)
        found: list[Any] = []
        for samples in self.batches:
            run(self.root, self.graph, samples.clone(), [obj.node], lambda node, given: found.append(given))
        if len({bool(given) for given in found}) > 1:
            raise ValueError("a branch depends on the number of samples")
        return bool(found[0])

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Notes what a module that is looked into returns."""
        result = super().call_module(m, forward, args, kwargs)
        if isinstance(result, fx.Proxy):
            self.returned.setdefault(result.node, (cut(self.path_of_module(m)), type(m).__name__))
        return result


def traced(
    model: nn.Module, batches: Sequence[Tensor]
) -> tuple[fx.GraphModule, dict[fx.Node, tuple[str, str]]]:
    """The forward of a model with one input, and who returns what: paths and classes of modules.

    ``batches``: samples in batches of several sizes, for branches that depend on shapes. Nothing in the calls
    changes a tensor in place, and casts between floating-point types are casts to float64.

    Raises
    ------
    UnsupportedLayer
        Several inputs, a forward that cannot be followed, a change in place whose reach is not plain.
    """
    _refuse_several_inputs(model)
    tracer, root = _Tracer(batches), _Root(model)
    try:
        with torch.no_grad():
            graph = tracer.trace(root)
    except Exception as error:  # whatever the user's forward raises when it meets a traced value
        raise UnsupportedLayer(
            f"the forward of {type(model).__name__} cannot be followed: {error}. A forward to convert does "
            "the same for every input: remove branches and loops that depend on values, and write the rest "
            "with torch's modules and functions"
        ) from error
    for module in model.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
            for node in graph.nodes:
                if node.op == "call_module" and root.get_submodule(node.target) is module:
                    node.meta["in place"] = True
    _without_changes_in_place(graph, root)
    for node in graph.nodes:
        _cast_to_float64(node)
    return fx.GraphModule(root, graph), tracer.returned


def _refuse_several_inputs(model: nn.Module) -> None:
    needed = [
        parameter.name
        for parameter in inspect.signature(model.forward).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) > 1:
        raise UnsupportedLayer(
            f"the forward of {type(model).__name__} takes {len(needed)} inputs ({', '.join(needed)}); a "
            "model to convert takes one"
        )


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
    if node.op == "call_method" and isinstance(target, str) and target.endswith("_") and target[0] != "_":
        if not callable(getattr(torch.Tensor, target[:-1], None)):
            raise UnsupportedLayer(
                f"the forward changes a tensor in place with Tensor.{target}, which has no conversion; "
                "write it without"
            )
        node.target = target[:-1]
        return True
    return False


def path_of(node: fx.Node) -> str:
    """Path of the module in whose forward a node stands, as in ``state_dict``."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values()]
    if node.op == "call_module":
        paths.append(str(node.target))
    return cut(paths[-1]) if paths else ""


def cut(path: str) -> str:
    """A path in the wrapper as a path in the model."""
    return path.removeprefix(ROOT).removeprefix(".")


def place_of(node: fx.Node, owner: str) -> str:
    """The same, to begin a message with."""
    path = path_of(node)
    return f"module {path!r}" if path else f"the forward of {owner}"


def name_of(target: Any) -> str:
    """What a function is called in messages: ``torch.cat``, ``functional.relu``, ``+``."""
    if isinstance(target, str):
        return f"Tensor.{target}"
    name = getattr(target, "__name__", str(target))
    if name == "fn":  # functions of two forms, with and without indices
        name = next((key for key, value in vars(functional).items() if value is target), name)
    if getattr(operator, name, None) is target:
        return _SIGNS.get(name, name)
    if getattr(functional, name, None) is target:
        return f"functional.{name}"
    return f"torch.{name}" if getattr(torch, name, None) is target else str(name)


_SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "neg": "-",
    "matmul": "@",
    "getitem": "indexing",
}
