"""The compiled engine: what users run. Python around the kernels of ``kernels``.

It has the network lowered once (``lowering.machine``), makes a fresh state for every sample
(``lowering.sample``), hashes spikes as they come, enlarges buffers when a kernel asks for it, and reads out
what a run gave (``lowering.read_out``).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN
from eventsnn.counting.digest import SampleDigest, spikes_of_log
from eventsnn.decide import Check, ExitRule, considered, started, weighed
from eventsnn.decide.program import program_of
from eventsnn.engine.contract import Engine, RunOptions, SampleRun, output_scale, output_weights
from eventsnn.engine.failures import deadlock, event_limit, history_limit, overflow
from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import State
from eventsnn.engine.lowering.machine import lower
from eventsnn.engine.lowering.read_out import ReadOut
from eventsnn.engine.lowering.routes import waits
from eventsnn.engine.lowering.sample import SampleStart
from eventsnn.engine.lowering.slabs import slab_ticks
from eventsnn.engine.request import FEATURES
from eventsnn.engine.stimulus import Stimulus
from eventsnn.hardware import Mapping
from eventsnn.network import Network


class CompiledEngine(Engine):
    """Spike by spike in Numba kernels; a first run in a fresh environment compiles for some seconds."""

    supports: ClassVar[frozenset[str]] = frozenset(FEATURES)

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        super().__init__(network, mapping, options)
        self._machine = lower(network, mapping, self.options, self.step)
        about = (network, self._machine.plan, self.options, self.step, mapping is not None)
        self._start = SampleStart(*about)
        self._read_out = ReadOut(*about, self._start.shift)
        rule = self.options.exit_rule
        self._own_rule = None if rule is None or program_of(rule) is not None else rule
        self._scale, self._weights = output_scale(network), output_weights(network)

    def begin_at(self, charge: dict[str, NDArray[np.int64]], counts: dict[str, NDArray[np.int64]]) -> Engine:
        """See ``Engine.begin_at``; nothing is lowered again."""
        self._start.begin_at(charge, counts)
        return self

    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample; see ``Engine.run``."""
        self.check(stimulus)
        while True:
            result = self._attempt(stimulus, index)
            if result is not None:
                return result

    def _attempt(self, stimulus: Stimulus, index: int, slabs: bool = True) -> SampleRun | None:
        """One run of the sample, or None when it must start afresh with larger buffers."""
        machine, room = self._machine, self._start.capacities
        state, settings = self._start.begin(stimulus, index)
        ticks = slab_ticks(settings.slab, stimulus, room.sixteenths) if slabs and machine.has_slabs else 0
        settings = settings._replace(slab=ticks)
        moving = machine.fresh(room, state)
        given = self._start.input(stimulus, index)
        rule = started(self._own_rule)
        digest = SampleDigest(self.network.order)
        pieces: list[NDArray[np.int64]] = []
        scalar = state.scalar
        while True:
            with np.errstate(over="ignore"):  # hashes wrap; uncompiled kernels would warn
                machine.advance(state, settings, moving, given)
            status = scalar["status"]
            if status in (k.DRAIN_LOG, k.DONE):
                log = state.log[: scalar["logged"]]
                digest.add_log(log)
                if self.options.record_spikes:
                    pieces.append(spikes_of_log(self.network.order, log))
                if status == k.DONE:
                    if rule is not None and not scalar.early:
                        scalar.prediction = rule.at_end(scalar.prediction)
                    played = machine.played(state, moving, stimulus.first)
                    return self._read_out.sample_run(index, state, played, digest, pieces, given[0])
                if scalar["logged"] == 0:  # one tick alone does not fit
                    room.log *= 2
                    state = state._replace(log=np.zeros(room.log, dtype=np.int64))
                scalar["logged"] = 0
            elif status == k.ASK_RULE:
                self._ask_rule(rule, state, stimulus, given[0])
            elif status == k.GROW_TRACE:
                room.trace *= 2
                state = _doubled(state, "trace", "trace_readout")
                moving = machine.enlarged_trace(moving)
            elif status == k.GROW_HISTORY:
                room.history *= 2
                state = _doubled(state, "history", "history_readout")
            elif status in (k.OVERFLOW, k.EVENT_LIMIT) and settings.slab:
                return self._attempt(stimulus, index, slabs=False)  # says what went wrong first
            elif status in (k.OVERFLOW, k.HISTORY_LIMIT, k.DEADLOCK, k.EVENT_LIMIT):
                raise self._failure(status, state, moving, index)
            else:
                room.enlarge(status, state, settings.slab > 0)
                return None

    def _ask_rule(
        self, rule: ExitRule | None, state: State, stimulus: Stimulus, given: NDArray[np.int64]
    ) -> None:
        """A check of a rule that no kernel knows: what ``kernels.checks.check`` does for the others."""
        scalar = state.scalar
        assert rule is not None
        last = scalar.checks - 1
        now = int(state.trace[last].time)
        verdict = considered(
            rule,
            Check(
                weighed(state.trace_readout[last].tolist(), self._weights),
                self._scale,
                now - stimulus.first,
                int(np.searchsorted(given, now, side="right")),
            ),
        )
        if verdict.due:
            output = self.network.order.index(self.network.output)
            state.counters[output, COLUMN["decision_operations"]] += state.trace_readout.shape[1]
        if verdict.stops:
            latency = self._machine.plan.chip.decision_latency
            scalar.prediction = verdict.prediction
            scalar.decision_time = scalar.stop_at = now + latency
            scalar.early = 1

    def _failure(self, status: int, state: State, moving: Any, index: int) -> Exception:
        """Why a sample could not be run to its end."""
        rank, neuron = state.scalar.bad_rank, state.scalar.bad_neuron
        if status == k.OVERFLOW:
            return overflow(self.network, rank, neuron, index)
        if status == k.HISTORY_LIMIT:
            return history_limit(self.options.history_period, neuron)
        if status == k.EVENT_LIMIT:
            return event_limit(self.options.max_events, index)
        assert self.mapping is not None
        return deadlock(waits(moving), index, self.mapping.architecture.network_on_chip)


def _doubled(state: State, *names: str) -> State:
    """A state with some of its arrays twice as long."""
    arrays = {name: getattr(state, name) for name in names}
    longer: dict[str, Any] = {n: np.concatenate([a, np.zeros_like(a)]) for n, a in arrays.items()}
    return state._replace(**longer)
