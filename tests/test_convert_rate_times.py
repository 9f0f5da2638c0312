"""Rate neurons in time: held layers, tests each few steps, calibrated charges at the start."""

import numpy as np
import pytest
from builders.layers import ZERO, image, layer
from builders.rates import STEP_US, driven, lenet, lowered
from oracles.values_of_layers import layer_values

from eventsnn.convert.graph.layers import Branch
from eventsnn.convert.graph.operations import Dense, ReLU
from eventsnn.convert.settings import Settings
from eventsnn.engine import RunOptions, Stimulus, make_engine
from eventsnn.errors import EventsnnError
from eventsnn.network import Dense as Dense_
from eventsnn.network import Input, Network, Population, Projection, Rate, load_network
from eventsnn.network.compact import compacted

TICK = STEP_US * 10**6
LAYERS = ("c1", "c3", "f5", "f6")


def network_of(pool="max", steps=12, **settings):
    rng = np.random.default_rng(3)
    layers, images = lenet(rng, pool), rng.random((20, 1, 12, 12))
    return layers, images, lowered(
        layers, images, input="analog", duration_us=STEP_US * steps, spikes_at_lambda=steps, percentile=100,
        **settings,
    )  # fmt: skip


def spikes_of(network, values, steps):
    """Ticks of each population's spikes."""
    neuron = network.populations["input"].neuron
    parts = np.rint(values.transpose(1, 2, 0).reshape(-1) * neuron.analog_scale / neuron.unit)
    nothing = np.zeros(0, dtype=np.int64)
    stimulus = Stimulus(
        nothing, nothing, analog=parts.astype(np.int64), duration=TICK * steps, analog_time=TICK * steps
    )
    run = make_engine("compiled", network, None, RunOptions(schedule="step", record_spikes=True)).run(
        stimulus
    )
    return {name: run.spikes.time[run.spikes.rank == rank] for rank, name in enumerate(network.order)}


