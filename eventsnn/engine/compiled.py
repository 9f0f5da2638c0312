"""The compiled engine: what users run. Python around the kernels of ``kernels.py``.

It lowers the network once, makes a fresh state for every sample, hashes spikes as they come, and
enlarges buffers when a kernel asks for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine import kernels as k
from eventsnn.engine.contract import (
    SERVICE_FIELDS,
    Engine,
    RunOptions,
    SampleRun,
    SpikeList,
    Stimulus,
    Trace,
    output_scale,
)
from eventsnn.engine.failures import event_limit, overflow
from eventsnn.engine.plan import (
    CURRENT,
    HAS_CURRENT,
    KIND,
    KIND_RATE,
    OFFSET,
    PERIOD,
    SIZE,
    STRICT,
    THRESHOLD,
    build_plan,
    initial_charge,
    initial_count,
)
from eventsnn.engine.seeds import sample_key
from eventsnn.hardware import Mapping
from eventsnn.network import Network, Signed
from eventsnn.results.counters import COUNTERS
from eventsnn.results.digest import SampleDigest


class CompiledEngine(Engine):
    """Spike by spike in Numba kernels; a first run in a fresh environment compiles for some seconds."""

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        super().__init__(network, mapping, options)
        self._plan = build_plan(network, mapping)
        self._initial = initial_charge(network)
        self._initial_count = initial_count(network)
        self._limit = self._resting_limits()
        self._cores = 1 + (mapping.architecture.cores if mapping else 0)
        # Buffer sizes, kept from sample to sample so that growing is rare.
        self._spike_capacity = 1 << 16
        self._pending_capacity = 1 << 12
        self._service_capacity = 1 << 16 if self.options.record_service else 1
        self._trace_capacity = 256

    def _resting_limits(self) -> NDArray[np.int32]:
        limit = np.zeros(len(self._initial), dtype=np.int32)
        for row in self._plan.population:
            if row[KIND] == KIND_RATE:
                limit[row[OFFSET] : row[OFFSET] + row[SIZE]] = row[THRESHOLD] + row[STRICT]
        return limit

    def _settings(self, index: int, first_event: int) -> k.Settings:
        rule = self.options.exit_rule
        population = self._plan.population
        currents = population[(population[:, HAS_CURRENT] == 1) & (population[:, KIND] == KIND_RATE)]
        hysteresis = any(
            isinstance(p.neuron, Signed) and (p.neuron.hysteresis_low or p.neuron.hysteresis_high)
            for p in self.network
        )
        return k.Settings(
            rule=rule.code if rule else k.RULE_NONE,
            rule_threshold=float(rule.threshold) if rule else 0.0,
            output_rank=self.network.order.index(self.network.output),
            output_scale=output_scale(self.network),
            seed_key=np.uint64(sample_key(self.options.seed, index)),
            max_events=self.options.max_events,
            first_event=first_event,
            window=self._window(currents),
            settle_pass=bool(hysteresis),
            log_service=bool(self.options.record_service and self.mapping is not None),
        )

    def _window(self, currents: NDArray[np.int64]) -> int:
        """Ticks after which currents are folded into charges: no window lets one grow past 2^28 quanta."""
        lengths = []
        for row in currents:
            quanta = np.abs(
                self._plan.neuron[CURRENT, row[OFFSET] : row[OFFSET] + row[SIZE]].astype(np.int64)
            )
            lengths.append(max(1, 2**28 * int(row[PERIOD]) // int(quanta.max())))
        return min([int(currents[:, PERIOD].max()), *lengths]) if len(currents) else 0

    def _fresh_state(self) -> k.State:
        plan, neurons, ranks = self._plan, len(self._initial), len(self._plan.population)
        scalar = np.zeros(k.SCALARS, dtype=np.int64)
        scalar[k.STOP_AT] = k.NEVER
        scalar[k.PREDICTION] = -1
        scalar[k.WINDOW_END] = k.NEVER
        classes = self.network.populations[self.network.output].size
        neuron = np.zeros((neurons, k.NEURON_COLUMNS), dtype=np.int64)
        neuron[:, k.CANDIDATE] = k.NEVER
        rank = np.zeros((ranks, k.RANK_COLUMNS), dtype=np.int64)
        rank[:, k.TOUCHED_START] = plan.population[:, SIZE]
        rank[:, k.TEST_DUE] = k.NEVER
        return k.State(
            charge=self._initial.copy(),
            emitted=self._initial_count.copy(),
            touched=np.zeros(neurons, dtype=np.uint8),
            limit=self._limit.copy(),
            neuron=neuron,
            rank=rank,
            counters=np.zeros((ranks, len(COUNTERS)), dtype=np.int64),
            spikes=np.zeros((self._spike_capacity, 5), dtype=np.int64),
            order=np.zeros((2, self._spike_capacity), dtype=np.int64),
            pending=np.zeros((self._pending_capacity, 4), dtype=np.int64),
            crossings=np.zeros((self._pending_capacity, 3), dtype=np.int64),
            trace=np.zeros((self._trace_capacity, 4), dtype=np.int64),
            trace_readout=np.zeros((self._trace_capacity, classes), dtype=np.int64),
            core=np.zeros((self._cores, k.CORE_COLUMNS), dtype=np.int64),
            part=np.zeros((len(plan.part_core), k.PART_COLUMNS), dtype=np.int64),
            service=np.zeros((self._service_capacity, 7), dtype=np.int64),
            scalar=scalar,
        )

    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """Simulate one sample; see ``Engine.run``."""
        while True:
            result = self._attempt(stimulus, index)
            if result is not None:
                return result

    def _attempt(self, stimulus: Stimulus, index: int) -> SampleRun | None:
        """One run of the sample, or None when it must start afresh with larger buffers."""
        settings, state = self._settings(index, stimulus.first), self._fresh_state()
        digest = SampleDigest(self.network.order)
        pieces: list[NDArray[np.int64]] = []
        scalar = state.scalar
        while True:
            k.advance(self._plan, state, settings, stimulus.time, stimulus.neuron)
            status = scalar[k.STATUS]
            if status in (k.DRAIN_SPIKES, k.DONE):
                spikes = state.spikes[: scalar[k.SPIKES]]
                digest.add_spikes(spikes[:, 0], spikes[:, 1], spikes[:, 2], spikes[:, 3])
                if self.options.record_spikes:
                    pieces.append(spikes.copy())
                scalar[k.SPIKES] = 0
                if status == k.DONE:
                    return self._result(stimulus, index, state, digest, pieces)
            elif status == k.GROW_TRACE:
                self._trace_capacity *= 2
                state = state._replace(
                    trace=_doubled(state.trace), trace_readout=_doubled(state.trace_readout)
                )
            elif status == k.OVERFLOW:
                raise overflow(self.network, scalar[k.BAD_RANK], scalar[k.BAD_NEURON], index)
            elif status == k.EVENT_LIMIT:
                raise event_limit(self.options.max_events, index)
            else:
                self._enlarge(status)
                return None

    def _enlarge(self, status: int) -> None:
        if status == k.GROW_SPIKES:
            self._spike_capacity *= 4
        elif status == k.GROW_HEAP:
            self._pending_capacity *= 4
        else:
            self._service_capacity *= 4

    def _result(
        self,
        stimulus: Stimulus,
        index: int,
        state: k.State,
        digest: SampleDigest,
        pieces: list[NDArray[np.int64]],
    ) -> SampleRun:
        scalar = state.scalar
        checks = scalar[k.CHECKS]
        prediction, decision_time = int(scalar[k.PREDICTION]), int(scalar[k.DECISION_TIME])
        spikes = None
        if self.options.record_spikes:
            table = np.concatenate(pieces)
            table = table[np.lexsort((table[:, 2], table[:, 1], table[:, 0]))]
            spikes = SpikeList(*(table[:, column].copy() for column in range(4)))
        service = None
        if self.options.record_service and self.mapping is not None:
            rows = np.ascontiguousarray(state.service[: scalar[k.SERVICES]])
            service = rows.view(SERVICE_FIELDS).reshape(-1)
        slices = {
            name: slice(row[OFFSET], row[OFFSET] + row[SIZE])
            for name, row in zip(self.network.order, self._plan.population, strict=True)
        }
        return SampleRun(
            index=index,
            prediction=prediction,
            decision_time=decision_time,
            decided_early=bool(scalar[k.EARLY]),
            first_event=stimulus.first,
            counters=state.counters,
            digest=digest.finish(prediction, decision_time, state.counters),
            trace=Trace(
                time=state.trace[:checks, 0].copy(),
                readout=state.trace_readout[:checks].copy(),
                synaptic_operations=state.trace[:checks, 1].copy(),
                spikes=state.trace[:checks, 2].copy(),
                energy=state.trace[:checks, 3].copy(),
            ),
            counts={name: state.emitted[s].astype(np.int64) for name, s in slices.items()},
            charge={name: self._charge(state, name, s) for name, s in slices.items()},
            lost={
                cause: {name: lost[s].copy() for name, s in slices.items()}
                for cause, lost in (
                    ("hard_reset", state.neuron[:, k.LOST_RESET]),
                    ("clamp", state.neuron[:, k.LOST_CLAMP]),
                )
            },
            spikes=spikes,
            service=service,
        )

    def _charge(self, state: k.State, name: str, where: slice) -> NDArray[np.int64]:
        """Charges at the decision, currents included."""
        charge = state.charge[where].astype(np.int64)
        row = self._plan.population[self.network.order.index(name)]
        if row[HAS_CURRENT]:
            scalar = state.scalar
            now = min(scalar[k.DECISION_TIME], scalar[k.INPUT_END])
            quanta = self._plan.neuron[CURRENT, where].astype(np.int64)
            charge += _current_charge(quanta, row[PERIOD], now)
            if row[KIND] == KIND_RATE:
                folded = min(scalar[k.WINDOW_START], scalar[k.INPUT_END])
                charge -= _current_charge(quanta, row[PERIOD], folded)
        return charge


def _current_charge(quanta: NDArray[np.int64], period: int, time: int) -> NDArray[np.int64]:
    """floor(quanta * time / period), elementwise, without leaving 64 bits."""
    whole, rest = divmod(int(time), int(period))
    return quanta * whole + (quanta * rest) // int(period)


def _doubled(array: NDArray) -> NDArray:
    return np.concatenate([array, np.zeros_like(array)])
