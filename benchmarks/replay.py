"""D8: a recording replayed, how many times faster than it lasted.

    python benchmarks/replay.py [--json] [--quick]

200,000 events of a 128x128 camera over 1.3 s, divided to 32x32 pixels, through workload B's layers with two
input channels: untrained, converted to signed neurons of 15 levels with settle times of 1 and 5 ms. Without
an accelerator, and on a mesh with a core for every layer. A spike reaches up to 2,304 synapses: rows of
weights bound it, and after them the tests of touched neurons, of every layer each settle time. No data are
needed.
"""

from __future__ import annotations

import numpy as np
from hardware_speed import accelerator
from measure import Figure, Report, alternate, arguments, machine, pin_one_thread, si
from networks import untrained

import eventsnn
from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.hardware import map_network
from eventsnn.network import Network

NUMBER = "D8"
SENSOR, FACTOR, DURATION_US, EVENTS = 128, 4, 1_300_000, 200_000
BARS = {1: 8.0, 5: 15.0}
ACCELERATOR_BAR = 4.0
CLOCK_HZ = 10**9
INPUT_SCALE = 1 / 256
OPERATIONS = COLUMN["synaptic_operations"]


def recording(events: int, seed: int) -> np.ndarray:
    """Events of bright spots that wander over a dark ground; fields t (us), x, y, p."""
    draw = np.random.default_rng(seed)
    t = np.sort(draw.integers(0, DURATION_US, events))
    spot = draw.integers(0, 8, events)
    phase, radius = 2 * np.pi * t / DURATION_US + spot + seed, 12 + 6 * spot
    x = SENSOR / 2 + radius * np.cos(phase) + draw.normal(0, 4, events)
    y = SENSOR / 2 + radius * np.sin(phase) + draw.normal(0, 4, events)
    x, y = (np.clip(a, 0, SENSOR - 1).astype(np.int64) // FACTOR for a in (x, y))
    return eventsnn.make_events(t, x, y, draw.integers(0, 2, events))


def network_of(events: int, settle_ms: int) -> Network:
    """Workload B's layers, untrained, calibrated on what other recordings of as many events sum up to."""
    frames = np.zeros((4, 2, SENSOR // FACTOR, SENSOR // FACTOR), dtype=np.float32)
    for frame, seed in zip(frames, range(1, 5), strict=True):
        other = recording(events, seed)
        np.add.at(frame, (other["p"].astype(int), other["y"], other["x"]), INPUT_SCALE)
    return eventsnn.convert(
        untrained("B", 2),
        frames,
        "signed",
        levels=15,
        input_scale=INPUT_SCALE,
        settle_time_us=1000 * settle_ms,
    )


def measure(report: Report, events: np.ndarray, settle_ms: int, repeats: int) -> list[list[str]]:
    """Both runs with a settle time; rows of the table."""
    network = network_of(len(events), settle_ms)
    stimulus: Stimulus = eventsnn.stimulus_from_events(events, network)
    mapping = map_network(network, accelerator(CLOCK_HZ))
    engines = {
        "no accelerator": make_engine("compiled", network),
        "accelerator": make_engine("compiled", network, mapping, RunOptions()),
    }
    times = alternate({name: lambda e=engine: e.run(stimulus) for name, engine in engines.items()}, repeats)
    rows = []
    lasted = int(events["t"][-1] - events["t"][0]) * 1e-6
    for name, engine in engines.items():
        run = engine.run(stimulus)
        operations, spikes = int(run.counters[:, OPERATIONS].sum()), int(run.trace.spikes[-1])
        faster = lasted / times[name].median
        bar = BARS[settle_ms] if name == "no accelerator" else ACCELERATOR_BAR
        report.add(
            NUMBER,
            Figure(f"settle time {settle_ms} ms, {name}: times faster than it lasted", faster, bar),
            **{
                f"{settle_ms} ms, {name}": {
                    "synaptic_operations": operations, "spikes": spikes, **times[name].detail(),
                }
            },
        )  # fmt: skip
        rows.append([
            f"{settle_ms} ms", name, si(operations), si(spikes), f"{times[name].median * 1e3:.0f}",
            si(operations / times[name].median), f"{faster:.1f}", f"{times[name].spread:.0%}",
        ])  # fmt: skip
    return rows


def main() -> None:
    """Measure and print."""
    pin_one_thread()
    given = arguments(__doc__)
    report = Report()
    events = recording(EVENTS // 10 if given.quick else EVENTS, 0)
    rows = [row for settle in BARS for row in measure(report, events, settle, 2 if given.quick else 5)]
    sides = f"{SENSOR}x{SENSOR} divided by {FACTOR}"
    title = f"{len(events)} events in {DURATION_US / 1e6} s, {sides}"
    report.table(title, "settle|on|SOPs|spikes|ms|SOP/s|times faster|spread", rows)
    report.add(NUMBER, machine=machine())
    report.show(given.json)


if __name__ == "__main__":
    main()
