"""Emulated CIFAR10-DVS: repeated closed-loop smooth movement of a picture before a 128 x 128 sensor.

The recordings of Li, Liu, Ji, Li and Shi, "CIFAR10-DVS: an event-stream dataset for object
classification", Frontiers in Neuroscience 11:309, 2017, doi:10.3389/fnins.2017.00309, were made by
moving an upscaled CIFAR-10 picture along a closed path of diagonals on a screen. This emulator moves
the picture the same way before ideal contrast pixels; its constants are set to the published number
of events, about 2e5 in 1.3 s. What is measured on its output is *emulated CIFAR10-DVS*, always.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.events.draws import keyed_generator
from eventsnn.events.pixels import contrast_events
from eventsnn.events.stream import Events

SENSOR_SIZE = 128
PICTURE_SIZE = 32

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, what "convert to grey" does in most tools


def emulate_smooth_movement(
    image: NDArray[np.uint8],
    seed: int,
    sample: int,
    *,
    path_radius: float = 8.0,
    loop_us: int = 325_000,
    loops: int = 4,
    step_us: int = 2_500,
    base: float = 20.0,
    threshold: float = 0.24,
    threshold_spread: float = 0.08,
) -> Events:
    """Return the recording of one picture by an emulated camera.

    Parameters
    ----------
    image
        uint8 picture of shape (32, 32) or, with red, green and blue, (32, 32, 3).
    seed, sample
        Key of all draws; one (seed, sample) and one picture give one recording.
    path_radius
        Distance of the diamond's four corners from its centre, in sensor pixels: the picture moves
        by this many columns and rows on each of its four sides.
    loop_us
        Time for one round, microseconds, at constant speed.
    loops
        Number of rounds.
    step_us
        Time between two computed frames, microseconds.
    base
        Background light, in grey levels of 0 to 255; a larger value gives fewer events.
    threshold
        Contrast threshold in log intensity.
    threshold_spread
        Standard deviation of the pixels' thresholds, relative to ``threshold``.

    Returns
    -------
    Events on 128 x 128 pixels, 0 <= t < loops x loop_us, p = True where a pixel brightens.

    Raises
    ------
    InvalidRequest
        If the picture is not of such a shape and type, or a setting is out of range.
    """
    if (
        image.shape not in ((PICTURE_SIZE, PICTURE_SIZE), (PICTURE_SIZE, PICTURE_SIZE, 3))
        or image.dtype != np.uint8
    ):
        raise InvalidRequest(
            "the smooth-movement emulator takes a uint8 picture of shape (32, 32) or (32, 32, 3), "
            f"found {image.dtype} of shape {image.shape}"
        )
    if step_us < 1 or loop_us < step_us or loop_us % step_us or loops < 1:
        raise InvalidRequest(
            f"{loops} loops of {loop_us} us in steps of {step_us} us: "
            "give at least one loop of a whole number of steps"
        )
    if not (0 < path_radius <= SENSOR_SIZE and base > 0 and threshold > 0 and threshold_spread >= 0):
        raise InvalidRequest(
            f"path_radius {path_radius} must be above 0 and at most {SENSOR_SIZE}, "
            f"base {base} and threshold {threshold} above 0, threshold_spread {threshold_spread} at least 0"
        )
    camera = keyed_generator(seed, sample, "smooth movement camera")
    spread = camera.standard_normal((SENSOR_SIZE, SENSOR_SIZE))
    residue = camera.uniform(-0.5, 0.5, (SENSOR_SIZE, SENSOR_SIZE)).astype(np.float32)
    # A pixel far out in the tail would fire without end: thresholds stay at a quarter or more.
    pixel_threshold = (threshold * np.maximum(1 + threshold_spread * spread, 0.25)).astype(np.float32)
    loop = list(_log_frames(_grey(image), _diamond(path_radius, loop_us // step_us), base))
    frames = itertools.chain(*itertools.repeat(loop, loops), loop[:1])
    return contrast_events(frames, step_us, pixel_threshold, residue, brightening=True)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (image @ _LUMA if image.ndim == 3 else image).astype(np.float32)


def _diamond(radius: float, steps: int) -> NDArray[np.float64]:
    """Return the picture's displacement in each frame of a loop, shape (steps, 2): column, row.

    It starts at the upper corner; the frame after the last is the first one again.
    """
    corners = np.array([[0, -1], [1, 0], [0, 1], [-1, 0], [0, -1]]) * radius
    around = np.arange(steps) * (4 / steps)
    return np.stack([np.interp(around, np.arange(5), corners[:, axis]) for axis in (0, 1)], axis=1)


def _log_frames(
    grey: NDArray[np.float32], path: NDArray[np.float64], base: float
) -> Iterator[NDArray[np.float32]]:
    """Yield log(grey + base) as the sensor sees it at each displacement, bilinear between pixels."""
    margin = int(np.ceil(np.abs(path).max())) + 1
    line = _upscaling(margin)
    picture = line @ grey @ line.T
    offset = np.float32(base)
    for column, row in path:
        # The picture moves by +column, so the sensor looks at -column.
        x, y = margin - column, margin - row
        left, top = int(np.floor(x)), int(np.floor(y))
        right_share, low_share = np.float32(x - left), np.float32(y - top)
        view = picture[top : top + SENSOR_SIZE + 1, left : left + SENSOR_SIZE + 1]
        rows = view[:-1] + low_share * (view[1:] - view[:-1])
        yield np.log(rows[:, :-1] + right_share * (rows[:, 1:] - rows[:, :-1]) + offset)


def _upscaling(margin: int) -> NDArray[np.float32]:
    """Return the four-fold linear upscaling of a line, shape (128 + 2 margin, 32).

    Pixel centres are at half places; beyond the picture its edge is continued, as a dark or bright
    surround would put a frame of events round every recording.
    """
    scale = SENSOR_SIZE // PICTURE_SIZE
    place = (np.arange(-margin, SENSOR_SIZE + margin) + 0.5) / scale - 0.5
    place = np.clip(place, 0, PICTURE_SIZE - 1)
    weight = 1 - np.abs(place[:, None] - np.arange(PICTURE_SIZE)[None, :])
    return np.maximum(np.float32(0), weight.astype(np.float32))
