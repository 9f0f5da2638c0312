"""Small networks whose operations are counted by hand: truly, and as other packages count them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from eventsnn.events import AnalogImage, spike_train
from eventsnn.network import (
    AveragePool,
    Axis,
    Conv2d,
    Dense,
    Identity,
    Input,
    IntegrateAndFire,
    Network,
    Population,
    Projection,
    Readout,
)

STEP_US = 1.0
NEVER = 10**6
"""A threshold that nothing here reaches."""


@dataclass(frozen=True)
class Case:
    """One sample, in so many steps.

    ``true`` are synaptic operations, effective ones and multiplications; the others' as their quantities.
    """

    name: str
    network: Network
    sample: Any
    true: tuple[int, int, int]
    sinabs: tuple[float]
    syops: tuple[float, float, float]  # acs, macs, total
    neurobench: tuple[int, int, int]  # effective_macs, effective_acs, dense


def firing(threshold):
    return IntegrateAndFire(threshold, multispike=False, period=10**6)


def chain(source, *layers, neuron=None):
    """Input of shape ``source``, layers of (synapses, bias or None, neuron or None for a readout)."""
    populations, projections = [Population("input", source, Input())], []
    for number, (synapses, bias, neuron_of) in enumerate(layers):
        before = populations[-1]
        shape = synapses.target_shape(before.shape)
        populations.append(Population(f"p{number}", shape, neuron_of or Readout()))
        bias = None if bias is None else np.array(bias)
        projections.append(Projection(f"l{number}", before.name, f"p{number}", synapses, bias))
    return Network(populations, projections)


def conv(kernel, axis, inputs=1, outputs=1, groups=1):
    return Conv2d(np.ones((kernel, kernel, inputs // groups, outputs), dtype=int), axis, axis, groups)


def dense(inputs, outputs, pool=(1, 1)):
    return Dense(np.ones((inputs, outputs), dtype=int), pool)


def spikes(*listed, steps=1):
    """Spikes as (step, neuron) or (step, neuron, payload), in so many steps of a microsecond."""
    rows = [(*spike, 1)[:3] for spike in listed]
    step, neuron, payload = (list(column) for column in zip(*rows, strict=True))
    place = [at + 0.1 + 0.01 * number for number, at in enumerate(step)]
    return spike_train(place, neuron, payload if set(payload) != {1} else None, duration_us=float(steps))


def image(values, steps=1):
    shape = (1, 1, len(values))
    return AnalogImage(np.array(values, dtype=float).reshape(shape), duration_ps=steps * 10**6)


def residual():
    return Network(
        [
            Population("input", (1, 1, 2), Input()),
            Population("p0", (1, 1, 2), firing(NEVER)),
            Population("p1", (1, 1, 2), Readout()),
        ],
        [
            Projection("l0", "input", "p0", dense(2, 2)),
            Projection("l1", "p0", "p1", dense(2, 2)),
            Projection("l2", "input", "p1", Identity(np.array([1]))),
        ],
    )


def example_of_neurobench():
    """A9: its documentation's weights and input, both in tenths; rows are outputs."""
    weight = np.array([[13, 0, -32], [0, 12, -51], [-11, 27, 0]])
    populations = [
        Population("input", (1, 1, 3), Input(analog_scale=10)),
        Population("p0", (1, 1, 3), firing(NEVER)),
    ]
    return Network(populations, [Projection("l0", "input", "p0", Dense(weight.T))])


