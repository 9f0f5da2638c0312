"""Networks and input whose times are so short that every tick can be visited."""

from dataclasses import replace

from builders.networks import random_stimulus, with_analog, with_payloads
from eventsnn.network import MaxGate, Network, Rate, Readout, Signed


def shrunk(network, by=40):
    """The same network with all its times divided, so that every tick can be visited."""
    populations = []
    for population in network:
        neuron = population.neuron
        times = [n for n in ("period", "refractory", "leak_period", "settle_time") if getattr(neuron, n, 0)]
        if times and not isinstance(neuron, MaxGate):
            neuron = replace(neuron, **{name: max(1, getattr(neuron, name) // by) for name in times})
        if isinstance(neuron, Signed):
            neuron = replace(neuron, hysteresis_low=0, hysteresis_high=0)
        populations.append(replace(population, neuron=neuron))
    projections = [replace(p, delay=p.delay // by) for p in network.projections.values()]
    return Network(populations, projections, network.metadata)


def drawn_stimulus(seed, network, span=400):
    """Events, and by the seed payloads, analog values that fit the neurons, and time after the last event."""
    stimulus = random_stimulus(seed, network, span=span)
    if seed % 2:
        stimulus = with_payloads(stimulus, seed)
    first = {p.target: network.populations[p.target].neuron for p in network.outgoing(network.input)}
    takes = all(
        isinstance(n, (Signed, Readout))
        or (isinstance(n, Rate) and n.multispike and n.lower_clamp is None and not n.refractory_drop)
        for n in first.values()
    )
    if seed % 3 and takes:
        stimulus = with_analog(stimulus, network, seed)
    if seed % 5 < 3:
        stimulus = replace(stimulus, duration=int(stimulus.time[-1]) + seed % 100)
    return stimulus
