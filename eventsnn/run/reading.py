"""How a data set is read: options of every command that takes data, and of a cell of an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventsnn.options import option

if TYPE_CHECKING:
    from eventsnn.events import ImageSet, RecordingSet


@dataclass(frozen=True)
class Reading:
    """Which samples of a data set, and how they are read; how many is for those who take them to say."""

    split: str | None = option(
        None, "train, test, all (default), or by name first100, last100, seeded:N, each :train or :test."
    )
    samples: int | None = option(None, "Take N samples evenly over the sorted list.")
    fraction: float = option(1.0, "Replay only the first share of each recording's events.")
    downsample: int = option(1, "Divide event addresses by this (128 to 32 pixels: 4).")
    orientation: str | None = option(
        None,
        "AEDAT: what axes and polarity mean, raw (aedat:), jaer-matlab or cifar10-dvs (cifar10-dvs:).",
    )
    clock: str | None = option(
        None, "Where a recording's time goes back: last-reset (default; drops strays), strict, or sort."
    )

    def open(self, data: str) -> RecordingSet | ImageSet:
        """The data set that a command line names, ``KIND:PATH``: all its samples."""
        from eventsnn.errors import InvalidRequest
        from eventsnn.events import ImageSet, open_dataset

        found = open_dataset(data, self.split, orientation=self.orientation, clock=self.clock)
        if isinstance(found, ImageSet):
            if self.fraction != 1.0 or self.downsample != 1:
                raise InvalidRequest(
                    f"{data} holds images; --fraction and --downsample are for event recordings"
                )
            return found
        if self.fraction != 1.0:
            found = found.fraction(self.fraction)
        return found if self.downsample == 1 else found.downsampled(self.downsample)
