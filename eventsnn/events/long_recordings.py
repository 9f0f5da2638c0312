"""Long recordings part by part, in memory that does not grow with them: the events of the whole, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eventsnn.errors import EventsnnError
from eventsnn.events.event_file import open_event_file
from eventsnn.events.recordings import RecordingFile, RecordingSet
from eventsnn.events.stream import Events, kept_of

LARGE_BYTES = 1 << 22
"""Files of their own up to this size are read whole."""

PART_EVENTS = 1 << 16


def parts_of(recordings: RecordingSet, position: int) -> Iterator[Events]:
    """The events of a recording, fractions and transforms done, in parts that are not empty.

    Before anything is handed out the file is looked through once, part by part, too: only where its clock
    does no more than go on and wrap is it known without the rest what a part holds. Whatever else it does is
    judged, and refused, by reading it whole, as are files that are small or of a format without parts, and
    transforms of tonic.

    Raises
    ------
    InvalidFile, InvalidEvents, InvalidRequest
        As of reading the recording whole.
    """
    file = recordings.files[position]
    in_parts = recordings.chunks is not None and all(made.in_parts for made, _, _ in recordings.transforms)
    count = _count(recordings, file) if in_parts and _is_long(file) else None
    if count is None:
        if len(events := recordings[position].events):
            yield events
        return
    for fraction in recordings.fractions:
        count = kept_of(count, fraction)
    steps: list[Callable[[Events], Events]] = [
        made.begin(height, width, file.index) for made, height, width in recordings.transforms
    ]
    for events in recordings.read_parts(file, PART_EVENTS):
        events, count = events[:count], count - len(events[:count])
        for step in steps:
            events = step(events)
        if len(events):
            yield events
        if not count:
            return


def _is_long(file: RecordingFile) -> bool:
    if file.position is not None:
        return int(open_event_file(file.path).recordings["events"][file.position]) > PART_EVENTS
    try:
        return file.extent is None and file.path.stat().st_size > LARGE_BYTES
    except OSError:
        return False


def _count(recordings: RecordingSet, file: RecordingFile) -> int | None:
    """How many events there are; None where parts are not read, or are not those of the whole.

    A stray record at the end of one part looks like a wrap. So parts end elsewhere than they will.
    """
    try:
        return sum(map(len, recordings.read_parts(file, PART_EVENTS - PART_EVENTS // 16 - 3)))
    except EventsnnError:
        return None
