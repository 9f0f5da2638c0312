"""What a run of the compiled engine gave, read out of its state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.digest import SampleDigest
from eventsnn.engine.contract import History, RunOptions, SampleRun, SpikeList, Trace
from eventsnn.engine.failures import HISTORY_ROWS, check_readout, history_limit
from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import Plan, State
from eventsnn.engine.lowering.currents import current_charge
from eventsnn.engine.lowering.machine import Played
from eventsnn.engine.service import SERVICE
from eventsnn.network import Network

LOST = {
    "hard_reset": k.LOST_RESET,
    "clamp": k.LOST_CLAMP,
    "leak": k.LOST_LEAK,
    "refractory": k.LOST_REFRACTORY,
}


@dataclass(frozen=True)
class ReadOut:
    """Makes a ``SampleRun`` of a sample's last state; charges of each rank are held less their ``shift``."""

    network: Network
    plan: Plan
    options: RunOptions
    step: int
    on_chip: bool
    shift: NDArray[np.int64]

    @cached_property
    def output(self) -> int:
        """Rank of the output."""
        return self.network.order.index(self.network.output)

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where each population's neurons stand."""
        rows = self.plan.population
        starts, stops = rows.offset.tolist(), (rows.offset + rows.neurons).tolist()
        return {n: slice(a, b) for n, a, b in zip(self.network.order, starts, stops, strict=True)}

    @cached_property
    def held(self) -> NDArray[np.int64]:
        """What the charge of each neuron is held less."""
        return np.repeat(self.shift, self.plan.population.neurons)

    @cached_property
    def once(self) -> list[slice]:
        """Places of the populations whose neurons fire once."""
        return [self.places[p.name] for p in self.network if p.neuron.rule == "first_spike"]

    @cached_property
    def synaptic(self) -> list[slice]:
        """Places of the populations whose charge is apart from a synaptic current."""
        found = self.plan.population.synaptic.tolist()
        return [place for place, apart in zip(self.places.values(), found, strict=True) if apart]

    @cached_property
    def nothing(self) -> dict[str, NDArray[np.int64]]:
        """No loss of any neuron: what all samples may share, since nobody can write it."""
        found = {
            name: np.zeros(place.stop - place.start, dtype=np.int64) for name, place in self.places.items()
        }
        for array in found.values():
            array.flags.writeable = False
        return found

    def sample_run(
        self,
        index: int,
        state: State,
        played: Played,
        digest: SampleDigest,
        pieces: list[NDArray[np.int64]],
        given: NDArray[np.int64],
    ) -> SampleRun:
        """All that a run gave; ``pieces`` are its spikes, ``given`` the ticks of its input."""
        scalar = state.scalar
        checks = scalar["checks"]
        biases = state.rank["bias_length"].tolist()
        if biases[self.output]:  # without a current the charge itself is guarded
            check_readout(self.network, state.trace_readout[:checks], index)
        prediction, decision_time = int(scalar["prediction"]), int(scalar["decision_time"])
        service = self._service(state, decision_time)
        charge = self._charge(state, biases, decision_time)
        emitted = state.neurons.emitted.astype(np.int64)
        charges = {name: charge[where] for name, where in self.places.items()}
        counts = {name: emitted[where] for name, where in self.places.items()}
        return SampleRun(
            index=index,
            prediction=prediction,
            decision_time=played.decision_time,
            decided_early=bool(scalar["early"]),
            first_event=played.first_event,
            counters=state.counters,
            digest=digest.finish(prediction, played.decision_time, state.counters),
            trace=Trace(
                time=played.checked.copy(),
                readout=_handed_over(state.trace_readout, int(checks)),
                synaptic_operations=state.trace["synaptic_operations"][:checks].copy(),
                spikes=state.trace["spikes"][:checks].copy(),
                energy=state.trace["energy"][:checks].copy(),
                input_events=np.searchsorted(given, state.trace["time"][:checks], side="right"),
            ),
            counts=counts,
            charge=charges,
            lost=self._lost(state),
            spikes=SpikeList(*np.concatenate(pieces).T.copy()) if self.options.record_spikes else None,
            service=service,
            history=self._history(state, counts, charges, played.decision_time),
            parts=played.parts,
        )

    def _service(self, state: State, decision_time: int) -> NDArray[Any] | None:
        """The log as records; in the event schedule without what joined a queue after the decision."""
        if not (self.options.record_service and self.on_chip):
            return None
        service = state.service[: state.scalar.services].astype(SERVICE)
        if not self.step:
            service = service[service["arrival"] <= decision_time]
            for name in ("finish", "released", "start"):  # planned for after the decision
                service[name][service["start"] > decision_time] = decision_time + 1
        return service

    def _history(
        self,
        state: State,
        counts: dict[str, NDArray[np.int64]],
        charges: dict[str, NDArray[np.int64]],
        decided: int,
    ) -> History | None:
        """The rows before the decision, and what there was at it."""
        period = self.options.history_period
        if not period:
            return None
        output, rows = self.network.output, int(state.scalar.history_rows)
        last = 1
        if not self.step:  # a tick that was looked at in vain came after the decision: so did rows before it
            rows = min(rows, max(0, decided - 1) // period)
        if self.on_chip and self.step:  # nothing happens after the last step until it is decided
            if (decided - 1) // period > HISTORY_ROWS:
                raise history_limit(period, decided)
            last = max(1, -(-decided // period) - rows)
        is_readout = self.network.populations[output].neuron.emits == "nothing"
        final = (charges if is_readout else counts)[output]
        return History(
            time=(1 + np.arange(rows + last)) * period,
            counters=np.concatenate([state.history[:rows], *[state.counters[None]] * last]),
            readout=np.concatenate([state.history_readout[:rows], *[final[None]] * last]),
        )

    def _lost(self, state: State) -> dict[str, dict[str, NDArray[np.int64]]]:
        if state.neurons.lost.shape[1] < len(state.neurons.charge):  # nothing can be lost
            return {cause: dict(self.nothing) for cause in LOST}
        return {
            cause: {name: state.neurons.lost[row, where] for name, where in self.places.items()}
            for cause, row in LOST.items()
        }

    def _charge(self, state: State, biases: list[int], now: int) -> NDArray[np.int64]:
        """Charges at the decision, currents included: of tables of so many ``biases``."""
        charge = state.neurons.charge + self.held
        for where in self.synaptic:
            charge[where] = state.neurons.membrane[where]
        for where in self.once:  # held apart from the slopes
            charge[where] = state.neurons.ready[where]
        if not any(biases):
            return charge
        now = min(now, int(state.scalar["input_end"]))
        for rank, (where, length) in enumerate(zip(self.places.values(), biases, strict=True)):
            if length == 0 or where in self.once or where in self.synaptic:
                continue
            shift = self.shift[rank]
            start = state.rank["bias_start"][rank]
            table = slice(start, start + length)
            quanta = state.currents.quanta[table].astype(np.int64)
            row = self.plan.population[rank]
            if self.step:
                if not shift:
                    flowed = max(0, now - int(row.start_time)) // self.step
                    charge[where] += self._tiled(quanta, where) * flowed
                continue
            # A population that is still held has been given nothing.
            held = min(int(row.start_time), int(state.scalar["input_end"]))
            given = current_charge(quanta, int(row.period), max(now, held))
            given = given - state.currents.base[table]
            if shift:
                given += state.currents.shift[table] - shift
            charge[where] += self._tiled(given, where)
        return charge

    @staticmethod
    def _tiled(table: NDArray[np.int64], where: slice) -> NDArray[np.int64]:
        return np.tile(table, (where.stop - where.start) // len(table))


def _handed_over(buffer: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """The first rows of a sample's own buffer: copied where most of it is empty."""
    return buffer[:rows] if 2 * rows > len(buffer) else buffer[:rows].copy()
