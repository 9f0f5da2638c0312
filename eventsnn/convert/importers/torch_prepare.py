"""A copy of a PyTorch model to follow: float64, evaluation mode, weights as its forward has them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from eventsnn.errors import UnsupportedLayer

PARALLEL = ("DataParallel", "DistributedDataParallel")
"""Wrappers that compute what their ``module`` does."""

_LINES = """
    model = ...  # build the architecture as for training
    model.load_state_dict(...)"""


def float64_copy(model: nn.Module) -> nn.Module:
    """A copy on the CPU in float64 and evaluation mode, without DataParallel. The model is not changed.

    Hooks of weight norm, spectral norm and pruning are still in place: see ``settle_weights``.

    Raises
    ------
    UnsupportedLayer
        No module, a scripted or compiled one, forward hooks, tensors that are no real numbers. The message
        names the path.
    """
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule) or _compiled(model):
        raise UnsupportedLayer(
            f"convert takes a torch.nn.Module, found {type(model).__name__}; give the eager model, neither "
            "a compiled or scripted one nor its state_dict"
            + (f". In Python:{_LINES}" if isinstance(model, dict) else "")
        )
    model = _unwrapped(model)
    for path, module in model.named_modules():
        _refuse_what_is_not_real(path, module)
        _refuse_hooks(path, module)
    # Weight and spectral norm keep the computed weight as an attribute, which has a history and no copy.
    memo = {id(tensor): tensor.detach().clone() for tensor in _computed(model)}
    try:
        copied: nn.Module = copy.deepcopy(model, memo)
    except (RuntimeError, TypeError) as error:
        raise UnsupportedLayer(
            f"the model {type(model).__name__} cannot be copied ({error}); give one whose parameters are "
            "plain tensors"
        ) from error
    _unwrap_inside(copied)
    return copied.eval().to("cpu", torch.float64)


def settle_weights(model: nn.Module) -> None:
    """Make the weights that norms, parametrisations and pruning compute in each forward plain parameters.

    In evaluation mode they depend on parameters alone (spectral norm does no power iteration). Changes
    the model: give it a copy.
    """
    for module in model.modules():
        if parametrize.is_parametrized(module):
            _settle_parametrisations(module)
        for hook in list(module._forward_pre_hooks.values()):
            if isinstance(hook, WeightNorm):
                remove_weight_norm(module, hook.name)
            elif isinstance(hook, SpectralNorm):
                remove_spectral_norm(module, hook.name)
            elif isinstance(hook, prune.BasePruningMethod):
                prune.remove(module, hook._tensor_name)  # type: ignore[no-untyped-call]


def _settle_parametrisations(module: nn.Module) -> None:
    """As ``remove_parametrizations``, which takes the computed attribute from the original's class, too."""
    names = list(module.parametrizations)  # type: ignore[arg-type]
    with torch.no_grad():
        computed = {name: getattr(module, name).detach().clone() for name in names}
    del module._modules["parametrizations"]
    module.__class__ = type(module).__bases__[0]
    for name, tensor in computed.items():
        module.register_parameter(name, nn.Parameter(tensor))


def _compiled(model: nn.Module) -> bool:
    return type(model).__module__.startswith("torch._dynamo")


def _computed(model: nn.Module) -> Iterator[torch.Tensor]:
    for module in model.modules():
        for name, value in vars(module).items():
            if name != "_modules":
                yield from (tensor for tensor in _tensors_in(value) if not tensor.is_leaf)


def _tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """A tensor, or those in a mapping or a list, such as states that steps left behind."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors_in(one)


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


_SETTLED = (WeightNorm, SpectralNorm, prune.BasePruningMethod)


def _refuse_hooks(path: str, module: nn.Module) -> None:
    before = list(module._forward_pre_hooks.values())
    if len(before) == 1 and isinstance(before[0], _SETTLED):
        before = []
    if before or module._forward_hooks or "forward" in vars(module):
        raise UnsupportedLayer(
            f"module {path or type(module).__name__!r} has a forward hook or a replaced forward, which "
            "may change what it computes; remove it before converting (remove_weight_norm, "
            "remove_spectral_norm or prune.remove if it comes from there)"
        )


def _refuse_what_is_not_real(path: str, module: nn.Module) -> None:
    """Complex, whole and packed numbers: reading them as weights would drop a part of them."""
    own = type(module).__module__.startswith("torch.nn.")
    named = (*module._parameters.items(), *module._buffers.items())
    for name, tensor in named:
        if tensor is None or name == "num_batches_tracked":
            continue
        what = f"tensor {(path + '.' if path else '') + name!r} of the {type(module).__name__}"
        if nn.parameter.is_lazy(tensor):
            raise UnsupportedLayer(f"{what} has no values yet; run the model once, or load its parameters")
        if tensor.is_complex():
            raise UnsupportedLayer(
                f"{what} is {tensor.dtype}; a spike carries real weights only, and the imaginary part would "
                "be lost. Train a model of real numbers"
            )
        if tensor.is_quantized or (not tensor.is_floating_point() and (own or name in module._parameters)):
            raise UnsupportedLayer(
                f"{what} is {tensor.dtype}; weights are floating-point numbers. Give the model before it was "
                "quantised, or convert its parameters with model.float()"
            )
        if tensor.layout != torch.strided or tensor.is_meta:
            found = "holds no values (device 'meta')" if tensor.is_meta else f"has the layout {tensor.layout}"
            raise UnsupportedLayer(f"{what} {found}; give dense tensors with values")


def first_channels(model: nn.Module) -> int | None:
    """The channels of the images that a model reads, where its first layer with weights is a convolution."""
    if not isinstance(model, nn.Module):
        return None
    kinds = (nn.Conv2d, nn.Linear, nn.Flatten)
    first = next((module for module in model.modules() if isinstance(module, kinds)), None)
    return first.in_channels if isinstance(first, nn.Conv2d) else None
