"""Layers of Keras as modules of PyTorch, on images of shape (channels, y, x)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eventsnn.convert.importers.keras_layer import Layer, Modules, Pair
from eventsnn.convert.importers.keras_pools import padding_of, pool, reduced

# -- activations -------------------------------------------------------------------------------------


def _activation(layer: Layer, name: Any) -> Modules:
    if isinstance(name, dict):  # a serialised function
        name = name.get("config") if isinstance(name.get("config"), str) else name.get("class_name")
    if name in (None, "linear"):
        return {}
    if name not in _ACTIVATIONS:
        layer.refuse(f"has the activation {name!r}, which has no conversion; train with 'relu'")
    return {str(name): _ACTIVATIONS[name](layer)}


def _softmax(layer: Layer) -> nn.Module:
    return nn.Softmax(dim=1)  # Keras: the last axis, which is the channels'


_ACTIVATIONS: dict[str, Callable[[Layer], nn.Module]] = {
    "relu": lambda layer: nn.ReLU(),
    "relu6": lambda layer: nn.ReLU6(),
    "softmax": _softmax,
}


def _only_activation(layer: Layer) -> Modules:
    return _activation(layer, layer.option("activation")) or _same(layer)


def _relu(layer: Layer) -> Modules:
    for name in ("negative_slope", "threshold"):
        if np.any(layer.option(name, default=0.0)):
            layer.refuse(f"has {name}={layer.option(name)}, which has no conversion; train with 0")
    ceiling = layer.option("max_value")
    return {"relu": nn.ReLU() if ceiling is None else nn.Hardtanh(0.0, float(ceiling))}


def _softmax_layer(layer: Layer) -> Modules:
    if layer.option("axis", default=-1) not in (-1, len(layer.shape)):
        layer.refuse(f"is along axis {layer.option('axis')}; only the last axis converts")
    return {"softmax": _softmax(layer)}


# -- weighted ----------------------------------------------------------------------------------------


def _bias(layer: Layer, length: int) -> Tensor | None:
    return layer.weight("bias", (length,)) if layer.option("use_bias", "bias", default=True) else None


def _with_parameters(module: Any, weight: Tensor, bias: Tensor | None) -> nn.Module:
    module.weight = nn.Parameter(weight)
    module.bias = None if bias is None else nn.Parameter(bias)
    return module


def _dense(layer: Layer) -> Modules:
    units = int(layer.option("units", "output_dim"))
    if len(layer.shape) != 1:
        layer.refuse(
            f"reads values of shape {layer.shape}, where it acts on the last axis alone; put Flatten before"
        )
    weight = layer.weight("kernel", (layer.shape[0], units)).T
    dense = _with_parameters(nn.Linear(layer.shape[0], units), weight, _bias(layer, units))
    return {"dense": dense, **_activation(layer, layer.option("activation"))}


def _convolved(
    layer: Layer, kernel: Tensor, bias: Tensor | None, stride: Pair, dilation: Pair, groups: int
) -> Modules:
    """A convolution with a kernel (out, in, y, x) and the layer's padding."""
    out, in_group, rows, columns = kernel.shape
    along_y, along_x = padding_of(layer, (rows, columns), stride, dilation)
    modules: Modules = {}
    around = (along_y[0], along_x[0])
    if along_y[0] != along_y[1] or along_x[0] != along_x[1]:
        modules["pad"] = nn.ZeroPad2d((*along_x, *along_y))
        around = (0, 0)
    conv = nn.Conv2d(in_group * groups, out, (rows, columns), stride, around, dilation, groups)
    modules["conv"] = _with_parameters(conv, kernel.contiguous(), bias)
    return modules


