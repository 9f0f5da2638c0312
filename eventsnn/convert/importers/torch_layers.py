"""Rules for convolutions, dense layers, batch norm, softmax, joins and moves of values."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from eventsnn.convert.graph.operations import Affine, Concatenate, Convolution, Dense, Softmax
from eventsnn.convert.importers.torch_calls import Call
from eventsnn.convert.importers.torch_pools import pair
from eventsnn.convert.importers.torch_values import Float64, Value

# -- weighted ----------------------------------------------------------------------------------------


def conv2d(
    call: Call,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    """A convolution with zero padding."""
    source = call.image(input)
    kernel = call.finite(weight, "weight")
    out = len(kernel)
    offset = np.zeros(out) if bias is None else call.finite(bias, "bias")
    steps, taps = pair(dilation), kernel.shape[2:]
    if padding == "valid":
        around = ((0, 0), (0, 0))
    elif padding == "same":  # the odd cell of an even kernel is put after
        total = [step * (tap - 1) for step, tap in zip(steps, taps, strict=True)]
        around = ((total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2))
    else:
        along_y, along_x = pair(padding)
        around = ((along_y, along_y), (along_x, along_x))
    operation = Convolution(kernel, offset.reshape(out, 1, 1), pair(stride), around, steps, int(groups))
    return call.emit(operation, source)


def conv_transpose2d(
    call: Call,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    """A transposed convolution: pixels with zeros between and around them, and the kernel turned round."""
    source = call.image(input)
    kernel = call.finite(weight, "weight")
    steps, taps = pair(dilation), kernel.shape[2:]
    places = np.arange(int(np.prod(source.shape)), dtype=np.int64).reshape(source.shape)
    for axis in (0, 1):
        around = steps[axis] * (taps[axis] - 1) - pair(padding)[axis]
        along, length = pair(stride)[axis], places.shape[1 + axis]
        spread = np.arange(-around, (length - 1) * along + 1 + around + pair(output_padding)[axis])
        inside = (spread % along == 0) & (spread >= 0) & (spread < length * along)
        taken = places.take(np.where(inside, spread // along, 0), axis=1 + axis)
        places = np.where(inside.reshape((-1, 1) if axis == 0 else (1, -1)), taken, -1)
    spread_out = call.before_rearranged(source, places, "spread")
    in_group, out_group = len(kernel) // groups, kernel.shape[1]
    turned = kernel.reshape(groups, in_group, out_group, *taps).swapaxes(1, 2)[..., ::-1, ::-1]
    turned = np.ascontiguousarray(turned.reshape(groups * out_group, in_group, *taps))
    offset = np.zeros(len(turned)) if bias is None else call.finite(bias, "bias")
    operation = Convolution(turned, offset.reshape(-1, 1, 1), dilation=steps, groups=int(groups))
    return call.emit(operation, spread_out)


def linear(call: Call, input: Any, weight: Any, bias: Any = None) -> Value:
    """A dense layer."""
    matrix = call.finite(weight, "weight")
    offset = np.zeros(len(matrix)) if bias is None else call.finite(bias, "bias")
    if offset.shape != (len(matrix),):
        call.refuse(f" has a bias of shape {offset.shape}; one value for each output converts")
    return call.emit(Dense(matrix, offset), call.vector(input))


def matmul(call: Call, input: Any, other: Any) -> Value:
    """A vector times constant weights."""
    if isinstance(other, Value) or isinstance(input, Tensor):
        call.refuse(
            " multiplies values of the network with each other; weights are constants, and come second"
        )
    matrix = call.finite(other, "weight").T
    if matrix.ndim != 2:
        call.refuse(f" multiplies with weights of shape {tuple(matrix.shape)}; give a matrix")
    return call.emit(Dense(matrix, np.zeros(len(matrix))), call.vector(input))


def batch_norm(
    call: Call,
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    """Batch norm with its running statistics (Rueckauer et al. 2017, section 2.2.3)."""
    source = call.value(input)
    if training or running_mean is None or running_var is None:
        call.refuse(
            " is a batch norm without running statistics: its output depends on the batch. Train with "
            "track_running_stats=True"
        )
    mean, variance = call.finite(running_mean, "running mean"), call.finite(running_var, "running variance")
    if not (variance + eps > 0).all():
        call.invalid(" has a running variance that is not positive; train again")
    factor, shift = 1 / np.sqrt(variance + eps), np.zeros_like(mean)
    if weight is not None:
        factor = factor * call.finite(weight, "weight")
    if bias is not None:
        shift = call.finite(bias, "bias")
    channels = (-1, *(1,) * (len(source.shape) - 1))
    # Not followed as a curve: levels after it are multiples of one unit of its output, not of its input.
    operation = Affine(factor.reshape(channels), (shift - factor * mean).reshape(channels))
    return call.emit(operation, source)


def softmax(call: Call, input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Value:
    """Softmax over all values of a sample."""
    return _softmax(call, input, dim, logarithm=False)


def log_softmax(call: Call, input: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Value:
    """Its logarithm."""
    return _softmax(call, input, dim, logarithm=True)


def _softmax(call: Call, input: Any, dim: Any, logarithm: bool) -> Value:
    source = call.value(input)
    rank = len(source.shape) + 1
    axis = 1 if dim is None and rank == 2 else dim
    if axis is None or axis % rank == 0 or source.shape[axis % rank - 1] != np.prod(source.shape):
        call.refuse(f" is a softmax along axis {dim} of {source.shape}; only one over all values of a sample")
    return call.emit(Softmax(logarithm), source)


# -- joins and moves ---------------------------------------------------------------------------------


def cat(call: Call, tensors: Any, dim: int = 0, *, axis: int | None = None) -> Value:
    """Values one behind the other, zeros among them."""
    along = (dim if axis is None else axis) % call.result.ndim
    if along == 0:
        call.refuse(" joins samples of a batch; join along another axis")
    shape = call.shape()
    sources: list[Value] = []
    parts: list[Float64] = []
    for tensor in tensors:
        if isinstance(tensor, Value):
            source = call.value(tensor)
            begin = sum(value.shape[along - 1] for value in sources)
            sources.append(source)
            parts.append(np.full(source.shape, begin))
        elif not isinstance(tensor, Tensor) or tensor.ndim != len(shape) + 1 or tensor.any():
            call.refuse(" joins values with constants other than zeros; add constants instead")
        else:
            parts.append(np.full(tensor.shape[1:], -1))
    if len(parts) == len(sources) > 1:
        return call.emit(Concatenate(along - 1), *sources)
    joined = sources[0]
    values = list(shape)
    values[along - 1] = sum(source.shape[along - 1] for source in sources)
    if len(sources) > 1:
        keep = np.concatenate([np.full(part.shape[along - 1], (part >= 0).all()) for part in parts])
        joined = call.inside(
            "joined",
            Concatenate(along - 1),
            sources,
            tuple(values),
            lambda value: np.compress(keep, value, axis=along),
        )
    places = np.arange(int(np.prod(values)), dtype=np.int64).reshape(values)
    begin, blocks = 0, []
    for part in parts:
        length = part.shape[along - 1]
        if (part < 0).any():
            blocks.append(np.full(part.shape, -1, dtype=np.int64))
        else:
            blocks.append(places.take(range(begin, begin + length), axis=along - 1))
            begin += length
    return call.rearranged(joined, np.concatenate(blocks, axis=along - 1))


def moves(call: Call, input: Any, *arguments: Any, **options: Any) -> Any:
    """Whatever only moves values."""
    return call.moves(call.value(input))


def interpolate(call: Call, input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                **options: Any) -> Any:  # fmt: skip
    """Upsampling that repeats values."""
    if mode not in ("nearest", "nearest-exact"):
        call.refuse(
            f" interpolates with mode {mode!r}, which has no conversion; use 'nearest' and train again"
        )
    return call.moves(call.value(input))


def pad(call: Call, input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """Padding with zeros or with values of the image."""
    if mode == "constant" and value:
        call.refuse(f" pads with {value}; only zeros are supported: subtract {value} before and add it after")
    return call.moves(call.value(input))


def getitem(call: Call, input: Any, index: Any) -> Any:
    """A slice, or one of several results."""
    if isinstance(input, tuple | list):
        return input[index]
    return call.moves(call.value(input))


def same(call: Call, input: Any, *arguments: Any, **options: Any) -> Value:
    """What gives its input in evaluation mode: also an input without conversion, which may yet cancel."""
    return input


def dropout(call: Call, input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """No trace, unless it stays random in evaluation mode."""
    if training and p:
        call.refuse(
            " is a dropout that stays random in evaluation mode; call it with training=self.training, or use "
            "nn.Dropout"
        )
    return call.value(input)


def alike(call: Call, input: Any, *arguments: Any, **options: Any) -> Value:
    """Attributes of tensors that are tensors."""
    if arguments != ("data",):
        call.refuse(f" reads the attribute {arguments[0]!r} of a tensor, which has no conversion")
    return call.value(input)
