"""Inputs that are no recordings: spike trains and analog images, and the samples that hold them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events.stream import MAX_TIME_US

PICOSECONDS_PER_MICROSECOND = 10**6


@dataclass(frozen=True, eq=False)
class SpikeTrain:
    """Spikes on the neurons of an input population; ``spike_train`` makes one from microseconds.

    Attributes
    ----------
    time_ps
        Picoseconds since the sample's start, int64, shape (spikes,), sorted by (time, neuron); spikes of
        one neuron at one time keep their order.
    neuron
        Row-major index into the input population (y, x, channel), int64, shape (spikes,).
    payload
        What each spike carries, int64, shape (spikes,), never 0; None is +1 each.
    duration_ps
        When the input ends: currents flow until then. None: with the last spike.
    """

    time_ps: NDArray[np.int64]
    neuron: NDArray[np.int64]
    payload: NDArray[np.int64] | None = None
    duration_ps: int | None = None

    def __len__(self) -> int:
        return len(self.time_ps)


@dataclass(frozen=True, eq=False)
class AnalogImage:
    """Values that stand at the input from time 0 on; no spike carries them.

    Attributes
    ----------
    values
        Activations, float64, shape (y, x, channel); uint8 means / 255 as in any image, and 16 is the
        largest magnitude. They act on rate neurons as currents, on signed ones as charges at time 0,
        rounded to parts of the network's ``Input.analog_scale``.
    duration_ps
        How long they stand, picoseconds; None needs a network without currents.
    """

    values: NDArray[np.float64]
    duration_ps: int | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample that is no recording; the other attributes are those of ``Recording``.

    Attributes
    ----------
    content
        Events, a ``SpikeTrain``, an ``AnalogImage``, or an image that is still to be encoded.
    """

    content: Any
    label: int | None
    index: int
    name: str


def picoseconds(microseconds: float, what: str) -> int:
    """Whole picoseconds of a duration in microseconds.

    Raises
    ------
    InvalidRequest
        Not a number, below a picosecond, or beyond the times a run can have.
    """
    if isinstance(microseconds, bool) or not isinstance(microseconds, int | float | np.number):
        raise InvalidRequest(f"{what} is {microseconds!r}; it is a number of microseconds")
    if not (math.isfinite(microseconds) and 1e-6 <= microseconds < MAX_TIME_US):
        raise InvalidRequest(
            f"{what} is {microseconds} microseconds; allowed are 1e-6 (a picosecond) to {MAX_TIME_US}"
        )
    return round(microseconds * PICOSECONDS_PER_MICROSECOND)


def spike_train(
    time_us: ArrayLike,
    neuron: ArrayLike,
    payload: ArrayLike | None = None,
    duration_us: float | None = None,
) -> SpikeTrain:
    """Spikes in any order as a spike train.

    Parameters
    ----------
    time_us
        Microseconds since the sample's start, not negative, shape (spikes,); rounded to picoseconds.
    neuron
        Row-major index into the input population (y, x, channel), shape (spikes,).
    payload
        A whole number, not 0, for each spike; +1 if left out.
    duration_us
        When the input ends; with the last spike if left out.

    Raises
    ------
    InvalidEvents
        Columns of different lengths, times or neurons that are not allowed.
    """
    time, index = np.asarray(time_us), np.asarray(neuron)
    columns = {"time_us": time, "neuron": index}
    if payload is not None:
        columns["payload"] = np.asarray(payload)
    for name, column in columns.items():
        if column.ndim != 1 or len(column) != time.size:
            shapes = {key: value.shape for key, value in columns.items()}
            raise InvalidEvents(
                f"a spike train's columns have shapes {shapes}; give one number a spike in each"
            )
        if column.size and column.dtype.kind not in ("iuf" if name == "time_us" else "iu"):
            kind = "numbers" if name == "time_us" else "whole numbers"
            raise InvalidEvents(f"a spike train's {name} has dtype {column.dtype}; it holds {kind}")
    if time.size and not (np.isfinite(time).all() and time.min() >= 0 and time.max() < MAX_TIME_US):
        raise InvalidEvents(
            f"a spike train's times are {time.min()} to {time.max()} microseconds; allowed are 0 to "
            f"{MAX_TIME_US}"
        )
    if time.dtype.kind == "f":
        ticks = np.rint(time.astype(np.float64) * PICOSECONDS_PER_MICROSECOND).astype(np.int64)
    else:
        ticks = time.astype(np.int64) * PICOSECONDS_PER_MICROSECOND
    return sorted_train(
        ticks,
        index.astype(np.int64),
        None if payload is None else columns["payload"].astype(np.int64),
        None if duration_us is None else picoseconds(duration_us, "duration_us"),
    )


def sorted_train(
    time_ps: NDArray[np.int64],
    neuron: NDArray[np.int64],
    payload: NDArray[np.int64] | None,
    duration_ps: int | None,
) -> SpikeTrain:
    """A spike train of spikes in any order; those of one neuron at one time keep theirs."""
    order = np.lexsort((neuron, time_ps))
    return SpikeTrain(time_ps[order], neuron[order], None if payload is None else payload[order], duration_ps)
