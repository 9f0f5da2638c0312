"""What a kernel call is given: the network, the settings of a run, and all that changes during a sample."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.kernels.records import Records


class Synapses(NamedTuple):
    """Where spikes land, and with which weights."""

    cells: Records  # (destinations x source pixels,) CELL
    edges: NDArray[np.int64]  # of sparse destinations: row pointers, then targets
    weights: NDArray[np.int32]  # flat
    narrow: NDArray[np.int16]  # likewise, of destinations whose weights all fit


class Plan(NamedTuple):
    """Read-only arrays, some of them of ``records``; int64 unless said."""

    population: Records  # (ranks,) POPULATION
    destination: Records  # (destinations,) DESTINATION
    synapses: Synapses
    fan_out: Records  # (destinations x source neurons,) FAN_OUT
    factors: NDArray[np.int32]  # of leaks, a stretch for each population that has them
    keys: NDArray[np.int64]  # (ranks, 2) what the digest calls a population
    part_of: NDArray[np.int32]  # (neurons,) part on a core
    part: Records  # (parts,) PART
    route: Records  # (parts x destinations of their population,) ROUTE
    leg: Records  # (legs,) LEG
    chip: Records  # CHIP, one
    energy: NDArray[np.int64]  # (ranks, counters) attojoules per count
    times: NDArray[np.int64]  # (tables, length) equally likely times
    spread: NDArray[np.int64]  # (tables,) how many there are to draw from: 1 is a constant
    tables: NDArray[np.int64]  # of a spiking softmax: waiting times, then exponentials


class Settings(NamedTuple):
    """Scalars of one sample's run: exit rule, output scale, limits, schedule."""

    rule: int
    rule_threshold: float
    rule_parts: NDArray[np.int64]  # of an exit rule, see decide.program
    rule_numbers: NDArray[np.float64]
    input_rank: int
    output_rank: int
    output_scale: float
    decision_weights: NDArray[np.int64]  # (classes,) what a count weighs in the decision
    seed_key: np.uint64
    max_events: int
    first_event: int
    step: int  # ticks of a timestep, 0 in the event schedule
    stop_with_input: bool  # step schedule: nothing is computed after the last step
    settle_pass: bool
    log_service: bool
    history_period: int
    seeded: bool  # ties
    named: bool  # a log or random times ask which of its neuron's spikes one is
    played: bool  # each step, on an accelerator
    slab: int  # ticks of a slab, 0 for none


class Neurons(NamedTuple):
    """What neurons hold, numbered flat over ranks."""

    charge: NDArray[np.int32]  # (neurons,) rate neurons: less their shift, see ``currents``
    emitted: NDArray[np.int32]  # (neurons,) initial count and summed payloads
    touched: NDArray[np.uint8]  # (groups,) signed neurons delivered to since the last test
    ready: NDArray[np.int64]  # (neurons,) end of the refractory time
    candidate: NDArray[np.int64]  # (neurons,) tick of the neuron's queued crossing
    membrane: NDArray[np.int64]  # (neurons,) the charge where ``charge`` is a synaptic current
    lost: NDArray[np.int64]  # (causes, neurons)


class Tables(NamedTuple):
    """The tables of currents, by rank."""

    quanta: NDArray[np.int32]  # (biases,)
    base: NDArray[np.int64]  # (biases,) what each current had given when its window began
    shift: NDArray[np.int32]  # (biases,)
    delta: NDArray[np.int32]  # (biases,) scratch


class Firing(NamedTuple):
    """Neurons that may fire, will, and have."""

    flagged: NDArray[np.int64]  # (largest population,)
    crossings: Records  # (capacity,) CROSSING
    lists: NDArray[np.int64]  # (capacity,) spike words of this tick, a stretch for each rank


class Gates(NamedTuple):
    """What max gates keep of their sources."""

    estimates: NDArray[np.int64]  # (copies to max gates x source neurons,)
    decays: NDArray[np.int64]  # likewise, factors applied so far


