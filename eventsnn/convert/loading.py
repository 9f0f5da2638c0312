"""The front door for trained models: any file that has an importer, by its content and then its suffix."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventsnn.convert.formats import KERAS, ONNX, TORCH, kind_of_file
from eventsnn.errors import InvalidRequest, MissingExtra, MissingFile

if TYPE_CHECKING:
    from torch import nn

    from eventsnn.convert.graph.graph import Original


def kind_of_model(path: Path) -> str:
    """What kind of model a file holds; see ``kind_of_file``.

    Raises
    ------
    MissingFile
        There is no such file.
    InvalidFile
        Another kind of file.
    """
    if not path.is_file():
        raise MissingFile(
            f"no model file {path}; give the path of a PyTorch, ONNX (.onnx) or Keras (.h5) model"
        )
    return kind_of_file(path)


def load_model(
    path: str | os.PathLike[str],
    *,
    definition: str | None = None,
    output: str | None = None,
    input_shape: Sequence[int] | None = None,
    backend: str | None = None,
) -> nn.Module | Original:
    """Read a trained model from its file, for ``convert`` and ``compare``.

    Nothing in the file is executed: of PyTorch files only tensors, plain containers and the module classes
    that ``convert`` supports are created (``weights_only=True``).

    Parameters
    ----------
    path : path
        PyTorch: a module saved whole by ``torch.save(model, path)``, or parameters (a state_dict, or a
        dictionary that holds one) with ``definition``, or with a definition's name in the file
        (``models/``). ONNX. Keras: a sequential model saved as HDF5.
    definition : str, optional
        PyTorch parameters: ``FILE.py:CALLABLE`` that builds their model when called without arguments. The
        file is the user's own and is run. Or the name of a definition of eventsnn's; none where the file
        names it.
    output : str, optional
        ONNX: the value or node that has the class scores, where several could be.
    input_shape : sequence of int, optional
        ONNX and Keras: of one sample, (channels, y, x) or (features,), where the file leaves sizes open.
    backend : str, optional
        Keras: what it was trained with (``"tensorflow"``, ``"theano"``, ``"cntk"``, ``"jax"``, ``"torch"``),
        where the file does not say.

    Returns
    -------
    torch.nn.Module or Original
        A module in evaluation mode on the CPU; what the importer gave for ONNX and Keras.

    Raises
    ------
    MissingFile
        There is no such file, or none with the external data of an ONNX model.
    InvalidFile
        Damaged, of another format, parameters without architecture or of another model, classes that are
        not allowed.
    InvalidRequest
        An argument that does not belong to this kind of file, or does not fit it.
    UnsupportedLayer, InvalidNetwork
        What the importers of ONNX and Keras files refuse.
    MissingExtra
        PyTorch or onnxruntime is needed and not installed.
    """
    place = Path(path)
    kind = KINDS[kind_of_model(place)]
    given = {"definition": definition, "output": output, "input_shape": input_shape, "backend": backend}
    told = {name: value for name, value in given.items() if value is not None}
    for name in told:
        if name not in kind.takes:
            raise InvalidRequest(
                f"{FLAGS[name]} is {MEANING[name]}, and {path} holds {kind.name}; leave it out"
            )
    if input_shape is not None:
        told["input_shape"] = _shape(input_shape)
    return kind.read(place, **told)


FLAGS = {
    "definition": "definition (--definition)",
    "output": "output (--output-node)",
    "input_shape": "input_shape (--input-shape)",
    "backend": "backend (--backend)",
}
MEANING = {
    "definition": "what builds the model of PyTorch parameters",
    "output": "the node of an ONNX model that has the class scores",
    "input_shape": "for ONNX and Keras files that leave the size of images open",
    "backend": "what a Keras model was trained with",
}


@dataclass(frozen=True)
class Kind:
    """A kind of file: how it is called, which arguments of ``load_model`` belong to it, and its reader."""

    name: str
    takes: tuple[str, ...]
    read: Callable[..., Any]


def _torch(path: Path, definition: str | None = None) -> nn.Module:
    try:
        from eventsnn.convert.saved import load_module
    except ModuleNotFoundError as error:
        raise _without_torch(error, f"{path} is read by PyTorch") from error
    return load_module(path, definition)


def _onnx(path: Path, **given: Any) -> Original:
    from eventsnn.convert.importers.onnx import import_onnx

    return import_onnx(path, **given)


def _keras(path: Path, **given: Any) -> Original:
    try:
        from eventsnn.convert.importers.keras import import_keras
    except ModuleNotFoundError as error:
        raise _without_torch(error, f"{path} is rebuilt as a PyTorch module") from error
    return import_keras(path, **given)


def _without_torch(error: ModuleNotFoundError, what: str) -> Exception:
    if error.name != "torch":
        return error
    return MissingExtra(f"{what}, which is not installed; install it with: pip install 'eventsnn[torch]'")


KINDS = {
    TORCH: Kind("a PyTorch model", ("definition",), _torch),
    ONNX: Kind("an ONNX model", ("output", "input_shape"), _onnx),
    KERAS: Kind("a Keras model", ("input_shape", "backend"), _keras),
}


def _shape(given: Sequence[int]) -> tuple[int, ...]:
    whole = all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in given)
    if not whole or len(given) not in (1, 3):
        raise InvalidRequest(
            f"input_shape is {given!r}; give whole numbers above 0: (channels, y, x), as 3,32,32 on the "
            "command line, or (features,)"
        )
    return tuple(given)
