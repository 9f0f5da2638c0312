"""How large a charge can become: bounds that hold for every input, order and duration.

What is bounded is V itself, its current included, at every moment: between two deliveries, after each
delivery, before and after a test. Where nothing is proven the answer is None, never a guess.

- *Signed neurons, readouts, softmax outputs* add what their sources have emitted so far. A signed source's
  running sum lies in ``lowest`` to ``levels``, an exact gate's in that of its window, so V + threshold x S
  lies between the sums of the negative and of the positive weights times these. This needs the copies of one
  neuron's spikes to arrive in the order of emission: constant delays, accelerators without transit jitter.
  Rate neurons emit without end, so what they feed here has no bound; nor has a current without a reset.
- *Rate neurons* rest below threshold after each test (multispike or hard reset; with one spike and soft reset
  only where what one test can add is at most a threshold), and at or above the lower clamp. On top comes what
  arrives before the next test: one delivery in the event schedule, all of a step in the step schedule.
  Refractory neurons that integrate have no bound. A leak only takes away.

Sums are taken as if every tap existed at every target: borders get less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork
from eventsnn.network.graph import Network
from eventsnn.network.neurons import by_rule
from eventsnn.network.population import Population
from eventsnn.network.projections import Projection
from eventsnn.network.synapses.base import Objects

Range = tuple[int, int]


@dataclass(frozen=True)
class InputLimits:
    """What is known of every sample's input; ranges hold 0.

    Parameters
    ----------
    payload : (int, int)
        Smallest and largest payload of one spike; event streams have +1 alone.
    total : (int, int) or None
        Range of the running sum of payloads of any input neuron; None is unknown.
    per_step : (int, int) or None
        Range of the running sum of payloads of any input neuron inside one step; None is unknown.
    analog : int
        Largest magnitude of an analog value, 0 if there are none.
    """

    payload: Range = (0, 1)
    total: Range | None = None
    per_step: Range | None = None
    analog: int = 0

    def __post_init__(self) -> None:
        for name in ("payload", "total", "per_step"):
            found = getattr(self, name)
            if found is not None and not found[0] <= 0 <= found[1]:
                raise InvalidNetwork(f"the input's {name} is given as {found}; a range holds 0")
        if self.analog < 0:
            raise InvalidNetwork(f"the input's largest analog value is {self.analog}; it is 0 or more")


EVENTS = InputLimits()


def charge_bound(
    network: Network,
    population: str,
    schedule: str = "event",
    limits: InputLimits = EVENTS,
    in_order: bool = True,
) -> int | None:
    """The largest |V| that any neuron of a population can ever have, or None where none is proven.

    Parameters
    ----------
    network : Network
    population : str
        Input neurons and max gates hold no charge: 0.
    schedule : str
        ``event`` or ``step``.
    limits : InputLimits
        What is known of the input.
    in_order : bool
        Copies of one neuron's spikes arrive as they were emitted. False (transit jitter) leaves signed
        neurons and readouts without a bound.

    Raises
    ------
    InvalidNetwork
        No such population or schedule.
    """
    if population not in network.populations:
        raise InvalidNetwork(f"no population {population!r} in this network")
    if schedule not in ("event", "step"):
        raise InvalidNetwork(f"schedule {schedule!r} is not known; allowed are event, step")
    found = _Bounds(network, schedule, limits, in_order).charges(population)
    return None if found is None else max(-found[0], found[1])


class _Bounds:
    """Ranges by population: of charges, of running sums, of payloads."""

    def __init__(self, network: Network, schedule: str, limits: InputLimits, in_order: bool) -> None:
        self.network, self.limits, self.in_order = network, limits, in_order
        self.stepped = schedule == "step"
        self._in_work: set[str] = set()

    def charges(self, name: str) -> Range | None:
        """The range of V over all neurons of a population."""
        population = self.network.populations[name]
        if not population.neuron.holds_charge:
            return (0, 0)
        return by_rule(_CHARGES, population)(self, population)

    # -- sums of counts: signed neurons, readouts ----------------------------------------------------------

    def _counted(self, population: Population) -> Range | None:
        name, neuron = population.name, population.neuron
        analog = self._analog(name)
        flows = neuron.current_period > 0
        if neuron.leak_period or "synapse" in neuron.features:
            return None  # a leak forgets the old sooner than the new; a current goes on
        if not self.in_order or (flows and (self.network.bias(name).any() or analog.any())):
            return None  # the latter a current without end
        low, high = self._offset(population) - analog, self._offset(population) + analog
        for projection in self.network.incoming(name):
            summed = self.running_sum(projection.source)
            if summed is None:
                return None
            down, up = self._arriving(projection, summed)
            low, high = low + down, high + up
        if neuron.rule == "signed":
            # S is what some test found: the whole thresholds in what had arrived, lowest to levels; 0 before.
            threshold = neuron.ruled.threshold
            most = np.clip(high // threshold, 0, neuron.ruled.levels)
            least = np.clip(low // threshold, neuron.ruled.lowest, 0)
            if population.initial_count is not None:
                most = np.maximum(most, population.initial_count)
                least = np.minimum(least, population.initial_count)
            low, high = low - most * threshold, high - least * threshold
        return int(low.min()), int(high.max())

    def _offset(self, population: Population) -> Objects:
        """V + threshold x S of each neuron while every source's running sum is 0."""
        name, neuron = population.name, population.neuron
        if population.initial_charge is None:
            # Of a population with a period only currents that are all 0 come here.
            return _objects(self.network.bias(name)) + neuron.starting_charge
        offset = _objects(population.initial_charge)
        if population.initial_count is not None:
            offset = offset + _objects(population.initial_count) * neuron.ruled.threshold
        for projection in self.network.incoming(name):
            counted = self.network.populations[projection.source].initial_count
            if counted is not None:
                source, target, weight = self.network.edges(projection)
                active = counted[source] != 0
                np.subtract.at(
                    offset, target[active], _objects(weight[active]) * counted[source[active]].astype(object)
                )
        return offset

    def running_sum(self, name: str) -> Range | None:
        """The range of initial count plus payloads emitted so far, over a population's neurons."""
        neuron = self.network.populations[name].neuron
        if neuron.is_input:
            return self.limits.total
        if neuron.rule == "signed":
            return (neuron.ruled.lowest, neuron.ruled.levels)
        if neuron.rule == "exact_gate" and self.in_order:
            (projection,) = self.network.incoming(name)
            found = None if name in self._in_work else self._source(name, projection.source)
            return None if found is None else (min(0, found[0]), found[1])
        return None

    def _source(self, name: str, source: str) -> Range | None:
        self._in_work.add(name)  # gates on a cycle have no largest count
        found = self.running_sum(source)
        self._in_work.discard(name)
        return found

    # -- rate neurons ----------------------------------------------------------------------------------------

    def _rate(self, population: Population) -> Range | None:
        neuron, start = population.neuron.ruled, population.neuron.starting_charge
        if population.initial_charge is not None:
            start = int(population.initial_charge.min())
        gains = self._gains(population)
        integrates = neuron.refractory > 0 and not neuron.refractory_drop
        if gains is None or integrates or neuron.test_period or neuron.synapse_factor:
            return None
        down, up = gains
        single = not neuron.hard and (neuron.refractory > 0 or not neuron.multispike)
        if single and up > neuron.threshold:
            return None  # a test takes off less than can be added
        high = neuron.threshold + neuron.strict - 1 + up
        if neuron.clamped:
            return min(start, neuron.clamp) + down, high
        return None if down < 0 else (min(start, 0), high)

    def _gains(self, population: Population) -> Range | None:
        """What a charge can lose and gain before the next test."""
        name = population.name
        bias, analog = _objects(self.network.bias(name)), self._analog(name)
        low, high = bias - analog, bias + analog
        if not self.stepped:
            if int(low.min()) < 0:
                return None  # a current that falls for as long as the input lasts
            per_tick = -(-int(high.max()) // population.neuron.ruled.period)
            down = up = 0
            for projection in self.network.incoming(name):
                payload = self.payload(projection.source)
                if payload is None:
                    return None
                source = self.network.populations[projection.source].shape
                for weight in projection.synapses.weight_range(source):
                    down = min(down, weight * payload[0], weight * payload[1])
                    up = max(up, weight * payload[0], weight * payload[1])
            return down, up + per_tick
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        for projection in self.network.incoming(name):
            summed = self.per_step(projection.source)
            if summed is None:
                return None
            least, most = self._arriving(projection, summed)
            low, high = low + least, high + most
        return int(low.min()), int(high.max())

    def payload(self, name: str) -> Range | None:
        """The range of one spike's payload."""
        neuron = self.network.populations[name].neuron
        if neuron.is_input:
            return self.limits.payload
        if neuron.emits == "what arrives":
            return self.payload(self.network.incoming(name)[0].source)
        if neuron.emits == "signed spikes":
            if not neuron.ruled.graded:
                return (-1, 1)
            summed = self.running_sum(name)
            return None if summed is None else (-summed[1], summed[1])
        return (0, 1)

    def per_step(self, name: str) -> Range | None:
        """The range of the payloads that a neuron emits in one step, summed one after the other."""
        neuron = self.network.populations[name].neuron
        if neuron.is_input:
            return self.limits.per_step
        if neuron.emits == "what arrives":
            return self.per_step(self.network.incoming(name)[0].source)
        if neuron.emits == "signed spikes":
            summed = self.running_sum(name)
            return None if summed is None else (-summed[1], summed[1])
        rule = neuron.ruled
        if neuron.rule != "rate" or rule.hard or not rule.multispike or rule.refractory:
            return (0, 1)
        if name in self._in_work:
            return None  # a cycle of neurons that emit many spikes a step
        if rule.test_period or rule.synapse_factor:
            return None
        self._in_work.add(name)
        gains = self._gains(self.network.populations[name])
        self._in_work.discard(name)
        if gains is None:
            return None
        return (0, (rule.threshold + rule.strict - 1 + gains[1]) // rule.threshold)

    # -- sums over synapses ----------------------------------------------------------------------------------

    def _arriving(self, projection: Projection, each: Range) -> tuple[Objects, Objects]:
        """Least and most charge that arrives at each target if every source brings a sum in ``each``."""
        source = self.network.populations[projection.source].shape
        target = self.network.populations[projection.target].shape
        positive, negative = projection.synapses.signed_sums(source)
        low, high = (np.zeros(target, dtype=object) for _ in range(2))
        channels = slice(*projection.channels(source))
        low[..., channels] += positive * each[0] + negative * each[1]
        high[..., channels] += positive * each[1] + negative * each[0]
        return low.reshape(-1), high.reshape(-1)

    def _analog(self, name: str) -> Objects:
        """The largest magnitude of an analog input's quanta at each neuron."""
        given = np.zeros(self.network.populations[name].size, dtype=object)
        if not self.limits.analog:
            return given
        for projection in self.network.incoming(name):
            if projection.source == self.network.input:
                given += self._arriving(projection, (-self.limits.analog, self.limits.analog))[1]
        source: Any = self.network.populations[self.network.input].neuron
        return -(-given // source.analog_scale)


_CHARGES: dict[str, Callable[[_Bounds, Population], Range | None]] = {
    "signed": _Bounds._counted,
    "rate": _Bounds._rate,
    "first_spike": lambda bounds, population: None,  # grows with time
    "readout": _Bounds._counted,
    "softmax": _Bounds._counted,
}


def _objects(values: NDArray[Any]) -> Objects:
    return values.astype(object)
