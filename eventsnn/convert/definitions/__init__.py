"""Architectures that are met again and again, untrained, in PyTorch: what a file of weights leaves out.

``definition("resnet20")`` builds one; ``load_state_dict`` then gives it its weights. Parameters and
submodules are called as in the code that such files are published with, where there is such code.

This module imports no PyTorch; the families do.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from eventsnn.errors import InvalidRequest, MissingExtra

if TYPE_CHECKING:
    from torch import nn

_ROOM = "eventsnn.convert.definitions"
DEFINITIONS: dict[str, str] = {
    "lenet5": f"{_ROOM}.lenet:lenet5",
    "vgg7": f"{_ROOM}.vgg:vgg7",
    "vgg11": f"{_ROOM}.vgg:vgg11",
    "vgg16": f"{_ROOM}.vgg:vgg16",
    "vggsnn": f"{_ROOM}.vggsnn:vggsnn",
    "resnet18": f"{_ROOM}.resnet:resnet18",
    "resnet20": f"{_ROOM}.resnet:resnet20",
    "small-inception": f"{_ROOM}.inception:small_inception",
    "inception-v3": f"{_ROOM}.inception_v3:inception_v3",
    "binarynet": f"{_ROOM}.binary:binarynet",
}
"""``module:callable`` by name; the callable takes keywords and returns a module."""


def definition(name: str, **parameters: Any) -> nn.Module:
    """Build an untrained model.

    Parameters
    ----------
    name : str
        One of ``DEFINITIONS``.
    **parameters
        The callable's own: ``classes``, ``channels``, ``levels`` and what else its docstring tells.

    Raises
    ------
    InvalidRequest
        An unknown name, an unknown parameter, or a value out of range.
    MissingExtra
        PyTorch is not installed.
    """
    if name not in DEFINITIONS:
        raise InvalidRequest(
            f"there is no definition {name!r}; there are {', '.join(DEFINITIONS)}. For another architecture "
            "build the model in Python and load its weights there"
        )
    module, _, function = DEFINITIONS[name].partition(":")
    try:
        build = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra(
            f"the definition {name!r} needs PyTorch, which is not installed; "
            "install it with: pip install 'eventsnn[torch]'"
        ) from error
    known = inspect.signature(build).parameters
    unknown = [each for each in parameters if each not in known]
    if unknown:
        raise InvalidRequest(
            f"the definition {name!r} has no parameter {unknown[0]!r}; it has {', '.join(known)}"
        )
    model: nn.Module = build(**parameters)
    return model
