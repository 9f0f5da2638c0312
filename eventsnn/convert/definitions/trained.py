"""Files of trained weights that name the definition they belong to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from eventsnn.convert.definitions import definition
from eventsnn.convert.definitions.binary import BinaryConv2d, BinaryLinear, signs
from eventsnn.errors import InvalidFile, InvalidRequest


def save_trained(
    path: str | os.PathLike[str],
    model: nn.Module,
    name: str,
    parameters: Mapping[str, Any],
) -> None:
    """Write a model's weights with the definition that builds it.

    Of binary layers the signs are kept, a byte each: no more of their weights counts.
    """
    state = model.state_dict()
    for place, module in model.named_modules():
        if isinstance(module, BinaryConv2d | BinaryLinear):
            state[f"{place}.weight"] = signs(module.weight.detach(), training=False).to(torch.int8)
    torch.save({"definition": name, "parameters": dict(parameters), "state_dict": state}, path)


def load_trained(path: str | os.PathLike[str]) -> nn.Module:
    """Read a file of ``save_trained``, in evaluation mode and float32; nothing in the file is executed.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    InvalidFile
        Another kind of file, or weights that do not fit the definition.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch.load raises whatever its readers do on damaged bytes
        raise InvalidFile(f"{path} cannot be read as a file of trained weights: {error}") from error
    if not isinstance(found, dict) or not {"definition", "parameters", "state_dict"} <= found.keys():
        raise InvalidFile(
            f"{path} does not name its definition; build the model in Python or with "
            "eventsnn.convert.definitions.definition(name), and load the weights into it"
        )
    try:
        model = definition(found["definition"], **found["parameters"])
        model.load_state_dict(found["state_dict"])
    except (InvalidRequest, RuntimeError, TypeError) as error:
        raise InvalidFile(f"{path} does not fit its definition: {error}") from error
    return model.eval()
