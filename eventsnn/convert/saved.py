"""Reading a saved model without running anything that its file says."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import torch
from torch import nn

from eventsnn.convert.chain import SUPPORTED
from eventsnn.errors import InvalidFile

_FOREIGN = re.compile(r"(?:Unsupported global: |unsupported )GLOBAL ([\w.]+)")
_WHOLE = (
    "build the model in Python, load the parameters into it, and save it whole with torch.save(model, path)"
)


def load_model(path: str | os.PathLike[str]) -> nn.Module:
    """Read a model saved whole by ``torch.save(model, path)``, in evaluation mode on the CPU.

    Only tensors, plain containers and the module classes that ``convert`` supports are created
    (``weights_only=True``); a file that names anything else is refused before it is called.

    Parameters
    ----------
    path : path
        An nn.Sequential, possibly nested, of supported modules.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    FileNotFoundError
        There is no such file.
    InvalidFile
        Parameters without architecture, classes that are not allowed, TorchScript, no model, damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"no model file {path}; give the path of a model saved with torch.save(model, path)"
        )
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([*SUPPORTED, nn.Sequential]):
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever its readers do on damaged bytes
        raise InvalidFile(_refusal(path, str(error))) from error
    if isinstance(found, nn.Module):
        return found.eval()
    raise InvalidFile(f"{path} holds {_content(found)}, no model; {_WHOLE}")


def _content(found: object) -> str:
    if isinstance(found, dict):
        values = list(found.values())
        if values and all(isinstance(value, torch.Tensor) for value in values):
            return (
                f"the parameters of a model (a state_dict of {len(values)} tensors) without its architecture"
            )
        return "a dictionary (" + ", ".join(str(key) for key in list(found)[:5]) + ")"
    return f"a {type(found).__name__}"


def _refusal(path: object, message: str) -> str:
    foreign = _FOREIGN.search(message)
    if foreign:
        allowed = ", ".join(sorted(cls.__name__ for cls in (*SUPPORTED, nn.Sequential)))
        return (
            f"{path} needs the class {foreign.group(1)}, which is not loaded from a file: loading it could "
            f"run any code. Allowed are {allowed}. For a model class of your own, build it in Python, load "
            "its state_dict and call eventsnn.convert.convert(model, ...)"
        )
    if "TorchScript" in message:
        return f"{path} is a TorchScript archive, whose layers cannot be converted; {_WHOLE}"
    return (
        f"{path} cannot be read as a PyTorch model; it may be truncated or another kind of file. Save the "
        "model again with torch.save(model, path)"
    )
