"""What kind of model a file holds, told by its first bytes, then its suffix; others are named and refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

from eventsnn.errors import InvalidFile

TORCH, ONNX, KERAS = "torch", "onnx", "keras"

GIVE = "give a PyTorch model (torch.save), an ONNX model, or a Keras model saved as .h5"
NOT_YET = f"which is not supported yet; {GIVE}"
NO_KERAS_ZIP = "is a Keras model in the format .keras, which is not read; save it with model.save('MODEL.h5')"
HDF5 = b"\x89HDF\r\n\x1a\n"
_SUFFIXES = {
    ".nir": "NIR",
    ".keras": "Keras",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".tflite": "TensorFlow Lite",
    ".safetensors": "safetensors",
    ".aedat4": "AEDAT 4.0",
}


def kind_of_file(path: Path) -> str:
    """``TORCH``, ``ONNX`` or ``KERAS``; what is none of them in its first bytes may be PyTorch's.

    Raises
    ------
    InvalidFile
        Another kind of file; names it and says what to do.
    """
    with path.open("rb") as opened:
        start = opened.read(64)
    if start.startswith(HDF5):
        return _hdf5(path)
    if _is_onnx(start) or path.suffix.lower() == ".onnx":
        return ONNX
    another = _foreign(path, start)
    if another is not None:
        raise InvalidFile(f"{path} {another}")
    return TORCH


def is_nir(path: Path) -> bool:
    """Whether a file is a NIR graph, damaged or not: HDF5 with a group ``node``, or called .nir."""
    import h5py

    if path.suffix.lower() == ".nir":
        return True
    try:
        with path.open("rb") as opened:
            if opened.read(len(HDF5)) != HDF5:
                return False
        with h5py.File(path, "r") as file:
            return "node" in file and "format" not in file.attrs
    except (OSError, RuntimeError, KeyError):
        return False


def is_torch(path: Path) -> bool:
    """Whether a file may be PyTorch's; not where it is none, or of another kind."""
    try:
        return kind_of_file(path) == TORCH
    except (InvalidFile, OSError):
        return False


def _is_onnx(start: bytes) -> bool:
    """A version of the format, then a field that models begin with."""
    return (
        len(start) > 2
        and start[0] == 0x08
        and 1 <= start[1] <= 32
        and start[2] in (0x12, 0x1A, 0x22, 0x2A, 0x3A)
    )


def _foreign(path: Path, start: bytes) -> str | None:
    """What another kind of file is and what to do, to end a sentence; None for what may be PyTorch's."""
    if start.startswith(b"#!AER-DAT"):
        version = start[9:12].decode("ascii", "replace")
        later = ", which are not supported yet" if version.startswith(("3", "4")) else ""
        return f"is an AEDAT {version} file: event recordings{later}, and no model; {GIVE}"
    if start[4:8] == b"TFL3":
        return f"is a TensorFlow Lite model, {NOT_YET}"
    if start[8:10] == b'{"' and start[7] == 0:
        return (
            "holds the parameters of a model (safetensors); in Python save them with "
            "torch.save(safetensors.torch.load_file(path), 'MODEL.pt'), and give that file with --definition "
            "FILE.py:CALLABLE, the function that builds the model"
        )
    if start.startswith(b"PK\x03\x04"):
        return _zip(path)
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is not None:
        return f"has the suffix {path.suffix} of {kind} files and is none; it may be truncated; {GIVE}"
    return None


def _hdf5(path: Path) -> str:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            own = file.attrs.get("format", "")
            names, attributes = set(file), set(file.attrs)
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path} is a damaged HDF5 file ({error}), no model; copy it again") from error
    own = own.decode("utf-8", "replace") if isinstance(own, bytes) else str(own)
    if attributes & {"model_config", "keras_version", "layer_names"} or "model_weights" in names:
        return KERAS
    if own == "eventsnn-network":
        told = "is a converted network already; run it with eventsnn run, or give the trained model"
    elif own.startswith("eventsnn"):
        told = f"is a file of the format {own}, no model; {GIVE}"
    elif "node" in names or path.suffix.lower() == ".nir":
        told = (
            "is a NIR graph (HDF5), a spiking network already, which is read and not converted: "
            "eventsnn.from_nir(path), or eventsnn convert FILE.nir -o NETWORK.h5"
        )
    else:
        told = f"is an HDF5 file, and no Keras model; {GIVE}"
    raise InvalidFile(f"{path} {told}")


def _zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return None
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return NO_KERAS_ZIP
    if names and all(name.endswith(".npy") for name in names):
        return f"holds NumPy arrays, no model; {GIVE}"
    return None
