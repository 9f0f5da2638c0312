"""Paddings and pools of Keras.

TensorFlow's padding ``same`` puts the odd pixel after; Theano's begins half a kernel before and ends where
the last window does (Keras 2.0, ``theano_backend.conv2d``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from eventsnn.convert.importers.keras_layer import Layer, Modules, Pair


def padding_of(layer: Layer, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Zeros (before, after) along y and x; negative: so many pixels are not read."""
    mode = layer.option("padding", "border_mode", default="valid")
    if mode == "valid":
        return (0, 0), (0, 0)
    if mode != "same":
        layer.refuse(f"pads with mode {mode!r}; only 'valid' and 'same' convert")
    found = []
    for axis in (0, 1):
        length, reach = layer.shape[1 + axis], (kernel[axis] - 1) * dilation[axis] + 1
        total = (-(-length // stride[axis]) - 1) * stride[axis] + reach - length
        if layer.backend == "theano":
            found.append((reach // 2, total - reach // 2))
        else:
            found.append((max(total, 0) // 2, max(total, 0) - max(total, 0) // 2))
            if layer.backend == "cntk" and found[-1][0] != found[-1][1]:
                layer.refuse("pads more on one side as CNTK does, which has no conversion; export it to ONNX")
    return found[0], found[1]


class _Average(nn.Module):
    """Sums over windows, each divided by the number of its pixels inside the image."""

    def __init__(self, padding: tuple[Pair, Pair], kernel: Pair, stride: Pair, shape: Sequence[int]) -> None:
        super().__init__()
        self.padding, self.kernel, self.stride = (*padding[1], *padding[0]), kernel, stride
        inside = functional.pad(torch.ones(1, *shape[1:], dtype=torch.float64), self.padding)
        self.count: Tensor
        self.register_buffer("count", functional.avg_pool2d(inside, kernel, stride, divisor_override=1))

    def forward(self, x: Tensor) -> Tensor:
        """Of a batch of images."""
        padded = functional.pad(x, self.padding)
        return functional.avg_pool2d(padded, self.kernel, self.stride, divisor_override=1) / self.count


def pool(layer: Layer, largest: bool) -> Modules:
    """MaxPooling2D or AveragePooling2D."""
    shape = layer.image()
    kernel = layer.pair("pool_size", default=2)
    stride = layer.pair("strides", default=kernel)
    padding = padding_of(layer, kernel, stride, (1, 1))
    if padding != ((0, 0), (0, 0)) and layer.backend not in ("tensorflow", "jax", "torch", None):
        layer.refuse(f"pads a pool as {layer.backend} does, which has no conversion; use padding='valid'")
    before = (padding[0][0], padding[1][0])
    # PyTorch's windows of ceil mode end with the image, as TensorFlow's do.
    ceil = padding[0][0] != padding[0][1] or padding[1][0] != padding[1][1]
    cells = [_cells(shape[1 + axis], kernel[axis], stride[axis], before[axis], ceil) for axis in (0, 1)]
    wanted = [(shape[1 + axis] + sum(padding[axis]) - kernel[axis]) // stride[axis] + 1 for axis in (0, 1)]
    small = all(2 * pad <= width for pad, width in zip(before, kernel, strict=True))
    if cells == wanted and small:
        if largest:
            return {"pool": nn.MaxPool2d(kernel, stride, before, ceil_mode=ceil)}
        return {"pool": nn.AvgPool2d(kernel, stride, before, ceil, count_include_pad=False)}
    if largest:  # pixels of the border once more change no maximum
        pad = nn.ReplicationPad2d((*padding[1], *padding[0]))
        return {"pad": pad, "pool": nn.MaxPool2d(kernel, stride)}
    return {"pool": _Average(padding, kernel, stride, shape)}


def _cells(length: int, kernel: int, stride: int, before: int, ceil: bool) -> int:
    """How many windows a pool of PyTorch has."""
    span = length + 2 * before - kernel
    if not ceil:
        return span // stride + 1
    cells = -(-span // stride) + 1
    return cells - 1 if (cells - 1) * stride >= length + before else cells


class _Reduced(nn.Module):
    """One value a channel."""

    def __init__(self, largest: bool, keep: bool) -> None:
        super().__init__()
        self.largest, self.keep = largest, keep

    def forward(self, x: Tensor) -> Tensor:
        """Of a batch of images."""
        if self.largest:
            return x.amax((2, 3), keepdim=self.keep)
        return x.mean((2, 3), keepdim=self.keep)


def reduced(largest: bool) -> Callable[[Layer], Modules]:
    """The rule of a global pool."""

    def build(layer: Layer) -> Modules:
        layer.image()
        return {"pool": _Reduced(largest, bool(layer.option("keepdims", default=False)))}

    return build
