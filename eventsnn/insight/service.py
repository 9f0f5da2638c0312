"""A service log (``engine.service``) read as servers and as messages.

A *server* is a unit that does one job at a time: the serialiser of a core, the core itself, a link. In the
step schedule a core has two, side by side: one scans its neurons, the other serves what arrives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.service import DELIVERED, DROPPED, PASSED, SERIALISED, TESTED
from eventsnn.hardware import Mapping

Int64 = NDArray[np.int64]

SERIALISER, CORE, LINK, NEURON_UNIT, RECEIVING_UNIT = (
    "serialiser", "core", "link", "neuron unit", "receiving unit",
)  # fmt: skip
_UNITS_OF_EVENTS = {SERIALISED: SERIALISER, DELIVERED: CORE, TESTED: CORE, PASSED: LINK, DROPPED: CORE}
_UNITS_OF_STEPS = _UNITS_OF_EVENTS | {
    DELIVERED: RECEIVING_UNIT, TESTED: NEURON_UNIT, DROPPED: RECEIVING_UNIT,
}  # fmt: skip

# The rows of one message along its route: serialiser, links, then its service or its loss.
_STAGE = np.array([0, 2, -1, 1, 2])
MESSAGE = ("rank", "neuron", "ordinal", "destination")

Server = tuple[str, int]


def in_steps(mapping: Mapping) -> bool:
    """Whether an accelerator runs the step schedule: those that synchronise do."""
    return mapping.architecture.synchronisation.kind != "none"


def units(steps: bool) -> dict[int, str]:
    """The unit that does jobs of a kind, by kind; dropped messages waited for it in vain."""
    return _UNITS_OF_STEPS if steps else _UNITS_OF_EVENTS


def jobs_by_server(service: NDArray[Any], steps: bool) -> dict[Server, Int64]:
    """Rows of a log by the server that did them, (unit, number), in the order it did them.

    The number is a core's, -1 for the input port, or a link's. Dropped messages are among the rows: they
    waited, and took no time of the server.
    """
    found: dict[Server, list[Int64]] = {}
    for kind, unit in units(steps).items():
        rows = np.flatnonzero(service["kind"] == kind)
        rows = rows[np.argsort(service["core"][rows], kind="stable")]
        number = service["core"][rows]
        for piece in np.split(rows, np.flatnonzero(np.diff(number)) + 1) if len(rows) else []:
            found.setdefault((unit, int(service["core"][piece[0]])), []).append(piece)
    return {server: _in_order(service, np.concatenate(found[server])) for server in sorted(found)}


def _in_order(service: NDArray[Any], rows: Int64) -> Int64:
    return rows[np.lexsort((service["finish"][rows], service["start"][rows]))]


def routes(service: NDArray[Any]) -> tuple[Int64, Int64]:
    """The rows of each message, along its route from the serialiser.

    Returns
    -------
    rows : int64 array
        Of all messages, one message after the other.
    starts : int64 array, shape (messages + 1,)
        Where in ``rows`` each message begins; the last is their number.
    """
    rows = np.flatnonzero(service["kind"] != TESTED)
    stage = _STAGE[service["kind"][rows]]
    keys = [service[name][rows] for name in MESSAGE]
    order = np.lexsort((service["arrival"][rows], stage, *keys[::-1]))
    same = np.ones(max(len(rows) - 1, 0), dtype=bool)
    for key in keys:
        same &= np.diff(key[order]) == 0
    firsts = np.flatnonzero(~same) + 1 if len(rows) else np.zeros(0, dtype=np.int64)
    return rows[order], np.concatenate([[0] if len(rows) else [], firsts, [len(rows)]]).astype(np.int64)


def end_to_end(service: NDArray[Any]) -> Int64:
    """First and last row of every message: int64, shape (messages, 2)."""
    rows, starts = routes(service)
    return np.stack([rows[starts[:-1]], rows[starts[1:] - 1]], axis=1)
