"""Formats of recordings and images known by name, so that a message can say what a file is."""

import os
from pathlib import Path

_SUFFIXES = {
    ".aedat4": "AEDAT 4 (iniVation DV)",
    ".raw": "Prophesee EVT (.raw)",
    ".dat": "Prophesee DAT (.dat)",
    ".npy": "NumPy (.npy)",
    ".npz": "NumPy (.npz)",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".bag": "ROS bag",
    ".es": "Event Stream (.es)",
    ".mat": "MATLAB (.mat)",
    ".csv": "text (.csv)",
    ".zip": "a ZIP archive",
    ".gz": "a gzip archive",
    ".tar": "a tar archive",
    ".tgz": "a gzip archive",
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
}

READ_AS_EVENTS = frozenset(
    {
        "AEDAT 3",
        "AEDAT 4 (iniVation DV)",
        "Prophesee EVT (.raw)",
        "Prophesee EVT or DAT",
        "Prophesee DAT (.dat)",
        "NumPy (.npy)",
        "NumPy (.npz)",
        "text (.csv)",
    }
)
"""Those that ``events:PATH`` opens."""

_BEGINNINGS = (
    (b"#!AER-DAT3", "AEDAT 3"),
    (b"#!AER-DAT4", "AEDAT 4 (iniVation DV)"),
    (b"% evt", "Prophesee EVT (.raw)"),
    (b"% date", "Prophesee EVT or DAT"),
    (b"% Data file", "Prophesee DAT (.dat)"),
    (b"% camera", "Prophesee EVT (.raw)"),
    (b"\x93NUMPY", "NumPy (.npy)"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"#ROSBAG", "ROS bag"),
    (b"Event Stream", "Event Stream (.es)"),
    (b"MATLAB 5.0", "MATLAB (.mat)"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
)

_LONGEST = max(len(beginning) for beginning, _ in _BEGINNINGS)


def format_of_bytes(data: bytes) -> str | None:
    """The name of a known format by how a file of it begins; None if it is none of them."""
    return next((name for beginning, name in _BEGINNINGS if data.startswith(beginning)), None)


def format_of_name(name: str) -> str | None:
    """The name of a known format by a file's suffix; None if it is none of them."""
    return _SUFFIXES.get(Path(name).suffix.lower())


def format_of_file(path: str | os.PathLike[str]) -> str | None:
    """The name of a known format by how a file begins, else by its suffix; None if it is none of them."""
    try:
        with Path(path).open("rb") as file:
            found = format_of_bytes(file.read(_LONGEST))
    except OSError:
        found = None
    named = format_of_name(str(path))
    # An .npz file is an archive, too.
    return named if named and found in (None, _SUFFIXES[".zip"]) else found


def not_yet(name: str, instead: str) -> str:
    """What a message says of a format that is not read here, or not at all."""
    if name in READ_AS_EVENTS:
        return f"this is {name}, which events:PATH opens; {instead}"
    unpack = "unpack it, or " if " archive" in name else ""
    return f"this is {name}, which is not supported yet; {unpack}{instead}"
