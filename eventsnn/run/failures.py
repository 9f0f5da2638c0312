"""Samples that cannot be read: why, and what is said of them."""

from __future__ import annotations

from eventsnn.errors import EventsnnError, InvalidEvents, InvalidFile
from eventsnn.results import FailedSample

# What reading a sample and making input of it raises where the fault is the sample's, not the request's.
UNREADABLE = (InvalidEvents, InvalidFile, OSError)
LISTED_FAILURES = 3


def reason_of(error: Exception) -> str:
    """Why a sample cannot be read, in words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def none_readable(samples: int, first: Exception, reason: str) -> Exception:
    """What to raise where no sample can be read."""
    if samples == 1:
        return first
    kind = type(first) if isinstance(first, EventsnnError) else InvalidFile
    return kind(f"none of the {samples} samples can be read; the first: {reason}")


def left_out(failures: tuple[FailedSample, ...], samples: int) -> str:
    """What to warn of where some samples cannot be read."""
    listed = "; ".join(
        failure.reason if failure.name in failure.reason else f"{failure.name}: {failure.reason}"
        for failure in failures[:LISTED_FAILURES]
    )
    more = len(failures) - LISTED_FAILURES
    return (
        f"{len(failures)} of {samples} samples cannot be read and are left out: {listed}"
        f"{f'; and {more} more' if more > 0 else ''}"
    )
