"""Temporal-contrast pixels: what an event camera's array emits while a picture moves over it.

Each pixel remembers the logarithm of the intensity at its last event and emits one event for each
contrast threshold that the present logarithm has left it by. Intensity is taken as linear in time
between two frames, in the logarithm, which gives each event its own microsecond.

Source of the pixel model: Lichtsteiner, Posch and Delbruck, "A 128 x 128 120 dB 15 us latency
asynchronous temporal contrast vision sensor", IEEE JSSC 43(2), 2008, doi:10.1109/JSSC.2007.914337.
Left out here: refractory time, bandwidth, leak events, and the delay of the readout.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from eventsnn.events.stream import EVENT_DTYPE, Events


def contrast_events(
    frames: Iterable[NDArray[np.float32]],
    step_us: int,
    threshold: NDArray[np.float32],
    residue: NDArray[np.float32],
    brightening: bool,
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

    Returns
    -------
    Events sorted by time; events of one microsecond keep the order of frames, pixels (row-major)
    and crossings.
    """
    width = threshold.shape[1]
    flat_threshold = threshold.ravel()
    per_threshold = np.float32(1) / flat_threshold
    pixels, crossings, memories, befores, afters, steps = [], [], [], [], [], []
    memory: NDArray[np.float32] | None = None
    before = flat_threshold
    for step, frame in enumerate(frames):
        after = frame.ravel()
        if memory is None:
            memory = after - residue.ravel() * flat_threshold
        else:
            crossed = ((after - memory) * per_threshold).astype(np.int32)  # truncates towards zero
            pixel = np.flatnonzero(crossed != 0)
            if pixel.size:
                crossing = crossed[pixel]
                pixels.append(pixel)
                crossings.append(crossing)
                memories.append(memory[pixel])
                befores.append(before[pixel])
                afters.append(after[pixel])
                steps.append(np.full(pixel.size, (step - 1) * step_us, np.int64))
                memory[pixel] += crossing.astype(np.float32) * flat_threshold[pixel]
        before = after
    if not pixels:
        return np.zeros(0, EVENT_DTYPE)

    signed = np.concatenate(crossings)
    count = np.abs(signed)
    first = np.cumsum(count) - count
    ordinal = np.arange(int(count.sum())) - np.repeat(first, count) + 1

    pixel_of = np.repeat(np.concatenate(pixels), count)
    sign = np.repeat(np.sign(signed), count)
    level = (
        np.repeat(np.concatenate(memories), count)
        + (sign * ordinal).astype(np.float32) * flat_threshold[pixel_of]
    )
    start = np.repeat(np.concatenate(befores), count)
    change = np.repeat(np.concatenate(afters), count) - start
    # Rounding can leave a crossing a hair outside its step, or in a step without change (then it is
    # due at once): both are kept inside the step.
    share = np.divide(level - start, change, out=np.zeros_like(level), where=change != 0)
    within = (np.clip(share, 0, 1) * np.float32(step_us)).astype(np.int64).clip(max=step_us - 1)
    events = np.zeros(ordinal.size, EVENT_DTYPE)
    events["t"] = np.repeat(np.concatenate(steps), count) + within
    events["y"], events["x"] = np.divmod(pixel_of, width)
    events["p"] = (sign > 0) == brightening
    return events[np.argsort(events["t"], kind="stable")]
