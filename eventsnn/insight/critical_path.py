"""The critical path of a decision in the event schedule, found backwards from the landing that decided.

A landing waited for its service, the service for the core, the message for its route and its serialiser, the
spike for its test, the test for the last landing on its neuron, and so on until an input event, or until a
charge that nobody sent: a current, a charge at time 0, a softmax's clock.
"""

from __future__ import annotations

from eventsnn.insight.backwards import Backwards, Origin, port_or_core
from eventsnn.insight.path import Path
from eventsnn.insight.step_path import StepPath
from eventsnn.insight.traces import Traces


def critical_path(traces: Traces) -> Path:
    """What the decision of a run waited for; its pieces add up exactly."""
    return (StepPath(traces) if traces.steps else EventPath(traces)).path()


class EventPath(Backwards):
    """The critical path in the event schedule."""

    def _origin(self) -> Origin:
        """From the last change of the readout back."""
        traces, network = self.traces, self.traces.network
        name = network.output
        rank = traces.rank_of[name]
        if network.populations[name].neuron.emits == "nothing":
            landing = traces.last_landing(rank, self.now)
            if landing is None:
                return "nothing", name, -1
            self._add("rest of the run", name, "", int(traces.service["finish"][landing]))
            return self._from_landing(landing)
        spike = traces.last_spike(rank, self.now)
        if spike is None:
            return "nothing", name, -1
        self._add("rest of the run", name, "", spike[0])
        found = self._before_spike(rank, spike[1])
        return found if isinstance(found, tuple) else self._from_landing(found)

    def _from_landing(self, landing: int) -> Origin:
        """From a landing back."""
        traces = self.traces
        while True:
            self._service(landing)
            self._travel(landing)
            row = traces.service[landing]
            rank, neuron = int(row["rank"]), int(row["neuron"])
            self._fire(rank, neuron, traces.spike_tick(rank, neuron, int(row["ordinal"])))
            found = self._before_spike(rank, neuron)
            if isinstance(found, tuple):
                return found
            landing = found

    def _fire(self, rank: int, neuron: int, tick: int) -> None:
        """From a message being ready to its spike."""
        traces = self.traces
        layer = traces.order[rank]
        model = traces.network.populations[layer].neuron
        core = traces.part_of(rank, neuron).core
        place = port_or_core(core)
        if model.tested == "after deliveries":
            finish = self.now - traces.chip.core(core).fire
            scan = traces.scan(rank, neuron, tick, finish)
            self._add("fire", layer, place, finish)
            self._add("test", layer, place, int(traces.service["start"][scan]))
            self._wait("test wait", layer, place, scan)
        else:
            self._add("fire", layer, place, tick)

    def _before_spike(self, rank: int, neuron: int) -> int | Origin:
        """The landing that a spike at ``now`` came of, or the path's origin."""
        traces = self.traces
        layer = traces.order[rank]
        model = traces.network.populations[layer].neuron
        if model.is_input:
            return "input event", layer, neuron
        if model.drawn:
            return "clock", layer, neuron
        landing = traces.last_landing(rank, self.now, neuron)
        rule = model.parameters_of_rule()
        if model.tested == "at delivery":
            refractory = int(rule.get("refractory", 0))
            while landing is None or traces.service["finish"][landing] < self.now:
                earlier = traces.spike_before(rank, neuron, self.now) if refractory else None
                if earlier is None or earlier + refractory != self.now:
                    return "current", layer, neuron
                self._add("refractory", layer, "", earlier)
                landing = traces.last_landing(rank, self.now, neuron)
        # Charge that lands is tested within the settle time: later tests are those of the settle pass, which
        # waited for everything else to be over.
        landed = 0 if landing is None else int(traces.service["finish"][landing])
        if model.tested == "after deliveries" and landed + int(rule["settle_time"]) < self.now:
            if self.now == traces.input_end:
                return "end of input", layer, neuron
            landing = traces.last_landing_of_all(self.now)
        if landing is None:
            return "charge at time 0", layer, neuron
        self._add("settle", layer, "", int(traces.service["finish"][landing]))
        return landing
