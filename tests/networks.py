"""Random networks and stimuli for the property tests."""

import numpy as np

from eventsnn.engine import Stimulus
from eventsnn.network import (
    AveragePool,
    Axis,
    Conv2d,
    Dense,
    Identity,
    Input,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
)


def random_axis(rng, length):
    """A window that fits a length."""
    pool = int(rng.integers(1, 3)) if length >= 6 else 1
    cells = length // pool
    taps = int(rng.integers(1, min(cells, 5) + 1))
    dilation = int(rng.integers(1, 3)) if (taps - 1) * 2 + 1 <= cells else 1
    before, after = (int(v) for v in rng.integers(0, 3, 2))
    return Axis(taps, int(rng.integers(1, 4)), before, after, dilation, pool)


def random_synapses(rng, source, bound):
    """A projection of any kind from a source shape, with its target shape."""
    kind = rng.choice(["conv", "conv", "grouped", "dense", "pool", "identity"])
    if kind == "dense":
        n, m = int(np.prod(source)), int(rng.integers(1, 90))
        synapses = Dense(rng.integers(-bound, bound + 1, (n, m)))
    elif kind == "identity":
        synapses = Identity(rng.integers(-bound, bound + 1, source[2]))
    else:
        y, x = random_axis(rng, source[0]), random_axis(rng, source[1])
        if kind == "pool":
            synapses = AveragePool(rng.integers(1, bound + 1, 1), y, x)
        else:
            groups = source[2] if kind == "grouped" else 1
            out = groups * int(rng.integers(1, 5 if groups > 1 else 70))
            weight = rng.integers(-bound, bound + 1, (y.taps, x.taps, source[2] // groups, out))
            weight[rng.random(weight.shape) < 0.2] = 0
            synapses = Conv2d(weight, y, x, groups)
    return synapses, synapses.target_shape(source)


def random_neuron(rng, kind, biased, lazy):
    """A signed or rate neuron with small thresholds, so that much happens."""
    threshold = int(rng.integers(5, 200))
    if kind == "signed":
        return Signed(
            threshold,
            levels=int(rng.integers(1, 9)),
            graded=bool(rng.random() < 0.3),
            settle_time=int(rng.integers(0, 3)) * int(rng.integers(1, 3000)) if lazy else 0,
            hysteresis_low=int(rng.integers(0, threshold)) if lazy else 0,
            hysteresis_high=int(rng.integers(0, threshold)) if lazy else 0,
        )
    hard = bool(rng.random() < 0.3)
    return Rate(
        threshold,
        reset="hard" if hard else "soft",
        strict=bool(rng.random() < 0.3),
        multispike=bool(rng.random() < 0.7) or biased,
        lower_clamp=-int(rng.integers(0, 300)) if rng.random() < 0.4 else None,
        initial_charge=int(rng.integers(-threshold, threshold)),
        period=int(rng.integers(1, 5000)),
    )


def random_network(seed, kind="signed", delays=False, lazy=False, readout=True):
    """Three to five layers in a chain with skips; ``kind`` is signed, rate or mixed."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(4, 10)), int(rng.integers(4, 10)), int(rng.integers(1, 3)))
    populations, projections = [Population("in", shape, Input())], []
    depth = int(rng.integers(2, 5))
    names = rng.permutation([f"layer{i}" for i in range(depth)])
    sources = ["in"]

    def connect(source, target_name, synapses, bias):
        delay = int(rng.integers(0, 4)) * int(rng.integers(1, 2000)) if delays else 0
        name = f"{rng.integers(0, 1000):03d} {source}-{target_name}"
        projections.append(Projection(name, source, target_name, synapses, bias, delay))

    for i, name in enumerate(names):
        chosen = kind if kind != "mixed" else str(rng.choice(["signed", "rate"]))
        last = i == depth - 1
        source = populations[-1]
        bound = int(rng.integers(2, 60))
        if last and readout:
            synapses = Dense(rng.integers(-bound, bound + 1, (source.size, 4)))
            target, neuron = (1, 1, 4), Readout(unit=0.01, period=0 if rng.random() < 0.5 else 700)
        else:
            synapses, target = random_synapses(rng, source.shape, bound)
            while min(target) < 1:
                synapses, target = random_synapses(rng, source.shape, bound)
            biased = rng.random() < 0.5
            neuron = random_neuron(rng, chosen, biased, lazy)
        bias = None
        if (last and readout) or (not (last and readout) and biased):
            low = 0 if getattr(neuron, "lower_clamp", None) is not None else -40
            bias = rng.integers(low, 60, target[2])
        populations.append(Population(str(name), target, neuron))
        connect(source.name, str(name), synapses, bias)
        if rng.random() < 0.4 and len(sources) > 1:
            early = populations[[p.name for p in populations].index(str(rng.choice(sources)))]
            extra = Dense(rng.integers(-bound, bound + 1, (early.size, int(np.prod(target)))))
            if extra.target_shape(early.shape) == target:
                connect(early.name, str(name), extra, None)
        sources.append(str(name))
    order = rng.permutation(len(populations))
    return Network([populations[i] for i in order], projections)


def random_stimulus(seed, network, events=60, span=20_000):
    """Input spikes with many ties in time."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, events))
    time = np.sort(rng.integers(0, span, n))
    time = np.where(rng.random(n) < 0.3, time // 1000 * 1000, time)
    neuron = rng.integers(0, network.populations[network.input].size, n)
    order = np.lexsort((neuron, time))
    return Stimulus(time[order].astype(np.int64), neuron[order].astype(np.int64))
