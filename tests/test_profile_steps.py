"""Profiles of the step schedule: paths from the start, or a step's input, to the decision without a gap."""

from dataclasses import replace

import numpy as np
import pytest
from builders.accelerators import architecture, random_jitter, random_limits, random_times
from builders.cases import random_case
from builders.chip_case import comparison
from builders.draws import SEEDS, generator
from builders.floors import asserting, asserts_at_least
from builders.quantities import quantity
from builders.runs import outcome
from hypothesis import assume, given, settings
from oracles.paths import check_path, pieces

from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.errors import DoesNotFit
from eventsnn.hardware import Mapping, map_network
from eventsnn.insight.profile import profile
from eventsnn.insight.service import jobs_by_server
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate, Readout

RECORDED = {"record_spikes": True, "record_service": True, "schedule": "step"}
TIMES = {
    "input": 10, "serialise": 20, "hop_x": 7, "hop_y": 30, "decode": 5, "synapse": 3, "update": 2, "fire": 4,
    "access": 1, "decision": 11, "step": 100,
}  # fmt: skip


def stepped(chip, synchronisation, links=None, fifo=None):
    """An architecture that runs step by step."""
    document = chip.document() | {"synchronisation": synchronisation}
    if links:
        document["network_on_chip"]["links"] = {"depth": links}
    if fifo:
        for core in document["cores"].values():
            core["input_fifo"] = {"depth": fifo}
    return type(chip).model_validate(document)


def profiled(network, mapping, stimulus, options, engine=ReferenceEngine):
    engine = engine(network, mapping, options)
    run = engine.run(stimulus)
    return run, profile(run, network, mapping, options.seed, stimulus.end, step=engine.step)


def chain(synchronisation):
    """Two inputs, a hidden neuron on core 0, a readout on core 1 one hop along y away."""
    network = Network(
        [
            Population("in", (1, 1, 2), Input()),
            Population("hidden", (1, 1, 1), Rate(10, period=1000)),
            Population("out", (1, 1, 2), Readout()),
        ],
        [
            Projection("first", "in", "hidden", Dense(np.array([[12], [12]]))),
            Projection("second", "hidden", "out", Dense(np.array([[1, 2]]))),
        ],
    )
    chip = stepped(architecture((1, 2), 9, 99, 2, TIMES, {}, {}), synchronisation)
    return network, map_network(network, chip)


def test_a_step_behind_a_barrier_by_hand():
    # Neurons 0 and 1 in step 0, nothing in step 1.
    stimulus = Stimulus(np.array([0, 0]), np.array([0, 1]), duration=2000)
    barrier = {"kind": "barrier", "latency": [{"tiles": 1, "time": quantity(50, "ps")}]}
    run, found = profiled(*chain(barrier), stimulus, RunOptions(step=1000, **RECORDED))
    first = [
        ("walk", "in", "input port", 0, 10, {"messages": 10}),
        ("serialise", "in", "input port", 10, 20, {}),
        ("decode", "hidden", "core 0", 20, 25, {}),
        ("synapses", "hidden", "core 0", 25, 28, {}),
        # Access, update, twice fire: 24 quanta are two spikes, and the first one is sent before the second.
        ("walk", "hidden", "core 0", 28, 59, {"messages": 20, "neurons": 11}),
        ("serialise", "hidden", "core 0", 59, 79, {}),
        ("hops", "hidden", "", 79, 109, {}),
        ("decode", "out", "core 1", 109, 114, {}),
        ("synapses", "out", "core 1", 114, 117, {}),
        ("step end", "", "", 117, 267, {}),
    ]
    # Four quanta stay behind: the neuron is active once more.
    second = [("walk", "hidden", "core 0", 267, 270, {"neurons": 3}), ("step end", "", "", 270, 420, {})]
    assert pieces(found.path) == first + second
    assert (found.path.origin, found.path.begin, run.decision_time) == ("start", 0, 420)
    assert {server: use.serving for server, use in found.uses.items()} == {
        ("serialiser", -1): 20,
        ("serialiser", 0): 40,
        ("neuron unit", 0): 51 + 3,
        ("receiving unit", 0): 16,
        ("receiving unit", 1): 16,
    }


def test_a_paced_step_waits_for_its_input():
    stimulus = Stimulus(np.array([0, 1500]), np.array([0, 1]), duration=2000)
    paced = {"kind": "barrier", "pace": "input"}
    run, found = profiled(*chain(paced), stimulus, RunOptions(step=1000, **RECORDED))
    assert (found.path.origin, found.path.begin) == ("step input", 2000)
    assert found.path.before == 2000
    assert run.decision_time == 2000 + 83 + 100


@pytest.mark.parametrize("timing", ["messages", "totals"])
def test_the_path_of_the_accepted_comparison(timing):
    network, mapping, stimulus = comparison(timing=timing)
    run, found = profiled(network, mapping, stimulus, RunOptions(**RECORDED))
    check_path(run, network, stimulus, found)
    assert (found.path.origin, found.path.begin) == ("start", 0)
    shares = found.path.shares()
    assert shares["step end", ""] == 20 * 1_400_000
    stages = {stage for stage, _ in shares}
    assert "walk" in stages
    assert stages <= {"walk", "services", "step end"} or timing == "messages"


def check_step_path(run, network, stimulus, step, found):
    check_path(run, network, stimulus, found)
    if found.path.origin == "start":
        assert found.path.begin == 0
    else:
        assert found.path.origin == "step input"
        assert found.path.begin % step == 0


CHIPS = [
    ({"kind": "barrier"}, None, None),
    ({"kind": "barrier", "pace": "input"}, None, None),
    ({"kind": "barrier"}, "unbounded", None),
    ({"kind": "barrier"}, 1, 1),
    ({"kind": "barrier", "timing": "totals"}, None, None),
    ({"kind": "dependency"}, None, None),
    ({"kind": "dependency", "pace": "input"}, "unbounded", None),
]


@pytest.mark.parametrize("chip", CHIPS)
@asserts_at_least(4)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(SEEDS)
def test_pieces_of_a_path_add_up_to_the_latency(chip, seed):
    rng = generator(seed)
    network, stimulus, options = random_case(seed, "step", True)
    times = random_times(rng, fastest=int(rng.integers(0, 2))) | {"step": int(rng.integers(0, 2)) * 500}
    plain = architecture(*random_limits(rng, network), times, {}, random_jitter(rng))
    options = replace(options, **RECORDED)
    try:
        mapping = map_network(network, stepped(plain, *chip))
    except DoesNotFit:
        assume(False)
    if rng.random() < 0.5:  # several parts on a core
        cores = int(rng.integers(1, 4))
        crowded = {
            name: tuple(replace(part, core=part.core if part.core < 0 else part.core % cores) for part in own)
            for name, own in mapping.parts.items()
        }
        mapping = Mapping(mapping.architecture, crowded, mapping.synapse_units)
    run = outcome("reference", network, mapping, stimulus, options)
    assume(not isinstance(run, type))
    asserting()
    length = make_engine("reference", network, mapping, options).step
    found = profile(run, network, mapping, options.seed, stimulus.end, step=length)
    check_step_path(run, network, stimulus, length, found)
    for use in found.uses.values():
        assert use.serving + use.blocked <= use.window
    assert set(found.uses) == set(jobs_by_server(run.service, True))
