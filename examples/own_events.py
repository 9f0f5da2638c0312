"""Bring your own events: four NumPy columns become a recording, and a network answers event by event.

No file and no data set is needed. A camera of 34 x 34 pixels sees the digit 1, a thick stroke, move to and
fro; where it comes light grows (ON), where it goes light falls (OFF). The network is the demo's.
"""

import numpy as np

import eventsnn
from eventsnn.events import make_events
from eventsnn.run.demo import shipped

TOP, BOTTOM, THICK = 7, 27, 3
STEP_US = 5000


def stroke():
    """Times (microseconds), columns, rows and polarities of the events."""
    steps = [1, 1, 1, 1, -1, -1, -1, -1, 1, 1]
    rows = np.arange(TOP, BOTTOM)
    left, columns = 14, []
    for number, step in enumerate(steps):
        ahead, behind = (left + THICK, left) if step > 0 else (left - 1, left + THICK - 1)
        for x, on in ((ahead, True), (behind, False)):
            t = number * STEP_US + 40 * (rows - TOP) + (0 if on else 20)
            columns.append((t, np.full(rows.size, x), rows, np.full(rows.size, on)))
        left += step
    t, x, y, p = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.argsort(t, kind="stable")
    return t[order], x[order], y[order], p[order]


def main():
    """Make the recording, run it, look at the answer."""
    events = make_events(*stroke())
    network = eventsnn.load(shipped("models/demo.h5"))
    results = eventsnn.simulate(network, [(events, 1)], hardware="event-conv-small")
    (sample,) = results.table.samples
    print(f"{len(events)} events in {events['t'][-1] - events['t'][0]} us")
    print(f"answer: {sample.prediction}, the label is {sample.label}")
    print(f"spikes: {sample.spikes}, synaptic operations: {sample.synaptic_operations}")
    latency = sample.decision_time_ps - sample.first_event_ps
    print(f"decided {latency} ps after the first event, a model figure")

    # What a part of the recording would have said: the readout at each of its changes is kept.
    readout, times = sample.trace["readout"], sample.trace["time_ps"]
    first = np.flatnonzero(readout.argmax(axis=1) == sample.label)[0]
    print(f"the right class led for the first time after {times[first] - sample.first_event_ps} ps")


if __name__ == "__main__":
    main()
