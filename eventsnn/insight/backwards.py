"""A critical path in the making: pieces of time found backwards, the route of a message among them."""

from __future__ import annotations

from eventsnn.engine.service import SERIALISED
from eventsnn.insight.path import Path, Piece
from eventsnn.insight.traces import Traces

Origin = tuple[str, str, int]  # of a path: what, population, neuron


class Backwards:
    """Pieces found so far, the last first; ``now`` is the tick at which the next one ends."""

    def __init__(self, traces: Traces) -> None:
        self.traces, self.run = traces, traces.run
        self.now = traces.run.decision_time
        self.pieces: list[Piece] = []

    def path(self) -> Path:
        """What was found, from where it began."""
        if self.run.decided_early:
            self._add("decision", self.traces.network.output, "", self.now - self.traces.chip.decision)
        origin, layer, neuron = self._origin()
        pieces = tuple(reversed(self.pieces))
        return Path(origin, layer, neuron, self.run.first_event, self.run.decision_time, pieces)

    def _origin(self) -> Origin:
        """Find pieces from the exit check, or the end of the run, back to the origin."""
        raise NotImplementedError

    def _add(
        self, stage: str, layer: str, place: str, begin: int, behind: dict[str, int] | None = None
    ) -> None:
        """A piece from ``begin`` to where the last one found begins."""
        if begin < self.now:
            self.pieces.append(Piece(stage, layer, place, begin, self.now, behind or {}))
        self.now = begin

    def _wait(self, stage: str, layer: str, place: str, row: int) -> None:
        arrival = int(self.traces.service["arrival"][row])
        if arrival < self.now:
            self._add(stage, layer, place, arrival, self.traces.meanwhile(row))

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
        if not traces.steps:  # there a delay is that of the charge
            delay = traces.copies[traces.service["destination"][landing]][0].delay
            self._add("delay", layer, "", self.now - delay)
        for number in reversed(traces.route(landing)[:-1].tolist()):
            row = traces.service[number]
            if row["kind"] == SERIALISED:
                stage, server, place = "serialise", "serialiser", port_or_core(int(row["core"]))
            else:
                stage, server = "link", "link"
                place = traces.mapping.architecture.network_on_chip.link_name(int(row["core"]))
            self._add("hops", layer, "", int(row["released"]))
            self._add(f"{server} blocked", layer, place, int(row["finish"]))
            self._add(stage, layer, place, int(row["start"]))
            self._wait(f"{server} wait", layer, place, number)


def port_or_core(core: int) -> str:
    """A core as a person would call it; -1 is the input port."""
    return "input port" if core < 0 else f"core {core}"
