"""N-MNIST-like recordings from pictures of digits: three saccades before a 34 x 34 sensor.

The picture goes right and down, right and up, and back left, as in the recordings of Orchard et al.
2015 (doi:10.3389/fnins.2015.00437), each in 100 ms. Camera constants are fitted to 1,000 of those
recordings: they reproduce the mean and the spread of the number of events, the course of the event
rate and which polarity leads the motion. They are not the constants of the ATIS camera.
"""

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.events.draws import keyed_generator
from eventsnn.events.pixels import contrast_events
from eventsnn.events.readers.five_byte import NMNIST_HEIGHT, NMNIST_WIDTH
from eventsnn.events.stream import EVENT_DTYPE, Events

DIGIT_SIZE = 28
DISPLACEMENTS = ((3.5, 5.0), (3.5, -5.0), (-7.0, 0.0))
"""Movement of the picture over the sensor in each saccade: columns, rows (downwards), in pixels."""

_LEADING_POLARITY = False  # the bit is 0 where a bright digit brightens a pixel, in the real files


def emulate_saccades(
    image: NDArray[np.uint8],
    seed: int,
    sample: int,
    *,
    saccade_us: int = 100_000,
    step_us: int = 2_000,
    base: tuple[float, float] = (0.20, 0.30),
    threshold: tuple[float, float] = (0.24, 0.40),
    threshold_spread: float = 0.12,
    noise_rate: float = 0.4,
    origin: tuple[float, float] = (-0.5, 1.5),
) -> Events:
    """Return the recording of one digit by an emulated camera.

    Parameters
    ----------
    image
        Bright digit on a dark ground, uint8 of shape (28, 28), as in MNIST.
    seed, sample
        Key of all draws; one (seed, sample) and one picture give one recording.
    saccade_us
        Duration of each of the three saccades, microseconds; the speed rises and falls as
        1 - cos(2 pi u) over it, as the event rate of the real recordings does.
    step_us
        Time between two computed frames, microseconds.
    base
        Range of the background light, drawn per recording, in units of full white; a larger value
        gives fewer events.
    threshold
        Range of the contrast threshold, drawn per recording, in log intensity.
    threshold_spread
        Standard deviation of the pixels' thresholds, relative to the recording's.
    noise_rate
        Mean number of events per millisecond that no light caused, over the whole sensor.
    origin
        Column and row of the sensor where the picture's left upper pixel starts.

    Returns
    -------
    Events on 34 x 34 pixels, 0 <= t < 3 x saccade_us. As in the real files the leading edge of the
    bright digit has p = False.

    Raises
    ------
    InvalidRequest
        If the picture is not uint8 of shape (28, 28), or a setting is out of range.
    """
    if image.shape != (DIGIT_SIZE, DIGIT_SIZE) or image.dtype != np.uint8:
        raise InvalidRequest(
            "the saccade emulator takes a uint8 picture of shape (28, 28), "
            f"found {image.dtype} of shape {image.shape}"
        )
    if step_us < 1 or saccade_us < step_us or saccade_us % step_us:
        raise InvalidRequest(
            f"a saccade of {saccade_us} us is not a whole number of steps of {step_us} us (1 or more)"
        )
    if not (
        0 < base[0] <= base[1]
        and 0 < threshold[0] <= threshold[1]
        and threshold_spread >= 0
        and noise_rate >= 0
    ):
        raise InvalidRequest(
            f"base {base} and threshold {threshold} must be rising ranges above 0, "
            f"threshold_spread {threshold_spread} and noise_rate {noise_rate} at least 0"
        )
    camera = keyed_generator(seed, sample, "saccade camera")
    recording_base = camera.uniform(*base)
    recording_threshold = camera.uniform(*threshold)
    spread = camera.standard_normal((NMNIST_HEIGHT, NMNIST_WIDTH))
    residue = camera.uniform(-0.5, 0.5, (NMNIST_HEIGHT, NMNIST_WIDTH)).astype(np.float32)
    # A pixel far out in the tail would fire without end: thresholds stay at a quarter or more.
    pixel_threshold = recording_threshold * np.maximum(1 + threshold_spread * spread, 0.25)

    column, row = _path(saccade_us // step_us) + np.array(origin)[:, None]
    light = image.astype(np.float32) / np.float32(255)
    frames = _resampling(row, NMNIST_HEIGHT) @ light @ _resampling(column, NMNIST_WIDTH).transpose(0, 2, 1)
    log_frames = np.log(frames + np.float32(recording_base))
    events = contrast_events(
        iter(log_frames), step_us, pixel_threshold.astype(np.float32), residue, _LEADING_POLARITY
    )
    noise = _noise(seed, sample, noise_rate, 3 * saccade_us)
    both = np.concatenate([events, noise])
    return both[np.argsort(both["t"], kind="stable")]


def _path(steps: int) -> NDArray[np.float64]:
    """Return the displacement at each frame: shape (2, 3 steps + 1), columns then rows, pixels."""
    u = np.arange(1, steps + 1) / steps
    progress = u - np.sin(2 * np.pi * u) / (2 * np.pi)  # integral of the speed 1 - cos(2 pi u)
    corners = np.vstack([np.zeros((1, 2)), np.cumsum(DISPLACEMENTS, axis=0)])
    legs = [corners[k] + progress[:, None] * (corners[k + 1] - corners[k]) for k in range(len(DISPLACEMENTS))]
    return np.concatenate([corners[:1], *legs]).T


def _resampling(position: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Return the linear interpolation that puts a 28-pixel line at each position on a sensor line.

    Shape (frames, size, 28): the weight is a tent of two pixels' width; beyond the picture is black.
    """
    distance = np.arange(size)[None, :, None] - (
        np.arange(DIGIT_SIZE)[None, None, :] + position[:, None, None]
    )
    return np.maximum(np.float32(0), (1 - np.abs(distance)).astype(np.float32))


def _noise(seed: int, sample: int, rate_per_ms: float, duration_us: int) -> Events:
    """Return Poisson events, uniform over time, pixels and polarities, unsorted."""
    draw = keyed_generator(seed, sample, "saccade noise")
    events = np.zeros(draw.poisson(rate_per_ms * duration_us / 1000), EVENT_DTYPE)
    events["t"] = draw.integers(0, duration_us, len(events))
    events["x"] = draw.integers(0, NMNIST_WIDTH, len(events))
    events["y"] = draw.integers(0, NMNIST_HEIGHT, len(events))
    events["p"] = draw.integers(0, 2, len(events))
    return events