@pytest.mark.parametrize("bias", ["current", "spikes"])
def test_each_layer_waits_for_those_before_it(bias, tmp_path):
    """Gates are no layers of the clamp; what fires a bias waits with its layer."""
    _, images, network = network_of(voltage_clamp_us=2 * STEP_US, bias=bias)
    starts = {name: network.populations[name].neuron.start_time // TICK for name in LAYERS}
    assert starts == {"c1": 0, "c3": 2, "f5": 4, "f6": 6}
    found = spikes_of(network, images[0], 12)
    assert all(len(found[name]) for name in LAYERS[:3])
    for name in LAYERS[:3]:
        assert found[name].min() > starts[name] * TICK
    if bias == "spikes":
        assert found["c3#bias"].min() > 2 * TICK
    network.save(tmp_path / "n.h5")
    assert load_network(tmp_path / "n.h5").checksum == network.checksum
    assert network.metadata["conversion"]["voltage_clamp_us"] == (2 * STEP_US,)


def test_times_of_single_layers():
    _, _, network = network_of(voltage_clamp_us=(0, 1000, 3000, 0))
    assert [network.populations[name].neuron.start_time for name in LAYERS] == [0, 10**9, 3 * 10**9, 0]


def test_a_held_layer_gives_the_rates_that_it_has_left():
    """Two layers of weight 1: the second sees 8 of 12 steps, and its charge is that of 8."""
    layers = [
        image((1, 1, 2)),
        layer("a", ReLU(), (2, 1, 1), Branch("x", Dense(np.eye(2), np.zeros(2))), bias=ZERO),
        layer(
            "b", None, (2, 1, 1), Branch("a", Dense(np.eye(2), np.zeros(2))), bias=np.full((2, 1, 1), 0.25)
        ),
    ]
    held, free = (
        lowered(
            layers,
            np.ones((1, 1, 1, 2)),
            input="analog",
            duration_us=STEP_US * 12,
            spikes_at_lambda=12,
            voltage_clamp_us=clamp,
        )
        for clamp in (4 * STEP_US, None)
    )
    image_ = np.array([[[1.0, 0.5]]])
    one, all_ = (driven(network, image_, 12).charge["b"] for network in (held, free))
    # Half of the spikes are those of even steps: 4 of 6 are left.
    np.testing.assert_allclose(one, np.array([8, 8]) / 12 * all_, rtol=1e-3)


@pytest.mark.parametrize("settings", [{}, {"initial_charge": "half"}, {"reset": "hard"}], ids=str)
@pytest.mark.parametrize("pool", ["max", "average"])
def test_calibrated_charges_take_the_mean_error_of_channels_away(pool, settings):
    error = {}
    for calibrated in (False, True):
        layers, images, network = network_of(pool, charge_calibration=calibrated, **settings)
        wanted = {name: v.mean(axis=(0, 2, 3)) for name, v in layer_values(layers, images).items()}
        runs = [driven(network, one, 12) for one in images]
        for name in LAYERS:
            population = network.populations[name]
            kept = [(run.charge if name == "f6" else run.counts)[name] for run in runs]
            values = np.array(kept).reshape(-1, population.shape[2]).mean(axis=0)
            off = np.abs(values * np.asarray(population.neuron.unit) - wanted[name])
            error[name, calibrated] = float(off.sum() / np.abs(wanted[name]).sum())
            assert (population.initial_charge is not None) == calibrated
    for name in LAYERS:
        assert error[name, True] < max(0.8 * error[name, False], 0.03), (name, error)
    assert network.metadata["conversion"]["charge_calibration"] is True


def test_charges_are_alike_in_a_channel_and_below_the_threshold():
    _, _, network = network_of(charge_calibration=True)
    for name in LAYERS[:3]:
        population = network.populations[name]
        of_channels = population.initial_charge.reshape(-1, population.shape[2])
        assert (of_channels == of_channels[0]).all()
        assert of_channels.max() < population.neuron.threshold


def test_a_compact_network_keeps_the_charges_of_its_neurons():
    neuron, charge = Rate(1000, period=1), np.array([-900, 0, 999])
    network = Network(
        [Population("in", (1, 1, 1), Input()), Population("n", (1, 1, 3), neuron, initial_charge=charge)],
        [Projection("p", "in", "n", Dense_([[-1000, 100, 1000]]))],
    )
    small = compacted(network, "step").populations["n"]
    of_threshold = small.initial_charge / small.neuron.threshold
    np.testing.assert_allclose(of_threshold, charge / 1000, atol=1 / small.neuron.threshold)
    assert small.initial_charge.max() < small.neuron.threshold


def test_layers_that_are_tested_each_few_steps():
    """A spike of such a layer stands for as many times more, so that values stay what they are."""
    layers, images, network = network_of(steps=24, test_every={"c3": 2, "f5": 4}, one_spike=True)
    assert [network.populations[name].neuron.test_period for name in LAYERS[:3]] == [0, 2 * TICK, 4 * TICK]
    plain = network_of(steps=24, one_spike=True)[2]
    for name, k in (("c1", 1), ("c3", 2), ("f5", 4)):
        unit, own = (np.asarray(n.populations[name].neuron.unit) for n in (plain, network))
        np.testing.assert_allclose(own, k * unit)
    found = spikes_of(network, images[0], 24)
    assert len(found["c3"])
    assert not (found["c3"] % (2 * TICK)).any()
    assert not (found["f5"] % (4 * TICK)).any()
    told = {entry["name"]: entry for entry in network.metadata["conversion"]["layers"]}
    assert (told["c3"]["spikes_at_lambda"], told["f5"]["spikes_at_lambda"]) == (12, 6)
    wanted = layer_values(layers, images)["f6"].reshape(len(images), -1)
    scores = np.array([driven(network, one, 24).charge["f6"] for one in images])
    assert np.corrcoef(scores.reshape(-1), wanted.reshape(-1))[0, 1] > 0.9


REFUSED = {
    "negative": ({"voltage_clamp_us": -1}, "voltage_clamp_us is"),
    "two corrections": ({"bias_correction": True, "charge_calibration": True}, "give one of them"),
    "held": ({"charge_calibration": True, "voltage_clamp_us": 100}, "plays layers that are tested in each"),
    "tests": ({"bias_correction": True, "test_every": 2}, "plays layers that are tested in each step"),
    "no steps": ({"test_every": 0}, "test_every is 0"),
}


@pytest.mark.parametrize(("settings", "match"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_setting_is_refused(settings, match):
    with pytest.raises(EventsnnError, match=match):
        Settings(neuron="rate", **settings)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"voltage_clamp_us": (0, 1)}, "lists 2 times for 4 layers: 'c1'"),
        ({"voltage_clamp_us": 8000}, "holds a layer until 24000 us, and the duration of a sample is 24000"),
        ({"voltage_clamp_us": 10, "softmax": "clock"}, "whose draws have no start time"),
        ({"test_every": {"s2": 2}}, "test_every names the layer 's2'"),
        ({"test_every": (1, 2)}, "test_every lists 2 numbers for 3 layers"),
    ],
)
def test_what_does_not_fit_the_layers_is_refused(settings, match):
    with pytest.raises(EventsnnError, match=match):
        network_of(**settings)