def _conv2d(layer: Layer) -> Modules:
    channels = layer.image()[0]
    filters, groups = int(layer.option("filters", "nb_filter")), int(layer.option("groups", default=1))
    old = "nb_row" in layer.config
    taps = (int(layer.config["nb_row"]), int(layer.config["nb_col"])) if old else layer.pair("kernel_size")
    if old and layer.model_format == "channels_first":  # Keras 1 on Theano's axes
        kernel = layer.weight("kernel", (filters, channels, *taps))
    else:
        kernel = layer.weight("kernel", (*taps, channels // groups, filters)).permute(3, 2, 0, 1)
    if layer.backend == "theano":
        kernel = kernel.flip(2, 3)
    stride, dilation = layer.pair("strides", "subsample"), layer.pair("dilation_rate")
    modules = _convolved(layer, kernel, _bias(layer, filters), stride, dilation, groups)
    return {**modules, **_activation(layer, layer.option("activation"))}


def _depthwise(layer: Layer, bias: bool) -> Modules:
    channels = layer.image()[0]
    if layer.backend == "theano":
        layer.refuse("was trained with Theano, where its kernels' order is not known; train with TensorFlow")
    times, taps = int(layer.option("depth_multiplier", default=1)), layer.pair("kernel_size")
    kernel = layer.weight("depthwise_kernel", (*taps, channels, times))
    kernel = kernel.permute(2, 3, 0, 1).reshape(channels * times, 1, *taps)
    offset = _bias(layer, channels * times) if bias else None
    return _convolved(layer, kernel, offset, layer.pair("strides"), layer.pair("dilation_rate"), channels)


def _depthwise_conv2d(layer: Layer) -> Modules:
    if "kernel" in layer.weights:  # Keras 3
        layer = replace(layer, weights={"depthwise_kernel": layer.weights["kernel"], **layer.weights})
    return {**_depthwise(layer, True), **_activation(layer, layer.option("activation"))}


def _separable_conv2d(layer: Layer) -> Modules:
    modules, filters = _depthwise(layer, False), int(layer.option("filters"))
    wide = layer.image()[0] * int(layer.option("depth_multiplier", default=1))
    kernel = layer.weight("pointwise_kernel", (1, 1, wide, filters)).permute(3, 2, 0, 1).contiguous()
    point = _with_parameters(nn.Conv2d(wide, filters, 1), kernel, _bias(layer, filters))
    modules = {("depthwise" if key == "conv" else key): module for key, module in modules.items()}
    return {**modules, "pointwise": point, **_activation(layer, layer.option("activation"))}


def _batch_norm(layer: Layer) -> Modules:
    axis = layer.option("axis", default=-1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    last = len(layer.shape)
    own = (-1, last) if layer.model_format == "channels_last" or last == 1 else (1,)
    if axis not in own or layer.option("mode", default=0) != 0:
        layer.refuse(f"normalises along axis {axis}; only the axis of channels converts")
    channels = layer.shape[0]
    norm = (nn.BatchNorm2d if last == 3 else nn.BatchNorm1d)(channels, eps=float(layer.option("epsilon")))
    ones = torch.ones(channels, dtype=torch.float64)
    scale = layer.weight("gamma", (channels,)) if layer.option("scale", default=True) else ones
    shift = layer.weight("beta", (channels,)) if layer.option("center", default=True) else 0 * ones
    norm.running_mean = layer.weight("moving_mean", (channels,))
    norm.running_var = layer.weight("moving_variance", (channels,))
    return {"norm": _with_parameters(norm, scale, shift)}


# -- moves -------------------------------------------------------------------------------------------


class _Reshaped(nn.Module):
    """Values in Keras' order of axes, in another shape, and in ours again."""

    def __init__(self, target: Sequence[int], channels_last: bool) -> None:
        super().__init__()
        self.target, self.channels_last = tuple(target), channels_last

    def forward(self, x: Tensor) -> Tensor:
        """Of a batch."""
        if self.channels_last and x.dim() == 4:
            x = x.permute(0, 2, 3, 1)
        x = x.reshape(x.size(0), *self.target)
        return x.permute(0, 3, 1, 2) if self.channels_last and x.dim() == 4 else x


def _flatten(layer: Layer) -> Modules:
    last = layer.model_format == "channels_last"
    if layer.data_format == "channels_first" and len(layer.shape) == 3:
        if last and layer.shape[0] != 1:
            layer.refuse(
                "flattens as for channels_first in a model of channels_last; give both one data format"
            )
        last = True  # Keras puts the channels last before it flattens such images
    return {"flatten": _Reshaped((-1,), last)}


def _reshape(layer: Layer) -> Modules:
    target = layer.option("target_shape")
    if len(target) not in (1, 3) or None in target:
        layer.refuse(f"has the target {target}; only images and vectors convert")
    return {"reshape": _Reshaped(target, layer.model_format == "channels_last")}


def _zero_padding(layer: Layer) -> Modules:
    layer.image()
    found: Any = layer.option("padding", default=1)
    found = [found, found] if isinstance(found, int) else list(found)
    if len(found) == 4:  # Keras 1: top, bottom, left, right
        found = [found[:2], found[2:]]
    (top, bottom), (left, right) = ((n, n) if isinstance(n, int) else n for n in found)
    return {"pad": nn.ZeroPad2d((left, right, top, bottom))}


def _upsampling(layer: Layer) -> Modules:
    if layer.option("interpolation", default="nearest") != "nearest":
        layer.refuse(f"interpolates {layer.option('interpolation')!r}; only 'nearest' converts")
    return {"upsample": nn.Upsample(scale_factor=tuple(map(float, layer.pair("size", default=2))))}


def _same(layer: Layer) -> Modules:
    return {"same": nn.Identity()}


_NOTHING = (
    "Dropout",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "InputLayer",
)
LAYERS: dict[str, Callable[[Layer], Modules]] = {
    **dict.fromkeys(_NOTHING, _same),
    **dict.fromkeys(("Conv2D", "Convolution2D"), _conv2d),
    "DepthwiseConv2D": _depthwise_conv2d,
    "SeparableConv2D": _separable_conv2d,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "Activation": _only_activation,
    "ReLU": _relu,
    "Softmax": _softmax_layer,
    "MaxPooling2D": lambda layer: pool(layer, True),
    "AveragePooling2D": lambda layer: pool(layer, False),
    "GlobalAveragePooling2D": reduced(False),
    "GlobalMaxPooling2D": reduced(True),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "ZeroPadding2D": _zero_padding,
    "UpSampling2D": _upsampling,
}
"""Rules by Keras' class."""
