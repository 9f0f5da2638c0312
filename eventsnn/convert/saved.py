"""Reading a saved model without running anything that its file says."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import torch
from torch import nn

from eventsnn.convert.foreign import foreign_file
from eventsnn.convert.importers.torch_modules import ADVICE, MODULES
from eventsnn.errors import InvalidFile

_FOREIGN = re.compile(r"(?:Unsupported global: |unsupported )GLOBAL ([\w.]+)")
_WHOLE = (
    "build the model in Python, load the parameters into it, and save it whole with torch.save(model, path)"
)

SUPPORTED: tuple[type[nn.Module], ...] = tuple(MODULES)
LINES = """
    model = ...  # build the architecture as for training
    model.load_state_dict({parameters})
    network = eventsnn.convert(model, calibration)
    network.save('network.h5')"""
"""What to do with parameters without architecture, in Python."""


def load_model(path: str | os.PathLike[str]) -> nn.Module:
    """Read a model saved whole by ``torch.save(model, path)``, in evaluation mode on the CPU.

    Only tensors, plain containers and the module classes that ``convert`` supports are created
    (``weights_only=True``); a file that names anything else is refused before it is called.

    Parameters
    ----------
    path : path
        An nn.Sequential, possibly nested or inside nn.DataParallel, of supported modules.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    FileNotFoundError
        There is no such file.
    InvalidFile
        Parameters without architecture, classes that are not allowed, TorchScript, another format
        (ONNX, NIR, Keras), no model, damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"no model file {path}; give the path of a model saved with torch.save(model, path)"
        )
    another = foreign_file(Path(path))
    if another is not None:
        raise InvalidFile(f"{path} {another}")
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
        return found.eval()
    raise InvalidFile(_no_model(path, found))


def _no_model(path: object, found: object) -> str:
    place = _parameters(found)
    if place is None:
        return f"{path} holds {_content(found)}, no model; {_WHOLE}"
    loaded = f"torch.load({str(path)!r}, map_location='cpu', weights_only=True){place}"
    assert isinstance(found, dict)
    state = found if not place else found[next(k for k in found if place == f"[{k!r}]")]
    if all(str(key).startswith("module.") for key in state):  # saved from inside DataParallel
        loaded = f"{{key.removeprefix('module.'): value for key, value in {loaded}.items()}}"
    return f"{path} holds {_content(found)}, no model. In Python:{LINES.format(parameters=loaded)}"


def _parameters(found: object) -> str | None:
    """Where a state_dict lies in what a file holds: "" for all of it, or an index; None without one."""

    def is_state(value: object) -> bool:
        return isinstance(value, dict) and bool(value) and all(map(torch.is_tensor, value.values()))

    if is_state(found):
        return ""
    if isinstance(found, dict):
        return next((f"[{key!r}]" for key, value in found.items() if is_state(value)), None)
    return None


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
            f"run any code. Allowed are {allowed}. For a model class of your own, build it in Python, load "
            "its state_dict and call eventsnn.convert(model, calibration)"
        )
    if "TorchScript" in message:
        return f"{path} is a TorchScript archive, whose layers cannot be converted; {_WHOLE}"
    return (
        f"{path} cannot be read as a PyTorch model; it may be truncated or another kind of file. Save the "
        "model again with torch.save(model, path)"
    )
