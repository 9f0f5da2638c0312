"""How a data set is read: options of every command that takes data, and of a cell of an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventsnn.options import option

if TYPE_CHECKING:
    from eventsnn.events import ImageSet, RecordingSet


OF_FILES = ("orientation", "clock", "layout", "format", "sensor", "columns", "unit")
"""Options that say what is in a file."""


@dataclass(frozen=True)
class Reading:
    """Which samples of a data set, and how they are read; how many is for those who take them to say."""

    split: str | None = option(
        None, "train, test, all (default), or by name first100, last100, seeded:N, each :train or :test."
    )
    samples: int | None = option(None, "Take N samples evenly over the sorted list.")
    fraction: float = option(1.0, "Replay only the first share of each recording's events.")
    downsample: int = option(1, "Divide event addresses by this (128 to 32 pixels: 4).")
    transform: list[str] = option(
        (),
        "NAME:KEY=VALUE,... in the order given: downsample, crop, polarity, refractory, background-activity, "
        "drop, time-scale, window, tonic.NAME.",
    )
    orientation: str | None = option(
        None,
        "AEDAT: what axes and polarity mean, raw (aedat:), lower-left, jaer-matlab or cifar10-dvs "
        "(cifar10-dvs:).",
    )
    clock: str | None = option(
        None, "Where a recording's time goes back: last-reset (default; drops strays), strict, or sort."
    )
    layout: str | None = option(
        None, "AEDAT: the camera's address layout, dvs128 (aedat:), davis240 or davis346."
    )
    format: str | None = option(None, "events: the files' format, unless their beginning or suffix says it.")
    sensor: str | None = option(None, "events: columns and rows where files do not say them, as 240x180.")
    columns: str | None = option(None, "events: the order of columns without names, as txyp.")
    unit: str | None = option(None, "events: unit of a table's times, s, ms, us (default) or ns.")

    def open(self, data: str) -> RecordingSet | ImageSet:
        """The data set that a command line names, ``KIND:PATH``: all its samples."""
        from eventsnn.errors import InvalidRequest
        from eventsnn.events import ImageSet, open_dataset

        said = {name: getattr(self, name) for name in OF_FILES}
        found = open_dataset(data, self.split, **said)
        if isinstance(found, ImageSet):
            if self.fraction != 1.0 or self.downsample != 1 or self.transform:
                raise InvalidRequest(
                    f"{data} holds images; --fraction, --downsample and --transform are for event recordings"
                )
            return found
        if self.fraction != 1.0:
            found = found.fraction(self.fraction)
        return found.downsampled(self.downsample).transformed(*self.transform)
