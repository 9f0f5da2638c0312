"""Calibration data as the model sees it: arrays, images, or recordings counted into arrays.

Nothing is held but what the caller gave: values are made for the samples that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.normalisation import Normalisation
from eventsnn.convert.reading import Reading
from eventsnn.errors import InvalidNetwork, InvalidRequest
from eventsnn.events import ImageSet, RecordingSet, event_counts
from eventsnn.events.images import LARGEST_VALUE, image_values
from eventsnn.events.tonic_sets import is_tonic, tonic_recordings
from eventsnn.network.contract import IMAGE_CODINGS

Float64 = NDArray[np.float64]
EVENTS, IMAGES = "events", "images"

_ALLOWED = (
    "give an array or tensor of shape (samples, channels, height, width) as the model sees it, an ImageSet, "
    "a RecordingSet, a data set of tonic's, or a list of recordings"
)
CHECKED_AT_ONCE = 2**21
"""Values of an array that are looked at together."""

MOST_CHANNELS = 4
"""Of pictures: more are taken for rows or columns, where the model cannot tell."""

KEPT_BYTES = 2**28
"""Counts of recordings are kept up to this size, and read again beyond it."""


@dataclass(frozen=True)
class Samples:
    """Model inputs, made when they are asked for.

    Attributes
    ----------
    count : int
    shape : tuple of int
        Of one sample as the model sees it: (channels, height, width) or (features,).
    read : callable
        ``read(begin, end)``: float64 of shape (end - begin, *shape), before ``unit`` and normalisation.
    kind : str or None
        ``"events"`` (recordings, or arrays declared to be event counts), ``"images"``, or None: an array
        that could be either.
    duration_us : float or None
        Mean time of the last event after the origin, in microseconds; None if the samples are no
        recordings.
    unit : float
        What ``read`` is multiplied by: the activation of an event for recordings, else 1.
    normalisation : Normalisation or None
        What the model reads images through.
    indices : int64 array, shape (count,)
        Of the samples in their data set.
    counted : bool
        Whether ``read`` gives event counts.
    events : callable or None
        Of recordings: the events of the sample at a place, from its origin on.
    """

    count: int
    shape: tuple[int, ...]
    read: Callable[[int, int], Float64]
    kind: str | None = None
    duration_us: float | None = None
    unit: float = 1.0
    normalisation: Normalisation | None = None
    indices: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    counted: bool = False
    events: Callable[[int], NDArray[Any]] | None = None

    def values(self, begin: int, end: int) -> Float64:
        """Image values, or event counts times the unit: what the input of the network stands for."""
        return self.read(begin, end) * self.unit if self.counted else self.read(begin, end)

    def model_values(self, values: Float64) -> Float64:
        """What the model reads for them, float64."""
        return values if self.normalisation is None else self.normalisation.of(values)


def read_samples(
    data: Any,
    reading: Reading,
    input_shape: tuple[int, ...] | None = None,
    coding: str | None = None,
    normalised: bool = False,
) -> Samples:
    """Samples of any accepted form.

    Recordings become event counts: channel 0 OFF, channel 1 ON, or both together if the model reads one
    channel. Images are read as ``image_values`` says: uint8 is divided by 255.

    Parameters
    ----------
    data : array, tensor, ImageSet, RecordingSet, tonic data set, or list of recordings
        A recording of a list may be one of a pair with its label.
    reading : Reading
        How the model reads its input.
    input_shape : tuple of int, optional
        (channels, height, width), needed for a list of recordings.
    coding : str or None
        What the input was declared to be, one of ``CODINGS``.
    normalised : bool
        Whether the model reads images that were normalised, so that arrays are images.

    Raises
    ------
    InvalidRequest
        No samples, another type or number of axes, values that are not allowed, data that contradict the
        coding, recordings without a sensor size.
    InvalidNetwork
        Values that are not finite, a shape the model does not take.
    """
    if is_tonic(data):
        data = tonic_recordings(data)
    if isinstance(data, ImageSet):
        samples = _from_images(data, reading, coding)
    elif _is_array(data):
        samples = _from_array(data, coding, normalised)
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
        if coding in IMAGE_CODINGS or normalised:
            what = f"input {coding!r} is" if coding in IMAGE_CODINGS else "a normalisation of the input is"
            raise InvalidRequest(
                f"{what} for images, and the calibration data are recordings; leave it out, or calibrate on "
                "images"
            )
        samples = _from_recordings(data, reading, input_shape)
    else:
        raise InvalidRequest(f"calibration data is a {type(data).__name__}; {_ALLOWED}")
    if input_shape is not None and samples.shape != tuple(input_shape):
        raise InvalidNetwork(
            f"the samples have shape {samples.shape}, input_shape says {tuple(input_shape)}; both are "
            "(channels, height, width)"
        )
    if not len(samples.indices):
        samples = replace(samples, indices=np.arange(samples.count))
    return samples


def _none_at_all() -> InvalidRequest:
    return InvalidRequest(f"calibration data holds no samples; at least one is needed: {_ALLOWED}")


# -- images and arrays ---------------------------------------------------------------------------------


def _from_images(data: ImageSet, reading: Reading, coding: str | None) -> Samples:
    if coding == EVENTS:
        raise InvalidRequest(
            f"input 'events' is for recordings, and {data!r} holds images; leave it out, or give one of "
            f"{', '.join(IMAGE_CODINGS)}"
        )
    if not len(data):
        raise _none_at_all()
    height, width, channels = data.images.shape[1:]
    rows = reading.rows((channels, height, width))
    if rows and channels > 1 and height * width > 1:
        raise InvalidRequest(
            f"images of {height} x {width} pixels and {channels} channels have no one order as the features "
            "of a model that starts with Linear; put nn.Flatten() before it, or give an array of shape "
            "(samples, features)"
        )
    if reading.channels is None and height <= MOST_CHANNELS < min(width, channels):
        # No convolution says how many channels there are, and flattened in another order they fit as well.
        raise InvalidRequest(
            f"images of shape {data.images.shape[1:]}, (y, x, channel), would have {channels} channels and "
            f"{height} rows; they seem to have their channels first: move those to the end"
        )

    def read(begin: int, end: int) -> Float64:
        values = image_values(data.images[begin:end], f"{data!r}")
        return values.reshape(len(values), -1) if rows else values.transpose(0, 3, 1, 2)

    shape = (height * width * channels,) if rows else (channels, height, width)
    data.check(where=f"{data!r}")
    return Samples(len(data), shape, read, IMAGES, indices=data.indices)


def _from_array(data: Any, coding: str | None, normalised: bool) -> Samples:
    kind = data.dtype.kind if isinstance(data, np.ndarray) else _kind_of_tensor(data)
    if kind not in ("b", "i", "u", "f"):
        hint = ": the imaginary part has no meaning here" if kind == "c" else ""
        raise InvalidRequest(f"calibration data has dtype {data.dtype}{hint}; {_ALLOWED}")
    if data.ndim not in (2, 4) or 0 in data.shape[1:]:
        raise InvalidRequest(
            f"calibration data has shape {tuple(data.shape)}; {_ALLOWED}; (samples, features) for a model "
            "that starts with Linear"
        )
    if len(data) == 0:
        raise _none_at_all()
    small = str(data.dtype).removeprefix("torch.") in ("uint8", "bool")
    images = coding in IMAGE_CODINGS or normalised or (small and coding is None)
    lowest, highest = _extremes(data)
    if coding is None and lowest < 0:
        images = True
    if coding == EVENTS and (lowest < 0 or normalised):
        raise InvalidRequest(
            f"calibration data goes down to {lowest:.4g}; the input counts events, each adding input_scale, "
            "and is never negative. Give event counts times input_scale"
            if lowest < 0
            else "a normalisation of the input is for images; leave it out with input 'events'"
        )
    if normalised and lowest < 0:
        raise InvalidRequest(
            f"calibration data goes down to {lowest:.4g}, so it is normalised already; with input_range, "
            "input_mean or input_std give the images before that"
        )
    if images and not small and kind in "iu":
        raise InvalidRequest(
            f"calibration data has dtype {data.dtype}; images are uint8 (0 to 255), bool, or floating-point"
        )
    largest = 1.0 if small else max(highest, -lowest)
    if coding != EVENTS and largest > LARGEST_VALUE:
        raise InvalidRequest(
            f"calibration data has values from {lowest:g} to {highest:g}; images reach {LARGEST_VALUE:g} at "
            "most: give uint8 (0 to 255, divided by 255) or scale them to 0 to 1. For a model that reads "
            "0 to 255, give input_range=(0, 255) as well; for event counts, input='events'"
        )

    def read(begin: int, end: int) -> Float64:
        values = _as_numpy(data[begin:end])
        return image_values(values, "calibration data") if images else values.astype(np.float64)

    found = EVENTS if coding == EVENTS else IMAGES if images else None
    return Samples(len(data), tuple(data.shape[1:]), read, found)


def _is_array(data: Any) -> bool:
    """Whether data are an array of numbers or a tensor of PyTorch's, which nobody here imports."""
    if isinstance(data, np.ndarray):
        return data.dtype.names is None
    return hasattr(data, "detach") and hasattr(data, "layout")


