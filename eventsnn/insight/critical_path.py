"""The critical path of a decision in the event schedule, found backwards from the landing that decided.

A landing waited for its service, the service for the core, the message for its way and its serialiser, the
spike for its test, the test for the last landing on its neuron, and so on until an input event, or until a
charge that nobody sent: a current, a charge at time 0, a softmax's clock.
"""

from __future__ import annotations

from eventsnn.insight.path import Path, Piece
from eventsnn.insight.service import SERIALISED
from eventsnn.insight.traces import Traces
from eventsnn.network import Input, MaxGate, Rate, Readout, Signed, Softmax


def critical_path(traces: Traces) -> Path:
    """What the decision of a run waited for; its pieces add up exactly."""
    return _Backwards(traces).path()


class _Backwards:
    """Pieces found so far, the last first; ``now`` is the tick at which the next one ends."""

    def __init__(self, traces: Traces) -> None:
        self.traces, self.run = traces, traces.run
        self.now = traces.run.decision_time
        self.pieces: list[Piece] = []

    def path(self) -> Path:
        origin, layer, neuron = self._deciding()
        return Path(
            origin, layer, neuron, self.run.first_event, self.run.decision_time, tuple(reversed(self.pieces))
        )

    def _add(
        self, stage: str, layer: str, place: str, begin: int, behind: dict[str, int] | None = None
    ) -> None:
        """A piece from ``begin`` to where the last one found begins."""
        if begin < self.now:
            self.pieces.append(Piece(stage, layer, place, begin, self.now, behind or {}))
        self.now = begin

    # -- where it ends -------------------------------------------------------------------------------

    def _deciding(self) -> tuple[str, str, int]:
        """From the decision to the last change of the readout, and on to the origin."""
        traces, network = self.traces, self.traces.network
        name = network.output
        rank = traces.rank_of[name]
        if self.run.decided_early:
            self._add("decision", name, "", self.run.decision_time - traces.chip.decision)
        if isinstance(network.populations[name].neuron, Readout):
            landing = traces.last_landing(rank, self.now)
            if landing is None:
                return "nothing", name, -1
            self._add("rest of the run", name, "", int(traces.service["finish"][landing]))
            return self._message(landing)
        spike = traces.last_spike(rank, self.now)
        if spike is None:
            return "nothing", name, -1
        self._add("rest of the run", name, "", spike[0])
        return self._cause(rank, spike[1])

    # -- a message's way -----------------------------------------------------------------------------

    def _message(self, landing: int) -> tuple[str, str, int]:
        """From a landing back to the spike, and on to the origin."""
        traces = self.traces
        while True:
            self._service(landing)
            self._travel(landing)
            row = traces.service[landing]
            rank, neuron = int(row["rank"]), int(row["neuron"])
            tick = traces.spike_tick(rank, neuron, int(row["ordinal"]))
            self._fire(rank, neuron, tick)
            found = self._before_spike(rank, neuron)
            if isinstance(found, tuple):
                return found
            landing = found

    def _service(self, landing: int) -> None:
        """From a landing to its message's arrival at the core."""
        row = self.traces.service[landing]
        layer = self.traces.copies[row["destination"]][1].population
        place = f"core {row['core']}"
        decode, _, update = self.traces.parts_of_service(landing)
        self._add("update", layer, place, self.now - update)
        self._add("synapses", layer, place, int(row["start"]) + decode)
        self._add("decode", layer, place, int(row["start"]))
        self._wait("core wait", layer, place, landing)

    def _travel(self, landing: int) -> None:
        """From the arrival at the core to the message joining its serialiser's queue."""
        traces = self.traces
        layer = traces.order[traces.service["rank"][landing]]
        delay = traces.copies[traces.service["destination"][landing]][0].delay
        self._add("delay", layer, "", self.now - delay)
        for number in reversed(traces.way(landing)[:-1].tolist()):
            row = traces.service[number]
            if row["kind"] == SERIALISED:
                stage, place = "serialise", port_or_core(int(row["core"]))
            else:
                stage = "link"
                place = traces.mapping.architecture.network_on_chip.link_name(int(row["core"]))
            server = "serialiser" if stage == "serialise" else stage
            self._add("hops", layer, "", int(row["released"]))
            self._add(f"{server} blocked", layer, place, int(row["finish"]))
            self._add(stage, layer, place, int(row["start"]))
            self._wait(f"{server} wait", layer, place, number)

    def _wait(self, stage: str, layer: str, place: str, row: int) -> None:
        arrival = int(self.traces.service["arrival"][row])
        if arrival < self.now:
            self._add(stage, layer, place, arrival, self.traces.meanwhile(row))

    # -- a spike's cause -----------------------------------------------------------------------------

    def _fire(self, rank: int, neuron: int, tick: int) -> None:
        """From a message being ready to its spike."""
        traces = self.traces
        layer = traces.order[rank]
        model = traces.network.populations[layer].neuron
        core = traces.part_of(rank, neuron).core
        place = port_or_core(core)
        if isinstance(model, Signed) or (isinstance(model, MaxGate) and model.filter == "exact"):
            finish = self.now - traces.chip.core(core).fire
            scan = traces.scan(rank, neuron, tick, finish)
            self._add("fire", layer, place, finish)
            self._add("test", layer, place, int(traces.service["start"][scan]))
            self._wait("test wait", layer, place, scan)
        else:
            self._add("fire", layer, place, tick)

    def _cause(self, rank: int, neuron: int) -> tuple[str, str, int]:
        """From a spike, at ``now``, to the origin."""
        found = self._before_spike(rank, neuron)
        return found if isinstance(found, tuple) else self._message(found)

    def _before_spike(self, rank: int, neuron: int) -> int | tuple[str, str, int]:
        """The landing that a spike at ``now`` came of, or the path's origin."""
        traces = self.traces
        layer = traces.order[rank]
        model = traces.network.populations[layer].neuron
        if isinstance(model, Input):
            return "input event", layer, neuron
        if isinstance(model, Softmax):
            return "clock", layer, neuron
        landing = traces.last_landing(rank, self.now, neuron)
        if isinstance(model, Rate):
            while landing is None or traces.service["finish"][landing] < self.now:
                earlier = traces.spike_before(rank, neuron, self.now) if model.refractory else None
                if earlier is None or earlier + model.refractory != self.now:
                    return "current", layer, neuron
                self._add("refractory", layer, "", earlier)
                landing = traces.last_landing(rank, self.now, neuron)
        if landing is None:
            return "charge at time 0", layer, neuron
        self._add("settle", layer, "", int(traces.service["finish"][landing]))
        return landing


def port_or_core(core: int) -> str:
    """A core as a person would call it; -1 is the input port."""
    return "input port" if core < 0 else f"core {core}"
