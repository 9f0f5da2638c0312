"""The step schedule on an accelerator: the accepted figures, the oracle, the laws."""

from dataclasses import replace

import numpy as np
import pytest
from builders.chip_case import STEP, chip_document, comparison, quantity
from oracles.naive_chip import acceptance_case, channels_last_orders, run_chip

from eventsnn import simulate
from eventsnn.counting.counters import COLUMN
from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Chip, map_network
from eventsnn.hardware.architecture import parse_architecture
from eventsnn.hardware.energy import dynamic_energy_aj, energy_by_action
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate, Readout, Softmax

ENGINES = ("reference",)
OPTIONS = RunOptions(schedule="step", record_spikes=True)


def run(engine, network, mapping, stimulus, **options):
    return make_engine(engine, network, mapping, replace(OPTIONS, **options)).run(stimulus)


def total(found, *counters):
    return sum(int(found.counters[:, COLUMN[name]].sum()) for name in counters)


def joules(found, network, mapping):
    """By action."""
    table = Chip(mapping).energy(network.order, steps=True)
    return {name: value.sum() for name, value in energy_by_action(found.counters, table).items()}


# -- the accepted comparison ------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_the_accepted_counts(engine):
    found = run(engine, *comparison())
    assert total(found, "input_events", "spikes_positive") == 1165
    assert total(found, "synapses_served") == 13438
    assert total(found, "messages_sent") == total(found, "messages_received") == 1240
    assert total(found, "hops_x", "hops_y") == 3985
    assert total(found, "active_updates") == 3395
    assert total(found, "neuron_accesses") == 20 * 186
    assert total(found, "steps") == 20


@pytest.mark.parametrize("engine", ENGINES)
def test_the_accepted_energies(engine):
    network, mapping, stimulus = comparison()
    found = run(engine, network, mapping, stimulus)
    by_action = joules(found, network, mapping)
    parts = {
        "synapse": 4.00459e-7,
        "access update fire": 3.221466e-7,
        "serialise decode hop_x hop_y": 1.515606e-7,
        " ".join(by_action): 8.741662e-7,
    }
    for names, expected in parts.items():
        assert sum(by_action[name] for name in names.split()) == pytest.approx(expected, rel=1e-6)
    table = Chip(mapping).energy(network.order, steps=True)
    assert found.trace.energy[-1] == dynamic_energy_aj(found.counters, table)


def first_steps(stimulus, steps):
    early = stimulus.time < steps * STEP
    return Stimulus(stimulus.time[early], stimulus.neuron[early], duration=steps * STEP)


def step_times(engine, timing):
    """Of each step of the accepted case, picoseconds."""
    network, mapping, stimulus = comparison(timing=timing)
    over = [run(engine, network, mapping, first_steps(stimulus, n)).decision_time for n in range(1, 21)]
    return np.diff([0, *over])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_accepted_times(engine):
    totals, messages = step_times(engine, "totals"), step_times(engine, "messages")
    assert totals.sum() == 59_666_000
    assert totals[:4].tolist() == [2_133_400, 2_269_200, 2_891_200, 2_833_400]
    assert (messages >= totals).all()
    assert messages.sum() == pytest.approx(6.10482e7, rel=0.01)
    assert messages.sum() == pytest.approx(6.4281e7, rel=0.1)
    net, chip, spikes, shapes = acceptance_case()
    oracle = run_chip(net, chip, spikes, channels_last_orders(net, shapes))
    assert messages.tolist() == oracle["event_driven_ps"]
    assert totals.tolist() == oracle["simple_ps"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_second_layer_charged_as_a_convolution(engine):
    plain, other = ({"conv1": "conv"}, {"conv1": "conv", "conv2": "conv"})
    runs, energies = [], []
    for units in (plain, other):
        network, mapping, stimulus = comparison(timing="totals", units=units)
        runs.append(run(engine, network, mapping, stimulus))
        energies.append(joules(runs[-1], network, mapping)["synapse"])
    assert energies[1] / energies[0] - 1 == pytest.approx(-0.160, abs=5e-4)
    assert runs[1].decision_time / runs[0].decision_time - 1 == pytest.approx(-0.048, abs=5e-4)


# -- what a step costs on the whole --------------------------------------------------------------------


def small_network(period=0):
    return Network(
        [Population("in", (1, 1, 2), Input()), Population("out", (1, 1, 2), Readout(period=period))],
        [Projection("p", "in", "out", Dense(np.array([[3, 1], [1, 2]])))],
    )


def chip(actions=None, **changes):
    return parse_architecture(chip_document() | {"actions": actions or {}} | changes, "test")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["barrier", "dependency"])
