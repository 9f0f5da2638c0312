"""Layers as networks of rate neurons, and single layers of them under constant inputs."""

import numpy as np
from oracles.values_of_layers import evaluate

from builders.layers import ZERO, image, layer, windows
from eventsnn.convert.converter import lowered_network
from eventsnn.convert.graph.layers import Branch
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, MaxPool, ReLU
from eventsnn.convert.reading import Reading
from eventsnn.convert.samples import read_samples
from eventsnn.convert.settings import Settings
from eventsnn.convert.trained import layered
from eventsnn.engine import RunOptions, Stimulus, make_engine

IMAGES = Reading(lambda shape: len(shape) == 3)
STEP_US = 2000
"""The longest period of a current: what a step takes is then whole quanta."""


def lowered(layers, images, **settings):
    samples = read_samples(images, IMAGES, None, settings.get("input"), "input_mean" in settings)
    return lowered_network(
        layered(layers, evaluate(layers), "tests 1"), samples, Settings(neuron="rate", **settings)
    )


def one_layer(operation, shape, steps, largest=1.0, factor=None, bias=ZERO, **settings):
    """One layer whose neurons read a value each, calibrated for so many steps on values up to ``largest``."""
    layers = [image(shape), layer("a", operation, shape, Branch("x", None, None, factor), bias=bias)]
    return lowered(
        layers, np.full((1, *shape), largest), input="analog", duration_us=STEP_US * steps, percentile=100,
        **settings,
    )  # fmt: skip


def driven(network, values, steps, schedule="step", engine="compiled", step_us=STEP_US):
    """A run with values (channels, y, x) held for so many steps of those that the network was made for."""
    neuron = network.populations["input"].neuron
    flat = np.asarray(values).transpose(1, 2, 0).reshape(-1)
    parts = np.rint(flat * neuron.analog_scale / neuron.unit).astype(np.int64)
    nothing, tick = np.zeros(0, dtype=np.int64), step_us * 10**6
    stimulus = Stimulus(
        nothing, nothing, analog=parts, duration=tick * steps,
        analog_time=round(network.contract.duration_us * 10**6),
    )  # fmt: skip
    options = RunOptions(schedule=schedule, step=tick if schedule == "step" else 0)
    return make_engine(engine, network, None, options).run(stimulus)


def lenet(rng, pool):
    """Two convolutions with pools and two dense layers, 1 x 12 x 12 in."""

    def reduced(name, source, shape):
        rows, columns = windows(2 * shape[1], 2, 2), windows(2 * shape[2], 2, 2)
        if pool == "max":
            return layer(name, MaxPool(rows, columns), shape, Branch(source, None))
        averages = AveragePool(rows, columns, np.full(shape[1:], 4.0))
        return layer(name, None, shape, Branch(source, averages))

    def drawn(*shape):
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)

    return [
        image((1, 12, 12)),
        layer(
            "c1", ReLU(), (4, 8, 8), Branch("x", Convolution(drawn(4, 1, 5, 5), ZERO)),
            bias=rng.normal(0, 0.1, (4, 1, 1)),
        ),
        reduced("s2", "c1", (4, 4, 4)),
        layer(
            "c3", ReLU(), (8, 4, 4),
            Branch("s2", Convolution(drawn(8, 4, 3, 3), ZERO, padding=((1, 1), (1, 1)))),
            bias=rng.normal(0, 0.1, (8, 1, 1)),
        ),
        reduced("s4", "c3", (8, 2, 2)),
        layer("f5", ReLU(), (16, 1, 1), Branch("s4", Dense(drawn(16, 32), np.zeros(16)))),
        layer("f6", None, (5, 1, 1), Branch("f5", Dense(2 * drawn(5, 16), np.zeros(5)))),
    ]  # fmt: skip
