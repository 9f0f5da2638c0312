"""Numbers of PyTorch modules as the network needs them: finite weights, padding, pooling windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from eventsnn.errors import InvalidNetwork, UnsupportedLayer

Float64 = NDArray[np.float64]


def finite_array(tensor: Tensor, what: str) -> Float64:
    """A tensor as float64, refused if it is not finite; ``what`` names it in the message."""
    values: Float64 = np.asarray(tensor.detach().numpy(), dtype=np.float64)
    if not np.isfinite(values).all():
        raise InvalidNetwork(f"{what} holds NaN or infinite values; train again or load other weights")
    return values


def conv_padding(path: str, module: nn.Conv2d) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding before and after along (y, x); 'same' puts the odd cell of an even kernel after."""
    if module.padding == "valid":
        before = after = (0, 0)
    elif module.padding == "same":
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        before = (total[0] // 2, total[1] // 2)
        after = (total[0] - before[0], total[1] - before[1])
    else:
        before = after = (int(module.padding[0]), int(module.padding[1]))
    if module.padding_mode != "zeros" and after != (0, 0):
        raise UnsupportedLayer(
            f"module {path!r} pads with mode {module.padding_mode!r}; only zeros are supported: "
            "train with padding_mode='zeros'"
        )
    return before, after


def pool_window(
    path: str, module: nn.AvgPool2d | nn.AdaptiveAvgPool2d, cells: tuple[int, int]
) -> tuple[tuple[int, int], float]:
    """Rows and columns of a pooled cell, and what its sum is divided by."""
    if isinstance(module, nn.AdaptiveAvgPool2d):
        asked = _pair(module.output_size)
        size = tuple(n if wanted is None else wanted for n, wanted in zip(cells, asked, strict=True))
        if any(n % wanted for n, wanted in zip(cells, size, strict=True)):
            raise UnsupportedLayer(
                f"module {path!r} averages {cells[0]} x {cells[1]} pixels to {size[0]} x {size[1]}: its "
                "windows overlap. Use AdaptiveAvgPool2d(1) or a size that divides the input"
            )
        window = (cells[0] // size[0], cells[1] // size[1])
        return window, float(window[0] * window[1])
    kernel, stride, padding = _pair(module.kernel_size), _pair(module.stride), _pair(module.padding)
    partial = module.ceil_mode and (cells[0] % kernel[0] or cells[1] % kernel[1])
    if kernel != stride or padding != (0, 0) or partial:
        raise UnsupportedLayer(
            f"module {path!r} is an average pool with kernel {kernel}, stride {stride}, padding {padding}, "
            f"ceil_mode {module.ceil_mode}; only windows side by side fold into the next layer: use a stride "
            "equal to the kernel, no padding and ceil_mode=False"
        )
    return kernel, float(module.divisor_override or kernel[0] * kernel[1])


def _pair(value: object) -> tuple[int, int]:
    """A size given as one number or one per axis."""
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return first, second
