"""Networks of a few neurons, so that hundreds of runs take seconds."""

import numpy as np

from builders.draws import generator
from eventsnn.engine import Stimulus
from eventsnn.network import (
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

STEP = 1000  # ticks


def tiny_network(seed, steps=True):
    """An input, up to two hidden layers of rate or signed neurons, one perhaps with itself, a readout."""
    rng = generator(seed, 21)
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(1, 3)))
    populations, projections = [Population("in", shape, Input())], []

    def connect(source, name, synapses, delay=0, bias=None):
        projections.append(Projection(f"{source.name}-{name}", source.name, name, synapses, bias, delay))

    for layer in range(int(rng.integers(0, 3))):
        source, name = populations[-1], f"hidden{layer}"
        signed = rng.random() < 0.4
        if rng.random() < 0.5:
            taps = [int(rng.integers(1, length + 1)) for length in source.shape[:2]]
            weight = rng.integers(-9, 30, (*taps, source.shape[2], int(rng.integers(1, 4))))
            synapses = Conv2d(weight, *(Axis(size) for size in taps))
        else:
            synapses = Dense(rng.integers(-9, 30, (source.size, int(rng.integers(1, 6)))))
        target = synapses.target_shape(source.shape)
        threshold = int(rng.integers(5, 60))
        neuron = Signed(threshold, levels=3) if signed else Rate(threshold, period=STEP)
        populations.append(Population(name, target, neuron))
        bias = rng.integers(0, 20, target[2]) if rng.random() < 0.3 else None
        connect(source, name, synapses, STEP * int(rng.integers(0, 3)) if rng.random() < 0.3 else 0, bias)
        if steps and not signed and rng.random() < 0.2:
            own = populations[-1]
            connect(own, name, Identity(rng.integers(-5, 5, target[2])), STEP)
    classes = int(rng.integers(2, 4))
    source = populations[-1]
    populations.append(Population("out", (1, 1, classes), Readout(period=STEP)))
    connect(source, "out", Dense(rng.integers(-9, 9, (source.size, classes))))
    if len(populations) > 2 and rng.random() < 0.3:  # a way round the hidden layers
        connect(populations[0], "out", Dense(rng.integers(-9, 9, (populations[0].size, classes))))
    return Network(populations, projections)


def tiny_stimulus(seed, network, steps=5, events=16):
    """A few spikes over a few steps."""
    rng = generator(seed, 22)
    size = network.populations[network.input].size
    n = int(rng.integers(1, events))
    time, neuron = rng.integers(0, steps * STEP, n), rng.integers(0, size, n)
    order = np.lexsort((neuron, time))
    return Stimulus(time[order], neuron[order], duration=steps * STEP)
