"""One sample in floating point, step by step: what a tensor framework's loop over time computes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN, COUNTERS
from eventsnn.counting.digest import SampleDigest
from eventsnn.decide import Check, considered, decision, started, weighed
from eventsnn.engine.contract import SampleRun, SpikeList, Trace, output_scale, output_weights
from eventsnn.engine.failures import event_limit
from eventsnn.engine.floating.sums import Float
from eventsnn.engine.lowering.initial import initial_charge, initial_count
from eventsnn.engine.request import number_of_steps, takes_current
from eventsnn.engine.stimulus import Int64, Stimulus
from eventsnn.network import Population
from eventsnn.network.neurons import by_rule

if TYPE_CHECKING:
    from eventsnn.engine.floating.engine import FloatEngine

CAUSES = ("hard_reset", "clamp", "leak", "refractory")


@dataclass(frozen=True)
class FloatRun(SampleRun):
    """A ``SampleRun`` whose charges, losses and readouts are rounded to whole quanta.

    Attributes
    ----------
    exact_charge : dict of float arrays, shape (neurons,)
        The charges as they were, by population.
    """

    exact_charge: dict[str, Float] = field(default_factory=dict, repr=False)


@dataclass
class Spikes:
    """What a population emitted in one step: summed payloads, spikes, graded spikes of each neuron."""

    payload: Float
    count: Int64
    graded: Int64


@dataclass
class Layer:
    """The state of one population."""

    population: Population
    charge: Float
    current: Float
    count: Int64
    lost: dict[str, Float]
    free_at: Int64
    touched: NDArray[np.bool_]
    synaptic: Float
    due: int | None = None
    sent: dict[int, Spikes] = field(default_factory=dict)

    @property
    def model(self) -> Any:
        """The parameters of its neurons' rule."""
        return self.population.neuron.ruled


