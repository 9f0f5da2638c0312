"""A time-stepped network in a few lines of int64 NumPy: the oracle of the step schedule.

Dense matrices, one step after the other, layers in the given order; nothing of the package's engines.
"""

import numpy as np

ONE = 2**30


def half_away(numerator, denominator):
    return np.sign(numerator) * ((2 * np.abs(numerator) + denominator) // (2 * denominator))


def matrix(network, projection, ones=False):
    """Weights, or which synapses exist, as (source neurons, target neurons)."""
    sizes = [network.populations[end].size for end in (projection.source, projection.target)]
    weights = np.zeros(sizes, dtype=np.int64)
    source, target, weight = network.edges(projection)
    np.add.at(weights, (source, target), 1 if ones else weight)
    return weights


def factors_of(population, name):
    """The factor of every neuron: the population's own, else that of the model."""
    own, model = getattr(population, f"{name}s"), getattr(population.neuron, name, 0)
    return np.resize(np.array([model]) if own is None else own.astype(np.int64), population.size)


def integrated(population, own, v, arrived, lost):
    """The charge leaks, and takes what arrives and the bias, by way of a synaptic current if any."""
    if population.neuron.leak_period:
        left = half_away(v * factors_of(population, "leak_factor"), ONE)
        lost["leak"] += v - left
        v[:] = left
    if population.neuron.synapse_factor:
        own["synaptic"] = half_away(own["synaptic"] * factors_of(population, "synapse_factor"), ONE)
        own["synaptic"] += arrived + own["bias"]
        v += own["synaptic"]
    else:
        v += arrived + own["bias"]


def frames(network, stimulus, step, steps):
    """Summed payloads of the input by step, and how many events there were."""
    size = network.populations[network.input].size
    summed, events = np.zeros((2, steps, size), dtype=np.int64)
    payload = np.ones(len(stimulus.time), dtype=np.int64) if stimulus.payload is None else stimulus.payload
    np.add.at(summed, (stimulus.time // step, stimulus.neuron), payload)
    np.add.at(events, (stimulus.time // step, stimulus.neuron), 1)
    return summed, events


def time_stepped(network, stimulus, step, steps, currents=None, charges=None):
    """Summed payloads each neuron emits by step, the charges after each step, and what was lost by cause.

    ``currents`` and ``charges`` (by population) are what analog values add. Biases end with the input: give
    as many steps as the input covers, or more in a network without currents.
    """
    emitted, charge, kept, lost, state = {}, {}, {}, {}, {}
    inputs, events = frames(network, stimulus, step, steps)
    for name in network.order:
        population = network.populations[name]
        neuron, n = population.neuron, population.size
        emitted[name], kept[name] = np.zeros((2, steps, n), dtype=np.int64)
        lost[name] = {cause: np.zeros(n, np.int64) for cause in ("hard_reset", "clamp", "leak", "refractory")}
        charge[name] = np.full(n, getattr(neuron, "initial_charge", 0), dtype=np.int64)
        if population.initial_charge is not None and neuron.kind == "rate":
            charge[name] = population.initial_charge.astype(np.int64)
        charged = neuron.kind == "signed" or (neuron.kind == "readout" and neuron.period == 0)
        charge[name] += network.bias(name) * charged + (charges or {}).get(name, 0)
        touched = neuron.kind == "signed" and bool(network.bias(name).any() or name in (charges or {}))
        state[name] = {
            "bias": network.bias(name) * (not charged) + (currents or {}).get(name, 0),
            "count": np.zeros(n, dtype=np.int64),
            "free": np.zeros(n, dtype=np.int64),
            "touched": np.full(n, touched),
            "due": 0 if touched else None,
            "synaptic": np.zeros(n, dtype=np.int64),
        }
    weights = {name: matrix(network, p) for name, p in network.projections.items()}
    exists = {name: matrix(network, p, ones=True) for name, p in network.projections.items()}
    for k in range(steps):
        for name in network.order:
            if name == network.input:
                emitted[name][k] = inputs[k]
                continue
            neuron, own, v = network.populations[name].neuron, state[name], charge[name]
            if (k + 1) * step <= getattr(neuron, "start_time", 0):
                kept[name][k] = v
                continue
            arrived, served = np.zeros_like(v), np.zeros(len(v), dtype=bool)
            for projection in network.incoming(name):
                earlier = k - projection.delay // step
                if earlier >= 0:
                    sent = emitted[projection.source][earlier]
                    spiked = events[earlier] > 0 if projection.source == network.input else sent != 0
                    arrived += sent @ weights[projection.name]
                    served |= (spiked @ exists[projection.name]) > 0
            if neuron.kind == "rate":
                emitted[name][k] = rate_step(network.populations[name], own, v, arrived, lost[name], k, step)
            elif neuron.kind == "signed":
                v += arrived
                own["touched"] |= served
                if served.any() and own["due"] is None:
                    own["due"] = k + neuron.settle_time // step
                if own["due"] == k:
                    asked = np.clip(own["count"] + v // neuron.threshold, 0, neuron.levels) - own["count"]
                    asked *= own["touched"]
                    v -= asked * neuron.threshold
                    own["count"] += asked
                    own["touched"], own["due"] = np.zeros(len(v), dtype=bool), None
                    emitted[name][k] = asked
            else:
                integrated(network.populations[name], own, v, arrived, lost[name])
            kept[name][k] = v
    return emitted, kept, lost


def rate_step(population, own, v, arrived, lost, k, step):
    """Leak, add, test, emit, reset, clamp; returns the spikes of each neuron."""
    neuron = population.neuron
    free = k >= own["free"]
    if neuron.refractory_drop:
        lost["refractory"] += np.where(free, 0, arrived)
        arrived = np.where(free, arrived, 0)
    integrated(population, own, v, arrived, lost)
    if neuron.test_period and (k + 1) * step % neuron.test_period:
        return np.zeros_like(v)
    over = v - neuron.strict
    spikes = np.where(free & (over >= neuron.threshold), 1, 0)
    if neuron.reset == "hard":
        lost["hard_reset"] += np.where(spikes, v - neuron.threshold, 0)
        v[spikes > 0] = 0
    else:
        if neuron.multispike and not neuron.refractory:
            spikes *= over // neuron.threshold
        v -= spikes * neuron.threshold
    own["free"][spikes > 0] = k + neuron.refractory // step
    if neuron.lower_clamp is not None:
        lost["clamp"] += np.minimum(v - neuron.lower_clamp, 0)
        np.maximum(v, neuron.lower_clamp, out=v)
    return spikes


def by_step(result, network, name, step, steps):
    """Summed payloads as (steps, neurons)."""
    found = np.zeros((steps, network.populations[name].size), dtype=np.int64)
    mine = result.spikes.rank == network.order.index(name)
    assert not (result.spikes.time % step).any()
    np.add.at(
        found, (result.spikes.time[mine] // step - 1, result.spikes.neuron[mine]), result.spikes.payload[mine]
    )
    return found