def _kind_of_tensor(data: Any) -> str:
    """The letter that NumPy has for a tensor's dtype; another one for what cannot be read."""
    if str(data.layout) != "torch.strided" or data.is_quantized or data.is_meta:
        return "?"
    if data.is_complex():
        return "c"
    return "f" if data.is_floating_point() else "b" if str(data.dtype) == "torch.bool" else "i"


def _as_numpy(data: Any) -> NDArray[Any]:
    if isinstance(data, np.ndarray):
        return data
    tensor = data.detach().cpu()
    found: NDArray[Any] = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    return found


def _extremes(data: Any) -> tuple[float, float]:
    """The smallest and the largest value; refuses values that are not finite."""
    step = max(1, CHECKED_AT_ONCE // int(np.prod(data.shape[1:])))
    lowest, highest = np.inf, -np.inf
    for begin in range(0, len(data), step):
        values = _as_numpy(data[begin : begin + step])
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not finite.all():
            where = begin + int(np.argmin(finite))
            raise InvalidNetwork(
                f"calibration sample {where} holds NaN or infinite values; remove or repair it"
            )
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
    return lowest, highest


# -- recordings ----------------------------------------------------------------------------------------


def _from_recordings(data: Sequence[Any], reading: Reading, input_shape: tuple[int, ...] | None) -> Samples:
    if not isinstance(data, RecordingSet):  # labels of pairs are not for here
        data = [item[0] if isinstance(item, tuple) and len(item) == 2 else item for item in data]
    if len(data) == 0:
        raise _none_at_all()
    for item in data if not isinstance(data, RecordingSet) else ():
        events = getattr(item, "events", item)
        if not isinstance(events, np.ndarray):
            raise InvalidRequest(f"the calibration list holds a {type(item).__name__}; {_ALLOWED}")
        if events.dtype.names is None:
            raise InvalidRequest(
                f"the calibration list holds an array of dtype {events.dtype}, no events; {_ALLOWED}"
            )
    if input_shape is None:
        if not isinstance(data, RecordingSet):
            raise InvalidRequest(
                "a list of recordings does not tell the size of the sensor; give "
                "input_shape=(channels, height, width)"
            )
        input_shape = (_event_channels(reading, data.height, data.width), data.height, data.width)
    if len(input_shape) != 3 or input_shape[0] not in (1, 2):
        raise InvalidRequest(
            "recordings give 2 channels (OFF, ON) or 1 (both), the model's input has shape "
            f"{tuple(input_shape)}; train a model on event counts"
        )
    counts = _Counts(data, input_shape)
    ends = [end for end in map(counts.look_at, range(len(data))) if end is not None]
    duration = float(np.mean(ends)) if ends else None
    return Samples(
        len(data),
        tuple(input_shape),
        counts.read,
        EVENTS,
        duration,
        indices=counts.indices(),
        counted=True,
        events=counts.events,
    )


def _origin(item: Any, events: NDArray[Any]) -> int:
    """A recording's time zero."""
    return 0 if getattr(item, "origin", None) == "file" else int(events["t"][0])


class _Counts:
    """Events of recordings by channel and pixel, kept in small whole numbers while they fit."""

    def __init__(self, data: Sequence[Any], shape: tuple[int, ...]) -> None:
        self.data, self.shape = data, shape
        self._kept: dict[int, NDArray[Any]] = {}
        self._bytes = 0

    def indices(self) -> NDArray[np.int64]:
        """Of the recordings in their set."""
        if isinstance(self.data, RecordingSet):
            return np.array([file.index for file in self.data.files], dtype=np.int64)
        return np.array([getattr(item, "index", k) for k, item in enumerate(self.data)], dtype=np.int64)

    def look_at(self, place: int) -> int | None:
        """Read one recording; the time of its last event after the origin, None without events."""
        item = self.data[place]
        events = getattr(item, "events", item)
        counted = self._count(events)
        small = counted.astype(np.min_scalar_type(int(counted.max(initial=0))))
        if self._bytes + small.nbytes <= KEPT_BYTES:
            self._kept[place] = small
            self._bytes += small.nbytes
        return int(events["t"][-1]) - _origin(item, events) if len(events) else None

    def events(self, place: int) -> NDArray[Any]:
        """The events of one recording, its origin at time 0."""
        item = self.data[place]
        events = getattr(item, "events", item)
        if not len(events):
            return events
        moved: NDArray[Any] = events.copy()
        moved["t"] -= _origin(item, events)
        return moved

    def read(self, begin: int, end: int) -> Float64:
        """Counts of some recordings, float64."""
        rows = [self._kept[k] if k in self._kept else self._again(k) for k in range(begin, end)]
        return np.stack(rows).astype(np.float64)

    def _again(self, place: int) -> NDArray[Any]:
        item = self.data[place]
        return self._count(getattr(item, "events", item))

    def _count(self, events: NDArray[Any]) -> NDArray[np.int64]:
        image = event_counts(events, self.shape[1], self.shape[2])
        return image if self.shape[0] == 2 else image.sum(axis=0, keepdims=True)


def _event_channels(reading: Reading, height: int, width: int) -> int:
    """Whether the model reads both polarities apart (2) or together (1)."""
    if reading.channels is not None:
        return reading.channels
    return 1 if reading.takes((1, height, width)) else 2
