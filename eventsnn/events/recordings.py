"""Sets of recordings: immutable, lazy, and small enough to send to another process.

A ``RecordingSet`` holds file names only. Events are read, checked and reduced when an item is asked
for, so workers can open the same set without a shared file handle.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.events.stream import (
    Events,
    downsample_addresses,
    require_factor,
    require_fraction,
    take_fraction,
)


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
        Sensor size in pixels, after ``downsampled``.
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
    factor: int = 1
    orientation: str | None = None
    clock: str = "last-reset"
    origin: str = "first-event"
    said: tuple[tuple[str, str], ...] = ()

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
        file = self.files[item]
        inside = () if file.position is None else (file.position,)
        said = {} if file.extent is None else {"extent": file.extent}
        return self.recording(item, self.reader(file.path, *inside, **said))

    def recording(self, position: int, events: Events) -> Recording:
        """The recording at a position, of all the events of its file."""
        file = self.files[position]
        for fraction in self.fractions:
            events = take_fraction(events, fraction)
        if self.factor > 1:
            events = downsample_addresses(events, self.factor)
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
        """Keep only the first share of the events of each recording, see ``take_fraction``.

        Raises
        ------
        InvalidRequest
            If ``share`` is not in (0, 1].
        """
        require_fraction(share)
        return replace(self, fractions=(*self.fractions, share))

    def downsampled(self, factor: int) -> "RecordingSet":
        """Divide the pixel addresses by ``factor``, see ``downsample_addresses``.

        Raises
        ------
        InvalidRequest
            If ``factor`` is not an integer from 1 to 32767.
        """
        require_factor(factor)
        return replace(
            self,
            factor=self.factor * factor,
            height=-(-self.height // factor),
            width=-(-self.width // factor),
        )
