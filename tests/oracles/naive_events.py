"""The event schedule tick by tick: the oracle of currents, leaks, refractory times and gates.

Every tick of a short time is visited, every neuron asked at every tick; charges are whole at all times
(currents and leaks applied as they come). Nothing of the package's engines; acyclic networks, no accelerator.
"""

from collections import defaultdict
from copy import deepcopy

ONE = 2**30


def half_away(numerator, denominator):
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


class TickByTick:
    """One sample; ``spikes`` are (time, rank, neuron, payload) in the order of law 2.

    State stands as at tick ``stop``; ``after`` more ticks are visited for the spikes alone. ``tie`` gives a
    neuron's place among those of its population at a tick from (time, rank, neuron).
    """

    def __init__(self, network, stimulus, stop, after=0, tie=None):
        self.tie = tie or (lambda time, rank, neuron: neuron)
        self.network, self.stimulus, self.end = network, stimulus, stimulus.end
        self.order = list(network.order)
        self.populations = [network.populations[name] for name in self.order]
        self.out = [
            [(self.order.index(p.target), p.delay, targets_of(network, p)) for p in network.outgoing(name)]
            for name in self.order
        ]
        self.charge, self.current, self.count, self.free, self.lost = [], [], [], [], []
        self.touched, self.due, self.window = [], [], []
        self.leaks, self.synapses, self.synaptic, self.arrived = [], [], [], []
        analog = analog_sums(network, stimulus)
        for name, population in zip(self.order, self.populations, strict=True):
            neuron, n = population.neuron, population.size
            held = analog.get(name, [0] * n)
            bias = [int(b) + a for b, a in zip(network.bias(name), held, strict=True)]
            flows = getattr(neuron, "period", 0) > 0 and neuron.kind != "max_gate"
            start = population.initial_charge
            if start is None or neuron.kind != "rate":
                start = [getattr(neuron, "initial_charge", 0)] * n
            self.charge.append([int(v) + (0 if flows else b) for v, b in zip(start, bias, strict=True)])
            self.current.append(bias if flows else [0] * n)
            self.count.append([0] * n)
            self.free.append([0] * n)
            self.lost.append({cause: [0] * n for cause in ("hard_reset", "clamp", "leak", "refractory")})
            tested = neuron.kind == "signed" and (network.bias(name).any() or name in analog)
            self.touched.append(set(range(n)) if tested else set())
            self.due.append(0 if tested else None)
            self.window.append(windows(network, name))
            self.leaks.append(factors_of(population, "leak_factor"))
            self.synapses.append(factors_of(population, "synapse_factor"))
            self.synaptic.append([0] * n)
            self.arrived.append([0] * n)
        self.ordinal = defaultdict(int)
        self.arrivals = defaultdict(list)  # by (time, rank of the emitter)
        self.spikes = []
        self.now = 0
        self.inputs = defaultdict(list)
        payloads = [1] * len(stimulus.time) if stimulus.payload is None else stimulus.payload
        for t, j, payload in zip(stimulus.time, stimulus.neuron, payloads, strict=True):
            self.inputs[int(t)].append((int(j), int(payload)))
        self.advance(0, stop)
        state = deepcopy((self.charge, self.count, self.lost))
        self.advance(stop + 1, stop + after)
        self.charge, self.count, self.lost = state
        self.spikes.sort(key=lambda spike: spike[:3])  # stable: ordinals keep their order

    def advance(self, first, last):
        """Visit ticks, the last one included."""
        for self.now in range(first, last + 1):
            self.flow()
            for rank in range(len(self.order)):
                self.visit(rank)

    def flow(self):
        """Currents up to this tick, then leaks."""
        for population, charge, current, lost, leaks in zip(
            self.populations, self.charge, self.current, self.lost, self.leaks, strict=True
        ):
            neuron, t = population.neuron, min(self.now, self.end)
            if getattr(neuron, "synapse_factor", 0):
                continue
            for j, b in enumerate(current):
                if b and getattr(neuron, "start_time", 0) < self.now <= self.end:
                    charge[j] += b * t // neuron.period - b * (t - 1) // neuron.period
            held = self.now <= getattr(neuron, "start_time", 0)
            if getattr(neuron, "leak_period", 0) and not held and self.now % neuron.leak_period == 0:
                for j, v in enumerate(charge):
                    charge[j] = half_away(v * leaks[j], ONE)
                    lost["leak"][j] += v - charge[j]
        for population, window in zip(self.populations, self.window, strict=True):
            neuron = population.neuron
            decays = neuron.kind == "max_gate" and neuron.filter == "exponential"
            if decays and self.now and self.now % neuron.period == 0:
                for estimates in window:
                    for i in estimates:
                        estimates[i] = half_away(estimates[i] * neuron.factor, ONE)

    def visit(self, rank):
        """What a population emits at this tick without a delivery, then the deliveries of its spikes."""
        neuron = self.populations[rank].neuron
        if neuron.kind == "input":
            for j, payload in self.inputs[self.now]:
                self.emit(rank, j, payload)
        elif getattr(neuron, "synapse_factor", 0):
            self.update(rank, neuron)
        elif neuron.kind == "rate":
            for j, current in enumerate(self.current[rank]):
                if current or neuron.refractory:
                    self.test_rate(rank, j)
        elif self.due[rank] == self.now:
            self.test_touched(rank)
        arrivals = self.arrivals.pop((self.now, rank), [])
        arrivals.sort(key=lambda arrival: (self.tie(self.now, rank, arrival[0]), *arrival[:3]))
        for _, _, _, target, edges, j, payload in arrivals:
            self.deliver(target, edges, j, payload)

    def update(self, rank, neuron):
        """A step of neurons with a synaptic current, at its multiples, up to the input's last."""
        period = neuron.leak_period or neuron.period
        last = int(self.stimulus.time[-1]) // period + 1 if len(self.stimulus.time) else 1
        last = max(last, -(-(self.stimulus.duration or 0) // period)) * period
        if self.now % period or not neuron.start_time < self.now <= last:
            return
        charge, current, lost = self.charge[rank], self.synaptic[rank], self.lost[rank]
        for j, arrived in enumerate(self.arrived[rank]):
            if neuron.leak_period:
                left = half_away(charge[j] * self.leaks[rank][j], ONE)
                lost["leak"][j] += charge[j] - left
                charge[j] = left
            current[j] = half_away(current[j] * self.synapses[rank][j], ONE)
            current[j] += arrived + self.current[rank][j]
            charge[j] += current[j]
            self.arrived[rank][j] = 0
            if neuron.kind == "rate":
                self.test_rate(rank, j)
                if neuron.lower_clamp is not None and charge[j] < neuron.lower_clamp:
                    lost["clamp"][j] += charge[j] - neuron.lower_clamp
                    charge[j] = neuron.lower_clamp

    def emit(self, rank, j, payload):
        self.spikes.append((self.now, rank, j, payload))
        ordinal = self.ordinal[rank, j]
        self.ordinal[rank, j] += 1
        for number, (target, delay, edges) in enumerate(self.out[rank]):
            if j in edges:
                arrival = (j, ordinal, number, target, edges[j], j, payload)
                self.arrivals[self.now + delay, rank].append(arrival)

    def deliver(self, target, edges, source, payload):
        neuron, charge = self.populations[target].neuron, self.charge[target]
        if neuron.kind == "max_gate":
            self.reach_gates(target, neuron, [j for j, _ in edges], source, payload)
            return
        if self.now < getattr(neuron, "start_time", 0):
            return
        if getattr(neuron, "synapse_factor", 0):
            for j, weight in edges:
                self.arrived[target][j] += weight * payload
            return
        for j, weight in edges:
            if neuron.kind == "rate" and neuron.refractory_drop and self.now < self.free[target][j]:
                self.lost[target]["refractory"][j] += weight * payload
            else:
                charge[j] += weight * payload
        if neuron.kind == "rate":
            for j, _ in edges:
                if neuron.lower_clamp is not None and charge[j] < neuron.lower_clamp:
                    self.lost[target]["clamp"][j] += charge[j] - neuron.lower_clamp
                    charge[j] = neuron.lower_clamp
                self.test_rate(target, j)
        elif neuron.kind == "signed":
            self.touch(target, [j for j, _ in edges])

    def touch(self, rank, neurons):
        self.touched[rank].update(neurons)
        if self.due[rank] is None:
            self.due[rank] = self.now + self.populations[rank].neuron.settle_time

    def test_rate(self, rank, j):
        neuron, v = self.populations[rank].neuron, self.charge[rank][j]
        if v < neuron.threshold + neuron.strict or self.now < self.free[rank][j]:
            return
        spikes = 1
        if neuron.reset == "hard":
            self.lost[rank]["hard_reset"][j] += v - neuron.threshold
            self.charge[rank][j] = 0
        else:
            if neuron.multispike and not neuron.refractory:
                spikes = (v - neuron.strict) // neuron.threshold
            self.charge[rank][j] -= spikes * neuron.threshold
        self.count[rank][j] += spikes
        self.free[rank][j] = self.now + neuron.refractory
        for _ in range(spikes):
            self.emit(rank, j, 1)

    def test_touched(self, rank):
        neuron, touched = self.populations[rank].neuron, sorted(self.touched[rank])
        self.touched[rank], self.due[rank] = set(), None
        for j in touched:
            count = self.count[rank][j]
            if neuron.kind == "signed":
                wanted = count + self.charge[rank][j] // neuron.threshold
                payload = min(max(wanted, 0), neuron.levels) - count
                self.charge[rank][j] -= payload * neuron.threshold
            else:
                payload = max(0, max(self.window[rank][j].values())) - count
            self.count[rank][j] += payload
            if payload and neuron.graded:
                self.emit(rank, j, payload)
            else:
                for _ in range(abs(payload)):
                    self.emit(rank, j, 1 if payload > 0 else -1)

    def reach_gates(self, rank, neuron, gates, source, payload):
        for j in gates:
            if neuron.filter in ("exact", "average"):
                self.window[rank][j][source] += payload
            elif neuron.filter == "finite_impulse":
                self.window[rank][j][source] += payload * (
                    ONE * neuron.period // max(self.now, neuron.period)
                )
            else:
                self.window[rank][j][source] += payload * 2**20
        if neuron.filter == "exact":
            self.touch(rank, gates)
            return
        for j in gates:
            estimates = self.window[rank][j]
            if source == min(i for i in estimates if estimates[i] == max(estimates.values())):
                self.count[rank][j] += payload
                self.emit(rank, j, payload)


def factors_of(population, name):
    """The factor of every neuron: the population's own, else that of the model."""
    own, model = getattr(population, f"{name}s"), getattr(population.neuron, name, 0)
    own = [model] if own is None else own.tolist()
    return [int(f) for f in own] * (population.size // len(own))


def targets_of(network, projection):
    """Targets and weights of each source neuron, ascending."""
    found = defaultdict(list)
    for source, target, weight in zip(*network.edges(projection), strict=True):
        found[int(source)].append((int(target), int(weight)))
    return {source: sorted(targets) for source, targets in found.items()}


def windows(network, name):
    """For each gate, a zero for each source neuron of its window."""
    population = network.populations[name]
    found = [{} for _ in range(population.size)]
    if population.neuron.kind == "max_gate":
        for projection in network.incoming(name):
            for source, target, _ in zip(*network.edges(projection), strict=True):
                found[int(target)][int(source)] = 0
    return found


def analog_sums(network, stimulus):
    """What analog values add to each neuron fed by the input, by population."""
    if stimulus.analog is None:
        return {}
    sums = {}
    for projection in network.outgoing(network.input):
        total = sums.setdefault(projection.target, [0] * network.populations[projection.target].size)
        for source, target, weight in zip(*network.edges(projection), strict=True):
            total[int(target)] += int(weight) * int(stimulus.analog[source])
    scale = network.populations[network.input].neuron.analog_scale
    return {name: [half_away(value, scale) for value in total] for name, total in sums.items()}
