"""Sets of recordings: immutable, lazy, and small enough to send to another process.

A ``RecordingSet`` holds file names only. Events are read, checked and reduced when an item is asked
for, so workers can open the same set without a shared file handle.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.events.stream import Events, require_fraction, take_fraction
from eventsnn.events.transforms import Transform, read_transform
from eventsnn.events.transforms.downsample import Downsample


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording.

    Attributes
    ----------
    events
        Shape (n_events,), on the sensor of its set.
    label
        Class, an index into the set's ``class_names``; None if the file does not tell.
    index
        Position in the whole sorted list of the data set, whatever split or subset it came from.
    name
        Path relative to the data set's folder, with forward slashes.
    origin
        What its time zero is: ``"file"``, the zero of the stored times, or ``"first-event"``.
    """

    events: Events
    label: int | None
    index: int
    name: str
    origin: str = "first-event"


@dataclass(frozen=True)
class RecordingFile:
    """Where a recording lies; the attributes are those of ``Recording``.

    ``position`` and ``checksum`` are those of one in a file of many; its reader takes the position, too.
    ``extent`` is its start and end in microseconds where a file holds several, one after the other.
    """

    path: Path
    name: str
    label: int | None
    index: int
    position: int | None = None
    checksum: str | None = None
    extent: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class RecordingSet(Sequence[Recording]):
    """An immutable sequence of recordings, read one by one.

    Attributes
    ----------
    kind
        ``"nmnist"``, ``"cifar10-dvs"``, ``"aedat"``, ``"dvs-gesture"`` or ``"events"``.
    path
        The folder or file the set was opened from.
    split
        ``"all"``, ``"train"`` or ``"test"``.
    height, width
        Sensor size in pixels, after ``transforms``.
    class_names
        Names of the labels 0, 1, ...; empty if unknown.
    orientation
        Name of what raw axes and polarity of AEDAT recordings mean; None where files hold picture
        coordinates.
    clock
        What is done where time goes back, see ``read_aedat_with_counts``.
    origin
        Of each ``Recording``.
    said
        Name and value of what the files do not say and the caller did, such as the order of columns.
    source
        What else says what is read: options of a data set, transforms that are part of it.
    chunks
        As ``reader``, in parts of at most so many events; None: nothing reads such files in parts.
    fractions
        See ``fraction``; they are taken before ``transforms``.
    transforms
        Each with the sensor (height, width) of the events it is given.
    """

    kind: str
    path: str
    split: str
    height: int
    width: int
    class_names: tuple[str, ...]
    files: tuple[RecordingFile, ...]
    reader: "partial[Events]"
    fractions: tuple[float, ...] = ()
    orientation: str | None = None
    clock: str = "last-reset"
    origin: str = "first-event"
    said: tuple[tuple[str, str], ...] = ()
    transforms: tuple[tuple[Transform, int, int], ...] = ()
    source: str = ""
    chunks: "partial[Iterator[Events]] | None" = None

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, item: int) -> Recording: ...
    @overload
    def __getitem__(self, item: slice) -> "RecordingSet": ...
    def __getitem__(self, item: int | slice) -> "Recording | RecordingSet":
        """Read one recording, or take a part of the list (nothing is read for a slice)."""
        if isinstance(item, slice):
            return replace(self, files=self.files[item])
        return self.recording(item, self.read(self.files[item]))

    def read(self, file: RecordingFile) -> Events:
        """All the events of a recording."""
        inside = () if file.position is None else (file.position,)
        said = {} if file.extent is None else {"extent": file.extent}
        return self.reader(file.path, *inside, **said)

    def read_parts(self, file: RecordingFile, most: int) -> Iterator[Events]:
        """All the events of a recording, at most so many at a time, where the clock only wraps."""
        assert self.chunks is not None
        inside = () if file.position is None else (file.position,)
        return self.chunks(file.path, *inside, most)

    def beginning(self, position: int, most: int) -> tuple[int, bytes]:
        """How long what a recording is read from is, and its first bytes; -1 where it cannot be read."""
        path = self.files[position].path
        try:
            with path.open("rb") as opened:
                return path.stat().st_size, opened.read(most)
        except OSError:
            # Why it cannot be read is said when it is its turn.
            return -1, b""

    def recording(self, position: int, events: Events) -> Recording:
        """The recording at a position, of all the events of its file."""
        file = self.files[position]
        for fraction in self.fractions:
            events = take_fraction(events, fraction)
        for transform, height, width in self.transforms:
            events = transform.apply(events, height, width, file.index)
        return Recording(events, file.label, file.index, file.name, self.origin)

    def __iter__(self) -> Iterator[Recording]:
        return (self[position] for position in range(len(self)))

    def __repr__(self) -> str:
        return (
            f"RecordingSet({self.kind}:{self.path}, split={self.split}, {len(self)} recordings, "
            f"{self.width} x {self.height} pixels)"
        )

    @property
    def one_file(self) -> bool:
        """Whether all recordings lie in a file of our own (``eventsnn data prepare``)."""
        return bool(self.files) and self.files[0].position is not None

    @property
    def labels(self) -> NDArray[np.int64]:
        """Labels of all recordings, shape (n,); -1 where a file does not tell."""
        return np.array([-1 if file.label is None else file.label for file in self.files], np.int64)

    def evenly(self, count: int) -> "RecordingSet":
        """Take ``count`` recordings evenly over the list, which lies class by class.

        The k-th one taken is number floor(k n / count) of n.

        Raises
        ------
        InvalidRequest
            If ``count`` is below 1 or above the number of recordings.
        """
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= len(self):
            raise InvalidRequest(
                f"{count!r} samples asked of a set of {len(self)} recordings; allowed are 1 to {len(self)}"
            )
        return replace(self, files=tuple(self.files[k * len(self) // int(count)] for k in range(count)))

    def fraction(self, share: float) -> "RecordingSet":
        """Keep only the first share of the events of each file, see ``take_fraction``.

        Raises
        ------
        InvalidRequest
            If ``share`` is not in (0, 1].
        """
        require_fraction(share)
        return replace(self, fractions=(*self.fractions, share))

    def transformed(self, *transforms: Any) -> "RecordingSet":
        """Transform the events of each recording, one step after the other, behind those there are.

        Parameters
        ----------
        transforms
            As texts, such as ``"downsample:factor=2"`` or ``"drop:share=0.1,seed=1"``, or as objects; see
            ``eventsnn.events.transforms``. Those of the package tonic are objects of it, or texts such as
            ``"tonic.Denoise:filter_time=10000"``.

        Raises
        ------
        InvalidRequest
            A transform that is unknown, has wrong parameters, or does not fit on the sensor.
        """
        found = self
        for given in transforms:
            made = read_transform(given)
            height, width = made.sensor(found.height, found.width)
            steps = (*found.transforms, (made, found.height, found.width))
            found = replace(found, transforms=steps, height=height, width=width)
        return found

    def downsampled(self, factor: int) -> "RecordingSet":
        """Divide the pixel addresses by ``factor``: the transform ``downsample``; 1 changes nothing.

        Raises
        ------
        InvalidRequest
            If ``factor`` is not an integer from 1 to 32767.
        """
        made = Downsample(factor)
        return self if made.factor == 1 else self.transformed(made)