def test_a_cost_per_step(engine, kind):
    """Outside truth B10: SpikeSim's VGG9 as a cost per step."""
    step = {"energy": quantity(3_181_386.805248, "pJ"), "time": quantity(12_566_528, "ns")}
    network = small_network()
    mapping = map_network(network, chip({"step": step}, synchronisation={"kind": kind}))
    stimulus = Stimulus(np.arange(5) * STEP, np.zeros(5, dtype=np.int64))
    found = run(engine, network, mapping, stimulus, step=STEP)
    assert found.decision_time == 62_832_640_000
    assert dynamic_energy_aj(found.counters, Chip(mapping).energy(network.order, True)) == 15_906_934_026_240


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_history_is_in_the_time_of_the_chip(engine):
    """Five steps of 12.6 ms each, a row every 10 ms; the decision takes another 11 ms."""
    actions = {"step": {"time": quantity(12.6, "ms")}, "decision": {"time": quantity(11, "ms")}}
    network = small_network()
    mapping = map_network(network, chip(actions, synchronisation={"kind": "barrier"}))
    stimulus = Stimulus(np.arange(5) * STEP, np.zeros(5, dtype=np.int64))
    found = run(engine, network, mapping, stimulus, step=STEP, history_period=10**10)
    assert (found.history.time // 10**10).tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert found.history.counters[:, :, COLUMN["steps"]].sum(axis=1).tolist() == [0, 1, 2, 3, 3, 4, 5]
    assert found.history.readout[:, 0].tolist() == [0, 3, 6, 9, 9, 12, 15]
    fine = run(engine, network, mapping, stimulus, step=STEP, history_period=10**8).history
    steps = fine.counters[:, :, COLUMN["steps"]].sum(axis=1)
    assert len(steps) == 630
    np.testing.assert_array_equal(steps, fine.time // (126 * 10**8))
    rule = parse_rule("margin:0.01")
    found = run(engine, network, mapping, stimulus, step=STEP, history_period=10**9, exit_rule=rule)
    assert found.decision_time == 23_600_000_000
    steps = found.history.counters[:, :, COLUMN["steps"]].sum(axis=1)
    assert steps.tolist() == [0] * 12 + [1] * 12
    with pytest.raises(InvalidRequest, match="more than 1000000 rows by tick"):
        run(engine, network, mapping, stimulus, step=STEP, history_period=1)


@pytest.mark.parametrize("engine", ["reference", "compiled"])
@pytest.mark.parametrize("kind", ["rate", "softmax"])
def test_a_bias_makes_a_neuron_active_though_it_holds_no_charge(engine, kind):
    """Of four neurons that nothing is sent to, two get a current; it fires, or cancels, at once."""
    bias = np.array([4, 0, -3, 0])
    if kind == "rate":  # fires in every step, and is left with no charge, or is clamped to none
        neuron = Rate(4, reset="hard", multispike=False, lower_clamp=0, period=STEP)
    else:
        neuron = Softmax("independent", 0.1, STEP, STEP)
    network = Network(
        [Population("in", (1, 1, 1), Input()), Population("n", (1, 1, 4), neuron, bias=bias)],
        [Projection("p", "in", "n", Dense(np.array([[0, 0, 0, 0]])), None, STEP)],
    )
    update = {"energy": quantity(7, "pJ"), "time": quantity(3, "ns")}
    mapping = map_network(network, chip({"update": update}, synchronisation={"kind": "barrier"}))
    stimulus = Stimulus(np.array([4 * STEP]), np.array([0]))  # sent in the last step: used in none
    found = run(engine, network, mapping, stimulus, step=STEP)
    assert total(found, "steps") == 5
    assert total(found, "active_updates") == 5 * 2
    assert found.decision_time == 5 * 2 * 3_000


# -- what goes together ----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("schedule", "synchronisation", "core", "message"),
    [
        ("step", {"kind": "none"}, {}, "has no timesteps .synchronisation .none.."),
        ("event", {"kind": "barrier"}, {}, "runs step by step .synchronisation .barrier.."),
        ("event", {"kind": "dependency"}, {}, "use schedule='step'"),
        ("step", {"kind": "barrier"}, {"depth": 3, "policy": "drop-old"}, "loses messages at full input"),
        ("step", {"kind": "dependency"}, {"depth": 3}, "bounded FIFOs or links"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(engine, schedule, synchronisation, core, message):
    document = chip_document() | {"synchronisation": synchronisation}
    if core:
        document["cores"]["loihi"]["input_fifo"] = core
    architecture = parse_architecture(document, "test")
    data = [(np.zeros((0,), dtype=[("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?")]), 0)]
    with pytest.raises(InvalidRequest, match=message):
        simulate(
            small_network(), data, architecture, schedule=schedule, engine=engine,
            **({"step_us": 1} if schedule == "step" else {}),
        )  # fmt: skip
