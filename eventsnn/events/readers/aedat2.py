"""AEDAT 2.0 files, the format of jAER and of CIFAR10-DVS.

A text header of lines that start with ``#`` (the first is ``#!AER-DAT2.0``, each ends in CR LF), then
events of eight bytes: big-endian 32-bit address, big-endian signed 32-bit time in microseconds, which
need not start at 0. There is no count and no footer.

Source: iniVation, "AEDAT file formats", https://docs.inivation.com/software/software-advanced-usage/
file-formats/aedat-2.0.html, and the files of Li et al. 2017, doi:10.3389/fnins.2017.00309.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidFile
from eventsnn.events.clock import AEDAT_COUNTER, Clock, clock_of
from eventsnn.events.layouts import (
    RAW,
    AddressLayout,
    Orientation,
    layout_of,
    orientation_of,
)
from eventsnn.events.readers.aedat2_header import (
    RECORD,
    Opening,
    opening_of,
    usual_orientation,
)
from eventsnn.events.readers.blocks import AT_ONCE, Block, in_parts, whole
from eventsnn.events.readers.contract import Decoded, Settings, Where
from eventsnn.events.readers.files import opened, records_from, size_of
from eventsnn.events.stream import Events


@dataclass(frozen=True)
class AedatCounts:
    """What a file held beside the events returned.

    Attributes
    ----------
    records
        All eight-byte records.
    special_events
        Records with the external bit set, which are no pixel events; not those of the last two.
    events_before_reset
        Pixel events left out because the clock was reset after them.
    header
        Its lines.
    stray_events
        Pixel events left out because their times are out of line with those around them.
    frame_samples, motion_samples
        Records of a DAVIS that are samples of pictures and of its inertial sensor.
    """

    records: int
    special_events: int
    events_before_reset: int
    header: tuple[str, ...]
    stray_events: int = 0
    frame_samples: int = 0
    motion_samples: int = 0


def read_aedat(
    path: str | os.PathLike[str],
    *,
    layout: AddressLayout | str | None = None,
    orientation: Orientation | str | None = None,
    clock: Clock = "last-reset",
) -> Events:
    """Read the pixel events of one AEDAT 2.0 file; ``read_aedat_with_counts`` without the counts."""
    return read_aedat_with_counts(path, layout=layout, orientation=orientation, clock=clock)[0]


def read_aedat_with_counts(
    path: str | os.PathLike[str],
    *,
    layout: AddressLayout | str | None = None,
    orientation: Orientation | str | None = None,
    clock: Clock = "last-reset",
) -> tuple[Events, AedatCounts]:
    """Read one AEDAT 2.0 file.

    Parameters
    ----------
    path
        The ``.aedat`` file.
    layout
        Where the camera keeps x, y and polarity in an address, or its name in ``LAYOUTS``. None: that of
        the camera that the header names (``AEChip``), of a DVS128 where it names none.
    orientation
        What the data set means by them, or its name in ``ORIENTATIONS``. None: of a DVS128, the convention
        of CIFAR10-DVS; of another camera it must be said.
    clock
        What to do where time goes back. A wrap of the counter (here of 32 bits) is always undone.

        ``"last-reset"``: where the camera's clock was reset to 0 inside the file (time falls to below
        10 ms and goes on from there, not from where it stood), drop everything before the last reset,
        since it has another time base. A few events in one place that are out of line with what comes
        before and after them are strays: they are dropped with a warning. Any other step back is an
        error. ``"strict"``: a reset or a stray is an error too. ``"sort"``: as ``"last-reset"``, then
        sort by time, equal times in file order.

    Returns
    -------
    events
        Shape (n_events,), the first kept event at t = 0; special events are left out, as are samples of
        pictures and of inertial sensors.
    counts
        Records in the file, what was left out of them and why, header lines.

    Raises
    ------
    InvalidFile
        If the file is not AEDAT 2.0, is truncated, holds no pixel event, has addresses of another layout, or
        says that it is of another camera, or of one that is not known.
    InvalidEvents
        If time goes back where ``clock`` does not allow it; the record is named.
    InvalidRequest
        If ``clock``, ``layout`` or ``orientation`` is unknown, or ``path`` no path.

    Warns
    -----
    RecordingWarning
        If stray events were left out.
    """
    clock = clock_of(clock)
    orientation = None if orientation is None else orientation_of(orientation)
    layout = None if layout is None else layout_of(layout)
    with opened(path) as file:
        opening = opening_of(file, layout, path)
        layout, orientation = opening.layout, orientation or usual_orientation(opening.layout, path)
        found = whole(
            partial(_blocks, file, opening, orientation, path, AT_ONCE),
            (size_of(file) - opening.start) // RECORD.itemsize,
            AEDAT_COUNTER,
            clock,
            str(path),
            orientation.size(layout),
            from_zero=True,
        )
    special, frames, motions = found.left_out or (0, 0, 0)
    if not len(found.events):
        raise InvalidFile(
            f"{path}: no pixel event among {found.records} records ({special} special events); "
            "the recording is empty"
        )
    counts = AedatCounts(
        found.records, special, found.before_reset, opening.header, found.strays, frames, motions
    )
    return found.events, counts


def aedat_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Columns and rows, of the layout that the header names or that was said, as they are oriented."""
    with opened(path) as file:
        layout = opening_of(file, settings.layout, path).layout
    height, width = (settings.orientation or RAW).size(layout)
    return width, height


