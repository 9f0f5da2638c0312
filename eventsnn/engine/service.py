"""The log of servers: what a serialiser, a link or a core did, job by job.

Every job that came into a queue at or before the decision is a row. What still waits then starts, finishes
and is released one tick after it; what a serialiser or link holds then is released at its finish or the
decision, whichever is later. In steps a test is a scan of all neurons of a population's part.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class ServiceKind(IntEnum):
    """What was done."""

    SERIALISED = 0  # sent by a core's serialiser, or in steps by its scan
    DELIVERED = 1  # received and integrated by a core
    TESTED = 2  # neurons of a population tested by a core, or in steps scanned
    PASSED = 3  # carried by a link or bus
    DROPPED = 4  # lost at a full FIFO


# As compiled code and arrays take them.
SERIALISED, DELIVERED, TESTED, PASSED, DROPPED = (kind.value for kind in ServiceKind)

SERVICE = np.dtype(
    [
        ("kind", "<i8"),  # a ``ServiceKind``
        ("core", "<i8"),  # or the link
        ("rank", "<i8"),  # population that emitted the message, or that is tested
        ("neuron", "<i8"),  # emitting neuron, or how many were tested
        ("ordinal", "<i8"),  # which of the neuron's spikes, from 0; 0 for tests
        ("destination", "<i8"),  # place among all copies of spikes, by rank; -1 for tests
        ("arrival", "<i8"),
        ("start", "<i8"),
        ("finish", "<i8"),
        ("released", "<i8"),  # when the server was free again: later than finish if it was blocked
    ]
)
