"""What a sample of the compiled engine starts with: settings, state, input, as the kernels take them."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN, COUNTERS
from eventsnn.decide.kernels import RULE_NONE, RULE_OWN, RULE_PARTS
from eventsnn.decide.program import NO_PROGRAM, program_of
from eventsnn.engine.analog import AnalogInput
from eventsnn.engine.contract import RunOptions, output_scale, output_weights
from eventsnn.engine.failures import overflow
from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.crossings import BUCKETS
from eventsnn.engine.kernels.state import Firing, Gates, Neurons, Plan, Settings, State, Tables
from eventsnn.engine.lowering.capacities import Capacities
from eventsnn.engine.lowering.currents import Currents, current_charge, currents
from eventsnn.engine.lowering.initial import initial_charge, initial_count
from eventsnn.engine.lowering.slabs import slab_unit
from eventsnn.engine.order import SEEDED_SHIFT
from eventsnn.engine.request import number_of_steps, takes_current
from eventsnn.engine.seeds import PURPOSE_TIES, draw, sample_key
from eventsnn.engine.softmax_tables import next_event
from eventsnn.engine.stimulus import Stimulus
from eventsnn.network import Network, Population
from eventsnn.network.neurons import CHARGE_LIMIT

# A window's current adds at most this: charges held less their shift stay far inside 32 bits.
WINDOW_QUANTA = 2**28


class _Template(NamedTuple):
    """What samples begin with that have the same analog input, or none; copied, never written."""

    quanta: NDArray[np.int32]
    shift: NDArray[np.int32]
    charge: NDArray[np.int32]
    membrane: NDArray[np.int64]
    touched: NDArray[np.uint8]
    rank: k.Records  # RANK; events of a softmax left out
    counters: NDArray[np.int64]
    parts: NDArray[np.int64]
    settings: Settings
    waits: bool  # crossings are queued
    lists: NDArray[np.int64]  # the room of lists that ``rank`` tells
    scalar: k.Records  # SCALARS; its ``window_next`` and ``test_next`` hold without a softmax


class SampleStart:
    """Makes what every sample of a network starts with; buffers have the room of ``capacities``.

    ``on_chip``: there is an accelerator; ``played``: it runs step by step, and what a step does is played on
    it once computed.
    """

    def __init__(self, network: Network, plan: Plan, options: RunOptions, step: int, on_chip: bool) -> None:
        self.network, self.plan, self.options, self.step = network, plan, options, step
        self.on_chip, self.played = on_chip, on_chip and step > 0
        # Seeded ties take every copy of a spike through the queue, where they are ordered.
        self.seeded = options.ties == "seeded" and not step
        self.capacities = Capacities.of(plan, options)
        self.initial = initial_charge(network)
        self.initial_count = initial_count(network)
        self.gated = self._sources_of_gates()
        self.estimates = self._initial_estimates()
        self.currents = currents(network)
        # Biases that are charges at time 0 ask for a test; a network at rest has had it.
        self.start_biased = {
            r for r, p in enumerate(network) if p.initial_charge is None and network.bias(p.name).any()
        }
        self.analog = AnalogInput(network, step)
        self.output = network.order.index(network.output)
        weights = output_weights(network)
        ones = np.ones(network.populations[network.output].size, dtype=np.int64)
        self.weights = ones if weights is None else weights
        rows = plan.population
        # Rate neurons are kept as charges less what they lack to fire: a sign tells.
        self.shift = np.where(rows.kind == k.KIND_RATE, rows.threshold + rows.strict, 0)
        rate = rows[np.isin(rows.kind, (k.KIND_RATE, k.KIND_SYNAPTIC))]
        self.synaptic = np.flatnonzero(rows.synaptic).tolist()
        self.refractory = bool((rate.refractory > 0).any())
        self.loses = bool((rate.hard | rate.clamped | rate.refractory_drop).any() or rows.leak_period.any())
        self.queued = bool((rows.direct == 0).any())
        self.largest, self.classes = int(rows.neurons.max()), int(rows[self.output].neurons)
        self.once = bool((rows.kind == k.KIND_FIRST_SPIKE).any())
        late = (rows.start_time > 0) & (
            ((rows.kind == k.KIND_RATE) & (not step)) | ((rows.kind == k.KIND_READOUT) & (rows.synaptic == 0))
        )
        self.late = np.flatnonzero(late).tolist()
        self.softmaxes = [(r, p.neuron) for r, p in enumerate(network) if p.neuron.rule == "softmax"]
        self._usual: _Template | None = None
        rule = options.exit_rule
        program = None if rule is None else program_of(rule)
        self.rule = RULE_NONE if rule is None else RULE_OWN if program is None else RULE_PARTS
        self.program = program or NO_PROGRAM

    def _scalars(self, rank: k.Records) -> k.Records:
        """``SCALARS`` as far as samples begin with the same."""
        scalar = k.record(k.SCALARS)
        scalar.stop_at = k.NEVER
        scalar.prediction = scalar.messages_free = scalar.high_rank = -1
        scalar.calendar_at = -1
        scalar.low_rank = len(self.plan.population)
        scalar.next_step = self.step
        scalar.history_next = self.options.history_period
        scalar.window_next, scalar.test_next = rank.window_end.min(), rank.test_due.min()
        return scalar

    def begin_at(self, charge: dict[str, NDArray[np.int64]], counts: dict[str, NDArray[np.int64]]) -> None:
        """Let samples begin with the settled state of a run, by population, instead of the network's own."""
        pieces: list[NDArray[np.int64]] = []
        held: dict[str, NDArray[np.int64]] = {}
        for population in self.network:
            nothing = np.zeros(population.size, dtype=np.int64)
            loads_charge, loads_count = population.neuron.loads
            pieces.append(charge[population.name] if loads_charge else nothing)
            held[population.name] = counts[population.name] if loads_count else nothing
        self.initial = np.concatenate(pieces)
        self.initial_count = np.concatenate([*held.values()]).astype(np.int32)
        self.estimates = self._initial_estimates(held)
        if self.start_biased or self.synaptic or self._usual is None:
            self.start_biased = set()
            self._usual = None
        else:  # neurons that keep such a state have no shift, and it asks for no test
            self._usual = self._usual._replace(charge=self.initial.astype(np.int32))

    def _sources_of_gates(self) -> list[Population]:
        """Of whom max gates keep what they have received, in the order of their estimates."""
        found = []
        for to in self.plan.destination[np.argsort(self.plan.destination.estimates, kind="stable")]:
            if to.target_kind in (k.KIND_EXACT_GATE, k.KIND_RATE_GATE):
                (projection,) = self.network.incoming(self.network.order[to.target])
                found.append(self.network.populations[projection.source])
        return found

    def _initial_estimates(self, counts: dict[str, NDArray[np.int64]] | None = None) -> NDArray[np.int64]:
        """What max gates keep of their sources at the start: the counts of a network at rest, or others."""
        pieces = [np.zeros(0 if self.gated else 1, dtype=np.int64)]
        for source in self.gated:
            given = source.initial_count if counts is None else counts[source.name]
            nothing = np.zeros(source.size, dtype=np.int64)
            pieces.append(nothing if given is None else given.astype(np.int64))
        return np.concatenate(pieces)

    def begin(self, stimulus: Stimulus, index: int) -> tuple[State, Settings]:
        """What changes while a sample runs, as it begins, and what stays the same."""
        if stimulus.analog is not None:
            start = self._template(self.analog.quanta(stimulus), index)
        else:
            if self._usual is None or self._usual.lists is not self.capacities.lists:
                self._usual = self._template({}, index)
            start = self._usual
        end = number_of_steps(stimulus, self.step) * self.step if self.step else stimulus.end
        key = sample_key(self.options.seed, index)
        settings = start.settings._replace(seed_key=np.uint64(key), first_event=stimulus.first)
        return self._state(start, key, end, stimulus), settings

    def _template(self, added: dict[str, NDArray[np.int64]], index: int) -> _Template:
        """What samples of these analog quanta begin with, which is the same for all that have none."""
        network, plan = self.network, self.plan
        flow = currents(network, added) if added else self.currents
        rank = self._ranks(flow)
        touched = self._start_tests(added, rank)
        lists = self.capacities.lists
        rank["list_limit"] = rank["list_end"] = np.cumsum(lists)
        rank["list_start"] = rank["list_stop"] = rank["list_done"] = rank["list_limit"] - lists
        charge = self.initial.copy()
        membrane = np.zeros(len(charge) if self.synaptic else 1, dtype=np.int64)
        counters = np.zeros((len(rank), len(COUNTERS)), dtype=np.int64)
        shift = np.zeros(len(flow.quanta), dtype=np.int32)
        for r, (name, row) in enumerate(zip(network.order, plan.population, strict=True)):
            where = slice(row.offset, row.offset + row.neurons)
            if name in added:
                counters[r, COLUMN["multiplications"]] = self.analog.multiplications[name]
                if not takes_current(network.populations[name]):
                    charge[where] += added[name]
            held = charge[where] - self.shift[r]
            beyond = (np.abs(charge[where]) > CHARGE_LIMIT) | (np.abs(held) > CHARGE_LIMIT)
            if beyond.any():
                raise overflow(network, r, int(np.argmax(beyond)), index)
            charge[where] = held
            if row.synaptic:
                membrane[where], charge[where] = charge[where], 0
            shift[flow.start[r] : flow.start[r] + flow.length[r]] = self.shift[r]
        return _Template(
            quanta=flow.quanta,
            shift=shift,
            charge=charge.astype(np.int32),
            membrane=membrane,
            touched=touched,
            rank=rank.view(np.ndarray),
            counters=counters,
            parts=self._parts(bool(added)),
            settings=self._settings(rank),
            waits=bool((rank.bias_length > 0).any()),
            lists=lists,
            scalar=self._scalars(rank),
        )

    def _settings(self, rank: k.Records) -> Settings:
        """Those of every sample, with the key and the first event of none."""
        rule = self.options.exit_rule
        logs = bool(self.options.record_service and self.on_chip)
        rows = self.plan.population
        hysteresis = bool((rows.hysteresis_low | rows.hysteresis_high).any())
        # In steps only signed networks go on when the input is over.
        biased = (rank.biased > 0).tolist()
        settles = all(p.neuron.comes_to_rest(b) for p, b in zip(self.network, biased, strict=True))
        return Settings(
            rule=self.rule,
            rule_threshold=0.0 if rule is None else float(rule.threshold),
            rule_parts=self.program.parts,
            rule_numbers=self.program.numbers,
            input_rank=self.network.order.index(self.network.input),
            output_rank=self.output,
            output_scale=output_scale(self.network),
            decision_weights=self.weights,
            seed_key=np.uint64(0),
            max_events=self.options.max_events,
            first_event=0,
            step=self.step,
            stop_with_input=not settles,
            settle_pass=hysteresis and (settles or not self.step),
            log_service=logs,
            history_period=self.options.history_period,
            seeded=self.seeded,
            named=logs or bool((self.plan.spread > 1).any()),
            played=self.played,
            slab=slab_unit(self.plan, rank),
        )

    def _state(self, start: _Template, key: int, end: int, stimulus: Stimulus) -> State:
        """Arrays of one sample's own; buffers, of which only what was written is read, are not cleared."""
        room, neurons, classes = self.capacities, len(self.initial), self.classes
        rank = self._fresh_ranks(start, key, end, stimulus)
        scalar = start.scalar.copy()
        scalar["input_end"] = end
        if self.step:
            scalar["steps_end"] = end
        if stimulus.duration is not None:
            scalar["run_until"] = end
        base = np.zeros(len(start.quanta), dtype=np.int64)
        if self.late:
            self._hold(start, rank, base, end)
            scalar["window_next"] = rank["window_end"].min()
        if self.softmaxes or self.synaptic:
            scalar["test_next"] = rank["test_due"].min()
        longest = max(int(room.lists.max()), self.largest if self.seeded else 0)

        def if_needed(needed: bool, value: int = 0) -> NDArray[np.int64]:
            return np.full(neurons if needed else 1, value, dtype=np.int64)

        return State(
            neurons=Neurons(
                charge=start.charge.copy(),
                emitted=self.initial_count.copy(),
                touched=start.touched.copy(),
                ready=if_needed(self.refractory or self.once),
                candidate=if_needed(self.refractory or start.waits, k.NEVER),
                membrane=start.membrane.copy(),
                lost=np.zeros((k.LOST_CAUSES, neurons if self.loses else 1), dtype=np.int64),
            ),
            currents=Tables(
                quanta=start.quanta,
                base=base,
                shift=start.shift.copy(),
                delta=np.zeros(len(start.quanta), dtype=np.int32),
            ),
            firing=Firing(
                flagged=np.empty(self.largest, dtype=np.int64),
                crossings=self._crossings(start.waits),
                lists=np.empty(int(rank["list_limit"][-1]), dtype=np.int64),
            ),
            gates=Gates(self.estimates.copy(), np.zeros(len(self.estimates), dtype=np.int64)),
            active=np.zeros(neurons if self.played else 1, dtype=np.uint8),
            ordinal=if_needed(self.queued),
            rank=rank,
            counters=start.counters.copy(),
            scratch=np.empty(longest, dtype=np.int64),
            digits=np.empty(257, dtype=np.int64),
            pending=np.empty(room.pending, k.PENDING),
            log=np.empty(room.log, dtype=np.int64),
            trace=np.empty(room.trace, k.CHECK),
            trace_readout=np.empty((room.trace, classes), dtype=np.int64),
            weighed=np.empty(classes, dtype=np.int64),
            rule=self.program.state(classes),
            history=np.empty((room.history, *start.counters.shape), dtype=np.int64),
            history_readout=np.empty((room.history, classes), dtype=np.int64),
            part=np.zeros(len(start.parts), k.PART_STATE),
            parts=start.parts.copy(),
            service=np.zeros(room.service, k.SERVICE_ROW),
            scalar=scalar,
        )

    def _hold(self, start: _Template, rank: k.Records, base: NDArray[np.int64], end: int) -> None:
        """First windows begin at start times; what currents would have given till then is dropped.

        That of readouts, too.
        """
        for r in self.late:
            live, row = rank[r], self.plan.population[r]
            first, length = int(live["bias_start"]), int(live["bias_length"])
            if not length:
                continue
            if row.kind == k.KIND_RATE:
                live["window_end"] = min(int(row.start_time), end + 1)
            table = slice(first, first + length)
            quanta, until = start.quanta[table].astype(np.int64), min(int(row.start_time), end)
            base[table] = current_charge(quanta, int(row.period), until)

    def _crossings(self, waits: bool) -> k.Records:
        """An empty queue of crossings; only what its buckets begin with is read before it is written."""
        queue = np.empty(self.capacities.pending if self.refractory or waits else 1, k.CROSSING)
        queue["first"][:BUCKETS] = queue["occupied"][:BUCKETS] = 0
        return queue

    def _parts(self, analog: bool) -> NDArray[np.int64]:
        """Counters by part; analog input is multiplied once for every synapse from the input."""
        plan = self.plan
        parts = np.zeros((len(plan.part), len(COUNTERS)), dtype=np.int64)
        if analog:
            row = plan.population[self.network.order.index(self.network.input)]
            for to in plan.destination[row.destination_start : row.destination_stop]:
                synapses = plan.fan_out[to.fan_out : to.fan_out + row.neurons].full.sum()
                parts[to.target_part, COLUMN["multiplications"]] += synapses
        return parts

    def _groups(self) -> int:
        marked = self.plan.population[self.plan.population.touch_offset >= 0]
        return int((marked.neurons // marked.group).sum()) if len(marked) else 0

    def _start_tests(self, driven: Collection[str], rank: k.Records) -> NDArray[np.uint8]:
        """Marks of touched neurons: charges at time 0, biases or analog, ask for a test of all of them."""
        touched = np.zeros(1 + self._groups(), dtype=np.uint8)
        for r, population in enumerate(self.network):
            row = self.plan.population[r]
            if row.kind != k.KIND_SIGNED:
                continue
            if r in self.start_biased or population.name in driven:
                groups = row.neurons // row.group
                touched[row.touch_offset : row.touch_offset + groups] = 1
                rank[r].touched_start, rank[r].touched_stop = 0, groups
                rank[r].test_due = self.step
        return touched

    def _ranks(self, flow: Currents) -> k.Records:
        """What is known of every rank before there is a sample."""
        rows = self.plan.population
        rank = k.records(k.RANK, len(rows))
        rank.touched_start = rows.neurons
        rank.test_due = k.NEVER
        rank.bias_start, rank.bias_length = flow.start, flow.length
        rank.biased = flow.biased
        rank.window_end = rank.leak_next = k.NEVER
        rank.active = 1
        rank[self.output].counted_at_once = 1
        rank.active[self.synaptic] = 0
        leaky = (rows.leak_period > 0) & (rows.synaptic == 0) & (not self.step)
        for r in np.flatnonzero(leaky):
            rank[r].leak_next = (rows[r].start_time // rows[r].leak_period + 1) * rows[r].leak_period
        for r in np.flatnonzero(rows.kind == k.KIND_RATE):
            if flow.length[r]:
                table = flow.quanta[flow.start[r] : flow.start[r] + flow.length[r]].astype(np.int64)
                largest = int(np.abs(table).max())
                period = int(rows[r].period)
                rank[r].window_limit = max(1, WINDOW_QUANTA * period // largest)
                rank[r].window_length = min(max(1, period // 16), rank[r].window_limit)
                if self.step:
                    rank[r].window_charge = largest
                else:
                    rank[r].window_end = 0
        return rank

    def _fresh_ranks(self, start: _Template, key: int, end: int, stimulus: Stimulus) -> k.Records:
        rank: k.Records = start.rank.copy()
        for r in [] if self.step else self.synaptic:
            row = self.plan.population[r]
            first = (int(row.start_time) // int(row.update_period) + 1) * int(row.update_period)
            rank[r]["update_end"] = number_of_steps(stimulus, int(row.update_period)) * int(row.update_period)
            rank[r]["test_due"] = first if first <= rank[r]["update_end"] else k.NEVER
        for r, neuron in self.softmaxes:
            first = next_event(neuron, key, r, 0, 0)
            rank[r].clock_next = min(first, k.NEVER)
            if not self.step and first <= end:
                rank[r].test_due = first
        return rank

    def input(self, stimulus: Stimulus, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ticks and spike words of the input; in the step schedule at the tick that closes their step."""
        time, neuron = (np.asarray(a, dtype=np.int64) for a in (stimulus.time, stimulus.neuron))
        if self.step:
            time = (time // self.step + 1) * self.step
        payload: NDArray[np.int64] | int = 1
        if stimulus.payload is not None:
            payload = np.asarray(stimulus.payload, dtype=np.int64) & 0xFFFFFFFF
        words = (neuron << 32) | payload
        if self.seeded:
            key, rank = sample_key(self.options.seed, index), self.network.order.index(self.network.input)
            drawn = [
                draw(key, PURPOSE_TIES, int(t), rank, int(j)) >> SEEDED_SHIFT
                for t, j in zip(time, neuron, strict=True)
            ]
            order = np.lexsort((neuron, np.array(drawn, dtype=np.int64), time))
            words = words[order]
        return np.ascontiguousarray(time), np.ascontiguousarray(words)
