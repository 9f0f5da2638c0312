"""The reference engine: one event at a time in plain Python, written to be read.

Charges are Python integers, synapses explicit edge lists, pending events one sorted set ordered by the
tuple of law 2. It is the oracle of the compiled engine and thousands of times slower.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sortedcontainers import SortedKeyList

from eventsnn.decide import decision
from eventsnn.engine.contract import (
    SERVICE_FIELDS,
    Engine,
    RunOptions,
    SampleRun,
    SpikeList,
    Stimulus,
    Trace,
    output_scale,
)
from eventsnn.engine.failures import event_limit, overflow
from eventsnn.engine.order import DELIVERY, TEST, EventKey
from eventsnn.engine.plan import destinations, fan_out_in_part, ideal_parts, initial_charge, initial_count
from eventsnn.engine.seeds import PURPOSE_SERVICE, PURPOSE_TRANSIT, draw, sample_key
from eventsnn.hardware import Mapping, Part, Timing
from eventsnn.network import Input, Network, Population, Projection, Rate, Readout, Signed
from eventsnn.network.neurons import CHARGE_LIMIT
from eventsnn.results.counters import COLUMN, COUNTERS, MODEL_COUNTERS
from eventsnn.results.digest import SampleDigest

POPULATION_TEST = -1


@dataclass
class _Destination:
    """One copy a spike is sent as: its edges by source neuron, targets ascending."""

    projection: Projection
    part: Part
    target: int
    edges: dict[int, list[tuple[int, int]]]
    effective: NDArray[np.int64]


@dataclass
class _Neurons:
    """The state of one population during one sample."""

    population: Population
    charge: list[int]
    current: list[int]
    count: list[int]
    ordinal: list[int]
    version: list[int]
    lost: dict[str, list[int]]
    touched: set[int] = field(default_factory=set)
    test_due: int | None = None

    @property
    def model(self) -> Any:
        """The population's neuron model."""
        return self.population.neuron


