"""Which rule a module of PyTorch has: that of its function, with the module's own numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from eventsnn.convert.graph.operations import Quantised
from eventsnn.convert.importers import torch_arithmetic as arithmetic
from eventsnn.convert.importers import torch_layers as layers
from eventsnn.convert.importers import torch_pools as pools
from eventsnn.convert.importers.torch_calls import Call
from eventsnn.convert.importers.torch_names import DROPOUTS
from eventsnn.convert.importers.torch_values import Value, of_rank
from eventsnn.convert.qcfs import QCFS
from eventsnn.convert.spiking.neurons import Neurons
from eventsnn.errors import UnsupportedLayer

Rule = Callable[..., Any]


def _conv2d(call: Call, module: nn.Conv2d, input: Any) -> Value:
    if module.padding_mode != "zeros" and module.padding not in ("valid", 0, (0, 0)):
        call.refuse(
            f" pads with mode {module.padding_mode!r}; only zeros are supported: train with "
            "padding_mode='zeros'"
        )
    return layers.conv2d(
        call,
        input,
        module.weight,
        module.bias,
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
    )


def _conv_transpose2d(call: Call, module: nn.ConvTranspose2d, input: Any) -> Value:
    return layers.conv_transpose2d(
        call,
        input,
        module.weight,
        module.bias,
        module.stride,
        module.padding,
        module.output_padding,
        module.groups,
        module.dilation,
    )


def _batch_norm(call: Call, module: nn.BatchNorm2d, input: Any) -> Value:
    return layers.batch_norm(
        call, input, module.running_mean, module.running_var, module.weight, module.bias, eps=module.eps
    )


def _max_pool2d(call: Call, module: nn.MaxPool2d, input: Any) -> Value:
    return pools.max_pool2d(
        call,
        input,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        module.return_indices,
    )


def _avg_pool2d(call: Call, module: nn.AvgPool2d, input: Any) -> Value:
    return pools.avg_pool2d(
        call,
        input,
        module.kernel_size,
        module.stride,
        module.padding,
        module.ceil_mode,
        module.count_include_pad,
        module.divisor_override,
    )


def _qcfs(call: Call, module: QCFS, input: Any) -> Value:
    source = call.value(input)
    theta = float(module.ceiling().detach())
    if not np.isfinite(theta):
        call.invalid(f" is not finite: theta is {theta}; train again or load other weights")
    unit = of_rank(theta / module.levels, len(source.shape))
    return call.emit(Quantised(unit, 0, module.levels, 0.5, "floor"), source)


def _neurons(call: Call, module: Neurons, input: Any, *state: Any) -> Any:
    source = call.value(input)
    spikes = call.emit(module.operation, source, shape=source.shape)
    if not module.gives_state:
        return spikes
    refusal = UnsupportedLayer(
        f"the forward computes with the voltage of {call.site.owner}; only what neurons send on is "
        "read: their "
        "spikes. Leave the voltage out"
    )
    state_of = (Value(call.site, refusal=refusal) for _ in range(module.gives_state))
    return (spikes, *state_of)


def _same(call: Call, module: nn.Module, input: Any) -> Value:
    return call.value(input)


def _moves(call: Call, module: nn.Module, input: Any) -> Any:
    return call.moves(call.value(input))


def _pads_with_a_constant(call: Call, module: nn.ConstantPad2d, input: Any) -> Any:
    return layers.pad(call, input, module.padding, value=module.value)


def _upsample(call: Call, module: nn.Upsample, input: Any) -> Any:
    return layers.interpolate(call, input, mode=module.mode)


_MOVING = (nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle)
_PADDING = (nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d, nn.ZeroPad2d)
MODULES: dict[type[nn.Module], Rule] = {
    nn.Conv2d: _conv2d,
    nn.ConvTranspose2d: _conv_transpose2d,
    nn.Linear: lambda call, module, input: layers.linear(call, input, module.weight, module.bias),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm), _batch_norm),
    nn.ReLU: lambda call, module, input: arithmetic.relu(call, input),
    nn.ReLU6: lambda call, module, input: arithmetic.relu6(call, input),
    nn.Hardtanh: lambda call, module, input: arithmetic.hardtanh(call, input, module.min_val, module.max_val),
    QCFS: _qcfs,
    Neurons: _neurons,
    nn.MaxPool2d: _max_pool2d,
    nn.AvgPool2d: _avg_pool2d,
    nn.AdaptiveMaxPool2d: lambda call, module, input: pools.adaptive_max_pool2d(
        call, input, module.output_size, module.return_indices
    ),
    nn.AdaptiveAvgPool2d: lambda call, module, input: pools.adaptive_avg_pool2d(
        call, input, module.output_size
    ),
    nn.Softmax: lambda call, module, input: layers.softmax(call, input, module.dim),
    nn.LogSoftmax: lambda call, module, input: layers.log_softmax(call, input, module.dim),
    **dict.fromkeys((nn.Identity, *DROPOUTS), _same),
    **dict.fromkeys((*_MOVING, *_PADDING), _moves),
    nn.ConstantPad2d: _pads_with_a_constant,
    **dict.fromkeys((nn.Upsample, nn.UpsamplingNearest2d), _upsample),
}
"""Rules by exact class: a class of one's own is looked into, whatever it derives from."""

_SMOOTH = "train with ReLU or eventsnn.convert.QCFS as the activation"
_NORM = "use BatchNorm2d, which folds into the layer before it, and train again"
_TIME = "give a feed-forward network, without recurrence and attention"
_POOL = "use MaxPool2d or AvgPool2d instead and train again"
_NAMES = {
    "leakyrelu leaky_relu prelu rrelu elu celu selu gelu silu mish sigmoid logsigmoid hardsigmoid": _SMOOTH,
    "hardswish tanh softplus softsign softmin glu threshold exp log square pow sqrt rsqrt abs": _SMOOTH,
    "hardshrink softshrink tanhshrink": _SMOOTH,
    "layernorm layer_norm groupnorm group_norm rmsnorm rms_norm instancenorm2d instance_norm": _NORM,
    "localresponsenorm local_response_norm normalize": _NORM,
    "lstm gru rnn rnncell lstmcell grucell multiheadattention transformer transformerencoder": _TIME,
    "transformerencoderlayer scaled_dot_product_attention bmm einsum baddbmm": _TIME,
    "lppool2d fractionalmaxpool2d lp_pool2d fractional_max_pool2d": _POOL,
    "conv1d conv3d convtranspose1d convtranspose3d": "use Conv2d and train again",
}
ADVICE = {name: advice for names, advice in _NAMES.items() for name in names.split()}
"""What to do, by the name of a module or function in small letters."""
