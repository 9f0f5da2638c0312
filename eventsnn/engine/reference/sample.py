"""One sample on the reference engine: what both schedules share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN, COUNTERS, MODEL_COUNTERS
from eventsnn.counting.digest import SampleDigest
from eventsnn.decide import Check, considered, decision, started, weighed
from eventsnn.engine.contract import (
    History,
    SampleRun,
    SpikeList,
    Stimulus,
    Trace,
    output_scale,
    output_weights,
)
from eventsnn.engine.failures import HISTORY_ROWS, check_readout, event_limit, history_limit, overflow
from eventsnn.engine.reference.counting import spike_counter
from eventsnn.engine.reference.gates import Gates
from eventsnn.engine.reference.parts import Destination
from eventsnn.engine.reference.state import CAUSES, Neurons, start_charge
from eventsnn.engine.request import takes_current
from eventsnn.engine.seeds import sample_key
from eventsnn.engine.service import SERVICE
from eventsnn.hardware import Part
from eventsnn.hardware.energy import dynamic_energy_aj
from eventsnn.network import Population
from eventsnn.network.neurons import CHARGE_LIMIT

if TYPE_CHECKING:
    from eventsnn.engine.reference import ReferenceEngine


class Sample:
    """State, counting, checks and results of one sample; the schedules add the loop.

    ``end`` is the tick at which currents end, ``now`` that of the event or step at hand.
    """

    def __init__(self, engine: ReferenceEngine, stimulus: Stimulus, index: int, end: int) -> None:
        self.engine, self.network, self.options = engine, engine.network, engine.options
        self.rule = started(engine.options.exit_rule)
        self.stimulus, self.index = stimulus, index
        self.chip = engine.chip
        self.key = sample_key(self.options.seed, index)
        self.end = end
        self.input = self.network.order.index(self.network.input)
        self.output = self.network.order.index(self.network.output)
        self.scale, self.weights = output_scale(self.network), output_weights(self.network)
        self.counters = np.zeros((len(self.network.order), len(COUNTERS)), dtype=np.int64)
        self.parts = {
            part: np.zeros(len(COUNTERS), dtype=np.int64)
            for name in self.network.order
            for part in engine.parts[name]
        }
        self.neurons = self._fresh_neurons()
        self.spikes: list[tuple[int, int, int, int]] = []
        self.service: list[tuple[int, ...]] = []
        self.checks: list[tuple[int, list[int]]] = []
        self.events: list[int] = []
        self.totals: list[tuple[int, int, int]] = []
        self.history: list[tuple[NDArray[np.int64], list[int]]] = []
        self.deliveries = 0
        self.now = 0
        self.settled = False
        self.output_changed = False
        self.prediction = -1
        self.stop_at: int | None = None
        self.latency = 0 if self.chip is None else self.chip.decision

    def _fresh_neurons(self) -> list[Neurons]:
        analog = self.engine.analog.quanta(self.stimulus)
        populations: list[Neurons] = []
        for rank, name in enumerate(self.network.order):
            population = self.network.populations[name]
            if population.neuron.rule in ("exact_gate", "rate_gate"):
                populations.append(Gates(self.network, population, self.end))
                continue
            has_current = takes_current(population)
            held = analog.get(name, np.zeros(population.size, dtype=np.int64))
            charge = start_charge(self.network, population, has_current)
            end = self._currents_end(population)
            if has_current:
                neurons = Neurons(population, end, charge, self.network.bias(name) + held)
            else:
                neurons = Neurons(population, end, charge + held, 0 * held)
            for j, value in enumerate(neurons.charge):
                self._guard(rank, j, value)
            populations.append(neurons)
        if analog:
            for to in self.engine.destinations[self.input]:
                self.count_at(to.part, "multiplications", sum(map(len, to.edges.values())))
        return populations

    def _currents_end(self, population: Population) -> int:
        """The tick at which a population's currents end."""
        del population
        return self.end

    def _inputs(self) -> Iterator[tuple[int, int, int]]:
        """Tick, neuron and payload of each input event."""
        time, payload = self.stimulus.time, self.stimulus.payload
        payloads = np.ones_like(time) if payload is None else payload
        yield from zip(time.tolist(), self.stimulus.neuron.tolist(), payloads.tolist(), strict=True)

    def _must_start_tested(self, population: Population) -> bool:
        """Whether charges at time 0, biases or analog values, ask for a test of a whole population."""
        if population.neuron.tested != "after deliveries":
            return False
        driven = self.stimulus.analog is not None and any(
            projection.source == self.network.input for projection in self.network.incoming(population.name)
        )
        biased = population.initial_charge is None and bool(self.network.bias(population.name).any())
        return driven or biased

    def _touch_all(self, rank: int, when: int) -> None:
        """Have a whole population tested at a tick, or in a step."""
        self.neurons[rank].touched.update(range(self.neurons[rank].population.size))
        self._schedule_test(rank, when)

    def _touch_signed(self, when: int) -> None:
        """The settle pass: one test of every signed neuron, hysteresis off."""
        self.settled = True
        for rank, neurons in enumerate(self.neurons):
            if neurons.rule == "signed":
                self._touch_all(rank, when)

    def _schedule_test(self, rank: int, when: int) -> None:
        """Have the touched neurons of a population tested, if they are not to be already."""
        raise NotImplementedError

    def _take_touched(self, rank: int) -> list[int]:
        """The touched neurons of a signed population, or touched exact gates, tested now (law 9)."""
        neurons = self.neurons[rank]
        touched, neurons.touched, neurons.test_due = sorted(neurons.touched), set(), None
        if isinstance(neurons, Gates):
            self._count(rank, "compares", sum(neurons.compares(j) for j in touched))
        else:
            self._count_neurons(rank, "neuron_updates", touched)
        return touched

    def _receive(self, to: Destination, gates: Gates, source: int, payload: int) -> list[int]:
        """What gates keep of a spike; returns those it reaches."""
        reached = [j for j, _ in to.edges[source]]
        for j in reached:
            gates.receive(j, source, payload, self.now)
        return reached

    def _guard(self, rank: int, j: int, charge: int) -> None:
        if abs(charge) > CHARGE_LIMIT:
            raise overflow(self.network, rank, j, self.index)

    def _update_synaptic(self, rank: int) -> None:
        """One update of a population with a synaptic current, up to its test."""
        neurons = self.neurons[rank]
        for j in range(neurons.population.size):
            neurons.update_synaptic(j)
            self._guard(rank, j, neurons.synaptic[j])
            self._guard(rank, j, neurons.charge[j])
        if neurons.population.neuron.emits == "nothing":
            self.output_changed |= neurons.reached or any(neurons.current) or any(neurons.synaptic)
        neurons.reached = False

    def _fired_at_once(self, rank: int) -> Iterator[int]:
        """Test, reset and clamp all of a population that is looked at in steps; its spikes' neurons."""
        neurons = self.neurons[rank]
        self._count(rank, "neuron_updates", neurons.population.size)
        for j in range(neurons.population.size):
            spikes = 0
            if self.now >= neurons.free_at[j]:
                spikes = neurons.fire(j, neurons.charge[j])
            if spikes > self.options.max_events:
                raise event_limit(self.options.max_events, self.index)
            if spikes:
                neurons.free_at[j] = self.now + neurons.model.refractory
            neurons.clamp(j, neurons.charge[j])
            yield from [j] * spikes

    def _hysteresis(self) -> bool:
        """Whether a settle pass is needed for exact counts."""
        return any(population.neuron.hysteresis for population in self.network)

    # -- counting --------------------------------------------------------------------------------------

    def _count(self, rank: int, counter: str, amount: int) -> None:
        self.counters[rank, COLUMN[counter]] += amount

    def count_at(self, part: Part, counter: str, amount: int) -> None:
        """Count what a core, or the way from it, does for a part of a population."""
        self.parts[part][COLUMN[counter]] += amount
        self._count(self.network.order.index(part.population), counter, amount)

    def _count_neurons(self, rank: int, counter: str, neurons: Iterable[int]) -> None:
        for j in neurons:
            self.count_at(self.engine.part_of[rank][j], counter, 1)

    def _note_spike(self, rank: int, j: int, payload: int) -> int:
        """List and count a spike of this tick; returns its emission ordinal."""
        neurons = self.neurons[rank]
        self.spikes.append((self.now, rank, j, payload))
        self._count_neurons(rank, spike_counter(neurons.population.neuron, payload), [j])
        self.output_changed |= rank == self.output
        neurons.ordinal[j] += 1
        return neurons.ordinal[j] - 1

    def _note_delivery(self, to: Destination, j: int, payload: int) -> None:
        """Count the synapses that a delivered copy of a spike is served by."""
        self.deliveries += 1
        if self.deliveries > self.options.max_events:
            raise event_limit(self.options.max_events, self.index)
        synapses, effective = len(to.edges[j]), sum(1 for _, weight in to.edges[j] if weight)
        self.count_at(to.part, "synaptic_operations", synapses)
        self.count_at(to.part, "effective_synaptic_operations", effective)
        if abs(payload) != 1:
            self.count_at(to.part, "multiplications", synapses)

    def _set_current_updates(self, counters: NDArray[np.int64], time: int) -> None:
        for rank, neurons in enumerate(self.neurons):
            biased = sum(map(bool, neurons.current))
            if biased:
                periods = max(0, min(time, neurons.end) - neurons.start) // neurons.model.period
                counters[rank, COLUMN["current_updates"]] = biased * periods

    # -- checks, totals, history -------------------------------------------------------------------------

    def _charge_at(self, neurons: Neurons, j: int, time: int) -> int:
        """A charge as reported at a tick."""
        return neurons.charge_at(j, time)

    def _readout(self, time: int) -> list[int]:
        neurons = self.neurons[self.output]
        if neurons.population.neuron.emits != "nothing":
            return list(neurons.count)
        return [self._charge_at(neurons, j, time) for j in range(neurons.population.size)]

    def _end_of_tick(self) -> None:
        """The exit check, last in its tick, if the readout changed."""
        if not self.output_changed:
            return
        self.output_changed = False
        readout = self._readout(self.now)
        self.checks.append((self.now, readout))
        self.events.append(self._input_events())
        rule = self.rule
        if rule is None or self.stop_at is not None:
            return
        since = self.now - self.stimulus.first
        verdict = considered(rule, Check(weighed(readout, self.weights), self.scale, since, self.events[-1]))
        if verdict.due:
            self._count(self.output, "decision_operations", len(readout))
        if verdict.stops:
            self.prediction = verdict.prediction
            self.stop_at = self.now + self.latency

    def _input_events(self) -> int:
        return int(self.counters[self.input, COLUMN["input_events"]])

    def _before_tick(self, upcoming: int) -> None:
        """What is due before the first event of a tick: totals of decisions, rows of the history."""
        self._fill_totals(upcoming)
        self._fill_history(upcoming)

    def _fill_totals(self, before: int | None) -> None:
        """Note the totals of the checks whose decision is out before a tick."""
        while len(self.totals) < len(self.checks):
            out = self.checks[len(self.totals)][0] + self.latency
            if before is not None and out >= before:
                return
            self._set_current_updates(self.counters, out)
            charged = self.counters.copy()
            charged[:, COLUMN["decision_operations"]] = 0
            total = charged.sum(axis=0)
            energy = 0 if self.engine.energy is None else dynamic_energy_aj(charged, self.engine.energy)
            spikes = total[COLUMN["spikes_positive"]] + total[COLUMN["spikes_negative"]]
            self.totals.append((int(total[COLUMN["synaptic_operations"]]), int(spikes), energy))

    def _fill_history(self, before: int) -> None:
        """Note the rows whose tick is over before a tick."""
        period = self.options.history_period
        if not period:
            return
        if (before - 1) // period > HISTORY_ROWS:
            raise history_limit(period, before)
        for row in range(len(self.history) + 1, (before - 1) // period + 1):
            counters = self.counters.copy()
            self._set_current_updates(counters, row * period)
            self.history.append((counters, self._readout(row * period)))

    def _moment(self, tick: int, decided: bool = False) -> int:
        """The time at a tick of the schedule; ``decided``: when a decision is out that was asked for then."""
        del decided  # in the event schedule the two are one
        return tick

    # -- results ---------------------------------------------------------------------------------------------

    def _result(self) -> SampleRun:
        early = self.stop_at is not None
        decision_time = self.stop_at if self.stop_at is not None else self.now
        final = self._readout(decision_time)
        if not early:
            self.checks.append((self.now, final))
            self.events.append(self._input_events())
            self.prediction = decision(weighed(final, self.weights))
            if self.rule is not None:
                self.prediction = self.rule.at_end(self.prediction)
        readout = np.array([readout for _, readout in self.checks], dtype=np.int64)
        check_readout(self.network, readout, self.index)
        self._fill_totals(None)
        self._fill_history(decision_time)
        self._set_current_updates(self.counters, decision_time)
        spikes = np.array(self.spikes, dtype=np.int64).reshape(-1, 4)
        # Stable, so that a neuron's spikes of one tick stay in the order of their emission.
        columns = np.ascontiguousarray(spikes[np.lexsort(spikes.T[2::-1])].T)
        digest = SampleDigest(self.network.order)
        digest.add_spikes(*columns)
        totals = np.array(self.totals, dtype=np.int64).reshape(-1, 3)
        moment = self._moment(decision_time, early)
        charges = [
            [self._charge_at(n, j, decision_time) for j in range(n.population.size)] for n in self.neurons
        ]

        def by_name(values: list[list[int]]) -> dict[str, NDArray[np.int64]]:
            named = zip(self.network.order, values, strict=True)
            return {name: np.array(of_neurons, dtype=np.int64) for name, of_neurons in named}

        return SampleRun(
            index=self.index,
            prediction=self.prediction,
            decision_time=moment,
            decided_early=early,
            first_event=self.stimulus.first,
            counters=self.counters,
            digest=digest.finish(self.prediction, moment, self.counters[:, : len(MODEL_COUNTERS)]),
            trace=Trace(
                time=np.array([self._moment(time) for time, _ in self.checks], dtype=np.int64),
                readout=readout,
                synaptic_operations=totals[:, 0],
                spikes=totals[:, 1],
                energy=totals[:, 2],
                input_events=np.array(self.events, dtype=np.int64),
            ),
            counts=by_name([neurons.count for neurons in self.neurons]),
            charge=by_name(charges),
            lost={cause: by_name([neurons.lost[cause] for neurons in self.neurons]) for cause in CAUSES},
            spikes=SpikeList(*columns) if self.options.record_spikes else None,
            service=np.array(self.service, dtype=SERVICE) if self._logs_service() else None,
            history=self._history(final),
            parts=None if self.chip is None or self.engine.step else np.stack(list(self.parts.values())),
        )

    def _logs_service(self) -> bool:
        return self.options.record_service and self.chip is not None

    def _history(self, final: list[int]) -> History | None:
        """The rows, the last one being what there was at the decision."""
        period = self.options.history_period
        if not period:
            return None
        rows = [*self.history, (self.counters.copy(), final)]
        return History(
            time=np.arange(1, len(rows) + 1, dtype=np.int64) * period,
            counters=np.stack([counters for counters, _ in rows]),
            readout=np.array([readout for _, readout in rows], dtype=np.int64),
        )
