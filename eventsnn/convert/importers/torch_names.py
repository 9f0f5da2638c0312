"""How calls of a traced model are named and told apart: paths, functions, what moves values or keeps them."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

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
