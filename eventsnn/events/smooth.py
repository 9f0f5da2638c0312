"""Emulated CIFAR10-DVS: repeated closed-loop smooth movement of a picture before a 128 x 128 sensor.

The recordings of Li, Liu, Ji, Li and Shi, "CIFAR10-DVS: an event-stream dataset for object
classification", Frontiers in Neuroscience 11:309, 2017, doi:10.3389/fnins.2017.00309, were made by
moving an upscaled CIFAR-10 picture along a closed path of diagonals on a screen. This emulator moves
the picture the same way before contrast pixels; its constants are set to the published number
of events, about 2e5 in 1.3 s. What is measured on its output is *emulated CIFAR10-DVS*, always.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.events.draws import keyed_generator
from eventsnn.events.pixels import contrast_events, in_time_order
from eventsnn.events.stream import EVENT_DTYPE, Events

SENSOR_SIZE = 128

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, what "convert to grey" does in most tools


@dataclass(frozen=True)
class SmoothMovement:
    """How the picture moves and what the emulated camera is like.

    Path, threshold and base give the published number of events and their time; refractory time, noise and
    jitter are of the size that cameras of this kind have and were fitted to nothing.

    Attributes
    ----------
    path_radius
        Distance of the diamond's four corners from its centre, in sensor pixels: the picture moves
        by this many columns and rows on each of its four sides.
    loop_us, loops
        Time for one round, microseconds, at constant speed; number of rounds.
    step_us
        Time between two computed frames, microseconds.
    base
        Background light, in grey levels of 0 to 255; a larger value gives fewer events.
    threshold
        Contrast threshold in log intensity.
    threshold_spread
        Standard deviation of the pixels' thresholds, relative to ``threshold``.
    refractory_us
        For how long a pixel is blind after an event, microseconds.
    noise_hz
        Events that no light caused, of each pixel, per second.
    jitter_us
        Standard deviation of the time of each event, microseconds.

    Raises
    ------
    InvalidRequest
        A setting is out of range.
    """

    path_radius: float = 8.0
    loop_us: int = 325_000
    loops: int = 4
    step_us: int = 2_500
    base: float = 20.0
    threshold: float = 0.24
    threshold_spread: float = 0.08
    refractory_us: float = 500.0
    noise_hz: float = 0.1
    jitter_us: float = 20.0

    def __post_init__(self) -> None:
        whole = all(isinstance(getattr(self, n), int | np.integer) for n in ("loop_us", "loops", "step_us"))
        if not whole or self.step_us < 1 or self.loop_us < self.step_us or self.loop_us % self.step_us:
            raise InvalidRequest(
                f"a loop of {self.loop_us} us is not a whole number of steps of {self.step_us} us (1 or more)"
            )
        if self.loops < 1 or self.duration_us >= 2**31:
            raise InvalidRequest(
                f"{self.loops} loops of {self.loop_us} us: give at least one loop, and less than {2**31} us"
            )
        if not (
            0 < self.path_radius <= SENSOR_SIZE and 0 < self.base < math.inf and 0 < self.threshold < math.inf
        ):
            raise InvalidRequest(
                f"path_radius {self.path_radius} must be above 0 and at most {SENSOR_SIZE}, "
                f"base {self.base} and threshold {self.threshold} above 0"
            )
        for name in ("threshold_spread", "refractory_us", "noise_hz", "jitter_us"):
            if not 0 <= getattr(self, name) < 1e6:
                raise InvalidRequest(f"{name} {getattr(self, name)} must be at least 0 and below a million")

    @property
    def duration_us(self) -> int:
        """Length of a recording, microseconds."""
        return self.loops * self.loop_us


def emulate_smooth_movement(
    image: NDArray[np.uint8],
    seed: int,
    sample: int,
    movement: SmoothMovement | None = None,
    **settings: float,
) -> Events:
    """Return the recording of one picture by an emulated camera.

    Parameters
    ----------
    image
        uint8 picture of shape (rows, columns) or, with red, green and blue, (rows, columns, 3), such as
        (32, 32, 3); it is stretched over the sensor.
    seed, sample
        Key of all draws; one (seed, sample) and one picture give one recording.
    movement
        The settings; those of ``SmoothMovement`` unless given.
    settings
        Single ones of them, by name.

    Returns
    -------
    Events on 128 x 128 pixels, 0 <= t < loops x loop_us, p = True where a pixel brightens.

    Raises
    ------
    InvalidRequest
        If the picture is not of such a shape and type, or a setting is out of range.
    """
    made = replace(SmoothMovement() if movement is None else movement, **settings)  # type: ignore[arg-type]
    sizes = image.shape[:2] if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3) else (0,)
    if image.dtype != np.uint8 or not all(1 <= size <= SENSOR_SIZE for size in sizes):
        raise InvalidRequest(
            "the smooth-movement emulator takes a uint8 picture of shape (rows, columns) or (rows, columns, "
            f"3), such as (32, 32, 3), of 1 to {SENSOR_SIZE} rows and columns, found {image.dtype} of shape "
            f"{image.shape}"
        )
    camera = keyed_generator(seed, sample, "smooth movement camera")
    spread = camera.standard_normal((SENSOR_SIZE, SENSOR_SIZE))
    residue = camera.uniform(-0.5, 0.5, (SENSOR_SIZE, SENSOR_SIZE)).astype(np.float32)
    # A pixel far out in the tail would fire without end: thresholds stay at a quarter or more.
    pixel_threshold = (made.threshold * np.maximum(1 + made.threshold_spread * spread, 0.25)).astype(
        np.float32
    )
    steps = made.loop_us // made.step_us
    events = contrast_events(
        _log_frames(_grey(image), _diamond(made.path_radius, steps), made.base),
        made.step_us,
        pixel_threshold,
        residue,
        brightening=True,
        refractory_us=made.refractory_us,
        order=np.arange(made.loops * steps + 1) % steps,
    )
    return _with_noise(events, seed, sample, made)


def _with_noise(events: Events, seed: int, sample: int, made: SmoothMovement) -> Events:
    """Add Poisson events, uniform over time, pixels and polarities, and jitter to the time of all."""
    draw = keyed_generator(seed, sample, "smooth movement noise")
    expected = made.noise_hz * SENSOR_SIZE**2 * made.duration_us / 1e6
    noise = np.zeros(draw.poisson(expected), EVENT_DTYPE)
    noise["t"] = draw.integers(0, made.duration_us, len(noise))
    for name, end in (("x", SENSOR_SIZE), ("y", SENSOR_SIZE), ("p", 2)):
        noise[name] = draw.integers(0, end, len(noise))
    if made.jitter_us:
        moved = np.rint(made.jitter_us * draw.standard_normal(len(events))).astype(np.int64)
        events["t"] = (events["t"] + moved).clip(0, made.duration_us - 1)
    return in_time_order(np.concatenate([events, noise]))


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
    picture = _upscaling(margin, grey.shape[0]) @ grey @ _upscaling(margin, grey.shape[1]).T
    offset = np.float32(base)
    for column, row in path:
        # The picture moves by +column, so the sensor looks at -column.
        x, y = margin - column, margin - row
        left, top = int(np.floor(x)), int(np.floor(y))
        right_share, low_share = np.float32(x - left), np.float32(y - top)
        view = picture[top : top + SENSOR_SIZE + 1, left : left + SENSOR_SIZE + 1]
        rows = view[:-1] + low_share * (view[1:] - view[:-1])
        yield np.log(rows[:, :-1] + right_share * (rows[:, 1:] - rows[:, :-1]) + offset)


def _upscaling(margin: int, size: int) -> NDArray[np.float32]:
    """Return the linear upscaling of a line to the sensor, shape (128 + 2 margin, size).

    Pixel centres are at half places; beyond the picture its edge is continued, as a dark or bright
    surround would put a frame of events round every recording.
    """
    place = (np.arange(-margin, SENSOR_SIZE + margin) + 0.5) * (size / SENSOR_SIZE) - 0.5
    place = np.clip(place, 0, size - 1)
    weight = 1 - np.abs(place[:, None] - np.arange(size)[None, :])
    return np.maximum(np.float32(0), weight.astype(np.float32))
