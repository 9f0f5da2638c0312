"""The compiled engine: what users run. Python around the kernels of ``kernels``.

It lowers the network once, makes a fresh state for every sample (``starts``), hashes spikes as they come,
enlarges buffers when a kernel asks for it (``capacities``), and reads out what a run gave (``outcome``).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.digest import SampleDigest, spikes_of_log
from eventsnn.decide import asks_to_stop, decision, weighed
from eventsnn.engine.contract import Engine, RunOptions, SampleRun, output_scale, output_weights
from eventsnn.engine.failures import deadlock, event_limit, history_limit, overflow
from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import Queues, State
from eventsnn.engine.outcome import Outcome, Played
from eventsnn.engine.plan import Plan, build_plan, destinations
from eventsnn.engine.request import FEATURES
from eventsnn.engine.starts import SampleStart
from eventsnn.engine.stimulus import Stimulus
from eventsnn.engine.walk_plan import WalkPlan, Walks
from eventsnn.engine.ways import Ways, build_ways, fresh_queues, fresh_streams, is_plain, waits
from eventsnn.hardware import Chip, Mapping
from eventsnn.network import Network


class CompiledEngine(Engine):
    """Spike by spike in Numba kernels; a first run in a fresh environment compiles for some seconds."""

    supports: ClassVar[frozenset[str]] = frozenset(FEATURES)

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        super().__init__(network, mapping, options)
        # In steps what happens is the same on an accelerator and without one; it is played there afterwards.
        self._walks: WalkPlan | None = None
        self._ways: Ways | None = None
        self._plain = False
        self._cores = mapping.architecture.number_of_cores if mapping is not None else 0
        self._plan = self._lowered(network, mapping)
        about = (network, self._plan, self.options, self.step, mapping is not None)
        self._start = SampleStart(*about)
        self._scale, self._weights = output_scale(network), output_weights(network)
        self._outcome = Outcome(*about, self._start.shift)
        # What a network has no use for is not compiled for it: see ``kernels.loop.advance``.
        kinds = set(self._plan.population.kind.tolist())
        plain = kinds <= {k.KIND_INPUT, k.KIND_SIGNED, k.KIND_READOUT} and not self.step
        self._full = None if plain else 1

    def _lowered(self, network: Network, mapping: Mapping | None) -> Plan:
        """The network as flat arrays; notes how its messages or steps go on an accelerator."""
        seeded = self.options.ties == "seeded" and not self.step
        if mapping is None:
            return build_plan(network, queued=seeded)
        if self.step:
            self._walks = WalkPlan(network, mapping, self.step, self.options.record_service)
            return self._walks.price(build_plan(network, marked=True))
        chip = Chip(mapping)
        self._plain = is_plain(network, chip, seeded)
        self._ways = build_ways(network, chip, destinations(network, mapping), self._plain)
        return build_plan(network, mapping, seeded, self._ways)

    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample; see ``Engine.run``."""
        self.check(stimulus)
        while True:
            result = self._attempt(stimulus, index)
            if result is not None:
                return result

    def _attempt(self, stimulus: Stimulus, index: int) -> SampleRun | None:
        """One run of the sample, or None when it must start afresh with larger buffers."""
        from eventsnn.engine.kernels.loop import advance

        if self._walks is not None:
            from eventsnn.engine.kernels.chip_steps import advance_on_chip

        room = self._start.capacities
        state, settings = self._start.begin(stimulus, index)
        streams = queues = walks = under_way = None
        if self._walks is not None:
            walks = self._walks.fresh_walks(len(state.lists), room.pending, room.service, room.trace)
            under_way = self._walks.fresh_ways(room.pending)
        elif self._ways is not None and self._plain:
            streams = fresh_streams(self._ways, self._cores, room.messages)
        elif self._ways is not None:
            queues = fresh_queues(self._ways, room.messages)
        ideal = 1 if self._ways is None else None
        time, words = self._start.input(stimulus, index)
        digest = SampleDigest(self.network.order)
        pieces: list[NDArray[np.int64]] = []
        scalar = state.scalar
        while True:
            with np.errstate(over="ignore"):  # hashes wrap; uncompiled kernels would warn
                if walks is None:
                    advance(self._plan, state, settings, self._full, ideal, streams, queues, time, words)
                else:
                    advance_on_chip(self._plan, state, settings, self._full, walks, under_way, time, words)
            status = scalar.status
            if status in (k.DRAIN_LOG, k.DONE):
                log = state.log[: scalar.logged]
                digest.add_log(log)
                if self.options.record_spikes:
                    pieces.append(spikes_of_log(self.network.order, log))
                if status == k.DONE:
                    played = self._played(stimulus, state, walks)
                    return self._outcome.sample_run(index, state, played, digest, pieces)
                if scalar.logged == 0:  # one tick alone does not fit
                    room.log *= 2
                    state = state._replace(log=np.zeros(room.log, dtype=np.int64))
                scalar.logged = 0
            elif status == k.ASK_RULE:
                self._ask_rule(state)
            elif status == k.GROW_TRACE:
                room.trace *= 2
                state = _doubled(state, "trace", "trace_readout")
                if walks is not None:
                    walks = _doubled(walks, "checked")
            elif status == k.GROW_HISTORY:
                room.history *= 2
                state = _doubled(state, "history", "history_readout")
            elif status in (k.OVERFLOW, k.HISTORY_LIMIT, k.DEADLOCK, k.EVENT_LIMIT):
                raise self._failure(status, state, queues, index)
            else:
                room.enlarge(status, state)
                return None

    def _ask_rule(self, state: State) -> None:
        """A check of a rule that no kernel knows: what ``kernels.checks.check`` does for the others."""
        rule, scalar = self.options.exit_rule, state.scalar
        assert rule is not None
        last = scalar.checks - 1
        readout = weighed(state.trace_readout[last].tolist(), self._weights)
        if asks_to_stop(rule, readout, self._scale):
            scalar.prediction = decision(readout)
            scalar.decision_time = scalar.stop_at = state.trace[last].time + self._plan.chip.decision_latency
            scalar.early = 1

    def _failure(self, status: int, state: State, queues: Queues | None, index: int) -> Exception:
        """Why a sample could not be run to its end."""
        rank, neuron = state.scalar.bad_rank, state.scalar.bad_neuron
        if status == k.OVERFLOW:
            return overflow(self.network, rank, neuron, index)
        if status == k.HISTORY_LIMIT:
            return history_limit(self.options.history_period, neuron)
        if status == k.EVENT_LIMIT:
            return event_limit(self.options.max_events, index)
        assert queues is not None
        assert self.mapping is not None
        return deadlock(waits(queues), index, self.mapping.architecture.network_on_chip)

    def _played(self, stimulus: Stimulus, state: State, walks: Walks | None) -> Played:
        """Times, services and counters, the accelerator's own where there is one."""
        scalar = state.scalar
        checks, logged = scalar.checks, self.options.record_service and self.mapping is not None
        if walks is None or self._walks is None:
            services = state.service[: scalar.services] if logged else None
            parts = None if self._ways is None else state.parts
            checked = state.trace["time"][:checks]
            return Played(int(scalar.decision_time), stimulus.first, checked, services, parts)
        services = walks.service[: scalar.services] if logged else None
        early = scalar.early
        moment, first_event, checked = self._walks.moments(walks, stimulus.first, early, checks)
        return Played(moment, first_event, checked, services, walks.counters)


def _doubled(arrays: Any, *names: str) -> Any:
    """A tuple of arrays with some of them twice as long."""
    longer = {name: getattr(arrays, name) for name in names}
    return arrays._replace(
        **{name: np.concatenate([array, np.zeros_like(array)]) for name, array in longer.items()}
    )
