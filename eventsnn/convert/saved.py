"""Reading what ``torch.save`` wrote without running anything that the file says."""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from eventsnn.convert.architecture import built
from eventsnn.convert.definitions.trained import filled, names_definition, trained_module
from eventsnn.convert.importers.torch_modules import ADVICE, MODULES
from eventsnn.convert.spiking.neurons import Neurons
from eventsnn.errors import InvalidFile, InvalidRequest

_FOREIGN = re.compile(r"(?:Unsupported global: |unsupported )GLOBAL ([\w.]+)")
_WHOLE = (
    "build the model in Python, load the parameters into it, and save it whole with torch.save(model, path)"
)

SUPPORTED: tuple[type[nn.Module], ...] = tuple(kind for kind in MODULES if kind is not Neurons)
PREFERRED = ("state_dict", "model_state_dict", "model")
"""Where checkpoints keep a model's parameters, if several of their entries look like some."""

DEFINE = (
    "name what builds the model with --definition FILE.py:CALLABLE (definition='FILE.py:CALLABLE' in "
    "Python), or one of eventsnn's definitions, as --definition resnet20"
)


def load_module(path: str | os.PathLike[str], definition: str | None = None) -> nn.Module:
    """Read a PyTorch model, in evaluation mode on the CPU.

    Parameters
    ----------
    path : path
        Of a module saved whole by ``torch.save(model, path)``: an nn.Sequential, possibly nested or inside
        nn.DataParallel, of supported modules. Or with ``definition`` of parameters: a state_dict, or a
        dictionary that holds one, names beginning with ``module.`` (of DataParallel) allowed. Or parameters
        with the definition's name beside them (``save_trained``).
    definition : str, optional
        ``FILE.py:CALLABLE`` or a name, see ``eventsnn.convert.architecture``.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    InvalidFile
        Parameters without architecture, or that are not those of the definition's model; classes that are
        not allowed, TorchScript, no model, damaged.
    InvalidRequest
        A definition that cannot be used, or one for a module that was saved whole, or another than the
        file names.
    """
    try:
        with (
            warnings.catch_warnings(),
            torch.serialization.safe_globals([*SUPPORTED, nn.Sequential, nn.DataParallel]),
        ):
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever its readers do on damaged bytes
        raise InvalidFile(_refusal(path, str(error))) from error
    if isinstance(found, nn.Module):
        if definition is not None:
            raise InvalidRequest(
                f"{path} holds a whole {type(found).__name__}, and a definition is for parameters without "
                "architecture (a state_dict); leave --definition out"
            )
        return found.eval()
    if names_definition(found):
        if definition not in (None, found["definition"]):
            raise InvalidRequest(
                f"{path} names its own definition, {found['definition']!r}, and {definition!r} is another; "
                "leave --definition out"
            )
        return trained_module(path, found)
    state = _parameters(path, found)
    if definition is not None and state is not None:
        return filled(path, built(definition), definition, state)
    if definition is not None:
        raise InvalidFile(
            f"{path} holds {_content(found)}, no parameters (tensors by name) for {definition}; save these "
            "with torch.save(model.state_dict(), path)"
        )
    what = f"{path} holds {_content(found)}, no model"
    raise InvalidFile(f"{what}; {_WHOLE}" if state is None else f"{what}; {DEFINE}, or {_WHOLE}")


def _parameters(path: object, found: object) -> dict[str, Tensor] | None:
    """The state_dict in what a file holds, names as the model has them; None without one."""

    def is_state(value: object) -> bool:
        return isinstance(value, dict) and bool(value) and all(map(torch.is_tensor, value.values()))

    if is_state(found):
        state: Any = found
    elif isinstance(found, dict):
        inside = {name: value for name, value in found.items() if is_state(value)}
        if not inside:
            return None
        named = [name for name in PREFERRED if name in inside]
        if len(inside) > 1 and not named:
            raise InvalidFile(
                f"{path} holds the parameters of several models ({', '.join(map(str, inside))}); save the "
                "one to be converted by itself: torch.save(parameters, path)"
            )
        state = inside[named[0] if named else next(iter(inside))]
    else:
        return None
    if all(str(key).startswith(IN_PARALLEL) for key in state):
        return {str(key).removeprefix(IN_PARALLEL): value for key, value in state.items()}
    return {str(key): value for key, value in state.items()}


IN_PARALLEL = "module."
"""How DataParallel begins the names of its model's parameters."""


def _content(found: object) -> str:
    if isinstance(found, dict):
        values = list(found.values())
        if values and all(isinstance(value, torch.Tensor) for value in values):
            return (
                f"the parameters of a model (a state_dict of {len(values)} tensors) without its architecture"
            )
        return f"a dictionary ({', '.join(str(key) for key in list(found)[:5])})" if found else "nothing"
    return f"a {type(found).__name__}"


def _refusal(path: object, message: str) -> str:
    foreign = _FOREIGN.search(message)
    if foreign:
        module, _, name = foreign.group(1).rpartition(".")
        if module == "torch.nn.utils.prune":
            return (
                f"{path} holds pruned modules ({name}); make the pruning permanent before saving: "
                "torch.nn.utils.prune.remove(module, 'weight') for each of them, then torch.save(model, path)"
            )
        if module.startswith("torch.nn.modules."):
            advice = ADVICE.get(name.lower(), "replace it by supported layers and train again")
            allowed = ", ".join(sorted(cls.__name__ for cls in SUPPORTED))
            return (
                f"{path} holds a {name} ({foreign.group(1)}), which has no conversion yet. Supported are "
                f"{allowed}. To convert it, {advice}"
            )
        if name == "DistributedDataParallel":
            return f"{path} holds a model inside DistributedDataParallel; save model.module instead"
        allowed = ", ".join(sorted(cls.__name__ for cls in (*SUPPORTED, nn.Sequential)))
        return (
            f"{path} needs the class {foreign.group(1)}, which is not loaded from a file: loading it could "
            f"run any code. Allowed are {allowed}. For a model class of your own save the parameters, "
            f"torch.save(model.state_dict(), path), and {DEFINE}"
        )
    if "TorchScript" in message:
        return f"{path} is a TorchScript archive, whose layers cannot be converted; {_WHOLE}"
    return (
        f"{path} cannot be read as a PyTorch model; it may be truncated or another kind of file. Save the "
        "model again with torch.save(model, path)"
    )
