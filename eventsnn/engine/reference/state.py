"""What populations hold during one sample, and the arithmetic of one neuron, for both schedules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.rounding import leaked
from eventsnn.network import Network, Population

CAUSES = ("hard_reset", "clamp", "leak", "refractory")


class Neurons:
    """The state of one population during one sample.

    ``rule`` and ``model`` are the rule of its neurons and the parameters of that.
    ``charge`` leaves the constant current out in the event schedule: the charge at tick t is ``charge +
    floor(current min(t, end) / period)``. In the step schedule a step's current is added to it.

    Parameters
    ----------
    population : Population
    end : int
        Tick at which currents end.
    charge : int64 array
        Charges at time 0, biases that are charges included.
    current : int64 array
        Quanta per period, 0 where there are none.
    """

    def __init__(self, population: Population, end: int, charge: NDArray[Any], current: NDArray[Any]) -> None:
        n = population.size
        given = population.initial_count
        self.population, self.end = population, end
        self.rule, self.model = population.neuron.rule, population.neuron.ruled
        self.leak_period, self.start = population.neuron.leak_period, population.neuron.start_time
        self.leak_factors = population.factors("leak_factor").tolist()
        self.synapse_factors = population.factors("synapse_factor").tolist()
        self.has_synaptic = "synapse" in population.neuron.features
        self.charge = [int(v) for v in charge]
        self.current = [int(b) for b in current]
        self.synaptic = [0] * n  # what a synaptic current brings in each step
        self.arrived = [0] * n  # what it takes in the next update
        self.reached = False  # since the last one
        self.count = [0] * n if given is None else [int(v) for v in given]
        self.slope = [0] * n  # of neurons that fire once: what arrived, which comes again in each step
        self.ordinal = [0] * n
        self.version = [0] * n  # of a scheduled crossing; another one makes it void
        self.free_at = [0] * n  # tick from which the neuron may fire again
        # Grid leaks applied so far; none of those before the start.
        self.leaks = [self.start // self.leak_period if self.leak_period else 0] * n
        self.lost: dict[str, list[int]] = {cause: [0] * n for cause in CAUSES}
        self.touched: set[int] = set()
        self.test_due: int | None = None

    # -- constant currents (law 3) -------------------------------------------------------------------

    def current_charge(self, j: int, time: int) -> int:
        """What the current has delivered by a tick; what it would have given before the start is dropped."""
        if self.current[j] == 0:
            return 0
        held = min(self.start, self.end)
        until = max(held, min(time, self.end))
        period = self.model.period
        return int(self.current[j] * until // period - self.current[j] * held // period)

    def charge_at(self, j: int, time: int) -> int:
        """The charge at a tick, its leaks up to then applied to the state."""
        if self.has_synaptic:  # nothing changes between its updates
            return self.charge[j]
        self.leak_until(j, time)
        return self.charge[j] + self.current_charge(j, time)

    def first_crossing(self, j: int, now: int) -> int | None:
        """The smallest tick from ``now`` on at which a test would fire if nothing arrives; None if none.

        Not before the neuron may fire again. Leaks up to ``now`` have been applied.
        """
        now = max(now, self.start)
        model, current, start = self.model, self.current[j], max(now, self.free_at[j])
        if current <= 0 and start == now:
            return None  # only a current, or the end of a refractory time, takes a tested charge to threshold
        charge, tick = self.charge[j], now
        while True:
            next_leak = (tick // model.leak_period + 1) * model.leak_period if model.leak_period else None
            found = self._reached(j, charge, max(start, tick))
            if found is not None and (next_leak is None or found < next_leak):
                return found
            if next_leak is None:
                return None
            falling = current <= 0 or tick >= self.end
            if falling and (tick >= start or charge + self.current_charge(j, tick) < self._needed()):
                return None
            held = charge + self.current_charge(j, next_leak)
            charge += leaked(held, self.leak_factors[j]) - held
            tick = next_leak

    def _needed(self) -> int:
        return int(self.model.threshold + self.model.strict)

    def _reached(self, j: int, charge: int, start: int) -> int | None:
        """The smallest tick from ``start`` on at which charge and current are at threshold, leaks aside."""
        if charge + self.current_charge(j, start) >= self._needed():
            return start
        if self.current[j] <= 0:
            return None
        held = self.current[j] * min(self.start, self.end) // self.model.period
        tick = -(-(self._needed() - charge + held) * self.model.period // self.current[j])
        return tick if tick <= self.end else None

    # -- what takes charge away ------------------------------------------------------------------------

    def leak_until(self, j: int, time: int) -> None:
        """Apply the grid leaks at multiples of the leak period up to a tick, that tick included."""
        period = self.leak_period
        if not period:
            return
        while self.leaks[j] < time // period:
            tick = (self.leaks[j] + 1) * period
            if not self.leak(j, self.current_charge(j, tick)) and (self.current[j] == 0 or tick >= self.end):
                self.leaks[j] = time // period  # what one leak leaves alone, none takes
                return
            self.leaks[j] += 1

    def leak(self, j: int, current_charge: int = 0) -> bool:
        """One grid leak; whether it took anything."""
        held = self.charge[j] + current_charge
        taken = held - leaked(held, self.leak_factors[j])
        self.charge[j] -= taken
        self.lost["leak"][j] += taken
        return taken != 0

    def update_synaptic(self, j: int) -> None:
        """Both states leak; the current takes what has arrived and the bias, the charge takes the current."""
        if self.leak_period:
            self.leak(j)
        left = leaked(self.synaptic[j], self.synapse_factors[j])
        self.synaptic[j] = left + self.arrived[j] + self.current[j]
        self.charge[j] += self.synaptic[j]
        self.arrived[j] = 0

    def is_active(self, j: int) -> bool:
        """Whether a neuron has something to integrate: charge, a current, what is left of a synaptic one."""
        if self.charge[j] or self.current[j]:
            return True
        return self.has_synaptic and leaked(self.synaptic[j], self.synapse_factors[j]) != 0

    def clamp(self, j: int, charge: int) -> int:
        """Raise a charge to the lower clamp; returns the charge."""
        clamp = self.model.clamp
        if not self.model.clamped or charge >= clamp:
            return charge
        self.lost["clamp"][j] += charge - clamp
        self.charge[j] += clamp - charge
        return int(clamp)

    def fire(self, j: int, charge: int) -> int:
        """Spikes a rate neuron emits when tested at a charge; they are taken off."""
        if charge < self._needed():
            return 0
        model, spikes = self.model, 1
        if model.hard:
            self.lost["hard_reset"][j] += charge - model.threshold
            self.charge[j] -= charge
        else:
            if model.multispike and model.refractory == 0:
                spikes = (charge - model.strict) // model.threshold
            self.charge[j] -= spikes * model.threshold
        self.count[j] += spikes
        return spikes

    def payload_asked(self, j: int, settled: bool) -> int:
        """What a test of a signed neuron asks for (law 9); it is taken off the charge."""
        model, charge, count = self.model, self.charge[j], self.count[j]
        low, high = (0, 0) if settled else (model.hysteresis_low, model.hysteresis_high)
        if -low <= charge < model.threshold + high:
            return 0
        payload = min(max(count + charge // model.threshold, model.lowest), model.levels) - count
        self.charge[j] -= payload * model.threshold
        self.count[j] += payload
        return int(payload)


def unit_payloads(payload: int, graded: bool) -> list[int]:
    """A test's result as the payloads of its spikes."""
    if graded and payload:
        return [payload]
    return [1 if payload > 0 else -1] * abs(payload)


def start_charge(network: Network, population: Population, takes_current: bool) -> NDArray[np.int64]:
    """The charge of every neuron at time 0, biases that are charges included."""
    if population.initial_charge is not None:
        return population.initial_charge.astype(np.int64)
    charge = np.full(population.size, population.neuron.starting_charge, dtype=np.int64)
    return charge if takes_current else charge + network.bias(population.name)
