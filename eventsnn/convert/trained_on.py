"""Naming the data that trained a model, so that its network's file can tell them from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eventsnn.arguments import shown
from eventsnn.errors import InvalidRequest
from eventsnn.events import ImageSet, RecordingSet, open_dataset
from eventsnn.events.contents import content_hashes
from eventsnn.network.training import training_record


def training_data(given: Any) -> list[dict[str, Any]]:
    """Records of training data for a network's metadata.

    Parameters
    ----------
    given : str, ImageSet, RecordingSet, a list of these, or None
        A text is ``KIND:PATH``, with ``:SPLIT`` behind it where the data have splits.

    Raises
    ------
    InvalidRequest
        Something else, or a data set that cannot be opened.
    """
    several = [] if given is None else given if isinstance(given, list | tuple) else [given]
    return [_record(each) for each in several]


def _record(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        return training_record(given, content_hashes(_opened(given)))
    if not isinstance(given, ImageSet | RecordingSet):
        raise InvalidRequest(
            f"trained_on is {shown(given)}; give 'KIND:PATH' or 'KIND:PATH:SPLIT', a set of recordings or "
            "images, or a list of these"
        )
    where = "in memory" if given.path is None else given.path
    split = "" if given.split in (None, "all") else f":{given.split}"
    return training_record(f"{given.kind}:{where}{split}", content_hashes(given))


def _opened(spec: str) -> RecordingSet | ImageSet:
    """Behind the longest part that is there stands the split; the names of some splits have a colon."""
    kind, _, rest = spec.partition(":")
    parts = rest.split(":")
    for length in range(len(parts), 0, -1):
        path = ":".join(parts[:length])
        if path and Path(path).exists():
            return open_dataset(f"{kind}:{path}", ":".join(parts[length:]) or None)
    return open_dataset(spec, None)
