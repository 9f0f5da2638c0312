"""How events lie in our HDF5 file: columns of small numbers, in compressed chunks, each recording on its own.

- ``t``: uint8, microseconds since the event before (the first: since 0); 255 stands for the next of ``gaps``,
  int64, which has those that do not fit.
- ``x``, ``y``: uint8, or little-endian uint16 where the sensor has more than 256 columns or rows.
- ``p``: uint8, eight events in a byte, the first in its lowest bit.

Each recording begins with a chunk of its own, whose rest is zero, so that processes make chunks and a file
takes them as they are. Chunks are what HDF5's filters shuffle (two-byte columns) and gzip at level 1 give.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.events.stream import EVENT_DTYPE, MAX_TIME_US, Events

CHUNK = 1 << 15
"""Events in a chunk."""

COLUMNS = ("t", "x", "y", "p")
GAP = 255
GZIP_LEVEL = 1
PACKED = 8  # events of ``p`` in a byte


def column_types(height: int, width: int) -> dict[str, np.dtype[np.generic]]:
    """The type of each column on a sensor."""
    byte, word = np.dtype("u1"), np.dtype("<u2")
    return {"t": byte, "x": byte if width <= 256 else word, "y": byte if height <= 256 else word, "p": byte}


def chunk_lengths() -> dict[str, int]:
    """Elements of each column in a chunk."""
    return {"t": CHUNK, "x": CHUNK, "y": CHUNK, "p": CHUNK // PACKED}


@dataclass(frozen=True)
class EncodedChunk:
    """Up to ``CHUNK`` events: a compressed piece of each column, the long gaps, what they hash to."""

    pieces: tuple[bytes, ...]
    gaps: NDArray[np.int64]
    events: int
    checksum: int
    last: int


def encode_chunk(
    events: Events, types: dict[str, np.dtype[np.generic]], before: int, checksum: int
) -> EncodedChunk:
    """Encode up to ``CHUNK`` valid events of a recording.

    Parameters
    ----------
    events
        Shape (n,).
    types
        Of ``column_types``.
    before
        Time of the event before the first, 0 if there is none.
    checksum
        That of the chunk before, 0 if there is none.
    """
    time = events["t"].astype(np.int64)
    delta = np.diff(time, prepend=before)
    long = delta >= GAP
    gaps = delta[long]
    short = np.where(long, GAP, delta).astype(np.uint8)
    columns = {
        "t": short,
        "x": events["x"].astype(types["x"]),
        "y": events["y"].astype(types["y"]),
        "p": np.packbits(events["p"].astype(bool), bitorder="little"),
    }
    lengths = chunk_lengths()
    pieces = []
    for name in COLUMNS:
        checksum = zlib.crc32(columns[name].data, checksum)
        whole = np.zeros(lengths[name], types[name])
        whole[: len(columns[name])] = columns[name]
        shuffled = whole.view(np.uint8).reshape(-1, whole.itemsize).T.tobytes()
        # Events repeat little but single bytes: runs alone are smaller than what looking further back finds,
        # are found in half the time, and are read by any gzip.
        packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
        pieces.append(packer.compress(shuffled) + packer.flush())
    checksum = zlib.crc32(gaps.astype("<i8").data, checksum)
    return EncodedChunk(tuple(pieces), gaps, len(events), checksum, int(time[-1]) if len(time) else before)


def decode_chunk(
    columns: dict[str, NDArray[np.generic]],
    gaps: NDArray[np.int64],
    into: Events,
    before: int,
    sensor: tuple[int, int],
    checksum: int,
) -> tuple[int, int, int]:
    """Decode one chunk into ``into``, whose length is the number of its events.

    Parameters
    ----------
    columns
        Of the file: as many elements as ``into`` takes.
    gaps
        Those of this chunk first.
    before, checksum
        As for ``encode_chunk``.
    sensor
        Height and width.

    Returns
    -------
    Time of the last event, checksum so far, gaps taken.

    Raises
    ------
    ValueError
        What no valid stream gives.
    """
    short = columns["t"]
    delta = short.astype(np.int64)
    long = np.flatnonzero(short == GAP)
    taken = gaps[: len(long)]
    if len(taken) < len(long):
        raise ValueError("there are more long gaps than were stored")
    for name in COLUMNS:
        checksum = zlib.crc32(columns[name].data, checksum)
    checksum = zlib.crc32(taken.astype("<i8").data, checksum)
    if len(taken):
        if int(taken.min()) < GAP or int(taken.max()) >= MAX_TIME_US:
            raise ValueError(f"a gap lasts {int(taken.min())} to {int(taken.max())} us")
        delta[long] = taken
    delta[:1] += before
    time = np.cumsum(delta)
    if len(time) and not 0 <= int(time[-1]) < MAX_TIME_US:
        raise ValueError(f"the time is {int(time[-1])} us")
    for name, size in (("x", sensor[1]), ("y", sensor[0])):
        if len(into) and int(columns[name].max()) >= size:
            raise ValueError(f"{name} = {columns[name].max()} is outside the sensor")
        into[name] = columns[name]
    into["t"] = time
    into["p"] = np.unpackbits(columns["p"].view(np.uint8), count=len(into), bitorder="little")
    return int(time[-1]) if len(time) else before, checksum, len(taken)


def no_events(count: int) -> Events:
    """Room for ``count`` events."""
    return np.empty(count, EVENT_DTYPE)