def cases():
    pooled = AveragePool(np.array([1]), Axis(2, 2), Axis(2, 2))
    one = (1, 1, 1)
    zero_weight = Dense(np.array([[1, 0, 2], [1, 1, 1]]))
    return [
        Case("border", chain((3, 3, 1), (conv(3, Axis(3, 1, 1, 1)), None, None)), spikes((0, 0)),
             (4, 4, 0), (4,), (9, 0, 81), (0, 4, 49)),
        Case("stride", chain((5, 5, 1), (conv(3, Axis(3, 2)), None, None)), spikes((0, 6)),
             (1, 1, 0), (1,), (1.44, 0, 36), (0, 1, 36)),
        Case("groups", chain((1, 1, 4), (conv(1, Axis(1), 4, 4, 2), None, None)), spikes((0, 0)),
             (2, 2, 0), (2,), (2, 0, 8), (0, 2, 8)),
        Case("transposed convolution", chain((2, 2, 1), (conv(2, Axis(2, 2, transposed=True)), None, None)),
             spikes((0, 0)), (4, 4, 0), (0,), (16, 0, 64), (0, 0, 0)),
        Case("zero weight", chain((1, 1, 2), (zero_weight, None, None)), spikes((0, 0)),
             (3, 2, 0), (3,), (3, 0, 6), (0, 2, 6)),
        Case("silent steps", chain((1, 1, 2), (dense(2, 3), None, None)), spikes((1, 0), steps=4),
             (3, 3, 0), (3,), (3, 0, 24), (0, 3, 24)),
        Case("bias", chain((1, 1, 2), (dense(2, 3), [1, 1, 1], None)), spikes((0, 0)),
             (3, 3, 0), (3,), (4.5, 0, 9), (0, 3, 6)),
        Case("two spikes in a step", chain((1, 1, 2), (dense(2, 3), None, None)),
             spikes((0, 0), (0, 0), (0, 1)), (9, 9, 0), (9,), (0, 6, 6), (6, 0, 6)),
        Case("a spike of -1", chain((1, 1, 2), (dense(2, 3), None, None)), spikes((0, 0), (0, 1, -1)),
             (6, 6, 0), (0,), (0, 6, 6), (0, 6, 6)),
        Case("+1 and -1 in a step", chain((1, 1, 2), (dense(2, 3), None, None)),
             spikes((0, 0), (0, 0, -1)), (6, 6, 0), (0,), (0, 0, 6), (0, 0, 6)),
        Case("a payload of 3", chain((1, 1, 2), (dense(2, 3), None, None)), spikes((0, 0, 3)),
             (3, 3, 3), (9,), (0, 6, 6), (3, 0, 6)),
        Case("analog first layer", chain((1, 1, 3), (dense(3, 2), None, firing(NEVER))),
             image([0.5, 0.25, 0], steps=2), (0, 0, 6), (3,), (4, 12, 16), (8, 0, 12)),
        Case("analog, two values", chain((1, 1, 3), (dense(3, 2), None, firing(NEVER))),
             image([0.5, 0.5, 0], steps=2), (0, 0, 6), (4,), (8, 0, 16), (8, 0, 12)),
        Case("average pool, one value", chain((2, 2, 1), (dense(1, 3, (2, 2)), None, None)), spikes((0, 0)),
             (3, 3, 0), (3,), (1.75, 0, 7), (3, 0, 3)),
        Case("average pool", chain((2, 6, 1), (dense(3, 3, (2, 2)), None, None)),
             spikes((0, 0), (0, 2), (0, 3)), (9, 9, 0), (9,), (3, 9, 21), (6, 0, 9)),
        Case("average pool, neurons behind it",
             chain((2, 2, 1), (pooled, None, firing(1)), (dense(1, 3), None, None)), spikes((0, 0)),
             (4, 4, 0), (12,), (5, 0, 8), (0, 3, 3)),
        Case("residual addition", residual(), spikes((0, 0)), (3, 3, 0), (2,), (4, 0, 10), (0, 2, 8)),
        Case("neurons that fire", chain(one, (dense(1, 2), None, firing(NEVER))), spikes((0, 0), steps=3),
             (2, 2, 0), (2,), (8, 0, 12), (0, 2, 6)),
        Case("readout", chain(one, (dense(1, 2), None, None)), spikes((0, 0), steps=3),
             (2, 2, 0), (2,), (2, 0, 6), (0, 2, 6)),
        Case("NeuroBench's example", example_of_neurobench(), image([0, 1.3, -1]),
             (0, 0, 9), (0.9,), (3, 9, 12), (4, 0, 9)),
    ]  # fmt: skip
