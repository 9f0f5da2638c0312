"""A barrier-synchronous chip, step by step in plain Python: the oracle of step-synchronous hardware timing.

Written from the description of the case alone, and independent of the package. All times are whole ps and
all energies whole fJ, so sums are exact and no order of adding matters. A network is global neurons
0..n-1 and a list of synapses; neurons are given to cores; the numbering is the order in which a core scans
its neurons. The rules, in full:

*Network.* In step t every neuron that is no input takes v = trunc(64 v)/64 + its bias + the weights of the
synapses of all that fired in step t - 1; it fires if v > threshold, and then v = 0. Inputs fire when told.
So a layer answers one step after the one before it, and what fires in the last step is sent but never
integrated.

*Work of step t.* Synaptic events, messages and hops are those of the neurons that fire in step t (inputs
included), and are paid for in step t, all in one step with the scan that makes them; only their charge waits
for step t + 1. Every neuron but an input is accessed in every step. It is updated as well when its charge
after the last step's reset was not zero, it has a bias, or a synaptic event of step t - 1 had it as target
(sum and weight may be zero). A spike costs on top; the three times of a neuron add up. An input costs
nothing, whether it fires or not.

*Messages.* One per firing neuron and core on which it has synapses, own core included, in ascending order
of cores; it carries the neuron's synapses on that core. A neuron without synapses sends nothing.

*Generation.* A core scans its neurons in ascending order with one clock, which begins at zero in every
step: first the time of the neuron, then per message the time of sending; the message leaves there. The
clock's end, which includes the neurons after the last message, is the core's generation.

*Processing.* A message occupies its receiver for the time of receiving plus that of its synapses.

*Simple rule.* A step lasts as long as the longest generation or sum of processing on any core, plus the
barrier. Hops take no time.

*Event-driven rule.* A message that left arrives after its hops, x first; links hold any number at once. The
receiver serves in the order of arrival (ties: by sending core, then order of sending; the end of a step
does not depend on it), one at a time, from step start on and whatever its own scan does meanwhile. The
step ends at the last completion or the longest generation, whichever is later, plus the barrier. Nothing
blocks: queues are unbounded.

*Where SANA-FE differs.* ``acceptance_case`` is a run of SANA-FE 2.2.9 described in words. All that does not
depend on the order of service comes out to the last digit: counts, energies, every step of the simple rule.
Served by arrival, the event-driven total is 61.0264 us. SANA-FE's detailed rule gives 61.0482 us: every step
of it comes out exactly when receivers serve in the order in which messages left their senders (ties: the
later core first), waiting for one still under way though a later one is there: ``first_in="sent"``. The two
are 0.04 % apart. Walking the neurons of a core in (y, x, c) order moves neither counts nor the simple rule,
and the event-driven total by -0.16 %.
"""

from dataclasses import dataclass

import numpy as np


@dataclass
class ChipNet:
    """Neurons and synapses: ``source``, ``target``, ``weight``, ``kind`` (which synapse action) run parallel.

    ``is_input``, ``threshold``, ``core`` have one entry per neuron, ``bias`` too, or it is 0 for all.
    """

    is_input: np.ndarray
    threshold: np.ndarray
    core: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    kind: np.ndarray
    bias: np.ndarray | int = 0


@dataclass
class Chip:
    """Times in ps, energies in fJ; ``synapse_*`` by the synapse's kind; ``place`` gives a core's (x, y)."""

    place: dict
    barrier_ps: int
    send_ps: int = 5_100
    send_fj: int = 111_000
    receive_ps: int = 16_000
    receive_fj: int = 0
    hop_ps: tuple = (4_100, 6_500)
    hop_fj: tuple = (3_000, 4_200)
    access_ps: int = 6_000
    access_fj: int = 51_200
    update_ps: int = 3_700
    update_fj: int = 21_600
    spike_ps: int = 30_000
    spike_fj: int = 69_300
    synapse_ps: tuple = (3_800, 3_100)
    synapse_fj: tuple = (35_500, 24_000)


@dataclass
class Message:
    """What one firing neuron sends to one core in one step; ``leaves`` counts from the step's start."""

    neuron: int
    sender: int
    receiver: int
    synapses: int
    processing: int
    hops: tuple
    leaves: int


