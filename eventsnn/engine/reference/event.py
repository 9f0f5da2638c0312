"""The event schedule: one event at a time, in the order of law 2, on an accelerator or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sortedcontainers import SortedKeyList

from eventsnn.engine.contract import SampleRun, Stimulus
from eventsnn.engine.failures import event_limit
from eventsnn.engine.order import DELIVERY, TEST, EventKey, seeded_place
from eventsnn.engine.reference import softmax
from eventsnn.engine.reference.gates import Gates
from eventsnn.engine.reference.sample import Sample
from eventsnn.engine.reference.state import Destination, Neurons, lies_in, unit_payloads
from eventsnn.engine.seeds import (
    PURPOSE_DECODE,
    PURPOSE_HOP_X,
    PURPOSE_HOP_Y,
    PURPOSE_SERIALISE,
    PURPOSE_SYNAPSE,
    draw,
)
from eventsnn.engine.softmax_tables import next_event
from eventsnn.network import Rate, Signed, Softmax

if TYPE_CHECKING:
    from eventsnn.engine.reference import ReferenceEngine

POPULATION_TEST = -1


class EventSample(Sample):
    """One sample's simulation, event by event."""

    def __init__(self, engine: ReferenceEngine, stimulus: Stimulus, index: int) -> None:
        super().__init__(engine, stimulus, index, stimulus.end)
        seeded = self.options.ties == "seeded"
        place: Any = seeded_place(self.key) if seeded else (lambda key: key)
        self.pending: Any = SortedKeyList(key=lambda event: place(event[0]))
        self.serialiser_busy: dict[int, int] = {}
        self.core_busy: dict[int, int] = {}

    # -- the loop ----------------------------------------------------------------------------------

    def run(self) -> SampleRun:
        """Process pending events until there are none or the decision is out."""
        self._schedule_start()
        while True:
            while self.pending and self._is_superseded(*self.pending[0]):
                self.pending.pop(0)
            upcoming = self.pending[0][0].time if self.pending else None
            if upcoming != self.now:
                self._end_of_tick()
                if upcoming is None and self.stop_at is None and self.now < self.end:
                    self._before_tick(self.end)
                    self.now = self.end  # the end of the input, last in its tick
                if upcoming is None and self._settle():
                    continue
                if upcoming is None or (self.stop_at is not None and upcoming > self.stop_at):
                    break
                self._before_tick(upcoming)
                self.now = upcoming
            key, event = self.pending.pop(0)
            getattr(self, f"_on_{event[0]}")(key, *event[1:])
        return self._result()

    def _schedule_start(self) -> None:
        """The input's spikes, the tests of charges at time 0, the first crossings, the softmax clock."""
        payloads = self.stimulus.payload
        for place, (time, j) in enumerate(zip(self.stimulus.time, self.stimulus.neuron, strict=True)):
            # Input spikes of one neuron at one tick are told apart by their place in the list.
            payload = 1 if payloads is None else int(payloads[place])
            self._schedule(int(time), self.input, TEST, int(j), place, 0, ("input", payload))
        for rank, neurons in enumerate(self.neurons):
            if self._must_start_tested(neurons.population):
                self._touch_all(rank, 0)
            elif isinstance(neurons.model, Rate):
                for j in range(neurons.population.size):
                    self._schedule_crossing(rank, j)
            elif isinstance(neurons.model, Softmax):
                self._schedule_clock(rank, 0)

    def _schedule(
        self, time: int, rank: int, kind: int, neuron: int, ordinal: int, destination: int, event: tuple
    ) -> None:
        self.pending.add((EventKey(time, rank, kind, neuron, ordinal, destination), event))

    def _settle(self) -> bool:
        """Start the settle pass if one is due: one test of every signed neuron, hysteresis off."""
        if not self._hysteresis() or self.settled or (self.stop_at is not None and self.stop_at <= self.now):
            return False
        self._fill_totals(self.now + 1)
        self.settled = True
        for rank, neurons in enumerate(self.neurons):
            if isinstance(neurons.model, Signed):
                self._touch_all(rank, self.now)
        return True

    def _touch_all(self, rank: int, time: int) -> None:
        self.neurons[rank].touched.update(range(self.neurons[rank].population.size))
        self._schedule_test(rank, time)

    def _schedule_test(self, rank: int, time: int) -> None:
        if self.neurons[rank].test_due is None:
            self.neurons[rank].test_due = time
            self._schedule(time, rank, TEST, POPULATION_TEST, 0, 0, ("test",))

    # -- class 0: inputs, tests, crossings, the softmax clock --------------------------------------------

    def _on_input(self, key: EventKey, payload: int) -> None:
        self._emit(key.rank, key.neuron, payload, self.now)

    def _on_test(self, key: EventKey) -> None:
        """Test the touched neurons of a signed population, or touched exact gates (law 9)."""
        neurons = self.neurons[key.rank]
        touched, neurons.touched, neurons.test_due = sorted(neurons.touched), set(), None
        ready = self._occupy_cores(key.rank, touched)
        if isinstance(neurons, Gates):
            self._count(key.rank, "compares", sum(neurons.compares(j) for j in touched))
        else:
            self._count(key.rank, "neuron_updates", len(touched))
        for j in touched:
            for payload in unit_payloads(neurons.payload_asked(j, self.settled), neurons.model.graded):
                self._emit(key.rank, j, payload, ready[j])

    def _is_superseded(self, key: EventKey, event: tuple) -> bool:
        """Whether the charge has changed since a crossing was scheduled; another one was scheduled then."""
        return event[0] == "crossing" and event[1] != self.neurons[key.rank].version[key.neuron]

    def _on_crossing(self, key: EventKey, version: int) -> None:
        if version != self.neurons[key.rank].version[key.neuron]:
            return  # superseded at this very tick
        self._count(key.rank, "neuron_updates", 1)
        self._fire_rate(key.rank, key.neuron)
        self._schedule_crossing(key.rank, key.neuron)

    def _schedule_crossing(self, rank: int, j: int) -> None:
        """Schedule the next tick at which the neuron fires if nothing arrives."""
        neurons = self.neurons[rank]
        neurons.version[j] += 1
        tick = neurons.first_crossing(j, self.now)
        if tick is not None:
            version = neurons.version[j]
            self._schedule(tick, rank, TEST, j, version, 0, ("crossing", version))

    def _fire_rate(self, rank: int, j: int) -> None:
        """Test one rate neuron and emit what its charge holds, unless it is refractory."""
        neurons = self.neurons[rank]
        if self.now < neurons.free_at[j]:
            return
        spikes = neurons.fire(j, neurons.charge_at(j, self.now))
        if spikes > self.options.max_events:
            raise event_limit(self.options.max_events, self.index)
        if spikes:
            neurons.free_at[j] = self.now + neurons.model.refractory
        for _ in range(spikes):
            self._emit(rank, j, 1, self.now + self._fire_time(rank, j))

    def _schedule_clock(self, rank: int, event: int) -> None:
        tick = next_event(self.neurons[rank].model, self.key, rank, event, self.now)
        if tick <= self.end:
            self._schedule(tick, rank, TEST, POPULATION_TEST, 0, 0, ("clock", event))

    def _on_clock(self, key: EventKey, event: int) -> None:
        """An event of the softmax clock, or of its grid."""
        neurons = self.neurons[key.rank]
        charges = [neurons.charge_at(j, self.now) for j in range(neurons.population.size)]
        self._count(key.rank, "neuron_updates", len(charges))
        for j in softmax.spikes(charges, neurons.model, self.key, key.rank, event):
            neurons.count[j] += 1
            self._emit(key.rank, j, 1, self.now)
        self._schedule_clock(key.rank, event + 1)

    # -- the accelerator -----------------------------------------------------------------------------------

    def _occupy_cores(self, rank: int, touched: list[int]) -> dict[int, int]:
        """When each tested neuron's spikes may leave: the scan of its core takes its turn in the queue."""
        if self.chip is None:
            return dict.fromkeys(touched, self.now)
        ready = {}
        population = self.neurons[rank].population
        for part in self.engine.parts[population.name]:
            mine = [j for j in touched if lies_in(population, j, part)]
            if not mine:
                continue
            start = max(self.now, self.core_busy.get(part.core, 0))
            costs = self.chip.core(part.core)
            finish = start + -(-len(mine) // costs.processing_elements) * costs.update
            self.core_busy[part.core] = finish
            self.service.append((2, part.core, rank, len(mine), 0, -1, self.now, start, finish, finish))
            ready.update(dict.fromkeys(mine, finish + costs.fire))
        return ready

    def _place(self, rank: int, number: int) -> int:
        """The place of a destination among those of all ranks, which jitter draws are keyed by."""
        return sum(len(copies) for copies in self.engine.destinations[:rank]) + number

    def _send(self, rank: int, j: int, ordinal: int, ready: int, to: Destination, place: int) -> int:
        """Through the serialiser and over the mesh; returns the tick of arrival."""
        if self.chip is None:
            return ready + to.projection.delay
        core = self._core_of(rank, j)
        message = (rank, j, ordinal, place)
        start = max(ready, self.serialiser_busy.get(core, 0))
        sent = start + self._drawn(self.chip.core(core).serialise, PURPOSE_SERIALISE, *message)
        self.serialiser_busy[core] = sent
        self.service.append((0, core, *message, ready, start, sent, sent))
        assert self.engine.mapping is not None
        hops_x, hops_y = self.engine.mapping.architecture.hops(core, to.part.core)
        self._count(rank, "messages_sent", 1)
        self._count(rank, "hops_x", hops_x)
        self._count(rank, "hops_y", hops_y)
        transit = sum(self._drawn(self.chip.hop_x, PURPOSE_HOP_X, *message, hop) for hop in range(hops_x))
        transit += sum(self._drawn(self.chip.hop_y, PURPOSE_HOP_Y, *message, hop) for hop in range(hops_y))
        return sent + transit + to.projection.delay

    def _core_of(self, rank: int, j: int) -> int:
        population = self.neurons[rank].population
        return next(p.core for p in self.engine.parts[population.name] if lies_in(population, j, p))

    def _fire_time(self, rank: int, j: int) -> int:
        """From a rate neuron's test to its spike."""
        return 0 if self.chip is None else self.chip.core(self._core_of(rank, j)).fire

    def _drawn(
        self,
        table: NDArray[np.int64],
        purpose: int,
        rank: int,
        j: int,
        ordinal: int,
        place: int,
        hop: int = 0,
    ) -> int:
        """The time of one action of a message."""
        return int(table[draw(self.key, purpose, rank, j, ordinal, place, hop) % len(table)])

    def _service_time(self, rank: int, j: int, ordinal: int, to: Destination, place: int) -> int:
        """How long a core is busy with a message."""
        assert self.chip is not None
        core, target = to.part.core, self.neurons[to.target]
        costs = self.chip.core(core)
        cycle = self._drawn(
            self.chip.synapse(to.part.population, core), PURPOSE_SYNAPSE, rank, j, ordinal, place
        )
        if answers_at_once(target):
            cycle += costs.update
        cycles = -(-len(to.edges[j]) // costs.processing_elements)
        return self._drawn(costs.decode, PURPOSE_DECODE, rank, j, ordinal, place) + cycles * cycle

    # -- spikes and their copies (class 1) -----------------------------------------------------------

    def _emit(self, rank: int, j: int, payload: int, ready: int) -> None:
        """A spike leaves its neuron at this tick; its copies may enter the serialiser at ``ready``."""
        ordinal = self._note_spike(rank, j, payload)
        for number, destination in enumerate(self.engine.destinations[rank]):
            if j in destination.edges:
                arrival = self._send(rank, j, ordinal, ready, destination, self._place(rank, number))
                event = ("arrival", payload)
                self._schedule(arrival, rank, DELIVERY, j, ordinal, number, event)

    def _on_arrival(self, key: EventKey, payload: int) -> None:
        """A message reaches its core and is served after those before it."""
        to = self.engine.destinations[key.rank][key.destination]
        if self.chip is not None:
            place = self._place(key.rank, key.destination)
            start = max(self.now, self.core_busy.get(to.part.core, 0))
            finish = start + self._service_time(key.rank, key.neuron, key.ordinal, to, place)
            self.core_busy[to.part.core] = finish
            message = (key.rank, key.neuron, key.ordinal, place)
            self.service.append((1, to.part.core, *message, self.now, start, finish, finish))
            if finish > self.now:
                self._schedule(finish, *key[1:], ("delivery", payload))
                return
        self._on_delivery(key, payload)

    def _on_delivery(self, key: EventKey, payload: int) -> None:
        """A spike's charge lands: every target in ascending order, atomically."""
        to = self.engine.destinations[key.rank][key.destination]
        neurons, edges = self.neurons[to.target], to.edges[key.neuron]
        self._note_delivery(to, key.neuron, payload)
        if self.chip is not None:
            self._count(to.target, "messages_received", 1)
        if isinstance(neurons, Gates):
            self._pass_gates(to.target, neurons, [j for j, _ in edges], key.neuron, payload)
            return
        for j, weight in edges:
            neurons.leak_until(j, self.now)
            if self.now < neurons.free_at[j] and neurons.model.refractory_drop:
                neurons.lost["refractory"][j] += payload * weight
                continue
            neurons.charge[j] += payload * weight
            self._guard(to.target, j, neurons.charge_at(j, self.now))
        if isinstance(neurons.model, Rate):
            self._count(to.target, "neuron_updates", len(edges))
            for j, _ in edges:
                neurons.clamp(j, neurons.charge_at(j, self.now))
                self._fire_rate(to.target, j)
                self._schedule_crossing(to.target, j)
        elif isinstance(neurons.model, Signed):
            neurons.touched.update(j for j, _ in edges)
            self._schedule_test(to.target, self.now + neurons.model.settle_time)
        elif to.target == self.output and not isinstance(neurons.model, Softmax):
            self.output_changed = True

    def _pass_gates(self, rank: int, gates: Gates, reached: list[int], source: int, payload: int) -> None:
        """A spike reaches max gates: exact ones note it, the others pass it on or not."""
        for j in reached:
            gates.receive(j, source, payload, self.now)
        if gates.exact:
            gates.touched.update(reached)
            self._schedule_test(rank, self.now + gates.model.settle_time)
            return
        self._count(rank, "compares", sum(gates.compares(j) for j in reached))
        for j in reached:
            if gates.winner(j) == source:
                gates.count[j] += payload
                self._emit(rank, j, payload, self.now + self._fire_time(rank, j))


def answers_at_once(neurons: Neurons) -> bool:
    """Whether deliveries are tested as they land, in the same pass of their core."""
    return isinstance(neurons.model, Rate) or (isinstance(neurons, Gates) and not neurons.exact)
