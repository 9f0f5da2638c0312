"""The compiled engine: what users run. Python around the kernels of ``kernels``.

It lowers the network once, makes a fresh state for every sample, hashes spikes as they come, and
enlarges buffers when a kernel asks for it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.decide.kernels import RULE_NONE
from eventsnn.engine import columns as k
from eventsnn.engine import walk_columns as w
from eventsnn.engine.analog import AnalogInput
from eventsnn.engine.contract import (
    SERVICE_COLUMNS,
    SERVICE_FIELDS,
    Engine,
    History,
    RunOptions,
    SampleRun,
    SpikeList,
    Trace,
    output_scale,
)
from eventsnn.engine.failures import (
    HISTORY_ROWS,
    check_readout,
    deadlock,
    event_limit,
    history_limit,
    overflow,
)
from eventsnn.engine.kernels.state import Queues, Settings, State, Streams
from eventsnn.engine.order import SEEDED_SHIFT
from eventsnn.engine.plan import Currents, build_plan, currents, destinations, initial_charge, initial_count
from eventsnn.engine.request import FEATURES, number_of_steps, takes_current
from eventsnn.engine.seeds import PURPOSE_TIES, draw, sample_key
from eventsnn.engine.softmax_tables import next_event
from eventsnn.engine.stimulus import Stimulus
from eventsnn.engine.walk_plan import WalkPlan, Walks
from eventsnn.engine.ways import Ways, build_ways, is_plain
from eventsnn.hardware import Chip, Mapping
from eventsnn.network import Input, MaxGate, Network, Population, Readout, Signed, Softmax
from eventsnn.network.neurons import CHARGE_LIMIT
from eventsnn.results.counters import COLUMN, COUNTERS
from eventsnn.results.digest import SampleDigest, spikes_of_log

LOST = {
    "hard_reset": k.LOST_RESET,
    "clamp": k.LOST_CLAMP,
    "leak": k.LOST_LEAK,
    "refractory": k.LOST_REFRACTORY,
}
# A window's current adds at most this: charges held less their shift stay far inside 32 bits.
WINDOW_QUANTA = 2**28


class CompiledEngine(Engine):
    """Spike by spike in Numba kernels; a first run in a fresh environment compiles for some seconds."""

    supports: ClassVar[frozenset[str]] = frozenset(FEATURES)

    def __init__(
        self, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
    ) -> None:
        super().__init__(network, mapping, options)
        # Seeded ties take every copy of a spike through the queue, where they are ordered.
        self._seeded = self.options.ties == "seeded" and not self.step
        # In steps what happens is the same on an accelerator and without one; it is played there afterwards.
        self._walks: WalkPlan | None = None
        self._ways: Ways | None = None
        self._plain = False
        if mapping is not None and self.step:
            self._walks = WalkPlan(network, mapping, self.step, self.options.record_service)
            self._plan = self._walks.price(build_plan(network, marked=True))
        elif mapping is not None:
            chip = Chip(mapping)
            self._plain = is_plain(network, chip, self._seeded)
            self._ways = build_ways(network, chip, destinations(network, mapping), self._plain)
            self._plan = build_plan(network, mapping, self._seeded, self._ways)
        else:
            self._plan = build_plan(network, queued=self._seeded)
        self._initial = initial_charge(network)
        self._initial_count = initial_count(network)
        self._estimates = self._initial_estimates()
        self._currents = currents(network)
        # Biases that are charges at time 0 ask for a test; a network at rest has had it.
        self._start_biased = {
            r for r, p in enumerate(network) if p.initial_charge is None and network.bias(p.name).any()
        }
        # What a network has no use for is not compiled for it: see ``kernels.loop.advance``.
        kinds = set(self._plan.population[:, k.KIND].tolist())
        plain = kinds <= {k.KIND_INPUT, k.KIND_SIGNED, k.KIND_READOUT} and not self.step
        self._full = None if plain else 1
        self._analog = AnalogInput(network, self.step)
        self._cores = 1 + (mapping.architecture.number_of_cores if mapping else 0)
        self._message_capacity = 1 << 10
        self._output = network.order.index(network.output)
        rows = self._plan.population
        self._shift = np.where(rows[:, k.KIND] == k.KIND_RATE, rows[:, k.THRESHOLD] + rows[:, k.STRICT], 0)
        # Buffer sizes, kept from sample to sample so that growing is rare.
        self._list_capacity = np.minimum(rows[:, k.SIZE], 1 << 16) + 64
        self._log_capacity = 1 << 16
        self._pending_capacity = 1 << 12
        self._service_capacity = 1 << 16 if self.options.record_service else 1
        self._trace_capacity = 256
        self._history_capacity = 256 if self.options.history_period else 1

    def _initial_estimates(self) -> NDArray[np.int64]:
        """What max gates keep of their sources at the start: the counts of a network at rest."""
        pieces = [np.zeros(1, dtype=np.int64)]
        for to in self._plan.destination[np.argsort(self._plan.destination[:, k.ESTIMATES], kind="stable")]:
            if to[k.TARGET_KIND] in (k.KIND_EXACT_GATE, k.KIND_RATE_GATE):
                (projection,) = self.network.incoming(self.network.order[to[k.TARGET]])
                source = self.network.populations[projection.source]
                given = source.initial_count
                pieces.append(
                    np.zeros(source.size, dtype=np.int64) if given is None else given.astype(np.int64)
                )
        return np.concatenate(pieces[1:] or pieces).astype(np.int64)

    # -- what the kernels are given ----------------------------------------------------------------

    def _settings(self, index: int, first_event: int, state: State) -> Settings:
        rule = self.options.exit_rule
        neurons = [population.neuron for population in self.network]
        hysteresis = any(
            isinstance(neuron, Signed) and (neuron.hysteresis_low or neuron.hysteresis_high)
            for neuron in neurons
        )
        # In steps only signed networks go on when the input is over.
        biased = dict(zip(self.network.order, state.rank[:, k.BIASED] > 0, strict=True))
        settles = all(_comes_to_rest(p, bool(biased[p.name])) for p in self.network)
        return Settings(
            rule=rule.code if rule else RULE_NONE,
            rule_threshold=float(rule.threshold) if rule else 0.0,
            input_rank=self.network.order.index(self.network.input),
            output_rank=self._output,
            output_scale=output_scale(self.network),
            seed_key=np.uint64(sample_key(self.options.seed, index)),
            max_events=self.options.max_events,
            first_event=first_event,
            step=self.step,
            stop_with_input=not settles,
            settle_pass=bool(hysteresis and (settles or not self.step)),
            log_service=bool(self.options.record_service and self.mapping is not None),
            history_period=self.options.history_period,
            seeded=self._seeded,
            played=self._walks is not None,
        )

    def _end_of_input(self, stimulus: Stimulus) -> int:
        return number_of_steps(stimulus, self.step) * self.step if self.step else stimulus.end

    def _fresh_state(self, stimulus: Stimulus, index: int) -> State:
        plan, options = self._plan, self.options
        neurons, ranks = len(self._initial), len(plan.population)
        added = self._analog.quanta(stimulus)
        flow = currents(self.network, added) if added else self._currents
        rows, end = plan.population, self._end_of_input(stimulus)
        rank = self._fresh_ranks(flow, index, end)
        touched = self._start_tests(stimulus, rank)
        scalar = np.zeros(k.SCALARS, dtype=np.int64)
        scalar[k.STOP_AT] = k.NEVER
        scalar[k.PREDICTION] = -1
        scalar[k.INPUT_END] = end
        scalar[k.NEXT_STEP] = self.step
        scalar[k.STEPS_END] = end if self.step else 0
        scalar[k.RUN_UNTIL] = end if stimulus.duration is not None else 0
        scalar[k.HISTORY_NEXT] = options.history_period
        scalar[k.WINDOW_NEXT] = rank[:, k.WINDOW_END].min()
        scalar[k.TEST_NEXT] = rank[:, k.TEST_DUE].min()
        scalar[k.LOW_RANK], scalar[k.HIGH_RANK] = ranks, -1
        scalar[k.MESSAGES_FREE] = -1
        charge = self._initial.copy()
        counters = np.zeros((ranks, len(COUNTERS)), dtype=np.int64)
        for r, name in enumerate(self.network.order):
            where = slice(rows[r, k.OFFSET], rows[r, k.OFFSET] + rows[r, k.SIZE])
            if name in added:
                counters[r, COLUMN["multiplications"]] = self._analog.multiplications[name]
                if not takes_current(self.network.populations[name]):
                    charge[where] += added[name]
            held = charge[where] - self._shift[r]
            beyond = (np.abs(charge[where]) > CHARGE_LIMIT) | (np.abs(held) > CHARGE_LIMIT)
            if beyond.any():
                raise overflow(self.network, r, int(np.argmax(beyond)), index)
            charge[where] = held
        table = len(flow.quanta)
        shift = np.zeros(table, dtype=np.int32)
        for r in range(ranks):
            shift[flow.start[r] : flow.start[r] + flow.length[r]] = self._shift[r]

        def if_needed(needed: bool, value: int = 0) -> NDArray[np.int64]:
            return np.full(neurons if needed else 1, value, dtype=np.int64)

        rate = rows[rows[:, k.KIND] == k.KIND_RATE]
        refractory = bool((rate[:, k.REFRACTORY] > 0).any())
        loses = bool((rate[:, [k.HARD, k.CLAMPED, k.LEAK_PERIOD, k.REFRACTORY_DROP]] > 0).any())
        waits = refractory or bool((rank[:, k.BIAS_LENGTH] > 0).any())
        return State(
            charge=charge.astype(np.int32),
            emitted=self._initial_count.copy(),
            touched=touched,
            active=np.zeros(neurons if self._walks is not None else 1, dtype=np.uint8),
            quanta=flow.quanta,
            base=np.zeros(table, dtype=np.int64),
            shift=shift,
            delta=np.zeros(table, dtype=np.int32),
            candidate=if_needed(waits, k.NEVER),
            ready=if_needed(refractory),
            ordinal=if_needed(bool((rows[:, k.DIRECT] == 0).any())),
            lost=np.zeros((k.LOST_CAUSES, neurons if loses else 1), dtype=np.int64),
            rank=rank,
            counters=counters,
            lists=np.zeros(int(self._list_capacity.sum()), dtype=np.int64),
            scratch=np.zeros(
                max(int(self._list_capacity.max()), int(rows[:, k.SIZE].max()) if self._seeded else 0),
                dtype=np.int64,
            ),
            digits=np.zeros(257, dtype=np.int64),
            flagged=np.zeros(int(rows[:, k.SIZE].max()), dtype=np.int64),
            pending=np.zeros((self._pending_capacity, 4), dtype=np.int64),
            crossings=np.zeros((self._pending_capacity, 2), dtype=np.int64),
            log=np.zeros(self._log_capacity, dtype=np.int64),
            trace=np.zeros((self._trace_capacity, 4), dtype=np.int64),
            trace_readout=np.zeros((self._trace_capacity, rows[self._output, k.SIZE]), dtype=np.int64),
            history=np.zeros((self._history_capacity, *counters.shape), dtype=np.int64),
            history_readout=np.zeros((self._history_capacity, rows[self._output, k.SIZE]), dtype=np.int64),
            part=np.zeros((len(plan.part), k.PART_COLUMNS), dtype=np.int64),
            parts=self._fresh_parts(bool(added)),
            estimates=self._estimates.copy(),
            decays=np.zeros(len(self._estimates), dtype=np.int64),
            service=np.zeros((self._service_capacity, SERVICE_COLUMNS), dtype=np.int64),
            scalar=scalar,
        )

    def _fresh_parts(self, analog: bool) -> NDArray[np.int64]:
        """Counters by part; analog input is multiplied once for every synapse from the input."""
        plan = self._plan
        parts = np.zeros((len(plan.part), len(COUNTERS)), dtype=np.int64)
        if analog:
            row = plan.population[self.network.order.index(self.network.input)]
            for to in plan.destination[row[k.DESTINATION_START] : row[k.DESTINATION_STOP]]:
                synapses = plan.fan_out[k.FULL_FAN_OUT, to[k.FAN_OUT] : to[k.FAN_OUT] + row[k.SIZE]].sum()
                parts[to[k.TARGET_PART], COLUMN["multiplications"]] += synapses
        return parts

    def _fresh_streams(self) -> Streams | None:
        if self._ways is None or not self._plain:
            return None
        servers = len(self._ways.server)
        leaves = 1 << (servers - 1).bit_length()
        tree = np.full(2 * leaves, servers - 1, dtype=np.int64)
        tree[leaves : leaves + servers] = np.arange(servers)
        return Streams(
            stream=self._ways.stream.copy(),
            server=self._ways.server.copy(),
            tree=tree,
            message=np.zeros((self._message_capacity, k.MESSAGE_COLUMNS), dtype=np.int64),
            serialiser=np.zeros(self._cores, dtype=np.int64),
        )

    def _fresh_queues(self) -> Queues | None:
        if self._ways is None or self._plain:
            return None
        return Queues(
            place=self._ways.place.copy(),
            message=np.zeros((self._message_capacity, k.QUEUED_COLUMNS), dtype=np.int64),
            event=np.zeros((self._message_capacity, 4), dtype=np.int64),
        )

    def _groups(self) -> int:
        marked = self._plan.population[self._plan.population[:, k.TOUCH_OFFSET] >= 0]
        return int((marked[:, k.SIZE] // marked[:, k.GROUP]).sum()) if len(marked) else 0

    def _start_tests(self, stimulus: Stimulus, rank: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Marks of touched neurons: charges at time 0, biases or analog, ask for a test of all of them."""
        touched = np.zeros(1 + self._groups(), dtype=np.uint8)
        driven = set()
        if stimulus.analog is not None:
            driven = {projection.target for projection in self.network.outgoing(self.network.input)}
        for r, population in enumerate(self.network):
            row = self._plan.population[r]
            if row[k.KIND] != k.KIND_SIGNED:
                continue
            if r in self._start_biased or population.name in driven:
                groups = row[k.SIZE] // row[k.GROUP]
                touched[row[k.TOUCH_OFFSET] : row[k.TOUCH_OFFSET] + groups] = 1
                rank[r, k.TOUCHED_START], rank[r, k.TOUCHED_STOP] = 0, groups
                rank[r, k.TEST_DUE] = self.step
        return touched

    def _fresh_ranks(self, flow: Currents, index: int, end: int) -> NDArray[np.int64]:
        rows = self._plan.population
        rank = np.zeros((len(rows), k.RANK_COLUMNS), dtype=np.int64)
        rank[:, k.TOUCHED_START] = rows[:, k.SIZE]
        rank[:, k.TEST_DUE] = k.NEVER
        rank[:, k.LIST_LIMIT] = rank[:, k.LIST_END] = np.cumsum(self._list_capacity)
        for column in (k.LIST_START, k.LIST_STOP, k.LIST_DONE):
            rank[:, column] = rank[:, k.LIST_LIMIT] - self._list_capacity
        rank[:, k.BIAS_START], rank[:, k.BIAS_LENGTH] = flow.start, flow.length
        rank[:, k.BIASED] = flow.biased
        rank[:, k.WINDOW_END] = rank[:, k.LEAK_NEXT] = k.NEVER
        rank[:, k.ACTIVE] = 1
        rank[self._output, k.COUNTED_AT_ONCE] = 1
        key = sample_key(self.options.seed, index)
        for r, population in enumerate(self.network):
            if isinstance(population.neuron, Softmax):
                first = next_event(population.neuron, key, r, 0, 0)
                rank[r, k.CLOCK_NEXT] = min(first, k.NEVER)
                if not self.step and first <= end:
                    rank[r, k.TEST_DUE] = first
            if rows[r, k.KIND] == k.KIND_RATE and rows[r, k.LEAK_PERIOD] and not self.step:
                rank[r, k.LEAK_NEXT] = rows[r, k.LEAK_PERIOD]
            if rows[r, k.KIND] == k.KIND_RATE and flow.length[r]:
                table = flow.quanta[flow.start[r] : flow.start[r] + flow.length[r]].astype(np.int64)
                largest = int(np.abs(table).max())
                period = int(rows[r, k.PERIOD])
                rank[r, k.WINDOW_LIMIT] = max(1, WINDOW_QUANTA * period // largest)
                rank[r, k.WINDOW_LENGTH] = min(max(1, period // 16), rank[r, k.WINDOW_LIMIT])
                if self.step:
                    rank[r, k.WINDOW_CHARGE] = largest
                else:
                    rank[r, k.WINDOW_END] = 0
        return rank

    def _input(self, stimulus: Stimulus, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ticks and spike words of the input; in the step schedule at the tick that closes their step."""
        time = stimulus.time
        if self.step:
            time = (time // self.step + 1) * self.step
        payload = np.ones(len(time), dtype=np.int64) if stimulus.payload is None else stimulus.payload
        words = (stimulus.neuron << 32) | (payload & 0xFFFFFFFF)
        if self._seeded:
            key, rank = sample_key(self.options.seed, index), self.network.order.index(self.network.input)
            drawn = [
                draw(key, PURPOSE_TIES, int(t), rank, int(j)) >> SEEDED_SHIFT
                for t, j in zip(time, stimulus.neuron, strict=True)
            ]
            order = np.lexsort((stimulus.neuron, np.array(drawn, dtype=np.int64), time))
            words = words[order]
        return np.ascontiguousarray(time, dtype=np.int64), np.ascontiguousarray(words, dtype=np.int64)

    # -- running -----------------------------------------------------------------------------------

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

        state = self._fresh_state(stimulus, index)
        streams, queues = self._fresh_streams(), self._fresh_queues()
        walks, ways = None, None
        if self._walks is not None:
            walks = self._walks.fresh_walks(
                len(state.lists), self._pending_capacity, self._service_capacity, self._trace_capacity
            )
            ways = self._walks.fresh_ways(self._pending_capacity)
        settings = self._settings(index, stimulus.first, state)
        ideal = 1 if self._ways is None else None
        time, words = self._input(stimulus, index)
        digest = SampleDigest(self.network.order)
        pieces: list[NDArray[np.int64]] = []
        scalar = state.scalar
        while True:
            with np.errstate(over="ignore"):  # hashes wrap; uncompiled kernels would warn
                if walks is None:
                    advance(self._plan, state, settings, self._full, ideal, streams, queues, time, words)
                else:
                    advance_on_chip(self._plan, state, settings, self._full, walks, ways, time, words)
            status = scalar[k.STATUS]
            if status in (k.DRAIN_LOG, k.DONE):
                log = state.log[: scalar[k.LOGGED]]
                digest.add_log(log)
                if self.options.record_spikes:
                    pieces.append(spikes_of_log(self.network.order, log))
                if status == k.DONE:
                    return self._result(stimulus, index, state, walks, digest, pieces)
                if scalar[k.LOGGED] == 0:  # one tick alone does not fit
                    self._log_capacity *= 2
                    state = state._replace(log=np.zeros(self._log_capacity, dtype=np.int64))
                scalar[k.LOGGED] = 0
            elif status == k.GROW_TRACE:
                self._trace_capacity *= 2
                state = state._replace(
                    trace=_doubled(state.trace), trace_readout=_doubled(state.trace_readout)
                )
                if walks is not None:
                    walks = walks._replace(checked=_doubled(walks.checked))
            elif status == k.GROW_HISTORY:
                self._history_capacity *= 2
                state = state._replace(
                    history=_doubled(state.history), history_readout=_doubled(state.history_readout)
                )
            elif status == k.OVERFLOW:
                raise overflow(self.network, scalar[k.BAD_RANK], scalar[k.BAD_NEURON], index)
            elif status == k.HISTORY_LIMIT:
                raise history_limit(self.options.history_period, scalar[k.BAD_NEURON])
            elif status == k.DEADLOCK:
                assert queues is not None
                assert self.mapping is not None
                network_on_chip = self.mapping.architecture.network_on_chip
                raise deadlock(self._waits(queues), index, network_on_chip)
            elif status == k.EVENT_LIMIT:
                raise event_limit(self.options.max_events, index)
            else:
                self._enlarge(status, state)
                return None

    def _waits(self, queues: Queues) -> dict[int, tuple[int, int, int]]:
        """Of every blocked serialiser's core what ``failures.deadlock`` wants to know."""
        place, found = queues.place, {}
        for row in place[(place[:, k.Q_KIND] == k.PLACE_SERIALISER) & (place[:, k.Q_AWAITS] >= 0)]:
            first = place[row[k.Q_AWAITS]]
            link = int(first[k.Q_NUMBER]) if first[k.Q_KIND] == k.PLACE_LINK else -1
            since, at = 0, row
            while at[k.Q_AWAITS] >= 0:
                since = max(since, int(queues.message[at[k.Q_SERVED], k.M_END]))
                at = place[at[k.Q_AWAITS]]
            found[int(row[k.Q_NUMBER])] = (int(at[k.Q_NUMBER]), since, link)
        return found

    def _enlarge(self, status: int, state: State) -> None:
        if status == k.GROW_LISTS:
            full = state.rank[:, k.LIST_LIMIT] - state.rank[:, k.LIST_STOP] < self._list_capacity // 2
            # One test may emit more than a list holds: then no list is full, and any may be the one.
            grows = full | (not full.any())
            self._list_capacity = np.where(grows, 4 * self._list_capacity, self._list_capacity)
        elif status == k.GROW_HEAP:
            self._pending_capacity *= 4
        elif status == k.GROW_MESSAGES:
            self._message_capacity *= 4
        else:
            self._service_capacity *= 4

    # -- what a run gave ---------------------------------------------------------------------------

    def _result(
        self,
        stimulus: Stimulus,
        index: int,
        state: State,
        walks: Walks | None,
        digest: SampleDigest,
        pieces: list[NDArray[np.int64]],
    ) -> SampleRun:
        scalar = state.scalar
        checks = scalar[k.CHECKS]
        check_readout(self.network, state.trace_readout[:checks], index)
        prediction, decision_time = int(scalar[k.PREDICTION]), int(scalar[k.DECISION_TIME])
        moment, first_event = decision_time, stimulus.first
        checked, services = state.trace[:checks, 0], state.service[: scalar[k.SERVICES]]
        parts = None if self._ways is None else state.parts
        if self._walks is not None and walks is not None:
            moment, first_event, checked = self._walks.moments(walks, first_event, scalar[k.EARLY], checks)
            services, parts = walks.service[: walks.scalar[w.NUMBER_OF_SERVICES]], walks.counters
        service = None
        if self.options.record_service and self.mapping is not None:
            service = np.ascontiguousarray(services).view(SERVICE_FIELDS).reshape(-1)
            if not self.step:
                service = service[service["arrival"] <= decision_time]
                for name in ("finish", "released", "start"):  # planned for after the decision
                    service[name][service["start"] > decision_time] = decision_time + 1
        slices = {
            name: slice(row[k.OFFSET], row[k.OFFSET] + row[k.SIZE])
            for name, row in zip(self.network.order, self._plan.population, strict=True)
        }
        charges = {
            name: self._charge(state, rank, where, decision_time)
            for rank, (name, where) in enumerate(slices.items())
        }
        counts = {name: state.emitted[where].astype(np.int64) for name, where in slices.items()}
        return SampleRun(
            index=index,
            prediction=prediction,
            decision_time=moment,
            decided_early=bool(scalar[k.EARLY]),
            first_event=first_event,
            counters=state.counters,
            digest=digest.finish(prediction, moment, state.counters),
            trace=Trace(
                time=checked.copy(),
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
            history=self._history(state, counts, charges, moment),
            parts=parts,
        )

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
        if self._walks is not None:  # nothing happens after the last step until it is decided
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
            charge += self._shift[rank]
            if self.step and length and not self._shift[rank]:
                charge += self._tiled(state.quanta[start : start + length].astype(np.int64), where) * (
                    min(now, state.scalar[k.INPUT_END]) // self.step
                )
            return charge
        table = slice(start, start + length)
        given = _current_charge(
            state.quanta[table].astype(np.int64),
            int(self._plan.population[rank, k.PERIOD]),
            min(now, int(state.scalar[k.INPUT_END])),
        )
        if self._shift[rank]:
            given += state.shift[table] - state.base[table]
        return charge + self._tiled(given, where)

    @staticmethod
    def _tiled(table: NDArray[np.int64], where: slice) -> NDArray[np.int64]:
        return np.tile(table, (where.stop - where.start) // len(table))


def _comes_to_rest(population: Population, biased: bool) -> bool:
    """Whether a population of the step schedule emits and changes only because of what arrives."""
    neuron = population.neuron
    if isinstance(neuron, Readout):
        return not biased
    return isinstance(neuron, (Input, Signed)) or (isinstance(neuron, MaxGate) and neuron.filter == "exact")


def _current_charge(quanta: NDArray[np.int64], period: int, time: int) -> NDArray[np.int64]:
    """floor(quanta * time / period), elementwise, without leaving 64 bits."""
    whole, rest = divmod(time, period)
    return quanta * whole + (quanta * rest) // period


def _doubled(array: NDArray) -> NDArray:
    return np.concatenate([array, np.zeros_like(array)])
