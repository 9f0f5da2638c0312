"""Input spikes told one by one."""

import numpy as np

from eventsnn.engine import Stimulus


def events(*times, neurons=None, **more):
    """Spikes at these ticks, of neuron 0 if not told."""
    time = np.array(times, dtype=np.int64)
    chosen = np.zeros(len(time), dtype=np.int64) if neurons is None else np.array(neurons, dtype=np.int64)
    return Stimulus(time, chosen, **more)
