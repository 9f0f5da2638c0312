"""I2E: eight small movements of a picture as events, each movement a step of its own.

Ma, Meng, Qiao, Ning, Liu and Hu, "I2E: Real-time image-to-event conversion for high-performance spiking
neural networks", AAAI 2026, doi:10.1609/aaai.v40i3.37179. The picture is scaled (bicubic) to the sensor, V is
the largest of its colours, and in step k a pixel sees V go from one of its nine neighbours to another; where
it changes by more than ``ratio`` of the picture's whole range, there is an event. Beyond the edge V goes on.

No camera recorded them: what is measured on such events is *emulated*, always.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import number, whole
from eventsnn.errors import InvalidRequest, MissingExtra
from eventsnn.events.stream import EVENT_DTYPE, MAX_TIME_US, Events

MOVEMENTS = (
    ((1, 1), (0, -1)),
    ((0, -1), (-1, 1)),
    ((-1, 1), (1, 0)),
    ((1, 0), (-1, -1)),
    ((0, 0), (0, 1)),
    ((0, 0), (-1, 0)),
    ((0, 0), (-1, 1)),
    ((0, 0), (-1, -1)),
)
"""From where to where in its neighbourhood each pixel looks, (row, column): those of the authors' code."""

STEPS = len(MOVEMENTS)
LARGEST_SIZE = 4096


def encode_i2e(
    image: NDArray[np.uint8], *, size: int = 128, ratio: float = 0.07, step_us: int = 1_000
) -> Events:
    """The events of one picture.

    Parameters
    ----------
    image
        uint8 of shape (rows, columns) or, with red, green and blue, (rows, columns, 3).
    size
        Rows and columns of the sensor.
    ratio
        S0: the change that gives an event, as a share of the largest V less the smallest; a change of just so
        much gives none.
    step_us
        Time of a movement, microseconds: step k has t = k step_us.

    Returns
    -------
    Events on size x size pixels, sorted by time, within a step by row and column; p = True where V rises.
    A picture of one V gives none.

    Raises
    ------
    InvalidRequest
        If the picture is of another shape or type, or a setting is out of range.
    MissingExtra
        If the package pillow, which scales pictures, is not there.
    """
    size = whole(size, "size", InvalidRequest, least=2, most=LARGEST_SIZE)
    step_us = whole(step_us, "step_us", InvalidRequest, least=1, most=MAX_TIME_US // STEPS - 1)
    share = float(number(ratio, "ratio", InvalidRequest))
    if not 0 < share < 1:
        raise InvalidRequest(f"ratio is {share}; it must be above 0 and below 1")
    changes = intensity_changes(image, size)
    value = largest_colour(image, size)
    threshold = share * (int(value.max()) - int(value.min()))
    step, row, column = np.nonzero(np.abs(changes) > threshold)
    events = np.zeros(len(step), EVENT_DTYPE)
    events["t"], events["y"], events["x"] = step * step_us, row, column
    events["p"] = changes[step, row, column] > 0
    return events


def event_rate(events: Events, size: int) -> float:
    """Events as a share of all steps, pixels and polarities, as the paper counts them."""
    return len(events) / (STEPS * 2 * size * size)


def intensity_changes(image: NDArray[np.uint8], size: int) -> NDArray[np.int16]:
    """How V changes at each pixel in each movement, shape (8, size, size), -255 to 255."""
    wide = np.pad(largest_colour(image, size).astype(np.int16), 1, mode="edge")

    def at(place: tuple[int, int]) -> NDArray[np.int16]:
        row, column = place
        return wide[1 + row : 1 + row + size, 1 + column : 1 + column + size]

    return np.stack([at(end) - at(start) for start, end in MOVEMENTS])


def largest_colour(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """V: the picture scaled to size x size, the largest of its colours at each pixel."""
    good = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not good or not math.prod(image.shape):
        raise InvalidRequest(
            "I2E takes a uint8 picture of shape (rows, columns) or (rows, columns, 3), such as (32, 32, 3), "
            f"found {image.dtype} of shape {image.shape}"
        )
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra(
            "scaling pictures needs the package pillow; install it with pip install 'eventsnn[images]'"
        ) from error
    scaled = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
    made: NDArray[np.uint8] = np.asarray(scaled)
    return made if made.ndim == 2 else made.max(axis=-1)
