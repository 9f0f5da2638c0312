"""A network of VGG-16's size, 224x224x3, with random weights: does it build and run within 4 GB?

    python benchmarks/large.py [--json] [--quick]

13.6 million neurons, 138 million weights (553 MB as int32). Memory is the peak of this process after each
stage; the weights, once in the network and once as the kernels read them, bound it. ``--quick`` takes
112x112.
"""

from __future__ import annotations

import time

import numpy as np
from measure import Figure, Report, arguments, machine, peak_memory_mb, pin_one_thread, si
from networks import THRESHOLD, UNIT

from eventsnn.counting.counters import COLUMN
from eventsnn.engine import Stimulus, make_engine
from eventsnn.network import (
    Axis,
    Conv2d,
    Dense,
    Input,
    IntegrateAndFire,
    Network,
    Population,
    Projection,
    Readout,
    Synapses,
)

BAR_MB = 4096.0
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
DENSE = (4096, 4096, 1000)
EVENTS = 20_000
GAIN = 1.8
"""Standard deviation, in thresholds, of what a neuron receives when every source spikes once."""


def vgg16(side: int) -> Network:
    """VGG-16 with average pools folded into the next layer; uniform random weights of one seed."""
    draw = np.random.default_rng(0)
    shape = (side, side, 3)
    populations, projections = [Population("input", shape, Input())], []
    pool = 1

    def add(name: str, target: tuple[int, int, int], synapses: Synapses, last: bool = False) -> None:
        neuron = Readout() if last else IntegrateAndFire(THRESHOLD, period=UNIT)
        source = populations[-1].name
        populations.append(Population(name, target, neuron))
        projections.append(Projection(f"{source}-{name}", source, name, synapses))

    def weights(*size: int) -> np.ndarray:
        sources = int(np.prod(size[:-1])) * pool**2
        bound = max(1, round(GAIN * THRESHOLD * (3 / sources) ** 0.5))
        return draw.integers(-bound, bound, size, dtype=np.int32, endpoint=True)

    for block, (channels, layers) in enumerate(BLOCKS, 1):
        for layer in range(1, layers + 1):
            axis = Axis(3, pad_before=1, pad_after=1, pool=pool)
            target = (shape[0] // pool, shape[1] // pool, channels)
            add(f"conv{block}-{layer}", target, Conv2d(weights(3, 3, shape[2], channels), axis, axis))
            shape, pool = target, 1
        pool = 2
    cells = (shape[0] // pool) * (shape[1] // pool) * shape[2]
    for place, neurons in enumerate(DENSE):
        synapses = Dense(weights(cells, neurons), (pool, pool))
        add(f"dense{place + 1}", (1, 1, neurons), synapses, last=neurons == DENSE[-1])
        cells, pool = neurons, 1
    return Network(populations, projections)


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    side = 112 if chosen.quick else 224
    report = Report(detail={"large": {"machine": machine()}})
    stages: dict[str, dict[str, float]] = {}
    clock = [time.perf_counter()]

    def done(stage: str) -> None:
        clock.append(time.perf_counter())
        stages[stage] = {"seconds": clock[-1] - clock[-2], "peak_mb": peak_memory_mb()}

    done("imports")
    network = vgg16(side)
    done("network built")
    engine = make_engine("compiled", network)
    done("engine made")
    draw = np.random.default_rng(1)
    neuron = np.sort(draw.choice(side * side * 3, EVENTS * side**2 // 224**2, replace=False))
    stimulus = Stimulus(np.sort(draw.integers(0, 32, len(neuron))) * UNIT, draw.permutation(neuron))
    order = np.lexsort((stimulus.neuron, stimulus.time))
    run = engine.run(Stimulus(stimulus.time[order], stimulus.neuron[order]))
    done("first sample, compiling")
    again = engine.run(Stimulus(stimulus.time[order], stimulus.neuron[order]))
    done("second sample")
    total = run.counters.sum(axis=0)
    work = int(total[COLUMN["synaptic_operations"]])
    reason = "" if run.digest == again.digest else "two runs of one sample have different digests"
    report.add(
        "large",
        Figure(
            f"VGG-16 at {side}x{side}: peak MB", None if reason else peak_memory_mb(), BAR_MB, at_most=True,
            skipped=reason, failed=bool(reason),
        ),
        stages=stages, neurons=sum(p.size for p in network), synapses=network.synapses(),
        weights=sum(p.synapses.weight.size for p in network.projections.values()),
        synaptic_operations=work, spikes=int(total[COLUMN["spikes_positive"]]), input_events=len(order),
    )  # fmt: skip
    rows = [[name, f"{entry['seconds']:.1f}", f"{entry['peak_mb']:.0f}"] for name, entry in stages.items()]
    report.table(
        f"VGG-16 at {side}x{side}: {si(len(order))} input events, {si(work)} SOPs, "
        f"{si(work / stages['second sample']['seconds'])} SOP/s", "stage|seconds|peak MB", rows,
    )  # fmt: skip
    report.show(chosen.json)


if __name__ == "__main__":
    pin_one_thread()
    main()
