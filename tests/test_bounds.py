"""No run is shorter than the bound of its work: random networks and chips, cases by hand, an oracle."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from builders.chips import architecture_of, core_kind, random_chip, whole_on
from builders.quantities import quantity
from builders.step_chips import random_step_mapping
from builders.tiny import STEP, tiny_network, tiny_stimulus
from oracles.work import work_in_steps

from eventsnn.engine import RunOptions, Stimulus
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.reference.chip_steps import ChipSteps
from eventsnn.engine.service import DROPPED, TESTED
from eventsnn.errors import Deadlock, InvalidNetwork, InvalidRequest
from eventsnn.hardware import Chip
from eventsnn.insight.bottleneck import Bottleneck
from eventsnn.insight.bounds import bound, least, workload
from eventsnn.insight.counted import begun
from eventsnn.insight.service import jobs_by_server
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate, Readout

STEPPED = RunOptions(record_spikes=True, record_service=True, schedule="step", step=STEP)
EVENTS = replace(STEPPED, schedule="event", step=0)
WAYS = ("barrier", "totals", "dependency")


class Noted(ChipSteps):
    """Steps that tell, once played, when each was over and who was active in it."""

    last = None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Noted.last, self.was_active = self, []

    def play(self, spikes, active):
        self.was_active.append([set(neurons) for neurons in active])
        super().play(spikes, active)


class NotedEngine(ReferenceEngine):
    chip_steps = Noted


def stepped(seed, way, **chip):
    """A run in steps of a tiny network on a random chip: network, mapping, run, how long each step took."""
    network = tiny_network(seed)
    kind, timing = ("barrier", "totals") if way == "totals" else (way, "messages")
    mapping = random_step_mapping(seed, network, kind=kind, timing=timing, **chip)
    run = NotedEngine(network, mapping, STEPPED).run(tiny_stimulus(seed, network), seed)
    over = np.array(Noted.last.over)
    begun_at = np.concatenate([[0], over[:-1]])
    if mapping.architecture.synchronisation.pace == "input":
        begun_at = np.maximum(begun_at, (np.arange(len(over)) + 1) * STEP)
    return network, mapping, run, over - begun_at


def spans(run):
    """Ticks from the first beginning to the last end of what was done in each step, by step."""
    ordinal, steps, scans = Counter(), {}, Counter()
    for time, rank, neuron in zip(run.spikes.time, run.spikes.rank, run.spikes.neuron, strict=True):
        steps[rank, neuron, ordinal[rank, neuron]] = time // STEP - 1
        ordinal[rank, neuron] += 1
    ends = defaultdict(list)
    for row in np.sort(run.service, order=["start", "released"], kind="stable"):
        if row["kind"] == TESTED:  # a core scans a part once a step
            step = scans[row["rank"], row["core"]]
            scans[row["rank"], row["core"]] += 1
        else:
            step = steps[row["rank"], row["neuron"], row["ordinal"]]
        ends[step] += [row["start"], row["released"]]
    return {step: max(ticks) - min(ticks) for step, ticks in ends.items()}


@pytest.mark.parametrize("way", WAYS)
def test_no_step_is_shorter_than_its_bound(way):
    asserted = tight = 0
    for seed in range(172):
        chip = {"jitter": seed % 3 == 0, "links": seed % 4 > 0, "depth": way == "barrier" and seed % 5 > 1}
        try:
            network, mapping, run, took = stepped(seed, way, **chip)
        except InvalidNetwork:
            continue
        found = bound(run, network, mapping, STEP)
        assert found.ticks <= found.time
        if way == "dependency":  # steps overlap: what is done in one takes as long as its busiest server
            own = np.array([found.work.total(server) for server in found.work.ticks]).max(axis=0)
            assert all(ticks >= own[step] for step, ticks in spans(run).items())
        else:
            assert len(took) == found.work.windows
            assert (took >= found.by_window).all()
            assert found.time >= took.sum()
            if way == "totals" and not chip["jitter"]:
                np.testing.assert_array_equal(took, found.by_window)
        asserted += 1
        tight += found.ticks > 0.7 * found.time
    assert asserted >= 170
    assert tight >= 50


def test_the_work_is_that_of_single_spikes_and_synapses():
    shared = queued = 0
    for seed in range(60):
        try:
            network, mapping, run, _ = stepped(seed, "barrier", links=seed % 2 == 0, zero=0.1)
        except InvalidNetwork:
            continue
        chip = Chip(mapping)
        costs = {name: int(table[0]) for name, table in _times(chip).items()}
        costs["elements"] = chip.core(0).processing_elements
        order = network.order
        listed = zip(run.spikes.time, run.spikes.rank, run.spikes.neuron, strict=True)
        spikes = [(int(time) // STEP - 1, order[rank], int(neuron)) for time, rank, neuron in listed]
        active = {
            (step, order[rank], neuron)
            for step, by_rank in enumerate(Noted.last.was_active)
            for rank, neurons in enumerate(by_rank)
            for neuron in neurons
            if network.populations[order[rank]].neuron.emits != "nothing"
        }
        ticks, words = work_in_steps(network, mapping, costs, spikes, active)
        found = bound(run, network, mapping, STEP).work
        for name, parts in mapping.parts.items():
            population = network.populations[name]
            if not population.neuron.is_input and population.neuron.emits != "nothing":
                for part in parts:
                    size = (part.y1 - part.y0) * population.shape[1] * (part.c1 - part.c0)
                    for step in range(found.windows):
                        ticks[step, "scan", part.core] += size * costs["access"]
        units = {"neuron unit": "scan", "serialiser": "scan", "receiving unit": "receive", "link": "link"}
        ours = {
            (step, units[unit], number): int(own)
            for unit, number in found.ticks
            for step, own in enumerate(found.total((unit, number)))
            if own
        }
        assert ours == {key: own for key, own in ticks.items() if own}
        read = defaultdict(int)
        for (core, _, _), by_step in found.words.items():
            read[core] += int(by_step.sum())
        assert {core: n for core, n in read.items() if n} == words
        cores = [part.core for parts in mapping.parts.values() for part in parts]
        shared += len(set(cores)) < len(cores)
        queued += any(unit == "link" for unit, _ in found.ticks)
    assert min(shared, queued) >= 10


def _times(chip):
    core = chip.core(0)
    constant = {name: [getattr(core, name)] for name in ("access", "update", "fire")}
    return constant | {
        "input": chip.core(-1).serialise,
        "serialise": core.serialise,
        "decode": core.decode,
        "synapse": chip.synapse("out", 0),
        "hop_x": chip.hop_x,
        "hop_y": chip.hop_y,
        "bus": chip.bus,
    }


# -- equality ------------------------------------------------------------------------------------------------


def one_core(synchronisation, times, lanes=1):
    """A chip of one core that runs in steps."""
    chip = architecture_of([core_kind(lanes=lanes)], times=times)
    return type(chip).model_validate(chip.document() | {"synchronisation": synchronisation})


@pytest.mark.parametrize("kind", ["barrier", "dependency"])
@pytest.mark.parametrize(
    "times",
    [
        # What serves: all messages are there at once, and it serves one after the other.
        {"decode": 7, "synapse": 3},
        # What scans and sends: nobody waits for what it sends.
        {"access": 2, "update": 5, "fire": 4, "serialise": 9},
        {"input": 11},
    ],
)
def test_one_core_with_nothing_to_wait_for_takes_its_bound(kind, times):
    asserted = 0
    for seed in range(40):
        network, lanes = tiny_network(seed), 1 + seed % 3
        fixed = {"step": 13} if kind == "barrier" else {}
        latency = [{"tiles": 1, "time": quantity(50, "ps")}] if kind == "barrier" else []
        chip = one_core({"kind": kind, "latency": latency}, times | fixed, lanes)
        cores = {name: 0 for name in network.order if name != network.input}
        mapping = whole_on(network, chip, cores)
        run = ReferenceEngine(network, mapping, STEPPED).run(tiny_stimulus(seed, network))
        found = bound(run, network, mapping, STEP)
        assert found.ticks == found.time
        assert Bottleneck((found,)).explained == 1 or not found.time
        asserted += found.time > 0
    assert asserted >= 20


# -- the event schedule --------------------------------------------------------------------------------------


def test_no_server_is_done_with_a_window_before_its_bound():
    asserted = whole = 0
    for seed in range(110):
        network = tiny_network(seed, steps=False)
        mapping = random_chip(seed, network, zeros=seed % 2 == 0, jitter=seed % 3 == 0)
        try:
            run = ReferenceEngine(network, mapping, EVENTS).run(tiny_stimulus(seed, network), seed)
        except (Deadlock, InvalidRequest):
            continue
        found = bound(run, network, mapping, windows=7)
        jobs = begun(run.service, run.decision_time)
        assert found.ticks <= found.time
        for server, rows in jobs_by_server(jobs, False).items():
            own = jobs[rows]
            window = np.clip(np.searchsorted(found.edges, own["arrival"], side="right") - 1, 0, 6)
            for place in np.unique(window).tolist():
                here = own[window == place]
                assert here["finish"].max() - here["arrival"].min() >= found.work.total(server)[place]
                if seed % 3:
                    spent = int((here["finish"] - here["start"]).sum())
                    assert spent == found.work.total(server)[place]
        asserted += 1
        if not (run.service["kind"] == DROPPED).any():  # nothing was lost: the spikes alone tell the same
            told = least(workload(run, network, mapping), mapping)
            for server, ticks in told.work.ticks.items():
                logged = found.work.ticks.get(server, np.zeros((1, 5), dtype=np.int64)).sum(axis=0)
                np.testing.assert_array_equal(ticks.sum(axis=0), logged)
            whole += 1
    assert asserted >= 100
    assert whole >= 60


# -- by hand -------------------------------------------------------------------------------------------------


def two_hidden(chip, cores):
    """Two inputs, two hidden populations of two neurons, two classes; cores by population."""
    network = Network(
        [
            Population("in", (1, 1, 2), Input()),
            Population("a", (1, 1, 2), Rate(10, period=STEP)),
            Population("b", (1, 1, 2), Rate(10, period=STEP)),
            Population("out", (1, 1, 2), Readout(period=STEP)),
        ],
        [
            Projection("in-a", "in", "a", Dense(np.full((2, 2), 12))),
            Projection("in-b", "in", "b", Dense(np.full((2, 2), 12))),
            Projection("a-out", "a", "out", Dense(np.ones((2, 2), dtype=int))),
            Projection("b-out", "b", "out", Dense(np.ones((2, 2), dtype=int))),
        ],
    )
    return network, whole_on(network, chip, cores)


def test_states_by_hand():
    times = {"input": 1, "serialise": 2, "decode": 5, "synapse": 30, "access": 1, "update": 2, "fire": 4}
    chip = architecture_of([core_kind(), core_kind()], times=times)
    chip = type(chip).model_validate(chip.document() | {"synchronisation": {"kind": "barrier"}})
    network, mapping = two_hidden(chip, {"a": 0, "b": 0, "out": 1})
    stimulus = Stimulus(np.array([0]), np.array([0]), duration=STEP)
    run = ReferenceEngine(network, mapping, STEPPED).run(stimulus)
    found = Bottleneck((bound(run, network, mapping, STEP),))
    port, first, second = found.cores
    # One event, a copy to each hidden population; each of the four neurons spikes once, for two synapses.
    assert (port.core, port.messages_out, port.state) == (-1, 2, "waiting")
    assert (first.neurons, first.synapses, first.messages_in, first.messages_out) == (28, 120, 10, 8)
    assert (first.busiest, first.own, first.words, first.weight_reads) == ("receiving unit", 130, 4, 120)
    assert (second.neurons, second.synapses, second.messages_in) == (0, 240, 20)
    assert (second.busiest, second.own, second.state) == ("receiving unit", 260, "memory")
    # The port sends, core 0 serves the copy for a, scans and sends its first spike: then core 1 is busy.
    assert found.time == run.decision_time == 1 + 65 + 7 + 2 + 260
    assert found.ticks == 260
    assert found.busiest == ("receiving unit", 1)
    assert found.most(found.busiest) == "synapses"
    assert found.explained == 260 / 335
    assert first.share == 130 / 335
    assert first.state == "waiting"


def test_a_run_without_its_log_has_no_bound():
    network = tiny_network(0)
    mapping = random_step_mapping(0, network)
    run = ReferenceEngine(network, mapping, replace(STEPPED, record_service=False)).run(
        tiny_stimulus(0, network)
    )
    with pytest.raises(InvalidRequest, match="has not kept both"):
        bound(run, network, mapping, STEP)
