"""The accepted comparison with SANA-FE as a network and a chip of this package: counts, energy, time."""

import numpy as np

from builders.quantities import quantity
from eventsnn.engine import Stimulus
from eventsnn.hardware import Mapping, Part
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.network import Axis, Conv2d, Dense, Input, Network, Population, Projection, Rate

STEP = 10**6  # ticks of a timestep: any length, since the chip sets the pace
UNITS = {"conv1": "conv"}  # what serves each layer's synapses: the others are charged as dense


def cost(energy_pj, time_ns):
    return {"energy": quantity(energy_pj, "pJ"), "time": quantity(time_ns, "ns")}


def chip_document(timing="messages"):
    """128 cores on 8 x 4 tiles behind a barrier of 1.4 us, with the costs of the comparison."""
    return {
        "format": "eventsnn-architecture",
        "schema": 2,
        "name": "comparison",
        "description": "the chip of the accepted comparison with SANA-FE",
        "clock": quantity(1, "GHz"),
        "network_on_chip": {"topology": "mesh", "width": 8, "height": 4},
        "tiles": {"tile[0..31]": {"core[0..3]": "loihi"}},
        "cores": {
            "loihi": {
                "neurons": quantity(1024, "neurons"),
                "weights": quantity(131072, "words"),
                "processing_elements": quantity(1, "synapses"),
            }
        },
        "synchronisation": {
            "kind": "barrier",
            "timing": timing,
            "latency": [
                {"tiles": 4, "time": quantity(1.4, "us")},
                {"tiles": 29, "time": quantity(1.8, "us")},
            ],
        },
        "static_power": quantity(0, "W"),
        "actions": {
            "serialise": cost(111.0, 5.1),
            "hop_x": cost(3.0, 4.1),
            "hop_y": cost(4.2, 6.5),
            "decode": cost(0, 16.0),
            "synapse": cost(35.5, 3.8),
            "access": cost(51.2, 6.0),
            "update": cost(21.6, 3.7),
            "fire": cost(69.3, 30.0),
        },
        "synapse_units": {"conv": cost(24.0, 3.1)},
    }


def comparison(
    steps=20, side=8, outputs=(4, 8), timing="messages", units=None, cores=((0,), (5, 40), (77,), (124,))
):
    """The network, its mapping, its input; ``cores`` are those of each layer, cut by channels for them."""
    rng = np.random.default_rng(7)
    spikes = rng.random((steps, side * side)) < 0.25
    w1 = rng.integers(-3, 8, (3, 3, 1, outputs[0]))
    w2 = rng.integers(-3, 6, (3, 3, outputs[0], outputs[1]))
    first = side - 2
    second = (first - 3) // 2 + 1
    w3 = rng.integers(-3, 6, (outputs[1] * second * second, 10))
    w3 = w3.reshape(outputs[1], second, second, 10).transpose(1, 2, 0, 3).reshape(-1, 10)
    shapes = {
        "in": (side, side, 1),
        "conv1": (first, first, outputs[0]),
        "conv2": (second, second, outputs[1]),
    }
    shapes["dense"] = (1, 1, 10)

    def layer(name, threshold):
        return Population(
            name, shapes[name], Rate(threshold, reset="hard", strict=True, multispike=False, period=STEP)
        )

    network = Network(
        [Population("in", shapes["in"], Input()), layer("conv1", 16), layer("conv2", 24), layer("dense", 24)],
        [
            Projection("1", "in", "conv1", Conv2d(w1, Axis(3), Axis(3)), delay=STEP),
            Projection("2", "conv1", "conv2", Conv2d(w2, Axis(3, 2), Axis(3, 2)), delay=STEP),
            Projection("3", "conv2", "dense", Dense(w3), delay=STEP),
        ],
    )
    parts = {}
    for (name, shape), own in zip(shapes.items(), cores, strict=True):
        edges = [shape[2] * i // len(own) for i in range(len(own) + 1)]
        parts[name] = tuple(
            Part(name, core, 0, shape[0], edges[i], edges[i + 1]) for i, core in enumerate(own)
        )
    mapping = Mapping(
        parse_architecture(chip_document(timing), "comparison"), parts, UNITS if units is None else units
    )
    step, neuron = np.nonzero(spikes)
    stimulus = Stimulus(step * STEP, neuron, duration=steps * STEP)
    return network, mapping, stimulus
