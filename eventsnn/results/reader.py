"""Access to an open results file, every dataset verified as it is read."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

# No compression that HDF5 has makes more of a byte than this.
LARGEST_EXPANSION = 1100


def fingerprint(array: NDArray[Any]) -> str:
    """blake2b-128 of an array: type, shape and values, byte order left out."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest = hashlib.blake2b(f"{little.dtype.str}{array.shape}".encode(), digest_size=16)
    digest.update(little.data if little.size else b"")
    return digest.hexdigest()


def checksum_of(attributes: dict[str, Any]) -> str:
    """Of all attributes but itself."""
    found = {
        name: value if isinstance(value, str | int) else float(value).hex()
        for name, value in attributes.items()
        if name != "checksum"
    }
    return hashlib.blake2b(json.dumps(found, sort_keys=True).encode(), digest_size=16).hexdigest()


class Damaged(Exception):
    """What does not fit in a results file."""


def require(holds: bool, what: str) -> None:
    """Say what does not fit, where it does not."""
    if not holds:
        raise Damaged(what)


class Reader:
    """Verified access to an open file; ``contents`` is None where a version wrote no checksums."""

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._size = file, size
        self.attributes: dict[str, Any] = {}
        for name, value in file.attrs.items():
            plain = value.item() if isinstance(value, np.generic) else value
            require(isinstance(plain, str | int | float), f"attribute {name!r} is a {type(value).__name__}")
            self.attributes[name] = plain
        self.contents: dict[str, str] | None = None
        if {"checksum", "contents"} & self.attributes.keys():
            checksum = checksum_of(self.attributes)
            require(
                self.attributes.get("checksum") == checksum,
                f"checksum is {self.attributes.get('checksum', 'missing')}, its attributes give {checksum}",
            )
            self.contents = self.json("contents", dict)

    def json(self, name: str, kind: type) -> Any:
        """A JSON attribute of a kind."""
        text = self.attributes.get(name)
        require(isinstance(text, str), f"attribute {name!r} is missing or no text")
        found = json.loads(str(text))
        require(isinstance(found, kind), f"attribute {name!r} is no JSON {kind.__name__}")
        return found

    def has(self, name: str) -> bool:
        """Whether there is such a dataset or group."""
        if self.contents is None:
            return name in self._file
        return any(path == name or path.startswith(name + "/") for path in self.contents)

    def holds(self, name: str) -> bool:
        """Whether the file has such a dataset, be it in its contents or, as columns of traces, not."""
        return name in self._file

    def read(self, name: str, kind: str, *shape: int | None) -> NDArray[Any]:
        """A dataset of a type and shape, None being any length; "S" is text, "i" integers of any width."""
        item = self.fitting(name, kind, *shape)
        found = np.asarray(item[...])
        if self.contents is not None:
            require(
                self.contents.get(name) == fingerprint(found), f"dataset {name!r} does not give its checksum"
            )
        return found.astype(found.dtype.newbyteorder("="), copy=False)

    def fitting(self, name: str, kind: str, *shape: int | None) -> Any:
        """The same, not yet read."""
        import h5py

        item = self._file.get(name)
        require(isinstance(item, h5py.Dataset), f"there is no dataset {name!r}")
        fits = item.dtype.kind == kind if kind in "Si" else item.dtype.newbyteorder("=") == np.dtype(kind)
        require(fits, f"dataset {name!r} is of type {item.dtype}, which must be {np.dtype(kind)}")
        alike = len(item.shape) == len(shape) and all(
            b is None or a == b for a, b in zip(item.shape, shape, strict=True)
        )
        require(alike, f"dataset {name!r} has shape {item.shape}, which does not fit the others")
        require(
            item.nbytes <= LARGEST_EXPANSION * self._size,
            f"dataset {name!r} is larger than the file can hold",
        )
        if self.contents is None:
            # Files without checksums are older than those of chunks.
            require(not item.fletcher32, "its checksum is missing")
        return item
