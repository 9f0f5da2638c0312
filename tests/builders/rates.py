"""Layers as networks of rate neurons, and single layers of them under constant inputs."""

import numpy as np
from oracles.values_of_layers import evaluate

from builders.layers import ZERO, image, layer
from eventsnn.convert.converter import lowered_network
from eventsnn.convert.graph.layers import Branch
from eventsnn.convert.reading import Reading
from eventsnn.convert.samples import read_samples
from eventsnn.convert.settings import Settings
from eventsnn.convert.trained import layered
from eventsnn.engine import RunOptions, Stimulus, make_engine

IMAGES = Reading(lambda shape: len(shape) == 3)
MS = 10**9
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
