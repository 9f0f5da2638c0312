"""Random cases: a network that uses a feature, besides others now and then, with its input and options."""

from dataclasses import replace

from builders.draws import generator
from builders.networks import (
    random_network,
    random_stimulus,
    with_analog,
    with_cycles,
    with_gates,
    with_lowest,
    with_payloads,
    with_rates,
    with_starts,
    with_time_constants,
)
from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions
from eventsnn.network import Network, Readout, Softmax, leak_factor_of

KINDS = ("signed", "rate", "mixed")
GATES = ("exact", "average", "finite_impulse", "exponential")
FEATURES = (
    "step", "history", "seeded", "analog", "leak", "gate", "rate_gate", "softmax", "cycle", "lowest", "start",
)  # fmt: skip
# Signed neurons that toggle, and cycles, would keep the reference engine busy for long.
OPTIONS = RunOptions(record_spikes=True, max_events=4000)


def parameters_of(filter):
    """A short memory for the exponential filter, a short unit of time for the others."""
    return {"period": 50, "factor": leak_factor_of(20.0, 1.0) if filter == "exponential" else 2**30}


def with_softmax(network, seed, step=0):
    """The same network with its readout a spiking softmax."""
    rng = generator(seed, 6)
    variant = str(rng.choice(["clock", "independent"]))
    populations = []
    for p in network:
        if isinstance(p.neuron, Readout):
            interval = int(rng.integers(1, 4)) * step if step else int(rng.integers(1, 2000))
            unit = float(10.0 ** rng.uniform(-4, -1))
            p = replace(p, neuron=Softmax(variant, unit, p.neuron.period, interval))
        populations.append(p)
    return Network(populations, network.projections.values())


def random_case(seed, feature, stepped):
    """A network, its input and options that use a feature, besides others now and then."""
    rng = generator(seed, 7)
    step = int(rng.integers(1, 2000)) if stepped else 0
    kind = (
        "rate" if feature in ("leak", "rate_gate", "start", "synaptic", "factors") else str(rng.choice(KINDS))
    )
    if feature == "lowest":
        kind = "signed"
    small = feature == "cycle"
    if feature in ("synaptic", "factors") and rng.random() < 0.3:
        kind = "mixed"
    network = random_network(seed, kind, bool(rng.random() < 0.5) and not small, bool(rng.random() < 0.4))
    if feature in ("leak", "step") or rng.random() < 0.4 or step:
        network = with_rates(network, seed, step)
    if feature == "cycle":
        network = with_cycles(network, seed, step or int(rng.integers(1, 1500)))
    if feature == "gate" or (feature == "lowest" and rng.random() < 0.5):
        settle = int(rng.integers(0, 3)) * (step or 700)
        network = with_gates(network, seed, "exact", settle)
    elif feature == "rate_gate":
        chosen = str(rng.choice(GATES[1:]))
        parameters = parameters_of(chosen)
        if step:
            parameters["period"] = step
        network = with_gates(network, seed, chosen, **parameters)
    if feature == "lowest":
        network = with_lowest(network, seed)
    if feature == "start":
        network = with_starts(network, seed, 20 * step or 20_000, step)
    if feature in ("synaptic", "factors"):
        network = with_time_constants(network, seed, step, 0.8 if feature == "synaptic" else 0)
    if feature == "softmax":
        network = with_softmax(network, seed, step)
    stimulus = random_stimulus(seed, network, span=20 * step if step else 20_000)
    if rng.random() < 0.3:
        stimulus = with_payloads(stimulus, seed)
    takes_analog = not any(p.neuron.kind == "max_gate" for p in network)
    if takes_analog and rng.random() < (0.8 if feature == "analog" else 0.15):
        stimulus = with_analog(stimulus, network, seed)
    if rng.random() < 0.4:
        stimulus = replace(stimulus, duration=int(stimulus.time[-1]) + int(rng.integers(0, 8000)))
    rule = str(rng.choice(["none", "margin:0.5", "max-probability:0.9"]))
    options = replace(
        OPTIONS,
        exit_rule=parse_rule(rule),
        schedule="step" if step else "event",
        step=step,
        seed=int(rng.integers(0, 1000)),
        ties="seeded" if feature == "seeded" else "ordered",
        history_period=int(rng.integers(1, 3000)) if rng.random() < 0.5 or feature == "history" else 0,
    )
    return network, stimulus, options
