"""AEDAT 2.0 files written."""

import os
from pathlib import Path

import numpy as np

from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events.layouts import (
    DVS128,
    LAYOUTS,
    RAW,
    AddressLayout,
    Orientation,
    layout_of,
    orientation_of,
)
from eventsnn.events.readers.aedat2_header import MAGIC, NO_TEXT, RECORD, usual_orientation
from eventsnn.events.readers.contract import Settings, Where
from eventsnn.events.stream import Events, validate_events


def write_aedat(
    path: str | os.PathLike[str],
    events: Events,
    *,
    layout: AddressLayout | str = DVS128,
    orientation: Orientation | str | None = None,
    comments: tuple[str, ...] = (),
) -> None:
    """Write one AEDAT 2.0 file; reading it back gives the same events, times counted from the first.

    Parameters
    ----------
    path
        The file to write.
    events
        Stream in picture coordinates, valid on the sensor of ``layout`` in ``orientation``.
    layout, orientation
        As for ``read_aedat``.
    comments
        Lines for the header, without the leading ``#``.

    Raises
    ------
    InvalidEvents
        If there is no event, an event is not valid on the sensor, or a time does not fit 31 bits.
    InvalidRequest
        If a comment holds a line break or another control character.
    OSError
        If the file cannot be written.
    """
    layout = layout_of(layout)
    orientation = usual_orientation(layout, path) if orientation is None else orientation_of(orientation)
    validate_events(events, *orientation.size(layout), f"{path} (to be written as AEDAT 2.0, {layout.name})")
    if not len(events):
        raise InvalidEvents(
            f"{path}: there is no event to write; an AEDAT file without events cannot be replayed"
        )
    if events["t"][-1] >= 2**31:
        index = int(np.searchsorted(events["t"], 2**31))
        raise InvalidEvents(
            f"{path}: event {index} has t = {events['t'][index]} us; "
            f"AEDAT 2.0 files hold times below {2**31} us (35.8 min), cut the recording"
        )
    if isinstance(comments, str) or not all(isinstance(comment, str) for comment in comments):
        raise InvalidRequest(f"{path}: comments are {comments!r}; give a tuple of strings, one for each line")
    lines = [MAGIC, *(b"# " + comment.encode("utf-8", "surrogateescape") for comment in comments)]
    if any(NO_TEXT.search(line) for line in lines):
        raise InvalidRequest(
            f"{path}: a header comment holds a line break or another control character; give one string "
            "for each line"
        )
    raw_x, raw_y = orientation.to_raw(layout, events["x"].astype(np.int64), events["y"].astype(np.int64))
    bit = np.where(events["p"], orientation.on_bit, 1 - orientation.on_bit).astype(np.int64)
    records = np.empty(len(events), RECORD)
    records["address"] = layout.encode(raw_x, raw_y, bit)
    records["time"] = events["t"]
    Path(path).write_bytes(b"".join(line + b"\r\n" for line in lines) + records.tobytes())


def write_any_aedat(path: Where, events: Events, height: int, width: int, settings: Settings) -> None:
    """As ``write_aedat``, in the layout of this size and the raw orientation unless others are said."""
    orientation = settings.orientation or RAW
    sizes = {orientation.size(known): known for known in LAYOUTS.values()}
    layout = settings.layout or sizes.get((height, width))
    if layout is None or orientation.size(layout) != (height, width):
        known = ", ".join(f"{name} ({found.raw_width}x{found.raw_height})" for name, found in LAYOUTS.items())
        raise InvalidRequest(
            f"{path}: no AEDAT 2.0 layout {'of this name ' if settings.layout else ''}has {width}x{height} "
            f"pixels; known are {known}"
        )
    comments = () if layout == DVS128 else (f"AEChip: {layout.chip}",)
    write_aedat(path, events, layout=layout, orientation=orientation, comments=comments)
