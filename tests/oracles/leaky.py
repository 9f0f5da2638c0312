"""Leaky neurons in steps, written out: the case of the accepted comparison."""

import numpy as np

from eventsnn.engine import Stimulus
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate, leak_factor_of


def leaky_case(step=10**6, steps=1000, one=2**14):
    """Outside truth A7: 3-3-2 LIF, decay exp(-1) a step, threshold 1, hard reset, one spike a step.

    The network, its input, what fires in each step by layer, and the last charges.
    """
    rng = np.random.default_rng(7)
    first, second = (np.rint(rng.normal(0.5, 0.6, shape) * one).astype(int) for shape in ((3, 3), (3, 2)))
    neuron = Rate(
        one,
        reset="hard",
        multispike=False,
        period=step,
        leak_period=step,
        leak_factor=leak_factor_of(1.0, 1.0),
    )
    assert neuron.leak_factor == round(2**30 * np.exp(-1))
    network = Network(
        [
            Population("a", (1, 1, 3), Input()),
            Population("b", (1, 1, 3), neuron),
            Population("c", (1, 1, 2), neuron),
        ],
        [Projection("1", "a", "b", Dense(first)), Projection("2", "b", "c", Dense(second))],
    )
    spikes = rng.random((steps, 3)) < 0.5
    time, source = np.nonzero(spikes)
    stimulus = Stimulus(time * step, source, duration=steps * step)
    b, c = np.zeros(3, dtype=np.int64), np.zeros(2, dtype=np.int64)
    expected = {"b": [], "c": []}
    for k in range(steps):
        inputs = spikes[k].astype(np.int64)
        for name, v, weight in (("b", b, first), ("c", c, second)):
            decayed = [
                int((abs(x) * neuron.leak_factor + 2**29) // 2**30) * (1 if x > 0 else -1) for x in v.tolist()
            ]
            v[:] = np.array(decayed) + inputs @ weight
            inputs = (v >= one).astype(np.int64)
            v[inputs > 0] = 0
            expected[name].append(inputs)
    return network, stimulus, {name: np.array(fired) for name, fired in expected.items()}, c