class State(NamedTuple):
    """All that changes during a sample, created for it.

    Arrays that a network has no use for have one element.
    """

    neurons: Neurons
    currents: Tables
    firing: Firing
    gates: Gates
    active: NDArray[np.uint8]  # (neurons,) held charge, were delivered to, or tested, in this step
    ordinal: NDArray[np.int64]  # (neurons,) spikes emitted, for copies that wait
    rank: Records  # (ranks,) RANK
    counters: NDArray[np.int64]  # (ranks, counters)
    scratch: NDArray[np.int64]  # (largest stretch,)
    digits: NDArray[np.int64]  # (257,) scratch for sorting
    pending: Records  # (capacity,) PENDING
    log: NDArray[np.int64]  # (capacity,) what the digest hashes, see counting.digest
    trace: Records  # (capacity,) CHECK
    trace_readout: NDArray[np.int64]  # (capacity, classes)
    weighed: NDArray[np.int64]  # (classes,) scratch
    rule: NDArray[np.float64]  # what the exit rule remembers
    history: NDArray[np.int64]  # (rows, ranks, counters)
    history_readout: NDArray[np.int64]  # (rows, classes)
    part: Records  # (parts,) PART_STATE
    parts: NDArray[np.int64]  # (parts, counters)
    service: Records  # (capacity,) engine.service.SERVICE
    scalar: Records  # SCALARS, one


class Slabs(NamedTuple):
    """Populations that run one after another over a slab of time, see ``kernels.slabs``."""

    incoming: NDArray[np.int64]  # destinations by the rank they end in, in the order of law 2
    incoming_start: NDArray[np.int64]  # (ranks + 1,)
    cursor: NDArray[np.int64]  # (destinations,) by ``incoming``: the source's next mark
    mark: Records  # (capacity,) MARK, by rank
    first: NDArray[np.int64]  # (ranks,) a rank's first mark
    stop: NDArray[np.int64]  # (ranks,)
    place: NDArray[np.int64]  # (ranks,) scratch


class Streams(NamedTuple):
    """Messages on an accelerator whose queues are unbounded, see ``kernels.streams``."""

    stream: Records  # (streams,) STREAM
    server: Records  # (servers,) SERVER
    tree: NDArray[np.int64]  # (2^n,) the tournament: of places 2 i and 2 i + 1 the first is at i
    message: Records  # (capacity,) MESSAGE
    serialiser: NDArray[np.int64]  # (cores + 1,) busy until; the input port's first


class Queues(NamedTuple):
    """Messages on an accelerator with bounded queues, see ``kernels.bounded``."""

    place: Records  # (places,) PLACE
    message: Records  # (capacity,) QUEUED_MESSAGE
    event: Records  # (capacity,) PENDING


class Steps(NamedTuple):
    """The step schedule on an accelerator. ``destination`` to ``spread`` are named as in ``Plan``."""

    destination: Records  # (copies,) DESTINATION
    fan_out: Records  # (copies x source neurons,) FAN_OUT
    part_of: NDArray[np.int32]  # (neurons,) part on a core
    part: Records  # (parts,) PART
    route: Records  # (parts x destinations of their population,) ROUTE
    leg: Records  # (legs,) LEG
    chip: Records  # CHIP, one
    times: NDArray[np.int64]  # (tables, length) equally likely times
    spread: NDArray[np.int64]  # (tables,) how many there are to draw from
    incoming: NDArray[np.int64]  # copies by the part they end in
    of_core: NDArray[np.int64]  # parts by their core, by rank, readouts left out
    stream_of: NDArray[np.int64]  # (parts, copies) place in ``stream``
    # What changes, from here on.
    stream: Records  # (parts x their copies,) STEP_STREAM, by the core the copy ends on
    message: Records  # (capacity,) STEP_MESSAGE, by stream
    words: NDArray[np.int64]  # (spikes of a step,) by part
    ordinal: NDArray[np.int64]  # (neurons,) spikes emitted, for random times and the log
    counters: NDArray[np.int64]  # (parts, counters)
    scan: Records  # (parts,) SCAN
    unit: Records  # (cores,) UNIT
    heard: NDArray[np.int64]  # (copies, steps remembered) when a copy's messages had been served
    checked: NDArray[np.int64]  # (checks,) when the step of an exit check was over
    scalar: Records  # STEP_SCALARS, one
