"""What a user hands over: whole numbers, numbers, truth values, classes and names, each refused by name."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

import eventsnn
from eventsnn.errors import EventsnnError, InvalidNetwork, InvalidRequest
from eventsnn.network import (
    AveragePool,
    Axis,
    Conv2d,
    Dense,
    Identity,
    Input,
    MaxGate,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
    Softmax,
    Sparse,
    Upsample,
    leak_factor_of,
)
from eventsnn.report.page import write_report
from eventsnn.results.results import Results
from eventsnn.run.profile import profile_samples
from eventsnn.run.sweep import sweep

ONE = Axis(1)
NO_WHOLE_NUMBER = [4.5, True, np.True_, "4", None, float("nan"), float("inf"), 4 + 0j, [4], Fraction(9, 2)]
NO_NUMBER = [True, "0.5", None, float("nan"), float("inf"), 1j, [[1.0]], object()]
NO_TRUTH = [1, 0, "yes", None, 1.0]
# What takes a whole number: (make, read it back).
WHOLE = {
    "signed threshold": (lambda v: Signed(v, 3), "threshold"),
    "signed levels": (lambda v: Signed(8, v), "levels"),
    "settle_time": (lambda v: Signed(8, 3, settle_time=v), "settle_time"),
    "hysteresis_low": (lambda v: Signed(8, 3, hysteresis_low=v), "hysteresis_low"),
    "hysteresis_high": (lambda v: Signed(8, 3, hysteresis_high=v), "hysteresis_high"),
    "rate threshold": (lambda v: Rate(v), "threshold"),
    "initial_charge": (lambda v: Rate(8, initial_charge=v), "initial_charge"),
    "rate period": (lambda v: Rate(8, period=v), "period"),
    "refractory": (lambda v: Rate(8, refractory=v), "refractory"),
    "leak_period": (lambda v: Rate(8, leak_period=v), "leak_period"),
    "leak_factor": (lambda v: Rate(8, leak_period=5, leak_factor=v), "leak_factor"),
    "analog_scale": (lambda v: Input(analog_scale=v), "analog_scale"),
    "readout period": (lambda v: Readout(period=v), "period"),
    "gate factor": (lambda v: MaxGate("exponential", factor=v), "factor"),
    "gate period": (lambda v: MaxGate("average", period=v), "period"),
    "gate settle_time": (lambda v: MaxGate(settle_time=v), "settle_time"),
    "softmax interval": (lambda v: Softmax(interval=v), "interval"),
    "softmax period": (lambda v: Softmax(period=v), "period"),
    "taps": (lambda v: Axis(v), "taps"),
    "stride": (lambda v: Axis(3, v), "stride"),
    "pad_before": (lambda v: Axis(3, 1, v), "pad_before"),
    "pad_after": (lambda v: Axis(3, pad_after=v), "pad_after"),
    "dilation": (lambda v: Axis(3, dilation=v), "dilation"),
    "axis pool": (lambda v: Axis(3, pool=v), "pool"),
    "output_padding": (lambda v: Axis(3, transposed=True, output_padding=v), "output_padding"),
    "groups": (lambda v: Conv2d(np.ones((1, 1, 1, 4), int), ONE, ONE, v), "groups"),
    "upsample": (lambda v: Upsample([1], v, 2), "y"),
    "delay": (lambda v: Projection("p", "a", "b", Identity([1]), None, v), "delay"),
    "channel_offset": (lambda v: Projection("p", "a", "b", Identity([1]), None, 0, v), "channel_offset"),
}


@pytest.mark.parametrize("what", WHOLE)
def test_whole_numbers_of_a_network_are_whole(what):
    make, name = WHOLE[what]
    for four in (4, 4.0, np.int8(4), np.uint64(4), np.float32(4), np.array(4)):
        found = getattr(make(four), name)
        assert found == 4
        assert type(found) is int
    for value in NO_WHOLE_NUMBER:
        with pytest.raises(InvalidNetwork, match="must be a whole number"):
            make(value)


def test_a_lower_clamp_is_whole_or_none():
    assert Rate(4, lower_clamp=None).lower_clamp is None
    assert Rate(4, lower_clamp=-2.0).lower_clamp == -2
    for value in [v for v in NO_WHOLE_NUMBER if v is not None] + [-1.5]:
        with pytest.raises(InvalidNetwork, match=r"lower_clamp is .*; it must be a whole number"):
            Rate(4, lower_clamp=value)


@pytest.mark.parametrize(
    "make",
    [
        lambda v: Input(unit=v), lambda v: Readout(unit=v), lambda v: Softmax(unit=v),
        lambda v: Rate(4, unit=(1.0, v)), lambda v: Signed(4, 1, unit=(v,)), lambda v: MaxGate(unit=(v,)),
        lambda v: leak_factor_of(v, 1.0), lambda v: leak_factor_of(1.0, v),
    ],
)  # fmt: skip
def test_numbers_of_a_network_are_finite_real_numbers(make):
    for value in (1, 0.5, np.float32(0.5)):
        make(value)
    for value in NO_NUMBER:
        with pytest.raises(InvalidNetwork, match="must be a finite number"):
            make(value)
    with pytest.raises(InvalidNetwork, match=r"must be above 0|both must be above 0|allowed are 2"):
        make(0)


@pytest.mark.parametrize(
    "make",
    [
        lambda v: Rate(4, strict=v), lambda v: Rate(4, multispike=v), lambda v: Signed(4, 2, graded=v),
        lambda v: MaxGate(graded=v), lambda v: Axis(1, transposed=v),
        lambda v: Rate(4, refractory=3, refractory_drop=v),
    ],
)  # fmt: skip
def test_truth_values_of_a_network_are_true_or_false(make):
    for value in (True, np.False_):
        make(value)
    for value in NO_TRUTH:
        with pytest.raises(InvalidNetwork, match="must be True or False"):
            make(value)


@dataclass(frozen=True)
class Other:
    kind = "other"
    unit: float = 1.0


class Derived(Signed):
    pass


class DerivedDense(Dense):
    pass


@pytest.mark.parametrize("neuron", [Other(), Derived(4, 2), Signed, None, "rate", object()])
def test_neurons_that_no_engine_knows_are_refused(neuron):
    with pytest.raises(InvalidNetwork, match=r"'n' has .* as its neuron, which no engine knows"):
        Population("n", (1, 1, 2), neuron)


@pytest.mark.parametrize("synapses", [Other(), DerivedDense([[1]]), Dense, None, [[1, 2]]])
def test_synapses_that_no_engine_knows_are_refused(synapses):
    with pytest.raises(InvalidNetwork, match="as its synapses, which no engine knows; allowed are Conv2d"):
        Projection("p", "a", "b", synapses)


@pytest.mark.parametrize("engine", ["compiled", "reference", "float64"])
def test_neurons_slipped_in_are_no_readout_on_any_engine(engine):
    populations = [Population("in", (1, 1, 2), Input()), Population("out", (1, 1, 2), Readout())]
    network = Network(populations, [Projection("p", "in", "out", Dense(np.eye(2, dtype=int)))])
    object.__setattr__(populations[1], "neuron", Other())
    with pytest.raises(EventsnnError, match="Other"):
        eventsnn.simulate(network, [a_sample()] * 2, schedule="step", step_us=1.0, engine=engine)


@pytest.mark.parametrize(
    "shape", [(1.5, 1, 2), (1, 2), (True, 1, 2), ("1", 1, 2), 3, None, "112", (0, 1, 1), [[1, 1, 2]]]
)
def test_a_shape_is_three_whole_numbers(shape):
    with pytest.raises(InvalidNetwork, match=r"'n' has shape .*; allowed is \(y, x, channel\)"):
        Population("n", shape, Rate(4))


def test_whole_sides_of_other_types_become_ints():
    found = Population("n", np.array([1.0, 2.0, 3.0]), Rate(4))
    assert found.shape == (1, 2, 3)
    assert found.size == 6
    assert {type(n) for n in found.shape} == {int}


WRONG_WEIGHTS = [
    [1.0], [1.5], [float("nan")], [1j], ["1"], [True], [None], [2**31], [[1], [1, 2]], None, "1",
]  # fmt: skip


@pytest.mark.parametrize("weight", WRONG_WEIGHTS)
@pytest.mark.parametrize(
    "make",
    [
        Identity, lambda w: AveragePool(w, ONE, ONE), lambda w: Upsample(w, 1, 1),
        lambda w: Dense([w]), lambda w: Sparse(w, [0, 1], [0], (1, 1, 1)),
        lambda w: Projection("p", "a", "b", Identity([1]), w if w is not None else "none"),
    ],
)  # fmt: skip
def test_weights_and_biases_are_integers(make, weight):
    with pytest.raises(InvalidNetwork):
        make(weight)


@pytest.mark.parametrize("bias", [[1.0, 2.0], [1, 2, 3], [1j, 1], ["a", "b"], [[1], [1, 2]], [2**40, 0], []])
def test_a_population_bias_is_integers(bias):
    with pytest.raises(InvalidNetwork):
        Population("n", (1, 1, 2), Rate(4), bias=bias)


def test_initial_states_are_integers_and_lists_will_do():
    found = Population("n", (1, 1, 2), Signed(4, 2), [1, 2], [0, 2])
    assert found.initial_charge.dtype == np.int32
    assert found.initial_count.tolist() == [0, 2]
    for charge in ([1.5, 2.5], ["a", "b"], 3, [[1], [1, 2]], [1j, 1j], [True, False]):
        with pytest.raises(InvalidNetwork, match="'n'"):
            Population("n", (1, 1, 2), Signed(4, 2), charge, [0, 2])


@pytest.mark.parametrize("name", ["", "a/b", ".", "..", "a\0b", None, 3, b"in", "a\nb", "\ud800"])
def test_names_are_texts_that_a_file_can_hold(name):
    with pytest.raises(InvalidNetwork, match="name"):
        Population(name, (1, 1, 1), Rate(4))
    with pytest.raises(InvalidNetwork, match="name"):
        Projection(name, "a", "b", Identity([1]))


def parts():
    return (
        [Population("in", (1, 1, 2), Input()), Population("out", (1, 1, 2), Readout())],
        [Projection("p", "in", "out", Dense(np.eye(2, dtype=int)))],
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"populations": ["in"]}, {"populations": None}, {"populations": 5}, {"populations": "in"},
        {"projections": [None]}, {"projections": 3}, {"metadata": 3}, {"metadata": {1: 2}},
        {"metadata": {"a": object()}}, {"metadata": {"a": np.ones(2)}},
        {"output": 3}, {"output": ["out"]},
        {"contract": {"coding": "events"}}, {"metadata": {"output": ["out"]}}, {"metadata": ["a"]},
    ],
)  # fmt: skip
def test_what_makes_no_network_is_refused(wrong):
    populations, projections = parts()
    with pytest.raises(InvalidNetwork):
        Network(**{"populations": populations, "projections": projections, **wrong})


@pytest.mark.parametrize("ask", ["fan_out", "edges", "bias", "synapses", "dense_macs"])
@pytest.mark.parametrize("name", ["no", 3, [1], b"p"])
def test_questions_about_what_is_not_there_are_refused(ask, name):
    with pytest.raises(InvalidNetwork):
        getattr(Network(*parts()), ask)(name)


def a_sample():
    events = np.zeros(1, dtype=[("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "i1")])
    return events, 0


@pytest.fixture(scope="module")
def network():
    return Network(*parts())


WRONG_RUNS = {
    "workers": [True, 0, -1, 1.5, "2", None],
    "seed": [True, 1.5, "1", None, 2**63],
    "max_events": [None, True, -5, 0, 1.5, "many"],
    "samples": [True, 0, -1, 1.5, "all"],
    "step_us": ["1", True, float("nan"), -1, 1j],
    "history_us": ["1", True, 0, float("inf")],
    "duration_us": ["1", True, -1.0, [1]],
    "max_rate_hz": ["1", True, [1]],
    "output": ["", 3, b"x", "a\0b", ["x"]],
    "schedule": [None, 3, ["step"], "steps"],
    "engine": [None, 3, {}, "fast"],
    "ties": [None, True, "random"],
    "exit": [3, True, [], "margin", "margin:x", ""],
    "input": [3, True, "spikes", []],
    "hardware": [3, True, "", "a\0b", "none-such"],
    "mapping": [3, True, []],
    "split": [3, True, []],
    "progress": [3, "yes"],
}


@pytest.mark.parametrize(("name", "value"), [(name, v) for name, vs in WRONG_RUNS.items() for v in vs])
def test_wrong_arguments_of_a_run_are_refused_by_name(network, name, value):
    with pytest.raises(EventsnnError) as refused:
        eventsnn.simulate(network, [a_sample()], **{name: value})
    assert str(refused.value)


@pytest.mark.parametrize(
    "label", [0.5, float("nan"), float("inf"), [0, 1], np.eye(2)[0], -7, -1, "0", True, object(), 2, 1j]
)
def test_a_label_is_the_number_of_a_class(network, label):
    with pytest.raises(InvalidRequest, match="label"):
        eventsnn.simulate(network, [(a_sample()[0], label)])


def test_whole_labels_and_settings_of_other_types_are_taken(network):
    plain = eventsnn.simulate(network, [a_sample()], seed=3)
    same = eventsnn.simulate(
        network, [(a_sample()[0], np.float64(0.0))], seed=np.int64(3), workers=1.0, max_events=1e9
    )
    assert same.digest == plain.digest
    assert same.configuration == plain.configuration


@pytest.mark.parametrize("data", [None, 3, {}, set(), b"", [], [None], [3], ["a"], [[1, 2]], object(), ()])
def test_what_is_no_data_is_refused(network, data):
    with pytest.raises(EventsnnError):
        eventsnn.simulate(network, data)


@pytest.mark.parametrize("given", [None, 3, "", b"net.h5", "a\0b", [], "not-there.h5", True])
def test_paths_are_paths(network, given):
    results = eventsnn.simulate(network, [a_sample()])
    calls = [eventsnn.load, Results.load, eventsnn.load_architecture]
    if given != "not-there.h5":
        calls += [network.save, results.save, lambda path: write_report(results, path)]
    for call in calls:
        with pytest.raises((EventsnnError, FileNotFoundError)) as refused:
            call(given)
        assert isinstance(refused.value, EventsnnError) or given == "not-there.h5"


def test_wrong_questions_to_results_are_refused(network):
    results = eventsnn.simulate(network, [a_sample()])
    for wrong in (
        lambda: results.curve(None), lambda: results.curve(["margin"]), lambda: results.curve("no"),
        lambda: results.curve("margin", "0.5"), lambda: results.curve("margin", [2]),
        lambda: results.curve("margin", [None]), lambda: results.curve("margin", 0.5),
        lambda: results.curve("margin", [1j]), lambda: results.curve("margin", [float("nan")]),
        lambda: results.history("0"), lambda: results.history(None), lambda: results.history(7),
        lambda: results.select([1]), lambda: results.select(None), lambda: results.select([True, True]),
        lambda: Results(None), lambda: Results([]),
        lambda: write_report(None, "x.html"), lambda: write_report([3], "x.html"),
        lambda: write_report([], "x.html"), lambda: write_report(results, "x.html", title=3),
    ):  # fmt: skip
        with pytest.raises(EventsnnError):
            wrong()


def test_wrong_arguments_of_sweeps_and_profiles_are_refused(network):
    data, chip = [a_sample()], "event-conv-small"
    for wrong in (
        lambda: sweep(network, data, chip, seeds=True, bands=True),
        lambda: sweep(network, data, chip, bands=1),
        lambda: sweep(network, data, chip, values=[1]), lambda: sweep(network, data, chip, relative=["a"]),
        lambda: sweep(network, data, chip, relative=2.0), lambda: sweep(network, data, chip, values={3: [1]}),
        lambda: sweep(network, data, chip, bands=True, shedule="step"),
        lambda: sweep(network, data, chip, values={"actions.synapse.time": 5}),
        lambda: sweep(network, data, chip, bands=True, workers=0), lambda: sweep(network, data, None),
        lambda: profile_samples(network, data, chip, sample=True),
        lambda: profile_samples(network, data, chip, sample="0"),
        lambda: profile_samples(network, data, chip, sample=-1),
        lambda: profile_samples(network, data, chip, sed=1),
    ):  # fmt: skip
        with pytest.raises(EventsnnError):
            wrong()
    with pytest.raises(InvalidRequest, match="'shedule'; did you mean 'schedule'"):
        sweep(network, data, chip, bands=True, shedule="step")
