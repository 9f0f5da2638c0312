"""Files that are no PyTorch model, told by their first bytes: the message names what they are."""

from __future__ import annotations

import zipfile
from pathlib import Path

GIVE = "give a PyTorch model saved with torch.save(model, path)"
NOT_YET = f"which is not supported yet; {GIVE}"
HDF5 = b"\x89HDF\r\n\x1a\n"
_SUFFIXES = {
    ".onnx": "ONNX",
    ".nir": "NIR",
    ".keras": "Keras",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".tflite": "TensorFlow Lite",
    ".safetensors": "safetensors",
    ".aedat4": "AEDAT 4.0",
}


def foreign_file(path: Path) -> str | None:
    """What another kind of file is and what to do, to end a sentence; None for what may be PyTorch's."""
    with path.open("rb") as opened:
        start = opened.read(64)
    if start.startswith(HDF5):
        return _hdf5(path)
    if start.startswith(b"#!AER-DAT"):
        version = start[9:12].decode("ascii", "replace")
        later = ", which are not supported yet" if version.startswith(("3", "4")) else ""
        return f"is an AEDAT {version} file: event recordings{later}, and no model; {GIVE}"
    if start[4:8] == b"TFL3":
        return f"is a TensorFlow Lite model, {NOT_YET}"
    if start[8:10] == b'{"' and start[7] == 0:
        return (
            "holds the parameters of a model (safetensors) without its architecture; in Python build the "
            "model, load them with model.load_state_dict(safetensors.torch.load_file(path)) and call "
            "eventsnn.convert(model, calibration)"
        )
    if (
        len(start) > 2
        and start[0] == 0x08
        and 1 <= start[1] <= 32
        and start[2] in (0x12, 0x1A, 0x22, 0x2A, 0x3A)
    ):
        return f"is an ONNX model, {NOT_YET}"
    if start.startswith(b"PK\x03\x04"):
        return _zip(path)
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is not None:
        return f"has the suffix {path.suffix} of {kind} files, {NOT_YET}"
    return None


def _hdf5(path: Path) -> str:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            own = file.attrs.get("format", "")
            names, attributes = set(file), set(file.attrs)
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        return f"is a damaged HDF5 file ({error}), no PyTorch model"
    own = own.decode("utf-8", "replace") if isinstance(own, bytes) else str(own)
    if own == "eventsnn-network":
        return "is a converted network already; run it with eventsnn run, or give the trained model"
    if own.startswith("eventsnn"):
        return f"is a file of the format {own}, no model; {GIVE}"
    if attributes & {"model_config", "keras_version", "layer_names"} or "model_weights" in names:
        return f"is a Keras model (HDF5), {NOT_YET}"
    if "node" in names or path.suffix.lower() == ".nir":
        return f"is a NIR graph (HDF5), {NOT_YET}"
    return f"is an HDF5 file, {NOT_YET}"


def _zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return None
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return f"is a Keras model, {NOT_YET}"
    if names and all(name.endswith(".npy") for name in names):
        return "holds NumPy arrays, no model; give a PyTorch model saved with torch.save(model, path)"
    return None
