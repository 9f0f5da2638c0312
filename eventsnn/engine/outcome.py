"""What a run of the compiled engine gave, read out of its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine import columns as k
from eventsnn.engine.contract import SERVICE_FIELDS, History, RunOptions, SampleRun, SpikeList, Trace
from eventsnn.engine.failures import HISTORY_ROWS, check_readout, history_limit
from eventsnn.engine.kernels.state import State
from eventsnn.engine.plan import Plan
from eventsnn.network import Network, Readout
from eventsnn.results.digest import SampleDigest

LOST = {
    "hard_reset": k.LOST_RESET,
    "clamp": k.LOST_CLAMP,
    "leak": k.LOST_LEAK,
    "refractory": k.LOST_REFRACTORY,
}


class Played(NamedTuple):
    """What an accelerator may have its own of: times in ticks, services as rows, counters by part."""

    decision_time: int
    first_event: int
    checked: NDArray[np.int64]  # (checks,)
    services: NDArray[np.int64] | None
    parts: NDArray[np.int64] | None


@dataclass(frozen=True)
class Outcome:
    """Makes a ``SampleRun`` of a sample's last state; charges of each rank are held less their ``shift``."""

    network: Network
    plan: Plan
    options: RunOptions
    step: int
    on_chip: bool
    shift: NDArray[np.int64]

    def sample_run(
        self,
        index: int,
        state: State,
        played: Played,
        digest: SampleDigest,
        pieces: list[NDArray[np.int64]],
    ) -> SampleRun:
        """All that a run gave; ``pieces`` are its spikes."""
        scalar = state.scalar
        checks = scalar[k.CHECKS]
        check_readout(self.network, state.trace_readout[:checks], index)
        prediction, decision_time = int(scalar[k.PREDICTION]), int(scalar[k.DECISION_TIME])
        service = self._service(played.services, decision_time)
        slices = {
            name: slice(row[k.OFFSET], row[k.OFFSET] + row[k.SIZE])
            for name, row in zip(self.network.order, self.plan.population, strict=True)
        }
        charges = {
            name: self._charge(state, rank, where, decision_time)
            for rank, (name, where) in enumerate(slices.items())
        }
        counts = {name: state.emitted[where].astype(np.int64) for name, where in slices.items()}
        return SampleRun(
            index=index,
            prediction=prediction,
            decision_time=played.decision_time,
            decided_early=bool(scalar[k.EARLY]),
            first_event=played.first_event,
            counters=state.counters,
            digest=digest.finish(prediction, played.decision_time, state.counters),
            trace=Trace(
                time=played.checked.copy(),
                readout=state.trace_readout[:checks].copy(),
                synaptic_operations=state.trace[:checks, 1].copy(),
                spikes=state.trace[:checks, 2].copy(),
                energy=state.trace[:checks, 3].copy(),
            ),
            counts=counts,
            charge=charges,
            lost={
                cause: {
                    name: state.lost[row, s].copy()
                    if state.lost.shape[1] == len(state.charge)
                    else np.zeros(s.stop - s.start, dtype=np.int64)
                    for name, s in slices.items()
                }
                for cause, row in LOST.items()
            },
            spikes=SpikeList(*np.concatenate(pieces).T.copy()) if self.options.record_spikes else None,
            service=service,
            history=self._history(state, counts, charges, played.decision_time),
            parts=played.parts,
        )

    def _service(self, services: NDArray[np.int64] | None, decision_time: int) -> NDArray | None:
        """The log as records; in the event schedule without what joined a queue after the decision."""
        if services is None:
            return None
        service = np.ascontiguousarray(services).view(SERVICE_FIELDS).reshape(-1)
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
        output, rows = self.network.output, state.scalar[k.HISTORY_ROWS]
        last = 1
        if self.on_chip and self.step:  # nothing happens after the last step until it is decided
            if (decided - 1) // period > HISTORY_ROWS:
                raise history_limit(period, decided)
            last = max(1, -(-decided // period) - rows)
        is_readout = isinstance(self.network.populations[output].neuron, Readout)
        final = (charges if is_readout else counts)[output]
        return History(
            time=(1 + np.arange(rows + last)) * period,
            counters=np.concatenate([state.history[:rows], *[state.counters[None]] * last]),
            readout=np.concatenate([state.history_readout[:rows], *[final[None]] * last]),
        )

    def _charge(self, state: State, rank: int, where: slice, now: int) -> NDArray[np.int64]:
        """Charges at the decision, currents included."""
        charge = state.charge[where].astype(np.int64)
        live = state.rank[rank]
        start, length = live[k.BIAS_START], live[k.BIAS_LENGTH]
        if length == 0 or self.step:
            charge += self.shift[rank]
            if self.step and length and not self.shift[rank]:
                charge += self._tiled(state.quanta[start : start + length].astype(np.int64), where) * (
                    min(now, state.scalar[k.INPUT_END]) // self.step
                )
            return charge
        table = slice(start, start + length)
        given = _current_charge(
            state.quanta[table].astype(np.int64),
            int(self.plan.population[rank, k.PERIOD]),
            min(now, int(state.scalar[k.INPUT_END])),
        )
        if self.shift[rank]:
            given += state.shift[table] - state.base[table]
        return charge + self._tiled(given, where)

    @staticmethod
    def _tiled(table: NDArray[np.int64], where: slice) -> NDArray[np.int64]:
        return np.tile(table, (where.stop - where.start) // len(table))


def _current_charge(quanta: NDArray[np.int64], period: int, time: int) -> NDArray[np.int64]:
    """floor(quanta * time / period), elementwise, without leaving 64 bits."""
    whole, rest = divmod(time, period)
    return quanta * whole + (quanta * rest) // period
