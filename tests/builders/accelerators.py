"""Accelerators of one kind of core, from plain numbers or drawn, and networks on them."""

from builders.draws import generator
from builders.quantities import quantity
from eventsnn.errors import DoesNotFit
from eventsnn.hardware import Part, map_network
from eventsnn.hardware.actions import RANDOM, Actions
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.mapping.limits import Demand
from eventsnn.network import Input

ACTIONS = tuple(Actions.model_fields)


def architecture(mesh, neurons, weights, lanes, times, energies, jitter):
    """An architecture from plain numbers; ``jitter`` is (distribution, deviation) by action."""
    unknown = (times.keys() | energies.keys() | jitter.keys()) - set(ACTIONS)
    assert not unknown, unknown  # a stale name would quietly cost nothing
    actions = {}
    for name in ACTIONS:
        actions[name] = {"energy": quantity(energies.get(name, 0), "aJ")}
        if name != "multiply":
            actions[name]["time"] = quantity(times.get(name, 0), "ps")
        if name in jitter:
            distribution, deviation = jitter[name]
            actions[name]["jitter"] = {
                "distribution": distribution,
                "deviation": quantity(deviation, "ps"),
            }
    document = {
        "format": "eventsnn-architecture",
        "schema": 2,
        "name": "drawn",
        "description": "drawn by a test",
        "clock": quantity(1, "GHz"),
        "network_on_chip": {"topology": "mesh", "width": mesh[0], "height": mesh[1]},
        "tiles": {f"tile[0..{mesh[0] * mesh[1] - 1}]": {"core": "one"}},
        "cores": {
            "one": {
                "neurons": quantity(neurons, "neurons"),
                "weights": quantity(weights, "weights"),
                "processing_elements": quantity(lanes, "lanes"),
            }
        },
        "static_power": quantity(1, "mW"),
        "actions": actions,
    }
    return parse_architecture(document, "test")


def max_weights_of_a_channel(network, population):
    name, (height, _, channels) = population.name, population.shape
    demand = Demand(network)
    return max(demand.weights(Part(name, 0, 0, height, c, c + 1)) for c in range(channels))


def random_limits(rng, network):
    """Core limits under which most populations are split, by channels and often by rows."""
    layers = [p for p in network if not isinstance(p.neuron, Input)]
    row = max(p.shape[1] for p in layers)
    channel = max(max_weights_of_a_channel(network, p) for p in layers)
    largest = max(p.size for p in layers)
    neurons = int(rng.integers(row, max(row + 1, min(largest, 8 * row))))
    weights = channel * int(rng.integers(1, 30))
    mesh = (int(rng.integers(1, 13)), int(rng.integers(1, 13)))
    return mesh, neurons, weights, int(rng.integers(1, 17))


def random_times(rng, fastest=1):
    """Times in ticks; a core's services take at least ``fastest``, the rest may take none."""
    scale = int(rng.choice([3, 50, 3000]))
    times = {name: int(rng.integers(0, scale)) for name in ACTIONS if name != "multiply"}
    for name in ("decode", "update"):
        times[name] += fastest
    for name in ("serialise", "fire", "hop_x", "decision"):
        times[name] *= int(rng.random() < 0.8)
    return times


def random_jitter(rng):
    kinds = ("uniform", "normal", "lognormal", "gamma")
    return {
        name: (str(rng.choice(kinds)), int(rng.integers(1, 2000))) for name in RANDOM if rng.random() < 0.4
    }


def place(network, limits, times, energies=None, jitter=None):
    """The network on a chip, or None where it does not fit."""
    try:
        return map_network(network, architecture(*limits, times, energies or {}, jitter or {}))
    except DoesNotFit:
        return None


def random_mapping(seed, network, jitter=True):
    rng = generator(seed)
    energies = {name: int(rng.integers(0, 10**6)) for name in ACTIONS}
    for _ in range(4):
        limits, times = random_limits(rng, network), random_times(rng)
        mapping = place(network, limits, times, energies, random_jitter(rng) if jitter else {})
        if mapping is not None:
            return mapping
    return None


def random_split(seed, network):
    """Cores under which most populations are split, with times and energies of every action."""
    rng = generator(seed, 8)
    times = {name: int(rng.integers(0, 40)) for name in ACTIONS if name != "multiply"}
    energies = {name: int(rng.integers(0, 10**6)) for name in ACTIONS}
    limits = random_limits(rng, network)
    return map_network(network, architecture(*limits, times, energies, {}))