class FloatSample:
    """One sample's simulation; the steps are those of the reference's step schedule."""

    def __init__(self, engine: FloatEngine, stimulus: Stimulus, index: int) -> None:
        self.engine, self.network, self.options = engine, engine.network, engine.options
        self.rule = started(engine.options.exit_rule)
        self.stimulus, self.index, self.length = stimulus, index, engine.step
        self.steps = number_of_steps(stimulus, engine.step)
        self.end = self.steps * engine.step
        self.step = self.now = self.deliveries = 0
        self.pending_until = -1
        self.settled = self.output_changed = False
        self.prediction, self.stop_at = -1, -1
        self.output = self.network.order.index(self.network.output)
        self.counters = np.zeros((len(self.network.order), len(COUNTERS)), dtype=np.int64)
        self.emitted: list[Int64] = []  # (4, spikes): time, rank, neuron, payload
        self.checks: list[tuple[int, list[int], int, int, int]] = []
        self.layers = self._fresh_layers()
        self._frames()

    def _fresh_layers(self) -> list[Layer]:
        dtype, start = self.engine.dtype, 0
        charges, counts = initial_charge(self.network), initial_count(self.network)
        analog = self.engine.analog.quanta(self.stimulus)
        layers = []
        for rank, population in enumerate(self.network):
            n, name = population.size, population.name
            charge: Any = charges[start : start + n].astype(np.int64)
            current: Any = np.zeros(n, dtype=np.int64)
            held = self._held(rank, analog.get(name, current))
            held = held + sum(sums.left_out for sums in self.engine.incoming[rank])
            if takes_current(population):
                current = self.network.bias(name) + held
            else:
                charge = charge + held
            if name in analog:
                synapses = self.engine.analog.multiplications[name]
                self.counters[rank, COLUMN["multiplications"]] += synapses
            layers.append(
                Layer(
                    population, charge.astype(dtype), current.astype(dtype),
                    counts[start : start + n].astype(np.int64),
                    {cause: np.zeros(n, dtype=dtype) for cause in CAUSES},
                    np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool), np.zeros(n, dtype=dtype),
                )
            )  # fmt: skip
            biased = population.initial_charge is None and bool(self.network.bias(name).any())
            if population.neuron.rule == "signed" and (biased or name in analog):
                _touch_all(layers[-1], 0)
            start += n
        return layers

    def _held(self, rank: int, quanta: Int64) -> Any:
        """What analog values bring a population: as rounded, but where its weights are kept exactly."""
        population, stimulus = self.network.populations[self.network.order[rank]], self.stimulus
        read = [s for s in self.engine.incoming[rank] if self.network.order[s.source] == self.network.input]
        if stimulus.analog is None or not read or not all(sums.exact for sums in read):
            return quanta
        values = stimulus.analog.astype(self.engine.dtype) / self.engine.analog.scale
        held: Any = sum(sums.weighted(values.astype(self.engine.dtype)) for sums in read)
        if takes_current(population) and stimulus.analog_time is not None:
            held = held * (population.neuron.current_period / stimulus.analog_time)
        return held

    def _frames(self) -> None:
        """The input's spikes by step, by neuron, those of one neuron as listed."""
        time, neuron, payload = self.stimulus.time, self.stimulus.neuron, self.stimulus.payload
        order = np.lexsort((neuron, time // self.length))
        payload = np.ones(len(time), dtype=np.int64) if payload is None else payload
        self.input_step = (time // self.length)[order]
        self.input_neuron, self.input_payload = neuron[order], payload.astype(np.int64)[order]

    def run(self) -> FloatRun:
        """Compute steps until the input is over, or nothing is pending, or the decision is out."""
        while True:
            self.now = (self.step + 1) * self.length
            for rank in range(len(self.layers)):
                self._visit(rank)
            self._end_of_step()
            self.step += 1
            if self.stop_at >= 0 or not self._goes_on():
                return self._result()

    def _goes_on(self) -> bool:
        if self.step < self.steps:
            return True
        if not all(layer.population.neuron.comes_to_rest(bool(layer.current.any())) for layer in self.layers):
            return False
        if self.pending_until >= self.step or any(layer.due is not None for layer in self.layers):
            return True
        if self.settled or not any(population.neuron.hysteresis for population in self.network):
            return False
        self.settled = True
        for layer in self.layers:
            if layer.population.neuron.rule == "signed":
                _touch_all(layer, self.step)
        return True

    # -- one population in one step ----------------------------------------------------------------------

    def _visit(self, rank: int) -> None:
        layer = self.layers[rank]
        if layer.population.neuron.is_input:
            mine = slice(*np.searchsorted(self.input_step, [self.step, self.step + 1]))
            self._emit(rank, self.input_neuron[mine], self.input_payload[mine])
            return
        if self.now <= layer.population.neuron.start_time:
            self._emit(rank, *np.zeros((2, 0), dtype=np.int64))
            return
        received, arrived = self._receive(rank)
        if layer.population.name in self.engine.leaks:
            left = layer.charge * self.engine.leaks[layer.population.name]
            layer.lost["leak"] += layer.charge - left
            layer.charge = left
        if getattr(layer.model, "refractory_drop", False):
            dropped = np.where(self.now < layer.free_at, received, 0)
            layer.lost["refractory"] += dropped
            received = received - dropped
        if self.now <= self.end:
            received = received + layer.current
        kept = self.engine.synapses.get(layer.population.name)
        if kept is not None:
            received = layer.synaptic = layer.synaptic * kept + received
        layer.charge += received
        by_rule(TESTS, layer.population)(self, rank, layer, arrived)

    def _receive(self, rank: int) -> tuple[Float, bool]:
        """The charge that arrives in this step, counted; whether a spike did."""
        layer, counters = self.layers[rank], self.counters[rank]
        received = np.zeros(layer.population.size, dtype=self.engine.dtype)
        arrived = False
        for sums in self.engine.incoming[rank]:
            spikes = self.layers[sums.source].sent.get(self.step - sums.delay)
            copies = 0 if spikes is None else int(spikes.count[sums.fan_out > 0].sum())
            if spikes is None or not copies:
                continue
            arrived = True
            self.deliveries += copies
            if self.deliveries > self.options.max_events:
                raise event_limit(self.options.max_events, self.index)
            counters[COLUMN["synaptic_operations"]] += spikes.count @ sums.fan_out
            counters[COLUMN["effective_synaptic_operations"]] += spikes.count @ sums.effective
            counters[COLUMN["multiplications"]] += spikes.graded @ sums.fan_out
            received += sums.weighted(spikes.payload)
            if layer.population.neuron.tested == "after deliveries":
                layer.touched |= sums.reached(spikes.count)
        return received, arrived

    def _read(self, rank: int, layer: Layer, arrived: bool) -> None:
        del rank
        self.output_changed |= arrived or bool(layer.current.any() or layer.synaptic.any())

    def _fire_rate(self, rank: int, layer: Layer, arrived: bool) -> None:
        del arrived  # tested in every step
        model, charge = layer.model, layer.charge
        if model.test_period and self.now % model.test_period:
            self._emit(rank, *np.zeros((2, 0), dtype=np.int64))
            return
        self.counters[rank, COLUMN["neuron_updates"]] += len(charge)
        fires = charge > model.threshold if model.strict else charge >= model.threshold
        fires &= self.now >= layer.free_at
        number = np.ones_like(charge)
        if model.hard:
            layer.lost["hard_reset"] += np.where(fires, charge - model.threshold, 0)
            charge[fires] = 0
        else:
            if model.multispike and model.refractory == 0:
                # The largest whole number of thresholds in V, or (strict) below V.
                below = -np.floor_divide(-charge, model.threshold) - 1
                number = below if model.strict else np.floor_divide(charge, model.threshold)
            charge -= np.where(fires, number * model.threshold, 0)
        if float(np.max(number, where=fires, initial=0)) > self.options.max_events:
            raise event_limit(self.options.max_events, self.index)
        spikes = np.where(fires, number, 0).astype(np.int64)
        layer.count += spikes
        layer.free_at[fires] = self.now + model.refractory
        if model.clamped:
            layer.lost["clamp"] += np.minimum(charge - model.clamp, 0)
            np.maximum(charge, model.clamp, out=charge)
        neuron = np.repeat(np.arange(len(spikes)), spikes)
        self._emit(rank, neuron, np.ones(len(neuron), dtype=np.int64))

    def _test_signed(self, rank: int, layer: Layer, arrived: bool) -> None:
        if arrived and layer.due is None:
            layer.due = self.step + layer.model.settle_time // self.length
        if layer.due != self.step:
            return
        model, charge = layer.model, layer.charge
        low, high = (0, 0) if self.settled else (model.hysteresis_low, model.hysteresis_high)
        wanted = np.clip(layer.count + np.floor_divide(charge, model.threshold), model.lowest, model.levels)
        asked = wanted - layer.count
        asked[((-low <= charge) & (charge < model.threshold + high)) | ~layer.touched] = 0
        payload = asked.astype(np.int64)
        charge -= (payload * model.threshold).astype(charge.dtype)
        layer.count += payload
        self.counters[rank, COLUMN["neuron_updates"]] += np.count_nonzero(layer.touched)
        layer.touched[:], layer.due = False, None
        neuron = np.flatnonzero(payload)
        emitted = payload[neuron]
        if not model.graded:
            neuron, emitted = np.repeat(neuron, np.abs(emitted)), np.repeat(np.sign(emitted), np.abs(emitted))
        self._emit(rank, neuron, emitted)

    def _emit(self, rank: int, neuron: Int64, payload: Int64) -> None:
        """Spikes of this step, ascending by neuron, become what later visits find."""
        layer, size = self.layers[rank], self.layers[rank].population.size
        longest = max((delay for delay, _ in self.engine.outgoing[rank]), default=0)
        layer.sent.pop(self.step - longest - 1, None)
        if not len(neuron):
            return
        count = np.bincount(neuron, minlength=size)
        graded = np.bincount(neuron[np.abs(payload) != 1], minlength=size)
        summed = np.zeros(size, dtype=np.int64)
        np.add.at(summed, neuron, payload)
        layer.sent[self.step] = Spikes(summed.astype(self.engine.dtype), count, graded)
        for delay, fan_out in self.engine.outgoing[rank]:
            if fan_out[count > 0].any():
                self.pending_until = max(self.pending_until, self.step + delay)
        same = np.full(len(neuron), rank)
        self.emitted.append(np.stack([np.full_like(same, self.now), same, neuron, payload]))
        self.output_changed |= rank == self.output
        if layer.population.neuron.is_input:
            self.counters[rank, COLUMN["input_events"]] += len(neuron)
        else:
            positive = int((payload > 0).sum())
            self.counters[rank, COLUMN["spikes_positive"]] += positive
            self.counters[rank, COLUMN["spikes_negative"]] += len(neuron) - positive

    # -- checks and results --------------------------------------------------------------------------------

    def _readout(self) -> list[int]:
        layer = self.layers[self.output]
        values = layer.charge if layer.population.neuron.emits == "nothing" else layer.count
        return [int(value) for value in np.rint(values)]

    def _record_check(self) -> list[int]:
        readout, total = self._readout(), self.counters.sum(axis=0)
        spikes = total[COLUMN["spikes_positive"]] + total[COLUMN["spikes_negative"]]
        events = int(total[COLUMN["input_events"]])
        self.checks.append(
            (self.now, readout, int(total[COLUMN["synaptic_operations"]]), int(spikes), events)
        )
        return readout

    def _end_of_step(self) -> None:
        """The exit check, if the readout changed."""
        if not self.output_changed:
            return
        self.output_changed = False
        readout, rule = self._record_check(), self.rule
        if rule is None:
            return
        seen = weighed(readout, output_weights(self.network))
        since = self.now - self.stimulus.first
        verdict = considered(rule, Check(seen, output_scale(self.network), since, self.checks[-1][-1]))
        if verdict.due:
            self.counters[self.output, COLUMN["decision_operations"]] += len(readout)
        if verdict.stops:
            self.prediction, self.stop_at = verdict.prediction, self.now

    def _result(self) -> FloatRun:
        if self.stop_at < 0:
            self.prediction = decision(weighed(self._record_check(), output_weights(self.network)))
            if self.rule is not None:
                self.prediction = self.rule.at_end(self.prediction)
        for rank, layer in enumerate(self.layers):
            biased = int(np.count_nonzero(layer.current))
            if biased:
                flowed = max(0, min(self.now, self.end) - layer.population.neuron.start_time)
                updates = biased * (flowed // layer.model.period)
                self.counters[rank, COLUMN["current_updates"]] = updates
        nothing = np.zeros((4, 0), dtype=np.int64)
        spikes = np.concatenate([nothing, *self.emitted], axis=1)
        digest = SampleDigest(self.network.order)
        digest.add_spikes(*spikes)
        integer = digest.finish(self.prediction, self.now, self.counters)
        own = hashlib.blake2b(f"{self.engine.dtype}:{integer}".encode(), digest_size=16).hexdigest()
        time, readout, operations, fired, events = (
            np.array(column, dtype=np.int64) for column in zip(*self.checks, strict=True)
        )
        named = {layer.population.name: layer for layer in self.layers}
        return FloatRun(
            index=self.index,
            prediction=self.prediction,
            decision_time=self.now,
            decided_early=self.stop_at >= 0,
            first_event=self.stimulus.first,
            counters=self.counters,
            digest=own,
            trace=Trace(time, readout, operations, fired, np.zeros_like(time), events),
            counts={name: layer.count for name, layer in named.items()},
            charge={name: np.rint(layer.charge).astype(np.int64) for name, layer in named.items()},
            lost={
                cause: {n: np.rint(layer.lost[cause]).astype(np.int64) for n, layer in named.items()}
                for cause in CAUSES
            },
            spikes=SpikeList(*spikes) if self.options.record_spikes else None,
            exact_charge={name: layer.charge for name, layer in named.items()},
        )


TESTS: dict[str, Callable[[FloatSample, int, Layer, bool], None]] = {
    "rate": FloatSample._fire_rate,
    "signed": FloatSample._test_signed,
    "readout": FloatSample._read,
}
"""What neurons do once a step's charge has arrived, by their rule; gates and softmax have no other engine."""


def _touch_all(layer: Layer, step: int) -> None:
    layer.touched[:] = True
    layer.due = step
