"""Random networks and stimuli for the property tests."""

from dataclasses import replace

import numpy as np

from builders.draws import DrawnSeed, generator
from eventsnn.engine import Stimulus
from eventsnn.network import (
    AveragePool,
    Axis,
    Conv2d,
    Dense,
    Identity,
    Input,
    MaxGate,
    MaxPool,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
)


def random_axis(rng, length):
    """A window that fits a length."""
    pool = int(rng.integers(1, 3)) if length >= 6 else 1
    cells = length // pool
    taps = int(rng.integers(1, min(cells, 5) + 1))
    dilation = int(rng.integers(1, 3)) if (taps - 1) * 2 + 1 <= cells else 1
    before, after = (int(v) for v in rng.integers(0, 3, 2))
    return Axis(taps, int(rng.integers(1, 4)), before, after, dilation, pool)


def random_synapses(rng, source, bound, channels):
    """A projection of any kind from a source shape, with its target shape; convolutions to few channels."""
    kind = rng.choice(["conv", "conv", "grouped", "dense", "pool", "identity"])
    if kind == "dense":
        n, m = int(np.prod(source)), int(rng.integers(1, 90))
        synapses = Dense(rng.integers(-bound, bound + 1, (n, m)))
    elif kind == "identity":
        synapses = Identity(rng.integers(-bound, bound + 1, source[2]))
    else:
        y, x = random_axis(rng, source[0]), random_axis(rng, source[1])
        if kind == "pool":
            synapses = AveragePool(rng.integers(1, bound + 1, 1), y, x)
        else:
            groups = source[2] if kind == "grouped" else 1
            out = groups * int(rng.integers(1, 5 if groups > 1 else channels))
            weight = rng.integers(-bound, bound + 1, (y.taps, x.taps, source[2] // groups, out))
            weight[rng.random(weight.shape) < 0.2] = 0
            synapses = Conv2d(weight, y, x, groups)
    return synapses, synapses.target_shape(source)


def random_neuron(rng, kind, biased, lazy):
    """A signed or rate neuron with small thresholds, so that much happens."""
    threshold = int(rng.integers(5, 200))
    if kind == "signed":
        return Signed(
            threshold,
            levels=int(rng.integers(1, 9)),
            graded=bool(rng.random() < 0.3),
            settle_time=int(rng.integers(0, 3)) * int(rng.integers(1, 3000)) if lazy else 0,
            hysteresis_low=int(rng.integers(0, threshold)) if lazy else 0,
            hysteresis_high=int(rng.integers(0, threshold)) if lazy else 0,
        )
    hard = bool(rng.random() < 0.3)
    return Rate(
        threshold,
        reset="hard" if hard else "soft",
        strict=bool(rng.random() < 0.3),
        multispike=bool(rng.random() < 0.7) or biased,
        lower_clamp=-int(rng.integers(0, 300)) if rng.random() < 0.4 else None,
        initial_charge=int(rng.integers(-threshold, threshold)),
        period=int(rng.integers(1, 5000)),
    )


def random_network(seed, kind="signed", delays=False, lazy=False, readout=True):
    """Three to five layers in a chain with skips; ``kind`` is signed, rate or mixed."""
    rng = generator(seed)
    # One spike may make a thousand where each reaches many channels: too long for a law.
    channels = 12 if isinstance(seed, DrawnSeed) else 70
    shape = (int(rng.integers(4, 10)), int(rng.integers(4, 10)), int(rng.integers(1, 3)))
    populations, projections = [Population("in", shape, Input())], []
    depth = int(rng.integers(2, 5))
    names = rng.permutation([f"layer{i}" for i in range(depth)])
    sources = ["in"]

    def connect(source, target_name, synapses, bias):
        delay = int(rng.integers(0, 4)) * int(rng.integers(1, 2000)) if delays else 0
        name = f"{rng.integers(0, 1000):03d} {source}-{target_name}"
        while any(projection.name == name for projection in projections):
            name += " again"  # a second pair of the same populations may draw the same number
        projections.append(Projection(name, source, target_name, synapses, bias, delay))

    for i, name in enumerate(names):
        chosen = kind if kind != "mixed" else str(rng.choice(["signed", "rate"]))
        last = i == depth - 1
        source = populations[-1]
        bound = int(rng.integers(2, 60))
        if last and readout:
            synapses = Dense(rng.integers(-bound, bound + 1, (source.size, 4)))
            target, neuron = (1, 1, 4), Readout(unit=0.01, period=0 if rng.random() < 0.5 else 700)
        else:
            synapses, target = random_synapses(rng, source.shape, bound, channels)
            while min(target) < 1:
                synapses, target = random_synapses(rng, source.shape, bound, channels)
            biased = rng.random() < 0.5
            neuron = random_neuron(rng, chosen, biased, lazy)
        bias = None
        if (last and readout) or (not (last and readout) and biased):
            low = 0 if getattr(neuron, "lower_clamp", None) is not None else -40
            bias = rng.integers(low, 60, target[2])
        populations.append(Population(str(name), target, neuron))
        connect(source.name, str(name), synapses, bias)
        if rng.random() < 0.4 and len(sources) > 1:
            early = populations[[p.name for p in populations].index(str(rng.choice(sources)))]
            extra = Dense(rng.integers(-bound, bound + 1, (early.size, int(np.prod(target)))))
            if extra.target_shape(early.shape) == target:
                connect(early.name, str(name), extra, None)
        sources.append(str(name))
    order = rng.permutation(len(populations))
    return Network([populations[i] for i in order], projections)


def random_stimulus(seed, network, events=60, span=20_000):
    """Input spikes with many ties in time."""
    rng = generator(seed)
    n = int(rng.integers(1, events))
    time = np.sort(rng.integers(0, span, n))
    time = np.where(rng.random(n) < 0.3, time // 1000 * 1000, time)
    neuron = rng.integers(0, network.populations[network.input].size, n)
    order = np.lexsort((neuron, time))
    return Stimulus(time[order].astype(np.int64), neuron[order].astype(np.int64))


def with_lowest(network, seed):
    """The same network with signed neurons whose counts go below 0."""
    rng = generator(seed, 8)
    populations = []
    for p in network:
        if isinstance(p.neuron, Signed):
            p = replace(p, neuron=replace(p.neuron, lowest=-int(rng.integers(1, 9))))
        populations.append(p)
    return Network(populations, network.projections.values())


def with_rates(network, seed, step=0):
    """A random network with refractory times, grid leaks and a population of its own bias.

    ``step`` is the length of a step in ticks: times are whole steps, what only the step schedule allows
    (one spike a step beside biases, clamps below negative biases) occurs. 0 is the event schedule.
    """
    rng = generator(seed, 1)
    unit = step or int(rng.integers(1, 3000))
    populations = []
    for name in sorted(network.populations):
        population = network.populations[name]
        neuron = population.neuron
        if isinstance(neuron, Signed) and step:
            neuron = replace(neuron, settle_time=int(rng.integers(0, 3)) * step if neuron.settle_time else 0)
        elif isinstance(neuron, Readout) and step:
            neuron = replace(neuron, period=step if neuron.period else 0)
        elif isinstance(neuron, Rate):
            biased = bool(network.bias(name).any())
            leaky, refractory = rng.random() < 0.5, int(rng.integers(0, 4)) * int(rng.random() < 0.4)
            neuron = replace(
                neuron,
                period=step or neuron.period,
                multispike=bool(rng.random() < 0.5) if step else neuron.multispike,
                lower_clamp=-int(rng.integers(0, 300)) if step and rng.random() < 0.4 else neuron.lower_clamp,
                refractory=refractory * unit,
                refractory_drop=bool(refractory and not biased and rng.random() < 0.5),
                leak_period=unit if leaky else 0,
                leak_factor=int(rng.integers(0, 2**30 + 1)) if leaky else 2**30,
            )
        populations.append(replace(population, neuron=neuron))
    projections = [
        replace(p, delay=int(rng.integers(0, 4)) * step if p.delay and step else p.delay)
        for _, p in sorted(network.projections.items())
    ]
    target = populations[int(rng.integers(0, len(populations)))]
    if rng.random() < 0.5 and isinstance(target.neuron, Rate):
        bias = rng.integers(1, 100, target.shape[2])
        source = Rate(int(rng.integers(5, 200)), period=step or unit)
        populations.append(Population("bias", target.shape, source, bias=bias))
        projections.append(Projection("b", "bias", target.name, Identity(rng.integers(-60, 60, 1))))
    return Network(populations, projections)


def with_time_constants(network, seed, step=0, synaptic=0.6):
    """The same network with synaptic currents, leaky readouts, factors of single neurons or channels."""
    rng = generator(seed, 9)
    unit, populations = step or int(rng.integers(1, 3000)), []
    for name in sorted(network.populations):
        p = network.populations[name]
        neuron, own = p.neuron, {}
        if isinstance(neuron, Rate | Readout) and p.leak_factors is None:
            current = rng.random() < synaptic
            leaky = rng.random() < 0.7 or (current and not neuron.current_period)
            if current:
                own["synapse_factor"] = drawn_factors(rng, p, 2**30 - 1)
                if isinstance(neuron, Rate):
                    neuron = replace(neuron, refractory_drop=False)
                if not step:
                    neuron = replace(neuron, period=unit if neuron.period else 0)
            if leaky:
                own["leak_factor"] = drawn_factors(rng, p, 2**30)
            neuron = replace(
                neuron,
                leak_period=unit if leaky else 0,
                leak_factor=int(own["leak_factor"].max()) if leaky else 2**30,
                synapse_factor=int(own["synapse_factor"].max()) if current else 0,
            )
        populations.append(replace(p, neuron=neuron, **{f"{key}s": value for key, value in own.items()}))
    return Network(populations, network.projections.values())


def drawn_factors(rng, population, most):
    """One factor a neuron, one a channel, or one for all; the largest is above 0."""
    size = int(rng.choice([1, population.shape[2], population.size]))
    factors = np.minimum(rng.integers(0, most + 1, size), most)
    factors[0] = max(1, factors[0])
    return np.tile(factors, population.size // size).astype(np.int64)


def with_starts(network, seed, span=20_000, step=0):
    """The same network with start times, charges of single neurons, and in steps tests each few steps."""
    rng = generator(seed, 6)
    unit, populations = step or 1, []
    for p in network:
        neuron, charge = p.neuron, p.initial_charge
        current = isinstance(neuron, Rate) or (isinstance(neuron, Readout) and neuron.period)
        if current and rng.random() < 0.7:
            neuron = replace(neuron, start_time=int(rng.integers(0, 1.3 * span / unit)) * unit)
        if isinstance(neuron, Rate) and step and rng.random() < 0.5:
            neuron = replace(neuron, test_period=int(rng.integers(1, 5)) * step)
        if isinstance(neuron, Rate) and rng.random() < 0.5:
            charge = rng.integers(-neuron.threshold, neuron.threshold, p.size)
        populations.append(replace(p, neuron=neuron, initial_charge=charge))
    return Network(populations, network.projections.values())


def without_currents(network):
    """The same network with a readout that takes its bias as a charge: all comes to rest."""
    populations = [
        replace(p, neuron=replace(p.neuron, period=0)) if isinstance(p.neuron, Readout) else p
        for p in network
    ]
    return Network(populations, network.projections.values(), network.metadata)


def with_cycles(network, seed, delay=1):
    """The same network with projections of a layer to itself and back; all delays whole multiples."""
    rng = generator(seed, 5)
    hidden = [p for p in network if not isinstance(p.neuron, (Input, Readout))]
    projections = [
        replace(p, delay=int(rng.integers(1, 4)) * delay) for _, p in sorted(network.projections.items())
    ]
    for i, source in enumerate(hidden):
        back = [p for p in hidden[: i + 1] if p.shape[:2] == (1, 1)]
        if back:
            target = back[int(rng.integers(0, len(back)))]
            weight = rng.integers(-30, 20, (source.size, target.shape[2]))
            synapses, name = Dense(weight), f"back {source.name}"
            projections.append(Projection(name, source.name, target.name, synapses, None, delay))
        elif rng.random() < 0.7:
            synapses, name = Identity(rng.integers(-40, 30, 1)), f"self {source.name}"
            projections.append(Projection(name, source.name, source.name, synapses, None, 2 * delay))
    return Network(network.populations.values(), projections)


def with_gates(network, seed, filter="exact", settle_time=0, **parameters):
    """A random network with a population of max gates, overlapping windows, before a layer or two."""
    rng = generator(seed, 2)
    populations, projections = dict(network.populations), []
    for name in sorted(network.projections):
        projection = network.projections[name]
        source = network.populations[projection.source]
        fits = filter == "exact" or not isinstance(source.neuron, Signed)
        if rng.random() < 0.6 and fits and f"max {source.name}" not in populations:
            taps = [int(rng.integers(1, min(n, 3) + 1)) for n in source.shape[:2]]
            pads = [int(rng.integers(0, t)) for t in taps]
            # Same size as the source, so that what follows still fits: windows overlap, borders are padded.
            pool = MaxPool(*(Axis(t, 1, b, t - 1 - b) for t, b in zip(taps, pads, strict=True)))
            gate = MaxGate(filter, bool(filter == "exact" and rng.random() < 0.3), settle_time, **parameters)
            populations[f"max {source.name}"] = Population(f"max {source.name}", source.shape, gate)
            projections.append(
                Projection(f"max {name}", source.name, f"max {source.name}", pool, None, projection.delay)
            )
            projection = replace(projection, source=f"max {source.name}")
        projections.append(projection)
    return Network(populations.values(), projections)


def with_payloads(stimulus, seed, bound=4):
    """The same input with graded spikes of either sign."""
    rng = generator(seed, 3)
    payload = rng.integers(1, bound, len(stimulus.time)) * rng.choice([-1, 1, 1], len(stimulus.time))
    return replace(stimulus, payload=payload)


def with_analog(stimulus, network, seed, bound=600):
    """The same input with analog values, some of them zero."""
    rng = generator(seed, 4)
    size = network.populations[network.input].size
    return replace(stimulus, analog=rng.integers(-bound, bound, size) * (rng.random(size) < 0.7))


def rebuilt(network, projection=lambda p: p, population=lambda p: p):
    return Network(
        [population(item) for item in network.populations.values()],
        [projection(item) for item in network.projections.values()],
    )


def without_biases_over_time(network):
    """Biases only where they are charges at time 0."""

    def projection(item):
        takes_current = isinstance(network.populations[item.target].neuron, Rate)
        return replace(item, bias=None) if takes_current else item

    def population(item):
        return replace(item, neuron=Readout()) if isinstance(item.neuron, Readout) else item

    return rebuilt(network, projection, population)


def slowed(network, factor):
    """Projection delays and settle times times a factor."""

    def population(item):
        if not isinstance(item.neuron, Signed):
            return item
        return replace(item, neuron=replace(item.neuron, settle_time=item.neuron.settle_time * factor))

    return rebuilt(network, lambda item: replace(item, delay=item.delay * factor), population)


def single(neuron, weight=1, bias=None, delay=0, inputs=1, scale=256):
    """Input neurons driving one neuron and nothing else."""
    return Network(
        [Population("in", (1, 1, inputs), Input(analog_scale=scale)), Population("n", (1, 1, 1), neuron)],
        [Projection("p", "in", "n", Dense(np.full((inputs, 1), weight)), bias, delay)],
    )
