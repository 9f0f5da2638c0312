"""Random accelerators that run step by step, with populations that share cores."""

from builders.draws import generator
from builders.quantities import quantity
from eventsnn.hardware import INPUT_PORT, Mapping, Part
from eventsnn.hardware.actions import RANDOM, Actions
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.network import Input

ACTIONS = tuple(Actions.model_fields)


def random_document(rng, kind, timing="messages", jitter=False, links=False, depth=False, zero=0.2):
    """An architecture of up to 3 x 3 tiles with one or two cores each; ``zero``: costs that take no time."""
    scale = int(rng.choice([3, 50, 3000]))
    actions = {name: {"energy": quantity(rng.integers(0, 10**6), "aJ")} for name in ACTIONS}
    for name in ACTIONS:
        if name != "multiply":
            time = 0 if rng.random() < zero else rng.integers(0, scale)
            actions[name]["time"] = quantity(time, "ps")
        if jitter and name in RANDOM and rng.random() < 0.5:
            distribution = str(rng.choice(["uniform", "normal", "lognormal", "gamma"]))
            deviation = quantity(rng.integers(1, scale + 1), "ps")
            actions[name]["jitter"] = {"distribution": distribution, "deviation": deviation}
    width, height = (int(n) for n in rng.integers(1, 4, 2))
    noc = {"topology": "mesh", "width": width, "height": height}
    if links:
        if rng.random() < 0.3:
            noc = {"topology": "bus"}
        noc["links"] = {"depth": int(rng.integers(1, 4)) if depth and rng.random() < 0.7 else "unbounded"}
    one = {
        "neurons": quantity(10**6, "neurons"),
        "weights": quantity(10**6, "words"),
        "processing_elements": quantity(rng.integers(1, 6), "lanes"),
    }
    if depth:
        one["input_fifo"] = {"depth": int(rng.integers(1, 4))}
    barrier = [{"tiles": 1, "time": quantity(rng.integers(0, scale), "ps")}] if rng.random() < 0.5 else []
    return {
        "format": "eventsnn-architecture",
        "schema": 2,
        "name": "drawn",
        "description": "drawn by a test",
        "clock": quantity(1, "GHz"),
        "network_on_chip": noc,
        "tiles": {f"tile[0..{width * height - 1}]": {f"core[0..{int(rng.integers(0, 2))}]": "one"}},
        "cores": {"one": one},
        "synchronisation": {
            "kind": kind,
            "timing": timing,
            "pace": str(rng.choice(["free", "input"])),
            "latency": barrier if kind == "barrier" else [],
        },
        "static_power": quantity(1, "mW"),
        "actions": actions,
    }


def random_parts(rng, population, cores, port):
    """Rows and channels of a population on cores of their own; ``port``: the input may be there."""
    height, _, channels = population.shape
    if isinstance(population.neuron, Input) and port and rng.random() < 0.5:
        return (Part(population.name, INPUT_PORT, 0, height, 0, channels),)
    by_row = int(rng.integers(1, min(height, 2) + 1))
    by_channel = int(rng.integers(1, min(channels, 3) + 1))
    while by_row * by_channel > cores:
        by_row, by_channel = max(1, by_row - 1), max(1, by_channel - 1)
    own = rng.permutation(cores)[: by_row * by_channel]
    rows = [height * i // by_row for i in range(by_row + 1)]
    columns = [channels * i // by_channel for i in range(by_channel + 1)]
    boxes = [(y, c) for y in range(by_row) for c in range(by_channel)]
    return tuple(
        Part(population.name, int(core), rows[y], rows[y + 1], columns[c], columns[c + 1])
        for core, (y, c) in zip(own, boxes, strict=True)
    )


def random_step_mapping(seed, network, kind="barrier", change=None, port=True, **options):
    """A network on a random chip, in the same places whatever ``change`` makes of its description."""
    document = random_document(generator(seed, 11), kind, **options)
    if change is not None:
        document = change(document)
    architecture = parse_architecture(document, "drawn")
    rng = generator(seed, 12)
    cores = architecture.number_of_cores
    return Mapping(architecture, {p.name: random_parts(rng, p, cores, port) for p in network})


def synchronised(**changes):
    """A change of an architecture's synchronisation."""
    return lambda document: document | {"synchronisation": document["synchronisation"] | changes}