def read_any_aedat(path: Where, settings: Settings) -> Decoded:
    """As ``read_aedat_with_counts``, in the raw orientation unless another is said."""
    orientation, clock = settings.orientation or RAW, settings.clock or "last-reset"
    events, counts = read_aedat_with_counts(
        path, layout=settings.layout, orientation=orientation, clock=clock
    )
    width, height = aedat_size(path, settings)
    whole_numbers = {name: value for name, value in asdict(counts).items() if isinstance(value, int)}
    return Decoded(events, height, width, whole_numbers, "first-event")


def aedat_chunks(path: Where, settings: Settings, at_once: int) -> Iterator[Events]:
    """The pixel events of an AEDAT 2.0 file in parts of at most ``at_once``, times from the first one on."""
    orientation = settings.orientation or RAW
    with opened(path) as file:
        opening = opening_of(file, settings.layout, path)
        blocks = _blocks(file, opening, orientation, path, at_once)
        size = orientation.size(opening.layout)
        yield from in_parts(blocks, AEDAT_COUNTER, str(path), size, from_zero=True)


def _blocks(
    file: BinaryIO, opening: Opening, orientation: Orientation, path: Where, at_once: int
) -> Iterator[Block]:
    seen = 0
    for records in records_from(file, RECORD, opening.start, at_once):
        block = _block(records, opening.layout, orientation, path, seen)
        seen += len(records)
        yield block


def _block(
    records: NDArray[np.void], layout: AddressLayout, orientation: Orientation, path: Where, seen: int
) -> Block:
    """The pixel events of some records, after ``seen`` others. Left out: special, frames', motion samples."""
    address, stored = records["address"].astype(np.uint32), records["time"].astype(np.int64)
    bits = int(np.bitwise_or.reduce(address))
    if bits & ~layout.used_mask:
        here = int(np.argmax((address & (0xFFFFFFFF & ~layout.used_mask)) != 0))
        raise InvalidFile(
            f"{path}: event {seen + here} has address 0x{address[here]:08X}, which has bits outside the "
            f"{layout.name} layout (0x{layout.used_mask:08X}); the file is of another camera or damaged"
        )
    place, left_out = None, (0, 0, 0)
    if bits & layout.special_mask:
        special = (address & layout.special_mask) != 0
        others = address[special]
        moved = ((others & layout.motion_mask) == layout.motion_mask) & (layout.motion_mask != 0)
        frames = int(((others & layout.frame_mask) != 0).sum()) - int(moved.sum())
        left_out = (len(others) - frames - int(moved.sum()), frames, int(moved.sum()))
        place = np.flatnonzero(~special)
        address = address[place]
    raw_x, raw_y, bit = layout.decode(address)
    x, y = orientation.to_picture(layout, raw_x, raw_y)
    time = stored if place is None else stored[place]
    return Block(time, x, y, bit == orientation.on_bit, len(records), place, stored, left_out)
