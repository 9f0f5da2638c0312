"""What a sample of the compiled engine starts with: settings, state, input, as the kernels take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.decide.kernels import RULE_NONE
from eventsnn.engine import columns as k
from eventsnn.engine.analog import AnalogInput
from eventsnn.engine.capacities import Capacities
from eventsnn.engine.contract import SERVICE_COLUMNS, RunOptions, output_scale
from eventsnn.engine.failures import overflow
from eventsnn.engine.kernels.state import Settings, State
from eventsnn.engine.order import SEEDED_SHIFT
from eventsnn.engine.plan import Currents, Plan, currents, initial_charge, initial_count
from eventsnn.engine.request import number_of_steps, takes_current
from eventsnn.engine.seeds import PURPOSE_TIES, draw, sample_key
from eventsnn.engine.softmax_tables import next_event
from eventsnn.engine.stimulus import Stimulus
from eventsnn.network import Input, MaxGate, Network, Population, Readout, Signed, Softmax
from eventsnn.network.neurons import CHARGE_LIMIT
from eventsnn.results.counters import COLUMN, COUNTERS

# A window's current adds at most this: charges held less their shift stay far inside 32 bits.
WINDOW_QUANTA = 2**28


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
        self.estimates = self._initial_estimates()
        self.currents = currents(network)
        # Biases that are charges at time 0 ask for a test; a network at rest has had it.
        self.start_biased = {
            r for r, p in enumerate(network) if p.initial_charge is None and network.bias(p.name).any()
        }
        self.analog = AnalogInput(network, step)
        self.output = network.order.index(network.output)
        rows = plan.population
        # Rate neurons are kept as charges less what they lack to fire: a sign tells.
        self.shift = np.where(rows[:, k.KIND] == k.KIND_RATE, rows[:, k.THRESHOLD] + rows[:, k.STRICT], 0)

    def _initial_estimates(self) -> NDArray[np.int64]:
        """What max gates keep of their sources at the start: the counts of a network at rest."""
        pieces = [np.zeros(1, dtype=np.int64)]
        for to in self.plan.destination[np.argsort(self.plan.destination[:, k.ESTIMATES], kind="stable")]:
            if to[k.TARGET_KIND] in (k.KIND_EXACT_GATE, k.KIND_RATE_GATE):
                (projection,) = self.network.incoming(self.network.order[to[k.TARGET]])
                source = self.network.populations[projection.source]
                given = source.initial_count
                pieces.append(
                    np.zeros(source.size, dtype=np.int64) if given is None else given.astype(np.int64)
                )
        return np.concatenate(pieces[1:] or pieces).astype(np.int64)

    def settings(self, index: int, first_event: int, state: State) -> Settings:
        """What stays the same while a sample runs."""
        rule = self.options.exit_rule
        logs = bool(self.options.record_service and self.on_chip)
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
            output_rank=self.output,
            output_scale=output_scale(self.network),
            seed_key=np.uint64(sample_key(self.options.seed, index)),
            max_events=self.options.max_events,
            first_event=first_event,
            step=self.step,
            stop_with_input=not settles,
            settle_pass=bool(hysteresis and (settles or not self.step)),
            log_service=logs,
            history_period=self.options.history_period,
            seeded=self.seeded,
            named=logs or bool((self.plan.spread > 1).any()),
            played=self.played,
        )

    def _end_of_input(self, stimulus: Stimulus) -> int:
        return number_of_steps(stimulus, self.step) * self.step if self.step else stimulus.end

    def state(self, stimulus: Stimulus, index: int) -> State:
        """What changes while a sample runs, as it begins."""
        plan, options = self.plan, self.options
        neurons, ranks = len(self.initial), len(plan.population)
        added = self.analog.quanta(stimulus)
        flow = currents(self.network, added) if added else self.currents
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
        charge = self.initial.copy()
        counters = np.zeros((ranks, len(COUNTERS)), dtype=np.int64)
        for r, name in enumerate(self.network.order):
            where = slice(rows[r, k.OFFSET], rows[r, k.OFFSET] + rows[r, k.SIZE])
            if name in added:
                counters[r, COLUMN["multiplications"]] = self.analog.multiplications[name]
                if not takes_current(self.network.populations[name]):
                    charge[where] += added[name]
            held = charge[where] - self.shift[r]
            beyond = (np.abs(charge[where]) > CHARGE_LIMIT) | (np.abs(held) > CHARGE_LIMIT)
            if beyond.any():
                raise overflow(self.network, r, int(np.argmax(beyond)), index)
            charge[where] = held
        table = len(flow.quanta)
        shift = np.zeros(table, dtype=np.int32)
        for r in range(ranks):
            shift[flow.start[r] : flow.start[r] + flow.length[r]] = self.shift[r]

        def if_needed(needed: bool, value: int = 0) -> NDArray[np.int64]:
            return np.full(neurons if needed else 1, value, dtype=np.int64)

        rate = rows[rows[:, k.KIND] == k.KIND_RATE]
        refractory = bool((rate[:, k.REFRACTORY] > 0).any())
        loses = bool((rate[:, [k.HARD, k.CLAMPED, k.LEAK_PERIOD, k.REFRACTORY_DROP]] > 0).any())
        waits = refractory or bool((rank[:, k.BIAS_LENGTH] > 0).any())
        return State(
            charge=charge.astype(np.int32),
            emitted=self.initial_count.copy(),
            touched=touched,
            active=np.zeros(neurons if self.played else 1, dtype=np.uint8),
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
            lists=np.zeros(int(self.capacities.lists.sum()), dtype=np.int64),
            scratch=np.zeros(
                max(int(self.capacities.lists.max()), int(rows[:, k.SIZE].max()) if self.seeded else 0),
                dtype=np.int64,
            ),
            digits=np.zeros(257, dtype=np.int64),
            flagged=np.zeros(int(rows[:, k.SIZE].max()), dtype=np.int64),
            pending=np.zeros((self.capacities.pending, 4), dtype=np.int64),
            crossings=np.zeros((self.capacities.pending, 2), dtype=np.int64),
            log=np.zeros(self.capacities.log, dtype=np.int64),
            trace=np.zeros((self.capacities.trace, 4), dtype=np.int64),
            trace_readout=np.zeros((self.capacities.trace, rows[self.output, k.SIZE]), dtype=np.int64),
            history=np.zeros((self.capacities.history, *counters.shape), dtype=np.int64),
            history_readout=np.zeros((self.capacities.history, rows[self.output, k.SIZE]), dtype=np.int64),
            part=np.zeros((len(plan.part), k.PART_COLUMNS), dtype=np.int64),
            parts=self._fresh_parts(bool(added)),
            estimates=self.estimates.copy(),
            decays=np.zeros(len(self.estimates), dtype=np.int64),
            service=np.zeros((self.capacities.service, SERVICE_COLUMNS), dtype=np.int64),
            scalar=scalar,
        )

    def _fresh_parts(self, analog: bool) -> NDArray[np.int64]:
        """Counters by part; analog input is multiplied once for every synapse from the input."""
        plan = self.plan
        parts = np.zeros((len(plan.part), len(COUNTERS)), dtype=np.int64)
        if analog:
            row = plan.population[self.network.order.index(self.network.input)]
            for to in plan.destination[row[k.DESTINATION_START] : row[k.DESTINATION_STOP]]:
                synapses = plan.fan_out[to[k.FAN_OUT] : to[k.FAN_OUT] + row[k.SIZE], k.FULL_FAN_OUT].sum()
                parts[to[k.TARGET_PART], COLUMN["multiplications"]] += synapses
        return parts

    def _groups(self) -> int:
        marked = self.plan.population[self.plan.population[:, k.TOUCH_OFFSET] >= 0]
        return int((marked[:, k.SIZE] // marked[:, k.GROUP]).sum()) if len(marked) else 0

    def _start_tests(self, stimulus: Stimulus, rank: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Marks of touched neurons: charges at time 0, biases or analog, ask for a test of all of them."""
        touched = np.zeros(1 + self._groups(), dtype=np.uint8)
        driven = set()
        if stimulus.analog is not None:
            driven = {projection.target for projection in self.network.outgoing(self.network.input)}
        for r, population in enumerate(self.network):
            row = self.plan.population[r]
            if row[k.KIND] != k.KIND_SIGNED:
                continue
            if r in self.start_biased or population.name in driven:
                groups = row[k.SIZE] // row[k.GROUP]
                touched[row[k.TOUCH_OFFSET] : row[k.TOUCH_OFFSET] + groups] = 1
                rank[r, k.TOUCHED_START], rank[r, k.TOUCHED_STOP] = 0, groups
                rank[r, k.TEST_DUE] = self.step
        return touched

    def _fresh_ranks(self, flow: Currents, index: int, end: int) -> NDArray[np.int64]:
        rows = self.plan.population
        rank = np.zeros((len(rows), k.RANK_COLUMNS), dtype=np.int64)
        rank[:, k.TOUCHED_START] = rows[:, k.SIZE]
        rank[:, k.TEST_DUE] = k.NEVER
        rank[:, k.LIST_LIMIT] = rank[:, k.LIST_END] = np.cumsum(self.capacities.lists)
        for column in (k.LIST_START, k.LIST_STOP, k.LIST_DONE):
            rank[:, column] = rank[:, k.LIST_LIMIT] - self.capacities.lists
        rank[:, k.BIAS_START], rank[:, k.BIAS_LENGTH] = flow.start, flow.length
        rank[:, k.BIASED] = flow.biased
        rank[:, k.WINDOW_END] = rank[:, k.LEAK_NEXT] = k.NEVER
        rank[:, k.ACTIVE] = 1
        rank[self.output, k.COUNTED_AT_ONCE] = 1
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

    def input(self, stimulus: Stimulus, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ticks and spike words of the input; in the step schedule at the tick that closes their step."""
        time = stimulus.time
        if self.step:
            time = (time // self.step + 1) * self.step
        payload = np.ones(len(time), dtype=np.int64) if stimulus.payload is None else stimulus.payload
        words = (stimulus.neuron << 32) | (payload & 0xFFFFFFFF)
        if self.seeded:
            key, rank = sample_key(self.options.seed, index), self.network.order.index(self.network.input)
            drawn = [
                draw(key, PURPOSE_TIES, int(t), rank, int(j)) >> SEEDED_SHIFT
                for t, j in zip(time, stimulus.neuron, strict=True)
            ]
            order = np.lexsort((stimulus.neuron, np.array(drawn, dtype=np.int64), time))
            words = words[order]
        return np.ascontiguousarray(time, dtype=np.int64), np.ascontiguousarray(words, dtype=np.int64)


def _comes_to_rest(population: Population, biased: bool) -> bool:
    """Whether a population of the step schedule emits and changes only because of what arrives."""
    neuron = population.neuron
    if isinstance(neuron, Readout):
        return not biased
    return isinstance(neuron, (Input, Signed)) or (isinstance(neuron, MaxGate) and neuron.filter == "exact")
