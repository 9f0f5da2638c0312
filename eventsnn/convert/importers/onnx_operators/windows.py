"""Where the windows of convolutions and pools lie: padding by word and by number, ceil mode, dilation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from eventsnn.convert.graph.graph import Float64
from eventsnn.convert.graph.operations import Windows
from eventsnn.convert.importers.onnx_refusals import refusal

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def pair(node: onnx.NodeProto, attributes: dict[str, Any], name: str) -> Pair:
    """An attribute with one number along y and one along x; 1 each if it is not there."""
    found = tuple(attributes.get(name, (1, 1)))
    if len(found) != 2 or min(found) < 1:
        raise refusal(node, f"{name} are {list(found)}; two positive numbers (y, x) have a conversion")
    return found[0], found[1]


def pads_of(
    node: onnx.NodeProto, attributes: dict[str, Any], size: Pair, kernel: Pair, stride: Pair, dilation: Pair
) -> Pads:
    """Padding (before, after) along y and along x, as ``pads`` or ``auto_pad`` say."""
    word = attributes.get("auto_pad", "NOTSET")
    if word not in PADDINGS:
        raise refusal(node, f"auto_pad {word!r} is unknown; one of {', '.join(PADDINGS)}")
    given = tuple(attributes.get("pads", (0, 0, 0, 0)))
    if word == "NOTSET":
        if len(given) != 4 or min(given) < 0:
            raise refusal(node, f"pads are {list(given)}; four numbers (y, x, y, x) from 0 have a conversion")
        return (given[0], given[2]), (given[1], given[3])
    if word.startswith("SAME") and max(dilation) > 1:
        raise refusal(node, "auto_pad with dilations, which onnxruntime does not run; export it with pads")
    y, x = (PADDINGS[word](size[k], (kernel[k] - 1) * dilation[k] + 1, stride[k]) for k in (0, 1))
    return y, x


def _same_upper(size: int, extent: int, stride: int) -> Pair:
    missing = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return missing // 2, missing - missing // 2


def _same_lower(size: int, extent: int, stride: int) -> Pair:
    before, after = _same_upper(size, extent, stride)
    return after, before


def _valid(size: int, extent: int, stride: int) -> Pair:
    return 0, 0


PADDINGS = {"NOTSET": _valid, "SAME_UPPER": _same_upper, "SAME_LOWER": _same_lower, "VALID": _valid}


def cells(
    node: onnx.NodeProto, size: int, kernel: int, stride: int, dilation: int, pads: Pair, ceil: bool = False
) -> int:
    """Cells along one axis. In ceil mode, none whose window would begin after the input and the padding
    before it (onnxruntime's rule, which is PyTorch's)."""
    room = size + sum(pads) - (kernel - 1) * dilation - 1
    if room < 0:
        raise refusal(node, f"its window of {(kernel - 1) * dilation + 1} is larger than the padded input")
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + pads[0] else count


def windows(
    node: onnx.NodeProto, count: int, size: int, kernel: int, stride: int, dilation: int, before: int
) -> Windows:
    """The part of each window that lies inside the input."""
    first, end = [], []
    for cell in range(count):
        taps = [
            start for tap in range(kernel) if 0 <= (start := cell * stride - before + tap * dilation) < size
        ]
        if not taps:
            raise refusal(node, "one of its windows lies in the padding alone")
        first.append(taps[0])
        end.append(taps[-1] + 1)
    return Windows(tuple(first), tuple(end), dilation)


def read_or_padded(count: int, size: int, kernel: int, stride: int, dilation: int, pads: Pair) -> Float64:
    """How many taps of each window lie in the input or in its padding (ceil mode reaches beyond both)."""
    starts = np.arange(count) * stride - pads[0]
    taps = starts[:, None] + np.arange(kernel) * dilation
    return (taps < size + pads[1]).sum(axis=1).astype(np.float64)
