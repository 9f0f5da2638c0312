"""How AEDAT 2.0 files begin: lines of text, the camera they name, the byte of the first record."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.events.formats import format_of_bytes, not_yet
from eventsnn.events.layouts import (
    CIFAR10_DVS,
    DVS128,
    LAYOUTS,
    ORIENTATIONS,
    AddressLayout,
    Orientation,
)
from eventsnn.events.readers.contract import Where
from eventsnn.events.readers.files import size_of

MAGIC = b"#!AER-DAT2.0"
RECORD = np.dtype([("address", ">u4"), ("time", ">i4")])
# Control characters that no header line holds; a tab is one that it may.
NO_TEXT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True)
class Opening:
    """How a file begins: header lines, the byte of the first record, the layout of its addresses."""

    header: tuple[str, ...]
    start: int
    layout: AddressLayout


def opening_of(file: BinaryIO, layout: AddressLayout | None, path: Where) -> Opening:
    size, count = size_of(file), 1 << 16
    while True:
        file.seek(0)
        data = file.read(count)
        header, start = _header(data, path, len(data) < size)
        if start >= 0:
            break
        count *= 4
    if rest := (size - start) % RECORD.itemsize:
        raise InvalidFile(
            f"{path}: {size - start} bytes after the header are not a whole number of eight-byte events "
            f"({rest} left over); the file is truncated or damaged, fetch it again"
        )
    return Opening(header, start, _layout_in(header, layout, path))


def _layout_in(header: Sequence[str], said: AddressLayout | None, path: Where) -> AddressLayout:
    """The layout that was said, or that of the camera in the header; they must not contradict each other."""
    chip = next((line.partition(":")[2].strip() for line in header if line.startswith("# AEChip:")), "")
    name = chip.rpartition(".")[2]
    known = next(
        (layout for layout in LAYOUTS.values() if name.lower().startswith(layout.name.lower())), None
    )
    if said is None and chip and known is None:
        raise InvalidFile(
            f"{path}: the header says the camera is {chip!r}, whose addresses are not known here; say its "
            f"layout (--layout), one of {', '.join(LAYOUTS)}"
        )
    if (
        said is not None
        and known is not None
        and said.name in (k.name for k in LAYOUTS.values())
        and said != known
    ):
        raise InvalidFile(
            f"{path}: the header says the camera is {chip!r}, and the layout {said and said.name} was asked "
            f"for; leave it out or say {known.name.lower()}"
        )
    return said or known or DVS128


def usual_orientation(layout: AddressLayout, path: Where) -> Orientation:
    if layout.raw_width == layout.raw_height == 128:
        return CIFAR10_DVS
    raise InvalidRequest(
        f"{path}: say what the axes and the polarity of this {layout.name} mean: an orientation, one of "
        f"{', '.join(ORIENTATIONS)}"
    )


def _header(data: bytes, path: Where, more: bool) -> tuple[tuple[str, ...], int]:
    """Return the header lines and the place of the first event, -1 if that is not here and there is more."""
    if not data:
        raise InvalidFile(
            f"{path}: the file is empty; an AEDAT 2.0 file starts with '#!AER-DAT2.0', fetch it again"
        )
    if not data.startswith(MAGIC):
        raise InvalidFile(f"{path}: {_what_it_is(data)}")
    lines: list[str] = []
    start = 0
    # Some programs write LF alone; where the first line ends in CR LF, every header line does.
    endings = (b"\r\n",) if data[: data.find(b"\n") + 1].endswith(b"\r\n") else (b"\r\n", b"\n")
    while data[start : start + 1] == b"#":
        end = data.find(b"\n", start)
        if end < 0 and more:
            return (), -1
        line = data[start : end + 1 if end >= 0 else len(data)]
        text = next((line.removesuffix(e) for e in endings if line.endswith(e)), line)
        if NO_TEXT.search(text) or (end >= 0 and text == line):
            # An event whose address begins with the byte of '#'.
            break
        if end < 0:
            raise InvalidFile(
                f"{path}: the header line at byte {start} does not end; the file is truncated, fetch it again"
            )
        lines.append(text.decode("utf-8", "replace"))
        start = end + 1
    if not lines:
        raise InvalidFile(
            f"{path}: the first line, '#!AER-DAT2.0', is not text that ends in CR LF; the file is damaged, "
            "fetch it again"
        )
    return tuple(lines), start if start < len(data) or not more else -1


def _what_it_is(data: bytes) -> str:
    if data.startswith(b"#!AER-DAT1"):
        return (
            "this is AEDAT 1.0, which is not supported yet; only AEDAT 2.0 is read: open it in jAER and save "
            "it again"
        )
    if other := format_of_bytes(data):
        return not_yet(
            other, "here give AEDAT 2.0 files (.aedat), the originals of CIFAR10-DVS, not *.aedat4"
        )
    return (
        f"an AEDAT 2.0 file starts with '#!AER-DAT2.0', found {data[:12]!r}; "
        "the file is of another format or damaged"
    )
