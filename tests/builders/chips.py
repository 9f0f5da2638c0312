"""Accelerators for tests: from plain numbers, and random ones with every feature of the event schedule."""

from builders.draws import generator
from builders.quantities import quantity
from eventsnn.hardware import Mapping
from eventsnn.hardware.actions import RANDOM, Actions
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.mapping.parts import INPUT_PORT, Part
from eventsnn.network import Input

TIMED = tuple(name for name in Actions.model_fields if name != "multiply")


def core_kind(input_depth="unbounded", policy="block", output_depth="as-input", lanes=1, times=None):
    """A kind of core without limits; ``times`` in ticks are its own."""
    return {
        "neurons": quantity(10**6, "neurons"),
        "weights": quantity(10**9, "weights"),
        "processing_elements": quantity(lanes, "lanes"),
        "input_fifo": {"depth": input_depth, "policy": policy},
        "output_fifo": {"depth": output_depth},
        **(
            {"actions": {name: {"time": quantity(value, "ps")} for name, value in times.items()}}
            if times
            else {}
        ),
    }


def architecture_of(
    kinds, network_on_chip=None, times=None, energies=None, jitter=None, cores_of_tile=1, factor=1
):
    """An architecture with a core for each of ``kinds``, a list of ``core_kind``, so many to a tile.

    ``times`` (ticks, times ``factor``), ``energies`` (attojoules) and ``jitter`` (distribution, deviation in
    ticks) are by action, ``network_on_chip`` as in a file; without one the network is ideal.
    """
    times, energies, jitter = times or {}, energies or {}, jitter or {}
    actions = {}
    for name in Actions.model_fields:
        actions[name] = {"energy": quantity(energies.get(name, 0), "aJ")}
        if name in TIMED:
            actions[name]["time"] = quantity(times.get(name, 0) * factor, "ps")
        if name in jitter:
            distribution, deviation = jitter[name]
            actions[name]["jitter"] = {
                "distribution": distribution,
                "deviation": quantity(deviation * factor, "ps"),
            }
    tiles = {}
    for core in range(len(kinds)):
        tile, place = divmod(core, cores_of_tile)
        tiles.setdefault(f"tile[{tile}]", {})[f"core[{place}]"] = f"kind{core}"
    document = {
        "format": "eventsnn-architecture",
        "schema": 2,
        "name": "drawn",
        "description": "drawn by a test",
        "clock": quantity(1, "GHz"),
        "network_on_chip": network_on_chip or {"topology": "ideal"},
        "tiles": tiles,
        "cores": {f"kind{core}": kind for core, kind in enumerate(kinds)},
        "static_power": quantity(1, "mW"),
        "actions": actions,
    }
    return parse_architecture(document, "test")


def whole_on(network, architecture, cores):
    """Every population whole, on the core named in ``cores``, the input at the port."""
    parts = {}
    for population in network:
        core = cores.get(population.name, INPUT_PORT)
        height, _, channels = population.shape
        parts[population.name] = (Part(population.name, core, 0, height, 0, channels),)
    return Mapping(architecture, parts)


def random_times(rng, zeros):
    """Times in ticks; with ``zeros`` half of the actions take none, else every service takes at least one."""
    scale = int(rng.choice([3, 50, 3000]))
    times = {name: int(rng.integers(0, scale)) for name in TIMED}
    if zeros:
        return {name: value * int(rng.random() < 0.5) for name, value in times.items()}
    for name in ("decode", "update"):
        times[name] += 1
    return times


def random_network_on_chip(rng, tiles, links):
    """A mesh with room for the tiles, a bus, or no network at all."""
    topology = str(rng.choice(["mesh", "mesh", "bus"])) if links else str(rng.choice(["mesh", "ideal"]))
    found = {"topology": topology}
    if topology == "mesh":
        width = int(rng.integers(1, tiles + 1))
        found |= {"width": width, "height": -(-tiles // width)}
    if links and (topology == "mesh" or rng.random() < 0.5):
        found["links"] = {"depth": "unbounded" if rng.random() < 0.4 else int(rng.integers(1, 4))}
    return found


def random_kind(rng, bounded):
    """FIFOs of a kind of core, and sometimes times of its own."""
    depth = int(rng.integers(1, 5)) if bounded and rng.random() < 0.7 else "unbounded"
    output = int(rng.integers(0, 6)) if bounded and rng.random() < 0.4 else "unbounded"
    policy = str(rng.choice(["block", "block", "drop-new", "drop-old"]))
    return depth, policy, output


def cut(population, channels, rows):
    """A population in near-equal pieces by channel and by row, on no core yet."""

    def ranges(length, pieces):
        return [(length * i // pieces, length * (i + 1) // pieces) for i in range(pieces)]

    height, _, depth = population.shape
    return [
        Part(population.name, INPUT_PORT, *y, *c)
        for c in ranges(depth, channels)
        for y in ranges(height, rows)
    ]


def random_chip(seed, network, links=True, bounded=True, zeros=False, jitter=True, shared=True, factor=1):
    """A network on a random accelerator.

    ``links``: links or a bus with queues; ``bounded``: FIFOs with few places; ``zeros``: services of no time
    among others; ``shared``: several populations on a core, and inputs that enter at one; ``factor``: all
    times so many times longer.
    """
    rng = generator(seed, 11)
    splits = {}
    for population in network:
        height, _, channels = population.shape
        most = (1, 1) if isinstance(population.neuron, Input) else (min(channels, 3), min(height, 3))
        splits[population.name] = (int(rng.integers(1, most[0] + 1)), int(rng.integers(1, most[1] + 1)))
    pieces = {p.name: cut(p, *splits[p.name]) for p in network}
    needed = sum(len(parts) for parts in pieces.values())
    most = max(len(parts) for parts in pieces.values())
    number = int(rng.integers(most, needed + 1)) if shared else needed
    lanes = int(rng.integers(1, 9))
    kind = random_kind(rng, bounded)
    kinds = [core_kind(*kind, lanes) for _ in range(number)]
    if rng.random() < 0.5:  # cores of a population are of one kind; here all but their FIFOs are alike
        kinds = [core_kind(*random_kind(rng, bounded), lanes) for _ in range(number)]
    cores_of_tile = int(rng.integers(1, 4))
    tiles = -(-number // cores_of_tile)
    times = random_times(rng, zeros)
    names = ("uniform", "normal", "lognormal", "gamma")
    spread = {
        name: (str(rng.choice(names)), int(rng.integers(1, 1000))) for name in RANDOM if rng.random() < 0.4
    }
    architecture = architecture_of(
        kinds,
        random_network_on_chip(rng, tiles, links),
        times,
        {name: int(rng.integers(0, 10**6)) for name in Actions.model_fields},
        spread if jitter else {},
        cores_of_tile,
        factor,
    )
    parts, first = {}, 0
    for population in network:
        own = pieces[population.name]
        if isinstance(population.neuron, Input) and (not shared or rng.random() < 0.7):
            cores = [INPUT_PORT] * len(own)
        elif shared:
            cores = rng.permutation(number)[: len(own)].tolist()
        else:
            cores = range(first, first + len(own))
            first += len(own)
        parts[population.name] = tuple(
            Part(part.population, int(core), part.y0, part.y1, part.c0, part.c1)
            for part, core in zip(own, cores, strict=True)
        )
    return Mapping(architecture, parts)
