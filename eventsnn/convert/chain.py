"""A trained model as the chain of modules it calls, or a refusal that says what stands in the way.

The model's forward is traced symbolically. A spiking network is built from the modules found, so a
computation that is no module (a functional ReLU, an addition) must stop the conversion: leaving it
out would give a network that runs and is wrong.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import fx, nn

from eventsnn.convert.qcfs import QCFS
from eventsnn.errors import UnsupportedLayer

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout)
SUPPORTED: tuple[type[nn.Module], ...] = (
    nn.Conv2d,
    nn.Linear,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.SyncBatchNorm,
    nn.ReLU,
    QCFS,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Identity,
    *DROPOUTS,
)
ALLOWED = (
    "Supported are Conv2d, Linear, BatchNorm1d and 2d, SyncBatchNorm, ReLU, QCFS, AvgPool2d, "
    "AdaptiveAvgPool2d, Flatten, Dropout and Identity, one after the other."
)
_SMOOTH = "train with ReLU or eventsnn.convert.QCFS as the activation"
_SOFTMAX = "remove it from the model: the decision is the largest logit, with or without it"
_POOL = "use AvgPool2d or a stride of the convolution instead and train again"
_NORM = "use BatchNorm2d, which folds into the layer before it, and train again"
ADVICE = {
    **dict.fromkeys(("MaxPool2d", "AdaptiveMaxPool2d", "LPPool2d", "FractionalMaxPool2d"), _POOL),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Softmax2d"), _SOFTMAX),
    **dict.fromkeys(("ReLU6", "Hardtanh"), "train with eventsnn.convert.QCFS, which saturates as well"),
    **dict.fromkeys(("LeakyReLU", "PReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softplus"), _SMOOTH),
    **dict.fromkeys(("LayerNorm", "GroupNorm", "InstanceNorm2d"), _NORM),
}
_FUNCTIONAL = (
    "use a module for it in the model's __init__ and forward (nn.ReLU() for relu, nn.Flatten() for flatten "
    "or view, nn.AvgPool2d for avg_pool2d); additions and branches have no conversion yet"
)


PARALLEL = ("DataParallel", "DistributedDataParallel")
"""Wrappers that compute what their ``module`` does."""

LINES = """
    model = ...  # build the architecture as for training
    model.load_state_dict({parameters})
    network = eventsnn.convert(model, calibration)
    network.save('network.h5')"""
"""What to do with parameters without architecture, in Python."""


@dataclass(frozen=True)
class Step:
    """One module of the chain and its path in the model, as in ``state_dict``."""

    path: str
    module: nn.Module


class _Tracer(fx.Tracer):
    """Stops at the supported modules and at all of PyTorch's own; looks into everything else."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module becomes one step of the chain."""
        return type(m) in SUPPORTED or super().is_leaf_module(m, module_qualified_name)


def module_chain(model: nn.Module) -> list[Step]:
    """The modules a model calls, in order, as float64 copies on the CPU in evaluation mode.

    Parameters
    ----------
    model : torch.nn.Module
        Any module whose forward calls supported modules one after the other, also inside DataParallel.
        It is not changed.

    Raises
    ------
    UnsupportedLayer
        Another kind of module, a function instead of a module, a branch, a hook, a forward that
        cannot be traced, parameters that are no real numbers. The message names the path.
    """
    model = _unwrapped(model)
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise UnsupportedLayer(
            f"convert takes a torch.nn.Module, found {type(model).__name__}; give the eager model, neither "
            "a compiled or scripted one nor its state_dict"
            + (f". In Python:{LINES.format(parameters='...')}" if isinstance(model, dict) else "")
        )
    _refuse_hooks(model)
    wrapped = nn.Sequential(model) if type(model) in SUPPORTED else model
    try:
        copied = copy.deepcopy(wrapped).eval()
    except (RuntimeError, TypeError) as error:
        raise UnsupportedLayer(
            f"the model {type(model).__name__} cannot be copied ({error}); give one whose parameters are "
            "plain tensors"
        ) from error
    _unwrap_inside(copied)
    steps = _traced(copied)
    for step in steps:
        _refuse_unsupported(step)
        _refuse_what_is_not_real(step)
    copied.to("cpu", torch.float64)
    for module in copied.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # would overwrite the value before it
    return steps


def _unwrapped(model: nn.Module) -> nn.Module:
    while type(model).__name__ in PARALLEL:
        inner = model.module
        if not isinstance(inner, nn.Module):
            break
        model = inner
    return model


def _unwrap_inside(model: nn.Module) -> None:
    for name, child in list(model.named_children()):
        inner = _unwrapped(child)
        if inner is not child:
            setattr(model, name, inner)
        _unwrap_inside(inner)


