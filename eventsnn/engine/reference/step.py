"""The step schedule (law 8): a time-stepped network, layer by layer, once per step.

In step k, computed at tick (k + 1) D, populations are visited by rank. Each one first takes what arrives:
spikes that earlier ranks emitted in this step, and delayed ones that were emitted d steps ago. Then

- rate neurons: leak, add the input (lost while refractory with ``refractory_drop``) and the bias, by way of
  the synaptic current where they have one; then, in
  steps that their ``test_period`` does not leave out: test, emit one spike or ``floor(V / threshold)``,
  reset, clamp;
- signed neurons and exact gates: the touched ones are tested, or ``settle_time`` after the first touch;
- gates of rates: all estimates are updated, then gates with a spike pass those of their winner;
- neurons that fire once: what has arrived so far is added, and the bias; test, emit one spike;
- readouts add; a spiking softmax adds, then spikes at the events of its clock in [k D, (k + 1) D), or if the
  step's tick is on its grid.

Before their start time rate neurons and readouts do nothing, and what arrives is dropped.

The exit check closes a step in which the readout changed: a spike of a firing output, or a delivery on or a
current of a readout. The last step is the one that covers the end of the input; spikes still on their way
are left. Only where all neurons are signed (readouts and exact gates beside them) steps go on while
deliveries or tests are pending; then, with hysteresis, one step tests every signed neuron without it,
and again steps go on until all is done.

On an accelerator the same happens, and ``chip_steps`` says when each step is over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN, HARDWARE_COUNTERS
from eventsnn.engine.contract import SampleRun, Stimulus
from eventsnn.engine.failures import HISTORY_ROWS, history_limit
from eventsnn.engine.reference import softmax
from eventsnn.engine.reference.gates import Gates
from eventsnn.engine.reference.parts import Destination
from eventsnn.engine.reference.sample import Sample
from eventsnn.engine.reference.state import Neurons, unit_payloads
from eventsnn.engine.request import number_of_steps
from eventsnn.engine.service import SERVICE
from eventsnn.engine.softmax_tables import next_event
from eventsnn.network.neurons import by_rule

if TYPE_CHECKING:
    from eventsnn.engine.reference import ReferenceEngine

Arrival = tuple[Destination, int, int]  # copy, source neuron, payload


class StepSample(Sample):
    """One sample's simulation, step by step; ``end`` is the tick of the last step of the input."""

    def __init__(self, engine: ReferenceEngine, stimulus: Stimulus, index: int) -> None:
        self.steps = number_of_steps(stimulus, engine.step)
        self.length = engine.step
        super().__init__(engine, stimulus, index, self.steps * engine.step)
        self.step = 0
        self.latency = 0  # of the decision: nothing begins while it is made
        self.on_chip: Any = None
        self.held: tuple[NDArray[np.int64], list[int]]  # a row of the history, until it is known of when
        if self.chip is not None:
            self.on_chip = engine.chip_steps(self.network, self.chip, self.length, self.key)
        self.emitted: list[dict[int, list[tuple[int, int]]]] = [defaultdict(list) for _ in self.neurons]
        self.active: list[set[int]] = [set() for _ in self.neurons]
        self.frames: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.arrivals: dict[tuple[int, int], list[Arrival]] = defaultdict(list)  # by step and rank
        self.clocks = {
            rank: (0, next_event(n.population.neuron, self.key, rank, 0, 0))
            for rank, n in enumerate(self.neurons)
            if n.rule == "softmax" and n.model.filter == "clock"
        }

    def run(self) -> SampleRun:
        """Compute steps until the input is over, or nothing is pending, or the decision is out."""
        for time, j, payload in self._inputs():
            self.frames[time // self.length].append((j, payload))
        for rank, neurons in enumerate(self.neurons):
            if self._must_start_tested(neurons.population):
                self._touch_all(rank, 0)
        while True:
            self._before_tick((self.step + 1) * self.length)
            self.now = (self.step + 1) * self.length
            for rank in range(len(self.neurons)):
                self._visit(rank)
            self._play_on_chip()
            self._end_of_tick()
            self.step += 1
            if self.stop_at is not None or not self._goes_on():
                return self._result()

    def _goes_on(self) -> bool:
        if self.step < self.steps:
            return True
        if not all(n.population.neuron.comes_to_rest(any(n.current)) for n in self.neurons):
            return False
        if self.arrivals or any(n.test_due is not None for n in self.neurons):
            return True
        if not self._hysteresis() or self.settled:
            return False
        self._touch_signed(self.step)
        return True

    def _schedule_test(self, rank: int, when: int) -> None:
        if self.neurons[rank].test_due is None:
            self.neurons[rank].test_due = when

    def _play_on_chip(self) -> None:
        """Play the step on the accelerator, and book what it did there."""
        if self.on_chip is not None:
            self.on_chip.play(self.emitted, self.active)
            self._keep_history(self.on_chip.over[-1])
            ranks = [part.rank for part in self.on_chip.parts]
            hardware = np.zeros_like(self.counters)
            np.add.at(hardware, ranks, self.on_chip.counters)
            columns = [COLUMN[name] for name in HARDWARE_COUNTERS]
            self.counters[:, columns] = hardware[:, columns]
        for emitted, active in zip(self.emitted, self.active, strict=True):
            emitted.clear()
            active.clear()

    def _moment(self, tick: int, decided: bool = False) -> int:
        """When the step that closes at a tick was over on the accelerator, or decided on."""
        if self.on_chip is None or self.chip is None:
            return tick
        return self.on_chip.over[tick // self.length - 1] + (self.chip.decision if decided else 0)

    def _fill_history(self, before: int) -> None:
        """On an accelerator rows go by its time: hold what there is until the next step is over."""
        if self.on_chip is None:
            super()._fill_history(before)
        elif self.options.history_period:
            self.held = (self.counters.copy(), self._readout(self.now))
            self._set_current_updates(self.held[0], self.now)

    def _keep_history(self, before: int) -> None:
        """Note the rows that lie before a tick of the accelerator: they hold what there was until then."""
        period = self.options.history_period
        if period and (before - 1) // period > HISTORY_ROWS:
            raise history_limit(period, before)
        while period and (len(self.history) + 1) * period < before:
            self.history.append(self.held)

    def _result(self) -> SampleRun:
        if self.on_chip is None:
            return super()._result()
        early = self.stop_at is not None
        self._fill_history(self.now)
        self._keep_history(self._moment(self.now, early))
        run = super()._result()
        paced = self.on_chip.synchronisation.pace == "input"
        service = np.array(self.on_chip.service, dtype=SERVICE) if self._logs_service() else None
        first_event = run.first_event if paced else 0
        return replace(run, first_event=first_event, service=service, parts=self.on_chip.counters)

    def _charge_at(self, neurons: Neurons, j: int, time: int) -> int:
        del time  # between steps nothing changes, currents included
        return neurons.charge[j]

    # -- one population in one step ----------------------------------------------------------------------

    def _visit(self, rank: int) -> None:
        neurons = self.neurons[rank]
        if neurons.population.neuron.is_input:
            for j, payload in sorted(self.frames.pop(self.step, []), key=lambda event: event[0]):
                self._emit(rank, j, payload)
            return
        arrivals = self.arrivals.pop((self.step, rank), [])
        if self.now <= neurons.start:
            return  # held; what has arrived is dropped
        if neurons.population.neuron.emits == "unit spikes":  # looked at in every step
            self.active[rank] |= {j for j in range(neurons.population.size) if neurons.is_active(j)}
        if neurons.population.neuron.tested != "after deliveries":
            self.active[rank] |= {j for to, source, _ in arrivals for j, _ in to.edges[source]}
        for to, source, payload in arrivals:
            self._note_delivery(to, source, payload)
        by_rule(STEPS, neurons.population)(self, rank, neurons, arrivals)

    def _add(self, rank: int, neurons: Neurons, arrivals: list[Arrival]) -> None:
        """Leak, input, bias. Currents end with the input."""
        received = [0] * neurons.population.size
        for to, source, payload in arrivals:
            for j, weight in to.edges[source]:
                received[j] += payload * weight
                neurons.touched.add(j)
        if neurons.has_synaptic:  # these steps are those of the input
            neurons.arrived, neurons.reached = received, bool(arrivals)
            self._update_synaptic(rank)
            return
        for j, charge in enumerate(received):
            if neurons.leak_period:
                neurons.leak(j)
            if self.now < neurons.free_at[j] and neurons.model.refractory_drop:
                neurons.lost["refractory"][j] += charge
            else:
                neurons.charge[j] += charge
            if self.now <= self.end:
                neurons.charge[j] += neurons.current[j]
            self._guard(rank, j, neurons.charge[j])

    def _step_readout(self, rank: int, neurons: Neurons, arrivals: list[Arrival]) -> None:
        self._add(rank, neurons, arrivals)
        self.output_changed |= bool(arrivals) or any(neurons.current)

    def _step_signed(self, rank: int, neurons: Neurons, arrivals: list[Arrival]) -> None:
        self._add(rank, neurons, arrivals)
        if arrivals:
            self._schedule_test(rank, self.step + neurons.model.settle_time // self.length)
        self._test(rank, neurons)

    def _step_rate(self, rank: int, neurons: Neurons, arrivals: list[Arrival]) -> None:
        self._add(rank, neurons, arrivals)
        if neurons.model.test_period and self.now % neurons.model.test_period:
            return
        for j in self._fired_at_once(rank):
            self._emit(rank, j, 1)

    def _step_first_spike(self, rank: int, neurons: Neurons, arrivals: list[Arrival]) -> None:
        """What arrived comes again in each step; a neuron that has fired is done."""
        for to, source, payload in arrivals:
            for j, weight in to.edges[source]:
                neurons.slope[j] += payload * weight
                self._guard(rank, j, neurons.slope[j])
        model = neurons.model
        waiting = [j for j, count in enumerate(neurons.count) if not count]
        if model.alone and len(waiting) < len(neurons.count):
            return
        self._count(rank, "neuron_updates", len(waiting))
        for j in waiting:
            neurons.charge[j] += neurons.slope[j] + (neurons.current[j] if self.now <= self.end else 0)
            self._guard(rank, j, neurons.charge[j])
        fire = [j for j in waiting if neurons.charge[j] >= model.threshold]
        if model.alone:
            fire = sorted(fire, key=lambda j: -neurons.charge[j])[:1]
        for j in fire:
            neurons.charge[j], neurons.count[j] = 0, 1
            self._emit(rank, j, 1)

    def _test(self, rank: int, neurons: Neurons) -> None:
        """Test the touched neurons of a signed population, or touched exact gates, if it is time."""
        if neurons.test_due != self.step:
            return
        touched = self._take_touched(rank)
        self.active[rank] |= set(touched)
        for j in touched:
            for payload in unit_payloads(neurons.payload_asked(j, self.settled), neurons.model.graded):
                self._emit(rank, j, payload)

    def _receive_all(self, gates: Gates, arrivals: list[Arrival]) -> list[int]:
        """What gates keep of a step's spikes; returns those that were reached."""
        return sorted({j for to, *spike in arrivals for j in self._receive(to, gates, *spike)})

    def _step_exact_gate(self, rank: int, gates: Gates, arrivals: list[Arrival]) -> None:
        gates.touched.update(self._receive_all(gates, arrivals))
        if gates.touched:
            self._schedule_test(rank, self.step + gates.model.settle_time // self.length)
        self._test(rank, gates)

    def _step_rate_gate(self, rank: int, gates: Gates, arrivals: list[Arrival]) -> None:
        payloads: dict[int, list[int]] = defaultdict(list)
        for _, source, payload in arrivals:
            payloads[source].append(payload)
        for j in self._receive_all(gates, arrivals):
            self._count(rank, "compares", gates.compares(j))
            for payload in payloads.get(gates.winner(j), []):
                gates.count[j] += payload
                self._emit(rank, j, payload)

    def _step_softmax(self, rank: int, neurons: Neurons, arrivals: list[Arrival]) -> None:
        self._add(rank, neurons, arrivals)
        model = neurons.model
        if model.filter == "independent":
            if self.now % model.interval == 0 and self.now <= self.end:
                self._draw_softmax(rank, neurons, self.now // model.interval - 1)
            return
        event, tick = self.clocks[rank]
        while tick < self.now and tick < self.end:
            self._draw_softmax(rank, neurons, event)
            event += 1
            tick = next_event(neurons.population.neuron, self.key, rank, event, tick)
        self.clocks[rank] = (event, tick)

    def _draw_softmax(self, rank: int, neurons: Neurons, event: int) -> None:
        self._count(rank, "neuron_updates", neurons.population.size)
        for j in softmax.spikes(neurons.charge, neurons.population.neuron, self.key, rank, event):
            neurons.count[j] += 1
            self._emit(rank, j, 1)

    def _emit(self, rank: int, j: int, payload: int) -> None:
        """A spike of this step reaches later ranks in it, or d steps later over a delay of d steps."""
        self.emitted[rank][j].append((self._note_spike(rank, j, payload), payload))
        for to in self.engine.destinations[rank]:
            if j in to.edges:
                self.arrivals[self.step + to.late, to.target].append((to, j, payload))


STEPS: dict[str, Callable[..., None]] = {
    "rate": StepSample._step_rate,
    "first_spike": StepSample._step_first_spike,
    "signed": StepSample._step_signed,
    "readout": StepSample._step_readout,
    "softmax": StepSample._step_softmax,
    "exact_gate": StepSample._step_exact_gate,
    "rate_gate": StepSample._step_rate_gate,
}
"""What neurons do in a step, by their rule."""
