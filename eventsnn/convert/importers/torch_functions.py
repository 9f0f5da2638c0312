"""Which rule a function or method of tensors has.

A rule says which operation of the graph a call is. Its parameters are called as those of PyTorch's
functions are, so that Python itself assigns the arguments of a call; what a rule has no parameter for is
refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from eventsnn.convert.importers import torch_arithmetic as arithmetic
from eventsnn.convert.importers import torch_layers as layers
from eventsnn.convert.importers import torch_pools as pools
from eventsnn.convert.importers.torch_names import MOVES

Rule = Callable[..., Any]

_ANYWHERE: dict[str, Rule] = {
    **dict.fromkeys(MOVES, layers.moves),
    "interpolate": layers.interpolate,
    "pad": layers.pad,
    "conv2d": layers.conv2d,
    "conv_transpose2d": layers.conv_transpose2d,
    "linear": layers.linear,
    **dict.fromkeys(("matmul", "mm"), layers.matmul),
    "batch_norm": layers.batch_norm,
    "add": arithmetic.add,
    **dict.fromkeys(("sub", "subtract"), arithmetic.subtract),
    **dict.fromkeys(("mul", "multiply"), arithmetic.multiply),
    **dict.fromkeys(("div", "divide", "true_divide"), arithmetic.divide),
    "floor_divide": arithmetic.floor_divide,
    **dict.fromkeys(("neg", "negative"), arithmetic.negative),
    **dict.fromkeys(("clamp", "clip"), arithmetic.clamp),
    "clamp_min": arithmetic.clamp_min,
    "clamp_max": arithmetic.clamp_max,
    **dict.fromkeys(("maximum", "max"), arithmetic.maximum),
    **dict.fromkeys(("minimum", "min"), arithmetic.minimum),
    "relu": arithmetic.relu,
    "relu6": arithmetic.relu6,
    "hardtanh": arithmetic.hardtanh,
    "softmax": layers.softmax,
    "log_softmax": layers.log_softmax,
    "round": arithmetic.round_,
    "floor": arithmetic.floor,
    **dict.fromkeys(("trunc", "fix"), arithmetic.trunc),
    **dict.fromkeys(("sign", "sgn"), arithmetic.sign),
    "heaviside": arithmetic.heaviside,
    "gt": arithmetic.comparison(operator.gt),
    "ge": arithmetic.comparison(operator.ge),
    "lt": arithmetic.comparison(operator.lt),
    "le": arithmetic.comparison(operator.le),
    "where": arithmetic.where,
    **dict.fromkeys(("cat", "concat", "concatenate"), layers.cat),
    **dict.fromkeys(("contiguous", "clone", "detach", "double", "positive", "cpu"), layers.same),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), layers.dropout),
    **dict.fromkeys(("alpha_dropout", "feature_alpha_dropout"), layers.dropout),
    "max_pool2d": pools.max_pool2d,
    "avg_pool2d": pools.avg_pool2d,
    "adaptive_max_pool2d": pools.adaptive_max_pool2d,
    "adaptive_avg_pool2d": pools.adaptive_avg_pool2d,
    "mean": pools.mean,
    "sum": pools.total,
    "amax": pools.amax,
}
FUNCTIONS: dict[Any, Rule] = {
    getattr(space, name): rule
    for name, rule in _ANYWHERE.items()
    for space in (torch, functional)
    if name not in ("batch_norm", "getitem") or space is functional
    if hasattr(space, name)
}
"""Rules by function."""

FUNCTIONS |= {
    operator.add: arithmetic.add,
    operator.sub: arithmetic.subtract,
    operator.mul: arithmetic.multiply,
    operator.truediv: arithmetic.divide,
    operator.floordiv: arithmetic.floor_divide,
    operator.neg: arithmetic.negative,
    operator.pos: layers.same,
    operator.matmul: layers.matmul,
    operator.getitem: layers.getitem,
    operator.gt: _ANYWHERE["gt"],
    operator.ge: _ANYWHERE["ge"],
    operator.lt: _ANYWHERE["lt"],
    operator.le: _ANYWHERE["le"],
    getattr: layers.alike,
}
METHODS: dict[str, Rule] = {
    name: rule for name, rule in _ANYWHERE.items() if hasattr(torch.Tensor, name) and name != "where"
}
"""Rules by method of ``torch.Tensor``."""