def _refuse_what_is_not_real(step: Step) -> None:
    """Complex, whole and packed numbers: reading them as weights would drop a part of them."""
    for name, tensor in (*step.module.named_parameters(), *step.module.named_buffers()):
        if name == "num_batches_tracked":
            continue
        what = f"tensor {step.path + '.' + name!r} of the {type(step.module).__name__}"
        if tensor.is_complex():
            raise UnsupportedLayer(
                f"{what} is {tensor.dtype}; a spike carries real weights only, and the imaginary part would "
                "be lost. Train a model of real numbers"
            )
        if not tensor.is_floating_point() or tensor.is_quantized:
            raise UnsupportedLayer(
                f"{what} is {tensor.dtype}; weights are floating-point numbers. Give the model before it was "
                "quantised, or convert its parameters with model.float()"
            )
        if tensor.layout != torch.strided or tensor.is_meta:
            found = "holds no values (device 'meta')" if tensor.is_meta else f"has the layout {tensor.layout}"
            raise UnsupportedLayer(f"{what} {found}; give dense tensors with values")


def _refuse_hooks(model: nn.Module) -> None:
    for path, module in model.named_modules():
        _refuse_pruning(path, module)
        if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
            raise UnsupportedLayer(
                f"module {path or type(module).__name__!r} has a forward hook or a replaced forward, which "
                "may change what it computes; remove it before converting (remove_weight_norm or "
                "remove_spectral_norm if it comes from there)"
            )


def _refuse_pruning(path: str, module: nn.Module) -> None:
    from torch.nn.utils.prune import BasePruningMethod

    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, BasePruningMethod):
            place = f"model.get_submodule({path!r})" if path else "model"
            raise UnsupportedLayer(
                f"module {path or type(module).__name__!r} is pruned by torch.nn.utils.prune, which computes "
                f"{hook._tensor_name!r} anew in each forward; make the pruning permanent before converting: "
                f"torch.nn.utils.prune.remove({place}, {hook._tensor_name!r})"
            )


def _traced(model: nn.Module) -> list[Step]:
    tracer = _Tracer()
    try:
        nodes = list(tracer.trace(model).nodes)
    except Exception as error:  # whatever the user's forward raises when it meets a traced value
        raise UnsupportedLayer(
            f"the forward of {type(model).__name__} cannot be followed: {error}. {ALLOWED} Write the model "
            "as an nn.Sequential"
        ) from error
    inputs = [node for node in nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise UnsupportedLayer(
            f"the forward of {type(model).__name__} takes {len(inputs)} inputs; a model to convert takes one"
        )
    previous, steps = inputs[0], []
    for node in nodes:
        if node.op == "placeholder":
            continue
        if node.op == "output":
            if node.args != (previous,):
                raise UnsupportedLayer(
                    f"{type(model).__name__} does not return the value of its last module alone; "
                    "a model to convert returns one tensor"
                )
            break
        if node.op != "call_module":
            raise UnsupportedLayer(
                f"{_place(node, model)} {_what(node)}. {ALLOWED} To convert it, {_FUNCTIONAL}"
            )
        if node.args != (previous,) or node.kwargs:
            raise UnsupportedLayer(
                f"module {node.target!r} does not read the output of the module called before it; models "
                "with branches or skips have no conversion yet. Give a model that is one chain"
            )
        steps.append(Step(str(node.target), model.get_submodule(str(node.target))))
        previous = node
    return steps


def _place(node: fx.Node, model: nn.Module) -> str:
    """The module in whose forward a node stands."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next((entry[0] for entry in reversed(list(stack.values()))), "")
    return f"module {path!r}" if path else f"the forward of {type(model).__name__}"


def _what(node: fx.Node) -> str:
    if node.op == "get_attr":
        return f"uses the tensor {node.target!r} directly"
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.target)
    return f"calls the function {name!r}, which is no module"


def _refuse_unsupported(step: Step) -> None:
    if type(step.module) in SUPPORTED:
        return
    name = type(step.module).__name__
    if hasattr(step.module, "parametrizations"):
        advice = "call torch.nn.utils.parametrize.remove_parametrizations on it first"
    else:
        advice = ADVICE.get(name, "replace it by supported layers and train again")
    raise UnsupportedLayer(
        f"module {step.path!r} is a {name}, which has no conversion. {ALLOWED} To convert it, {advice}"
    )


def require_decision(path: str, target: tuple[int, int, int]) -> None:
    """Refuse a last layer with a single output: there would be nothing to decide between.

    Raises
    ------
    UnsupportedLayer
    """
    if math.prod(target) < 2:
        raise UnsupportedLayer(
            f"layer {path!r}, the last one, has one output; a decision needs two. Give the model an output "
            "for each class: two rows of weights, 0 and w, with the biases 0 and b, "
            "decide as the sign of w x + b does"
        )