def run_network(net, spikes):
    """Per step: what fires and what is updated, two boolean arrays of shape (steps, neurons).

    ``spikes`` (steps, inputs) goes to the input neurons in their order.
    """
    steps, n = len(spikes), len(net.core)
    fires = np.zeros((steps, n), dtype=bool)
    updated = np.zeros((steps, n), dtype=bool)
    charge, arrived, events = np.zeros(n), np.zeros(n), np.zeros(n, dtype=int)
    for t in range(steps):
        updated[t] = ~net.is_input & ((charge != 0) | (net.bias != 0) | (events > 0))
        charge = np.trunc(charge * 64) / 64 + net.bias + arrived
        fires[t] = ~net.is_input & (charge > net.threshold)
        charge[fires[t]] = 0
        fires[t, net.is_input] = spikes[t]
        served = fires[t, net.source]
        arrived = np.bincount(net.target[served], net.weight[served], n)
        events = np.bincount(net.target[served], minlength=n)
        arrived[net.is_input] = 0
    return fires, updated


def destinations(net, chip):
    """Per neuron, the cores it sends to, ascending: (receiver, synapses, processing, hops)."""
    own = {}
    for synapse, neuron in enumerate(net.source.tolist()):
        receiver = int(net.core[net.target[synapse]])
        own.setdefault(neuron, {}).setdefault(receiver, []).append(net.kind[synapse])
    found = {}
    for neuron, by_core in own.items():
        x, y = chip.place[net.core[neuron]]
        for receiver, kinds in sorted(by_core.items()):
            processing = chip.receive_ps + sum(chip.synapse_ps[kind] for kind in kinds)
            hops = (abs(chip.place[receiver][0] - x), abs(chip.place[receiver][1] - y))
            found.setdefault(neuron, []).append((receiver, len(kinds), processing, hops))
    return found


def scan_core(net, chip, sends_to, scan, fires, updated):
    """One core's messages in one step, and when it is done with its neurons, given in their order."""
    clock, messages = 0, []
    for neuron in scan:
        if not net.is_input[neuron]:
            clock += chip.access_ps
            clock += chip.update_ps if updated[neuron] else 0
            clock += chip.spike_ps if fires[neuron] else 0
        for to in sends_to.get(neuron, ()) if fires[neuron] else ():
            clock += chip.send_ps
            messages.append(Message(neuron, net.core[neuron], *to, leaves=clock))
    return messages, clock


def receiver_ends(messages, chip, first_in="arrived"):
    """When a FIFO receiver is done with its messages of one step, listed as each core sent them."""

    def arrives(m):
        return m.leaves + m.hops[0] * chip.hop_ps[0] + m.hops[1] * chip.hop_ps[1]

    order = {"arrived": lambda m: (arrives(m), m.sender), "sent": lambda m: (m.leaves, -m.sender)}
    free = 0
    for m in sorted(messages, key=order[first_in]):
        free = max(arrives(m), free) + m.processing
    return free


def run_chip(net, chip, spikes, orders=None, first_in="arrived"):
    """Everything counted and timed: totals as plain integers, and the two times of every step in ps.

    ``orders``: by core, its neurons in the order of its scan, where that is not their numbering.
    ``first_in``: what a receiver's queue is ordered by, ``"arrived"`` or ``"sent"``.
    """
    fires, updated = run_network(net, spikes)
    cores = np.unique(net.core).tolist()
    scans = {core: np.flatnonzero(net.core == core).tolist() for core in cores} | (orders or {})
    sends_to = destinations(net, chip)
    found = {"spikes": int(fires.sum()), "input_spikes": int(fires[:, net.is_input].sum())}
    found |= {"updates": int(updated.sum()), "accesses": int((~net.is_input).sum()) * len(spikes)}
    found |= {"synaptic_events": 0, "messages": 0, "hops_x": 0, "hops_y": 0}
    found |= {"synapse_fj": 0, "simple_ps": [], "event_driven_ps": []}
    for t in range(len(spikes)):
        generated, sent = {}, []
        for core in cores:
            messages, generated[core] = scan_core(net, chip, sends_to, scans[core], fires[t], updated[t])
            sent += messages
        received = {core: [m for m in sent if m.receiver == core] for core in cores}
        found["messages"] += len(sent)
        found["synaptic_events"] += sum(m.synapses for m in sent)
        found["hops_x"] += sum(m.hops[0] for m in sent)
        found["hops_y"] += sum(m.hops[1] for m in sent)
        served = net.kind[fires[t, net.source]]
        found["synapse_fj"] += int(np.array(chip.synapse_fj)[served].sum())
        longest = max(generated.values())
        busiest = max(sum(m.processing for m in received[core]) for core in cores)
        last = max(receiver_ends(received[core], chip, first_in) for core in cores)
        found["simple_ps"].append(int(max(longest, busiest)) + chip.barrier_ps)
        found["event_driven_ps"].append(int(max(longest, last)) + chip.barrier_ps)
    found["hops"] = found["hops_x"] + found["hops_y"]
    own_spikes = found["spikes"] - found["input_spikes"]
    found["soma_fj"] = (
        found["accesses"] * chip.access_fj + found["updates"] * chip.update_fj + own_spikes * chip.spike_fj
    )
    found["network_fj"] = (
        found["messages"] * (chip.send_fj + chip.receive_fj)
        + found["hops_x"] * chip.hop_fj[0]
        + found["hops_y"] * chip.hop_fj[1]
    )
    found["total_fj"] = found["synapse_fj"] + found["soma_fj"] + found["network_fj"]
    return found