class ReferenceEngine(Engine):
    """One event at a time, one neuron at a time."""

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        super().__init__(network, mapping, options)
        self.timing = None if mapping is None else Timing.of(mapping.architecture)
        self.parts = ideal_parts(network) if mapping is None else mapping.parts
        rank_of = {name: rank for rank, name in enumerate(network.order)}
        self.destinations = [
            [self._destination(projection, part, rank_of) for projection, part in copies]
            for copies in destinations(network, mapping)
        ]

    def _destination(self, projection: Projection, part: Part, rank_of: dict[str, int]) -> _Destination:
        _, width, channels = self.network.populations[projection.target].shape
        edges: dict[int, list[tuple[int, int]]] = {}
        for source, target, weight in zip(*self.network.edges(projection), strict=True):
            y, channel = int(target) // (width * channels), int(target) % channels
            if part.y0 <= y < part.y1 and part.c0 <= channel < part.c1:
                edges.setdefault(int(source), []).append((int(target), int(weight)))
        for targets in edges.values():
            targets.sort()
        effective = fan_out_in_part(self.network, projection, part, effective=True)
        return _Destination(projection, part, rank_of[projection.target], edges, effective)

    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample; see ``Engine.run``."""
        return _Sample(self, stimulus, index).run()


class _Sample:
    """One sample's simulation."""

    def __init__(self, engine: ReferenceEngine, stimulus: Stimulus, index: int) -> None:
        self.engine, self.network, self.options = engine, engine.network, engine.options
        self.stimulus, self.index = stimulus, index
        self.timing = engine.timing
        self.key = sample_key(self.options.seed, index)
        self.end = stimulus.end
        self.neurons = self._fresh_neurons()
        self.output = self.network.order.index(self.network.output)
        self.scale = output_scale(self.network)
        self.pending: Any = SortedKeyList(key=lambda event: event[0])
        self.counters = np.zeros((len(self.neurons), len(COUNTERS)), dtype=np.int64)
        self.spikes: list[tuple[int, int, int, int]] = []
        self.serialiser_busy: dict[int, int] = {}
        self.core_busy: dict[int, int] = {}
        self.service: list[tuple[int, ...]] = []
        self.checks: list[tuple[int, list[int]]] = []
        self.totals: list[tuple[int, int, int]] = []
        self.deliveries = 0
        self.now = 0
        self.settled = False
        self.output_changed = False
        self.prediction = -1
        self.stop_at: int | None = None

    def _fresh_neurons(self) -> list[_Neurons]:
        start, counts = initial_charge(self.network), initial_count(self.network)
        populations, offset = [], 0
        for name in self.network.order:
            population = self.network.populations[name]
            n, model = population.size, population.neuron
            has_current = isinstance(model, Rate) or (isinstance(model, Readout) and model.period > 0)
            populations.append(
                _Neurons(
                    population,
                    charge=[int(v) for v in start[offset : offset + n]],
                    current=[int(b) for b in self.network.bias(name)] if has_current else [0] * n,
                    count=[int(v) for v in counts[offset : offset + n]],
                    ordinal=[0] * n,
                    version=[0] * n,
                    lost={"hard_reset": [0] * n, "clamp": [0] * n},
                )
            )
            offset += n
        return populations

    # -- the loop ----------------------------------------------------------------------------------

    def run(self) -> SampleRun:
        for time, neuron in zip(self.stimulus.time, self.stimulus.neuron, strict=True):
            # Input spikes of one neuron at one tick are told apart by their place in the list.
            self._schedule(int(time), 0, TEST, int(neuron), len(self.pending), 0, ("input",))
        self._test_all(0, only_biased=True)
        for rank, neurons in enumerate(self.neurons):
            if isinstance(neurons.model, Rate):
                for j in range(neurons.population.size):
                    self._schedule_crossing(rank, j)
        while True:
            upcoming = self.pending[0][0].time if self.pending else None
            if upcoming != self.now:
                self._end_of_tick()
                if upcoming is None and self._settle():
                    continue
                if upcoming is None or (self.stop_at is not None and upcoming > self.stop_at):
                    break
                self._fill_totals(upcoming)
                self.now = upcoming
            key, event = self.pending.pop(0)
            getattr(self, f"_on_{event[0]}")(key, *event[1:])
        return self._result()

    def _schedule(
        self, time: int, rank: int, kind: int, neuron: int, ordinal: int, destination: int, event: tuple
    ) -> None:
        self.pending.add((EventKey(time, rank, kind, neuron, ordinal, destination), event))

    def _settle(self) -> bool:
        """Start the settle pass if one is due: one test of every signed neuron, hysteresis off."""
        hysteresis = any(
            isinstance(n.model, Signed) and (n.model.hysteresis_low or n.model.hysteresis_high)
            for n in self.neurons
        )
        if not hysteresis or self.settled or (self.stop_at is not None and self.stop_at <= self.now):
            return False
        self._fill_totals(self.now + 1)
        self.settled = True
        self._test_all(self.now, only_biased=False)
        return True

    def _test_all(self, time: int, only_biased: bool) -> None:
        for rank, neurons in enumerate(self.neurons):
            if not isinstance(neurons.model, Signed):
                continue
            if only_biased and not self._starts_biased(neurons.population):
                continue
            neurons.touched.update(range(neurons.population.size))
            self._schedule_test(rank, time)

    def _starts_biased(self, population: Population) -> bool:
        """Whether biases are charges at time 0 that a test must follow; at rest they are settled."""
        return population.initial_charge is None and bool(self.network.bias(population.name).any())

    def _schedule_test(self, rank: int, time: int) -> None:
        if self.neurons[rank].test_due is None:
            self.neurons[rank].test_due = time
            self._schedule(time, rank, TEST, POPULATION_TEST, 0, 0, ("test",))

    # -- class 0: inputs, tests, crossings -----------------------------------------------------------

    def _on_input(self, key: EventKey) -> None:
        self._emit(key.rank, key.neuron, 1, self.now)

    def _on_test(self, key: EventKey) -> None:
        """Test the touched neurons of a signed population (law 9)."""
        neurons, model = self.neurons[key.rank], self.neurons[key.rank].model
        touched, neurons.touched, neurons.test_due = sorted(neurons.touched), set(), None
        ready = self._occupy_cores(key.rank, touched)
        low, high = (0, 0) if self.settled else (model.hysteresis_low, model.hysteresis_high)
        self._count(key.rank, "neuron_updates", len(touched))
        for j in touched:
            charge, count = neurons.charge[j], neurons.count[j]
            if -low <= charge < model.threshold + high:
                continue
            payload = min(max(count + charge // model.threshold, 0), model.levels) - count
            neurons.charge[j] -= payload * model.threshold
            neurons.count[j] += payload
            if model.graded and payload:
                self._emit(key.rank, j, payload, ready[j])
            else:
                for _ in range(abs(payload)):
                    self._emit(key.rank, j, 1 if payload > 0 else -1, ready[j])

    def _occupy_cores(self, rank: int, touched: list[int]) -> dict[int, int]:
        """When each tested neuron's spikes may leave: the scan of its core takes its turn in the queue."""
        if self.timing is None:
            return dict.fromkeys(touched, self.now)
        ready = {}
        for part in self.engine.parts[self.network.order[rank]]:
            mine = [j for j in touched if self._lies_in(rank, j, part)]
            if not mine:
                continue
            start = max(self.now, self.core_busy.get(part.core, 0))
            cycles = -(-len(mine) // self.timing.processing_elements)
            finish = start + cycles * self.timing.update
            self.core_busy[part.core] = finish
            self.service.append((2, part.core, rank, len(mine), self.now, start, finish))
            ready.update(dict.fromkeys(mine, finish + self.timing.fire))
        return ready

    def _lies_in(self, rank: int, j: int, part: Part) -> bool:
        _, width, channels = self.neurons[rank].population.shape
        y, channel = j // (width * channels), j % channels
        return part.y0 <= y < part.y1 and part.c0 <= channel < part.c1

    def _on_crossing(self, key: EventKey, version: int) -> None:
        neurons = self.neurons[key.rank]
        if version != neurons.version[key.neuron]:
            return  # the charge has changed since; another crossing was scheduled then
        self._count(key.rank, "neuron_updates", 1)
        self._fire_rate(key.rank, key.neuron)
        self._schedule_crossing(key.rank, key.neuron)

    # -- constant currents (law 3) -------------------------------------------------------------------

    def _current_charge(self, neurons: _Neurons, j: int, time: int) -> int:
        if neurons.current[j] == 0:
            return 0
        return neurons.current[j] * min(time, self.end) // neurons.model.period

    def _schedule_crossing(self, rank: int, j: int) -> None:
        """Schedule the smallest tick at which the current alone takes the charge to threshold."""
        neurons = self.neurons[rank]
        neurons.version[j] += 1
        current, model = neurons.current[j], neurons.model
        if current <= 0:
            return
        needed = model.threshold + model.strict - neurons.charge[j]
        tick = max(-(-needed * model.period // current), self.now)
        if tick <= self.end:
            version = neurons.version[j]
            self._schedule(tick, rank, TEST, j, version, 0, ("crossing", version))

    def _fire_rate(self, rank: int, j: int) -> None:
        """Test one rate neuron and emit what its charge holds."""
        neurons, model = self.neurons[rank], self.neurons[rank].model
        charge = neurons.charge[j] + self._current_charge(neurons, j, self.now)
        if charge < model.threshold + model.strict:
            return
        spikes = 1
        if model.reset == "hard":
            neurons.lost["hard_reset"][j] += charge - model.threshold
            neurons.charge[j] -= charge
        else:
            if model.multispike:
                spikes = (charge - model.strict) // model.threshold
                if spikes > self.options.max_events:
                    raise event_limit(self.options.max_events, self.index)
            neurons.charge[j] -= spikes * model.threshold
        neurons.count[j] += spikes
        fire = 0 if self.timing is None else self.timing.fire
        for _ in range(spikes):
            self._emit(rank, j, 1, self.now + fire)

    # -- spikes and their copies (class 1) -----------------------------------------------------------

    def _emit(self, rank: int, j: int, payload: int, ready: int) -> None:
        """A spike leaves its neuron at this tick; its copies may enter the serialiser at ``ready``."""
        neurons = self.neurons[rank]
        self.spikes.append((self.now, rank, j, payload))
        if isinstance(neurons.model, Input):
            self._count(rank, "input_events", 1)
        else:
            self._count(rank, "spikes_positive" if payload > 0 else "spikes_negative", 1)
        self.output_changed |= rank == self.output
        ordinal = neurons.ordinal[j]
        neurons.ordinal[j] += 1
        for number, destination in enumerate(self.engine.destinations[rank]):
            if j in destination.edges:
                arrival = self._send(rank, j, ordinal, ready, destination, self._place(rank, number))
                event = ("arrival", payload)
                self._schedule(arrival, rank, DELIVERY, j, ordinal, number, event)

    def _place(self, rank: int, number: int) -> int:
        """The place of a destination among those of all ranks, which jitter draws are keyed by."""
        return sum(len(copies) for copies in self.engine.destinations[:rank]) + number

    def _send(self, rank: int, j: int, ordinal: int, ready: int, to: _Destination, place: int) -> int:
        """Through the serialiser and over the mesh; returns the tick of arrival."""
        if self.timing is None:
            return ready + to.projection.delay
        parts = self.engine.parts[self.network.order[rank]]
        core = next(part.core for part in parts if self._lies_in(rank, j, part))
        is_input = isinstance(self.neurons[rank].model, Input)
        start = max(ready, self.serialiser_busy.get(core, 0))
        sent = start + (self.timing.input if is_input else self.timing.serialise)
        self.serialiser_busy[core] = sent
        self.service.append((0, core, rank, j, ready, start, sent))
        assert self.engine.mapping is not None
        hops_x, hops_y = self.engine.mapping.architecture.hops(core, to.part.core)
        self._count(rank, "messages_sent", 1)
        self._count(rank, "hops_x", hops_x)
        self._count(rank, "hops_y", hops_y)
        table = self.timing.transit_jitter
        extra = self._jitter(table, PURPOSE_TRANSIT, rank, j, ordinal, place)
        return sent + hops_x * self.timing.hop_x + hops_y * self.timing.hop_y + extra + to.projection.delay

    def _jitter(self, table: NDArray[np.int64], *words: int) -> int:
        return int(table[draw(self.key, *words) % len(table)])

    def _on_arrival(self, key: EventKey, payload: int) -> None:
        """A message reaches its core and is served after those before it."""
        to = self.engine.destinations[key.rank][key.destination]
        if self.timing is not None:
            cycles = -(-len(to.edges[key.neuron]) // self.timing.processing_elements)
            per_cycle = self.timing.synapse
            if isinstance(self.neurons[to.target].model, Rate):
                per_cycle += self.timing.update
            place = self._place(key.rank, key.destination)
            words = (PURPOSE_SERVICE, key.rank, key.neuron, key.ordinal, place)
            start = max(self.now, self.core_busy.get(to.part.core, 0))
            finish = start + self.timing.decode + cycles * per_cycle
            finish += self._jitter(self.timing.service_jitter, *words)
            self.core_busy[to.part.core] = finish
            self.service.append((1, to.part.core, key.rank, key.neuron, self.now, start, finish))
            if finish > self.now:
                self.pending.add((key._replace(time=finish), ("delivery", payload)))
                return
        self._on_delivery(key, payload)

    def _on_delivery(self, key: EventKey, payload: int) -> None:
        """A spike's charge lands: every target in ascending order, atomically."""
        to = self.engine.destinations[key.rank][key.destination]
        neurons, edges = self.neurons[to.target], to.edges[key.neuron]
        self.deliveries += 1
        if self.deliveries > self.options.max_events:
            raise event_limit(self.options.max_events, self.index)
        self._count(to.target, "synaptic_operations", len(edges))
        self._count(to.target, "effective_synaptic_operations", int(to.effective[key.neuron]))
        if abs(payload) != 1:
            self._count(to.target, "multiplications", len(edges))
        if self.timing is not None:
            self._count(to.target, "messages_received", 1)
        for j, weight in edges:
            neurons.charge[j] += payload * weight
            charge = neurons.charge[j] + self._current_charge(neurons, j, self.now)
            if abs(charge) > CHARGE_LIMIT:
                raise overflow(self.network, to.target, j, self.index)
        if isinstance(neurons.model, Rate):
            self._count(to.target, "neuron_updates", len(edges))
            for j, _ in edges:
                self._clamp(neurons, j)
                self._fire_rate(to.target, j)
                self._schedule_crossing(to.target, j)
        elif isinstance(neurons.model, Signed):
            neurons.touched.update(j for j, _ in edges)
            self._schedule_test(to.target, self.now + neurons.model.settle_time)
        else:
            self.output_changed = True

    def _clamp(self, neurons: _Neurons, j: int) -> None:
        if neurons.model.lower_clamp is None:
            return
        charge = neurons.charge[j] + self._current_charge(neurons, j, self.now)
        if charge < neurons.model.lower_clamp:
            neurons.lost["clamp"][j] += charge - neurons.model.lower_clamp
            neurons.charge[j] += neurons.model.lower_clamp - charge

    # -- checks and totals ---------------------------------------------------------------------------

    def _readout(self) -> list[int]:
        neurons = self.neurons[self.output]
        if not isinstance(neurons.model, Readout):
            return list(neurons.count)
        return [
            charge + self._current_charge(neurons, j, self.now) for j, charge in enumerate(neurons.charge)
        ]

    def _end_of_tick(self) -> None:
        """The exit check, last in its tick, if the readout changed."""
        if not self.output_changed:
            return
        self.output_changed = False
        readout = self._readout()
        self.checks.append((self.now, readout))
        rule = self.options.exit_rule
        if rule is None or self.stop_at is not None:
            return
        self._count(self.output, "decision_operations", len(readout))
        if self.now < self.stimulus.first or decision(readout) < 0:
            return
        if rule.confidence(readout, self.scale) >= rule.threshold:
            self.prediction = decision(readout)
            self.stop_at = self.now + (0 if self.timing is None else self.timing.decision)

    def _count_current_updates(self, time: int) -> None:
        for rank, neurons in enumerate(self.neurons):
            biased = sum(1 for current in neurons.current if current)
            if biased:
                periods = min(time, self.end) // neurons.model.period
                self.counters[rank, COLUMN["current_updates"]] = biased * periods

    def _fill_totals(self, before: int | None) -> None:
        """Note the totals of the checks whose decision is out before a tick."""
        latency = 0 if self.timing is None else self.timing.decision
        while len(self.totals) < len(self.checks):
            out = self.checks[len(self.totals)][0] + latency
            if before is not None and out >= before:
                return
            self._count_current_updates(out)
            charged = self.counters.copy()
            charged[:, COLUMN["decision_operations"]] = 0
            total = charged.sum(axis=0)
            energy = 0 if self.timing is None else int(total @ self.timing.energy)
            spikes = total[COLUMN["spikes_positive"]] + total[COLUMN["spikes_negative"]]
            self.totals.append((int(total[COLUMN["synaptic_operations"]]), int(spikes), energy))

    def _logs_service(self) -> bool:
        return self.options.record_service and self.timing is not None

    def _count(self, rank: int, counter: str, amount: int) -> None:
        self.counters[rank, COLUMN[counter]] += amount

    def _result(self) -> SampleRun:
        early = self.stop_at is not None
        decision_time = self.stop_at if self.stop_at is not None else self.now
        if not early:
            readout = self._readout()
            self.checks.append((self.now, readout))
            self.prediction = decision(readout)
        self._fill_totals(None)
        self._count_current_updates(decision_time)
        columns = [np.array(c, dtype=np.int64) for c in zip(*self.spikes, strict=True)]
        digest = SampleDigest(self.network.order)
        digest.add_spikes(*columns)
        order = np.lexsort((columns[2], columns[1], columns[0]))
        totals = np.array(self.totals, dtype=np.int64).reshape(-1, 3)
        names = [neurons.population.name for neurons in self.neurons]

        def by_name(values: list[list[int]]) -> dict[str, NDArray[np.int64]]:
            return {n: np.array(v, dtype=np.int64) for n, v in zip(names, values, strict=True)}

        return SampleRun(
            index=self.index,
            prediction=self.prediction,
            decision_time=decision_time,
            decided_early=early,
            first_event=self.stimulus.first,
            counters=self.counters,
            digest=digest.finish(self.prediction, decision_time, self.counters[:, : len(MODEL_COUNTERS)]),
            trace=Trace(
                time=np.array([time for time, _ in self.checks], dtype=np.int64),
                readout=np.array([readout for _, readout in self.checks], dtype=np.int64),
                synaptic_operations=totals[:, 0],
                spikes=totals[:, 1],
                energy=totals[:, 2],
            ),
            counts=by_name([neurons.count for neurons in self.neurons]),
            charge=by_name(
                [
                    [c + self._current_charge(n, j, decision_time) for j, c in enumerate(n.charge)]
                    for n in self.neurons
                ]
            ),
            lost={
                cause: by_name([neurons.lost[cause] for neurons in self.neurons])
                for cause in ("hard_reset", "clamp")
            },
            spikes=SpikeList(*(c[order] for c in columns)) if self.options.record_spikes else None,
            service=np.array(self.service, dtype=SERVICE_FIELDS) if self._logs_service() else None,
        )
