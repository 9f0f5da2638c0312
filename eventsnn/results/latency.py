"""When there is a latency to speak of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Codings whose input may stand at one instant.
AT_ONCE = ("charge", "analog")
NO_TIME = "no time passes before the decision, and no accelerator is modelled"


def time_passed(latencies: NDArray[np.float64], configuration: dict[str, Any]) -> NDArray[np.float64]:
    """Latencies, or NaN where none of these samples has one.

    Without an accelerator spikes take no time. Where then all input stands at one instant, as with images as
    charges, no time passes between the first event and the decision, and nought seconds would be a claim. A
    recording that is decided at its first event has a latency: none.
    """
    at_once = configuration.get("input") in AT_ONCE and configuration.get("architecture") is None
    timeless = at_once and not latencies.any()
    return np.full(latencies.shape, np.nan) if timeless else latencies
