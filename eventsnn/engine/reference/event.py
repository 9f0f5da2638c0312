"""The event schedule: one event at a time, in the order of law 2, on an accelerator or without."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from sortedcontainers import SortedKeyList

from eventsnn.engine.contract import SampleRun, Stimulus
from eventsnn.engine.failures import event_limit
from eventsnn.engine.order import DELIVERY, SENT, TEST, EventKey, seeded_place
from eventsnn.engine.reference import softmax
from eventsnn.engine.reference.counting import sending
from eventsnn.engine.reference.parts import Destination
from eventsnn.engine.reference.sample import Sample
from eventsnn.engine.reference.state import Neurons, unit_payloads
from eventsnn.engine.reference.transport import Transport
from eventsnn.engine.request import number_of_steps
from eventsnn.engine.softmax_tables import next_event
from eventsnn.network import Population
from eventsnn.network.neurons import by_rule

if TYPE_CHECKING:
    from eventsnn.engine.reference import ReferenceEngine

POPULATION_TEST = -1


class EventSample(Sample):
    """One sample's simulation, event by event; ``accelerator`` is what its messages travel on."""

    accelerator: ClassVar[Any] = Transport

    def __init__(self, engine: ReferenceEngine, stimulus: Stimulus, index: int) -> None:
        super().__init__(engine, stimulus, index, stimulus.end)
        seeded = self.options.ties == "seeded"
        self.place: Any = seeded_place(self.key) if seeded else (lambda key: key)
        self.pending: Any = SortedKeyList(key=lambda event: self.place(event[0]))
        # The end of a scan is no event of the model: a run may be over before its cores have finished.
        self.scan_ends: Any = SortedKeyList(key=lambda event: self.place(event[0]))
        self.last_event = 0  # tick
        self.transport: Any = None if self.chip is None else self.accelerator(self, self.chip)

    # -- the loop ----------------------------------------------------------------------------------

    def run(self) -> SampleRun:
        """Process pending events until there are none or the decision is out."""
        self._schedule_start()
        while True:
            queue = self._next_queue()
            upcoming = None if queue is None else queue[0][0].time
            if upcoming != self.now:
                self._end_of_tick()
                at_rest = not self.pending and not self._in_flight()
                input_over = self.last_event >= self.end or self.stop_at is not None
                if at_rest and input_over:
                    self.now = self.last_event
                    if self._settle():
                        continue
                if upcoming is None or upcoming > self._last_tick(at_rest):
                    if self._in_flight() and self.stop_at is None:
                        raise self.transport.deadlock()
                    if input_over:
                        break
                    self._before_tick(self.end)
                    self.now = self.last_event = self.end  # the end of the input, last in its tick
                    continue
                self._before_tick(upcoming)
                self.now = upcoming
            key, event = queue.pop(0)
            if queue is self.pending:
                self.last_event = self.now
            getattr(self, f"_on_{event[0]}")(key, *event[1:])
        if self.transport is not None:
            self.transport.log_unfinished(self.now if self.stop_at is None else self.stop_at)
        return self._result()

    def _next_queue(self) -> Any:
        """The queue that holds the next event, or None."""
        while self.pending and self._is_superseded(*self.pending[0]):
            self.pending.pop(0)
        queues = [queue for queue in (self.pending, self.scan_ends) if queue]
        return min(queues, key=lambda queue: self.place(queue[0][0]), default=None)

    def _in_flight(self) -> int:
        return 0 if self.transport is None else self.transport.in_flight

    def _last_tick(self, at_rest: bool) -> float:
        """The tick after which nothing matters any more, as far as it is known."""
        if self.stop_at is not None:
            return self.stop_at
        return max(self.last_event, self.end) if at_rest else float("inf")

    def _schedule_start(self) -> None:
        """The input's spikes, the tests of charges at time 0, the first crossings, the softmax clock."""
        for place, (time, j, payload) in enumerate(self._inputs()):
            # Input spikes of one neuron at one tick are told apart by their place in the list.
            self._schedule(EventKey(time, self.input, TEST, j, place, 0), "input", payload)
        for rank, neurons in enumerate(self.neurons):
            if self._must_start_tested(neurons.population):
                self._touch_all(rank, 0)
            elif neurons.has_synaptic:
                self._schedule_update(rank, neurons.start)
            elif neurons.rule == "rate":
                for j in range(neurons.population.size):
                    self._schedule_crossing(rank, j)
            elif neurons.rule == "softmax":
                self._schedule_clock(rank, 0)

    def _schedule(self, key: EventKey, *event: Any) -> None:
        """Let ``_on_...`` of the event's name happen with its arguments at the key's turn."""
        self.pending.add((key, event))

    def _settle(self) -> bool:
        """Start the settle pass if one is due: one test of every signed neuron, hysteresis off."""
        if not self._hysteresis() or self.settled or (self.stop_at is not None and self.stop_at <= self.now):
            return False
        self._fill_totals(self.now + 1)
        self._touch_signed(self.now)
        return True

    def _schedule_test(self, rank: int, time: int) -> None:
        if self.neurons[rank].test_due is None:
            self.neurons[rank].test_due = time
            self._schedule(EventKey(time, rank, TEST, POPULATION_TEST, 0, 0), "test")

    # -- class 0: inputs, tests, crossings, the softmax clock --------------------------------------------

    def _on_input(self, key: EventKey, payload: int) -> None:
        self._emit(key.rank, key.neuron, payload, self.now)

    def _on_test(self, key: EventKey) -> None:
        """Test the touched neurons of a signed population, or touched exact gates (law 9)."""
        neurons = self.neurons[key.rank]
        touched = self._take_touched(key.rank)
        scans = self._request_scans(key.rank, touched)
        for j in touched:
            for payload in unit_payloads(neurons.payload_asked(j, self.settled), neurons.model.graded):
                self._emit(key.rank, j, payload, self.now, scans.get(j))

    def _is_superseded(self, key: EventKey, event: tuple[Any, ...]) -> bool:
        """Whether the charge has changed since a crossing was scheduled; another one was scheduled then."""
        return event[0] == "crossing" and event[1] != self.neurons[key.rank].version[key.neuron]

    def _on_crossing(self, key: EventKey, version: int) -> None:
        if version != self.neurons[key.rank].version[key.neuron]:
            return  # superseded at this very tick
        self._count_neurons(key.rank, "neuron_updates", [key.neuron])
        self._fire_rate(key.rank, key.neuron)
        self._schedule_crossing(key.rank, key.neuron)

    def _schedule_crossing(self, rank: int, j: int) -> None:
        """Schedule the next tick at which the neuron fires if nothing arrives."""
        neurons = self.neurons[rank]
        neurons.version[j] += 1
        tick = neurons.first_crossing(j, self.now)
        if tick is not None:
            version = neurons.version[j]
            self._schedule(EventKey(tick, rank, TEST, j, version, 0), "crossing", version)

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
        tick = next_event(self.neurons[rank].population.neuron, self.key, rank, event, self.now)
        if tick <= self.end:
            self._schedule(EventKey(tick, rank, TEST, POPULATION_TEST, 0, 0), "clock", event)

    def _on_clock(self, key: EventKey, event: int) -> None:
        """An event of the softmax clock, or of its grid."""
        neurons = self.neurons[key.rank]
        charges = [neurons.charge_at(j, self.now) for j in range(neurons.population.size)]
        self._count_neurons(key.rank, "neuron_updates", range(len(charges)))
        for j in softmax.spikes(charges, neurons.population.neuron, self.key, key.rank, event):
            neurons.count[j] += 1
            self._emit(key.rank, j, 1, self.now)
        self._schedule_clock(key.rank, event + 1)

    # -- neurons with a synaptic current ------------------------------------------------------------------

    def _currents_end(self, population: Population) -> int:
        """Where there are updates it is the last one: of the step that covers the end of the input."""
        period = population.neuron.update_period
        return number_of_steps(self.stimulus, period) * period if period else self.end

    def _schedule_update(self, rank: int, after: int) -> None:
        neurons = self.neurons[rank]
        period = neurons.population.neuron.update_period
        tick = (after // period + 1) * period
        if tick <= neurons.end:
            self._schedule(EventKey(tick, rank, TEST, POPULATION_TEST, 0, 0), "update")

    def _on_update(self, key: EventKey) -> None:
        """What a step does with a population, done at a multiple of its period."""
        rank = key.rank
        self._update_synaptic(rank)
        if self.neurons[rank].rule == "rate":
            for j in self._fired_at_once(rank):
                self._emit(rank, j, 1, self.now)
        self._schedule_update(rank, self.now)

    # -- what the accelerator asks for -------------------------------------------------------------------

    def _on_move(self, key: EventKey, act: Callable[[], None]) -> None:
        """A message or a scan gets a step further on the accelerator."""
        del key
        act()

    def _request_scans(self, rank: int, touched: list[int]) -> dict[int, Any]:
        """The scan that tests each neuron, part by part; none without an accelerator."""
        scans: dict[int, Any] = {}
        parts = () if self.transport is None else self.engine.parts[self.network.order[rank]]
        for number, part in enumerate(parts):
            mine = [j for j in touched if self.engine.part_of[rank][j] == part]
            if mine:
                # A scan ends right after the population's test, part by part.
                key = EventKey(self.now, rank, TEST, POPULATION_TEST, 0, number, SENT)
                scans.update(dict.fromkeys(mine, self.transport.request_scan(key, part, len(mine))))
        return scans

    def _fire_time(self, rank: int, j: int) -> int:
        """From a rate neuron's test to its spike."""
        return 0 if self.chip is None else self.chip.core(self.engine.part_of[rank][j].core).fire

    # -- spikes and their copies (class 1) -----------------------------------------------------------

    def _emit(self, rank: int, j: int, payload: int, ready: int, scan: Any = None) -> None:
        """A spike leaves its neuron at this tick; its copies go on at ``ready``, or when a scan is over."""
        ordinal = self._note_spike(rank, j, payload)
        for to in self.engine.destinations[rank]:
            if j not in to.edges:
                continue
            key = EventKey(self.now, rank, DELIVERY, j, ordinal, to.place)
            if self.transport is None:
                self._schedule(key._replace(time=ready + to.projection.delay), "delivery", to, payload)
                continue
            source = self.engine.part_of[rank][j]
            for counter, amount in sending(self.transport.architecture, source.core, to.part.core).items():
                self.count_at(source, counter, amount)
            self.transport.send(key, payload, source.core, to, ready, scan)

    def _on_delivery(self, key: EventKey, to: Destination, payload: int) -> None:
        self.deliver(to, key.neuron, payload)

    def deliver(self, to: Destination, source: int, payload: int) -> None:
        """A spike lands: every target in ascending order, atomically; what follows is said by their rule."""
        neurons = self.neurons[to.target]
        if self.now < neurons.start:
            return  # dropped
        self._note_delivery(to, source, payload)
        if neurons.has_synaptic:
            neurons.reached = True
            for j, weight in to.edges[source]:
                neurons.arrived[j] += payload * weight
            return
        by_rule(LANDINGS, neurons.population)(self, to, neurons, source, payload)

    def _add(self, to: Destination, neurons: Neurons, source: int, payload: int) -> list[int]:
        """The charge that a spike brings; returns its targets."""
        for j, weight in to.edges[source]:
            neurons.leak_until(j, self.now)
            if self.now < neurons.free_at[j] and neurons.model.refractory_drop:
                neurons.lost["refractory"][j] += payload * weight
                continue
            neurons.charge[j] += payload * weight
            self._guard(to.target, j, neurons.charge_at(j, self.now))
        return [j for j, _ in to.edges[source]]

    def _land_on_rate(self, to: Destination, neurons: Neurons, source: int, payload: int) -> None:
        """Each target is clamped and tested at once."""
        reached = self._add(to, neurons, source, payload)
        self.count_at(to.part, "neuron_updates", len(reached))
        for j in reached:
            neurons.clamp(j, neurons.charge_at(j, self.now))
            self._fire_rate(to.target, j)
            self._schedule_crossing(to.target, j)

    def _land_on_signed(self, to: Destination, neurons: Neurons, source: int, payload: int) -> None:
        """The targets are tested once what is due has landed, or the settle time is over."""
        neurons.touched.update(self._add(to, neurons, source, payload))
        self._schedule_test(to.target, self.now + neurons.model.settle_time)

    def _land_on_readout(self, to: Destination, neurons: Neurons, source: int, payload: int) -> None:
        """Charge is all; of the output it is what decides."""
        self._add(to, neurons, source, payload)
        self.output_changed |= to.target == self.output

    def _land_on_softmax(self, to: Destination, neurons: Neurons, source: int, payload: int) -> None:
        """Charge is all until the clock, or the grid, asks."""
        self._add(to, neurons, source, payload)

    def _land_on_exact_gate(self, to: Destination, gates: Any, source: int, payload: int) -> None:
        """As on signed neurons; what is tested is the largest sum."""
        gates.touched.update(self._receive(to, gates, source, payload))
        self._schedule_test(to.target, self.now + gates.model.settle_time)

    def _land_on_rate_gate(self, to: Destination, gates: Any, source: int, payload: int) -> None:
        """A gate passes the spike on if its source has the largest estimate."""
        reached = self._receive(to, gates, source, payload)
        self._count(to.target, "compares", sum(gates.compares(j) for j in reached))
        for j in reached:
            if gates.winner(j) == source:
                gates.count[j] += payload
                self._emit(to.target, j, payload, self.now + self._fire_time(to.target, j))


LANDINGS: dict[str, Callable[..., None]] = {
    "rate": EventSample._land_on_rate,
    "signed": EventSample._land_on_signed,
    "readout": EventSample._land_on_readout,
    "softmax": EventSample._land_on_softmax,
    "exact_gate": EventSample._land_on_exact_gate,
    "rate_gate": EventSample._land_on_rate_gate,
}
"""What a spike does where it lands, by the rule of the neurons there."""
