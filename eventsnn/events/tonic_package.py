"""The package tonic, imported when something of it is named, and how its words are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from eventsnn.errors import MissingExtra
from eventsnn.events.draws import keyed_generator

PREFIX = "tonic."
"""Of the kind of a data set, and of the name of a transform, that are tonic's."""


def import_tonic() -> Any:
    """The package.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        import tonic
        import tonic.datasets
        import tonic.transforms
    except ImportError as error:
        raise MissingExtra(
            "data sets and transforms of tonic need the package tonic (GPL-3), which is not there "
            f"({error}); install it with: pip install 'eventsnn[tonic]'"
        ) from error
    return tonic


@contextmanager
def draws_of_numpy(index: int, purpose: str) -> Iterator[None]:
    """NumPy's global draws, which are all that tonic's transforms use, as those of a recording."""
    before = np.random.get_state()  # noqa: NPY002 (it is that generator which others use)
    seed = keyed_generator(0, index, purpose).integers(0, 2**32, 4, dtype=np.uint32)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def plain_value(text: str) -> Any:
    """What an option's text says: a whole number, a number, true or false, sizes as 34x34, or a text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for read in (int, float, _sizes):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("x"))