def convolution_synapses(weight, stride, height, width):
    """Every synapse of a valid convolution, (source, target, weight) in (c, y, x) numbering.

    ``weight`` (ky, kx, in, out), not flipped: tap (ky, kx) of target (y, x) reads (y s + ky, x s + kx).
    """
    taps_y, taps_x, inputs, outputs = weight.shape
    rows, columns = (height - taps_y) // stride + 1, (width - taps_x) // stride + 1
    found = []
    for co, y, x in np.ndindex(outputs, rows, columns):
        for ky, kx, ci in np.ndindex(taps_y, taps_x, inputs):
            source = (ci * height + y * stride + ky) * width + x * stride + kx
            found.append((source, (co * rows + y) * columns + x, int(weight[ky, kx, ci, co])))
    return found, (outputs, rows, columns)


DENSE, CONV = 0, 1


def acceptance_case(conv_kinds=(CONV, DENSE), steps=20, side=8, cores=((0,), (5, 40), (77,), (124,))):
    """The case: net, chip, input spikes, and the (c, y, x) shape of every layer.

    ``conv_kinds``: the synapse action that the two convolutions are charged as. ``steps``, ``side``: a
    longer run, or a larger input (and dense layer) of the same shape. ``cores``: those of each layer, which
    is cut in equal parts for them; 4 to 28 tiles of four cores have one and the same barrier.
    """
    rng = np.random.default_rng(7)
    spikes = rng.random((steps, side * side)) < 0.25
    w1 = rng.integers(-3, 8, (3, 3, 1, 4))
    w2 = rng.integers(-3, 6, (3, 3, 4, 8))
    first, shape1 = convolution_synapses(w1, 1, side, side)
    second, shape2 = convolution_synapses(w2, 2, *shape1[1:])
    shapes = [(1, side, side), shape1, shape2, (10, 1, 1)]
    sizes = [int(np.prod(shape)) for shape in shapes]
    w3 = rng.integers(-3, 6, (sizes[2], 10))
    third = [(s, t, int(w3[s, t])) for s, t in np.ndindex(*w3.shape)]
    synapses, kinds = [], []
    start = np.concatenate([[0], np.cumsum(sizes)])
    for layer, (listed, kind) in enumerate(zip((first, second, third), (*conv_kinds, DENSE), strict=True)):
        synapses += [(s + start[layer], t + start[layer + 1], w) for s, t, w in listed]
        kinds += [kind] * len(listed)
    source, target, weight = np.array(synapses).T
    core = []
    for size, own in zip(sizes, cores, strict=True):
        for part, number in zip(np.array_split(np.arange(size), len(own)), own, strict=True):
            core += [number] * len(part)
    threshold = np.repeat([0, 16, 24, 24], sizes)
    is_input = np.arange(start[-1]) < sizes[0]
    net = ChipNet(is_input, threshold, np.array(core), source, target, weight, np.array(kinds))
    place = {core: (core // 4 // 4, core // 4 % 4) for core in range(128)}
    return net, Chip(place, barrier_ps=1_400_000), spikes, shapes


def channels_last_orders(net, shapes):
    """By core, its neurons scanned in (y, x, c) order: another scan of the same cores."""
    numbers, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        numbers += (start + np.arange(size)).reshape(shape).transpose(1, 2, 0).ravel().tolist()
        start += size
    return {core: [n for n in numbers if net.core[n] == core] for core in np.unique(net.core).tolist()}
