"""Files of trained weights that name the definition they belong to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from eventsnn.convert.definitions import definition
from eventsnn.convert.definitions.binary import BinaryConv2d, BinaryLinear, signs
from eventsnn.errors import InvalidFile, InvalidNetwork, InvalidRequest
from eventsnn.network.training import NAME, trained


def save_trained(
    path: str | os.PathLike[str],
    model: nn.Module,
    name: str,
    parameters: Mapping[str, Any],
    trained_on: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write a model's weights with the definition that builds it.

    ``trained_on`` are records of the data that trained it (``eventsnn.convert.trained_on.training_data``).
    Of binary layers the signs are kept, a byte each: no more of their weights counts.
    """
    state = model.state_dict()
    for place, module in model.named_modules():
        if isinstance(module, BinaryConv2d | BinaryLinear):
            state[f"{place}.weight"] = signs(module.weight.detach(), training=False).to(torch.int8)
    found = {"definition": name, "parameters": dict(parameters), "state_dict": state}
    torch.save(found | ({"trained_on": [dict(each) for each in trained_on]} if trained_on else {}), path)


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
    if not names_definition(found):
        raise InvalidFile(
            f"{path} does not name its definition; build the model in Python or with "
            "eventsnn.convert.definitions.definition(name), and load the weights into it"
        )
    return trained_module(path, found)


def names_definition(found: object) -> bool:
    """Whether what a file holds is what ``save_trained`` writes."""
    return isinstance(found, dict) and {"definition", "parameters", "state_dict"} <= found.keys()


def trained_module(path: object, found: Any) -> nn.Module:
    """The model of what ``names_definition``, in evaluation mode; ``path`` is for messages.

    Raises
    ------
    InvalidFile
        An unknown definition, parameters that it does not have, or weights that do not fit it.
    """
    name, state = found["definition"], found["state_dict"]
    named = isinstance(state, dict) and all(isinstance(key, str) for key in state)
    if not named or not all(map(torch.is_tensor, state.values())):
        raise InvalidFile(f"{path} does not fit its definition: its weights are no tensors by name")
    try:
        model = definition(name, **found["parameters"])
    except (InvalidRequest, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InvalidFile(f"{path} does not fit its definition: {error}") from error
    made = filled(path, model, f"its definition {name!r}", state)
    if "trained_on" in found:
        try:
            trained({NAME: found["trained_on"]}, ())
        except InvalidNetwork as error:
            raise InvalidFile(f"{path} does not name its training data rightly: {error}") from error
        made.trained_on = found["trained_on"]
    return made


def filled(path: object, model: nn.Module, definition: str, state: dict[str, Tensor]) -> nn.Module:
    """A model with its parameters, each of which it has, and no other.

    Raises
    ------
    InvalidFile
        Parameters are missing, unknown or of another shape.
    """
    own = model.state_dict()
    # Versions before 0.4.1 did not count batches, and no conversion reads the count.
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    other = [
        f"{name} is {tuple(state[name].shape)} in the file and {tuple(value.shape)} in the model"
        for name, value in own.items()
        if name in state and state[name].shape != value.shape
    ]
    told = [
        f"{what} {_first(names)}"
        for what, names in (("it lacks", missing), ("the model has no", unexpected), ("", other))
        if names
    ]
    if told:
        raise InvalidFile(
            f"{path} does not hold the parameters of {definition}: {'; '.join(map(str.strip, told))}. Give "
            "the definition that these parameters were trained with"
        )
    model.load_state_dict({name: state.get(name, value) for name, value in own.items()})
    return model.eval()


def _first(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
