"""Temporal-contrast pixels: what an event camera's array emits while a picture moves over it.

Each pixel remembers the logarithm of the intensity at its last event and emits one event for each
contrast threshold that the present logarithm has left it by. Intensity is taken as linear in time
between two frames, in the logarithm, which gives each event its own microsecond. After an event a
pixel is blind for the refractory time; what it sees at its end is what it remembers then, as the
camera holds a pixel in reset for so long.

Source of the pixel model: Lichtsteiner, Posch and Delbruck, "A 128 x 128 120 dB 15 us latency
asynchronous temporal contrast vision sensor", IEEE JSSC 43(2), 2008, doi:10.1109/JSSC.2007.914337.
Left out here: bandwidth, leak events, and the delay of the readout.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from eventsnn.events.stream import EVENT_DTYPE, Events

# Where it does not suffice, the kernel says what does and runs again.
_ROOM = 1 << 19


def contrast_events(
    frames: Iterable[NDArray[np.float32]],
    step_us: int,
    threshold: NDArray[np.float32],
    residue: NDArray[np.float32],
    brightening: bool,
    *,
    refractory_us: float = 0.0,
    order: NDArray[np.int64] | None = None,
) -> Events:
    """Return the events of an array of contrast pixels that sees a sequence of frames.

    Parameters
    ----------
    frames
        Log intensities, float32 arrays of shape (height, width), one every ``step_us``; the first
        is at time 0 and sets each pixel's memory, less its residue, without an event.
    step_us
        Time between two frames, microseconds.
    threshold
        Contrast threshold of each pixel, in log intensity, positive, shape (height, width).
    residue
        What each pixel has already seen since its last event before time 0, in thresholds, between
        -1 and 1, shape (height, width). A camera starts with some; with none, a picture that returns
        exactly to where it was would make all pixels fire again in the very last frame.
    brightening
        The polarity given to a brightening crossing; a darkening one gets the other.
    refractory_us
        For how long a pixel is blind after an event, microseconds.
    order
        Which frame is seen at each step, where some are seen again; all, one after the other, unless given.

    Returns
    -------
    Events sorted by time; events of one microsecond keep the order of frames, pixels (row-major)
    and crossings.
    """
    # Compiling is not for those who only read recordings.
    from eventsnn.events.pixel_kernel import contrast_crossings

    seen = np.stack(list(frames)).astype(np.float32, copy=False).reshape(-1, threshold.size)
    steps = np.arange(len(seen)) if order is None else order
    flat = threshold.astype(np.float32, copy=False).ravel()
    start = seen[steps[0]].astype(np.float64) - residue.ravel().astype(np.float64) * flat
    room, found = _ROOM, np.zeros(1, np.int64)
    while True:
        time, pixel, rising = np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.bool_)
        contrast_crossings(
            seen,
            steps.astype(np.int64),
            step_us,
            flat,
            start.copy(),
            np.full(flat.size, -1.0),
            float(refractory_us),
            time,
            pixel,
            rising,
            found,
        )
        if found[0] <= room:
            break
        room = int(found[0])
    count = int(found[0])
    events = np.zeros(count, EVENT_DTYPE)
    events["t"] = time[:count]
    events["y"], events["x"] = np.divmod(pixel[:count], threshold.shape[1])
    events["p"] = rising[:count] == brightening
    return in_time_order(events)


def in_time_order(events: Events) -> Events:
    """Sort by time; events of one microsecond keep their order. Times are from 0 to below 2^32."""
    # Numbers that all differ are sorted several times faster than a stable sort goes.
    keys = (events["t"] << 31) | np.arange(len(events))
    keys.sort()
    sorted_events: Events = events[keys & (2**31 - 1)]
    return sorted_events
