"""Ceilings, percentiles, and rate conversion."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from eventsnn.convert import QCFS, convert, layer_check, quantised_activations
from eventsnn.convert import activations as activations_room
from eventsnn.convert import calibration as calibration_room
from eventsnn.convert.scales import Ceilings, Percentile, best_ceiling, robust_maximum
from eventsnn.engine import Stimulus, make_engine, stimulus_from_events
from eventsnn.errors import InvalidRequest
from eventsnn.events import Recording, event_counts, make_events
from eventsnn.network import Rate, Readout, Signed, load_network

torch.set_num_threads(1)


def naive_ceiling(activations, levels):
    """The grid search written out."""
    x = activations[activations > 0]
    grid = [x.max() * (1 - 0.01 * k) for k in range(95)]
    errors = [
        ((x - np.clip(np.floor(x * levels / t + 0.5), 0, levels) * t / levels) ** 2).sum() for t in grid
    ]
    return grid[int(np.argmin(errors))]


@pytest.mark.parametrize("levels", [1, 4, 15, 63])
@pytest.mark.parametrize("seed", range(5))
def test_the_ceiling_is_the_best_of_the_grid(levels, seed):
    rng = np.random.default_rng(seed)
    activations = np.maximum(rng.normal(0, 1, (50, 7)) * rng.exponential(1, (50, 7)), 0)
    assert best_ceiling(activations, levels) == pytest.approx(naive_ceiling(activations, levels), rel=1e-12)


def test_the_ceiling_of_few_levels_clips_rare_large_values():
    activations = np.append(np.random.default_rng(0).uniform(0, 1, 10_000), 5.0)
    assert 0.8 < best_ceiling(activations, 3) < 1.5
    assert best_ceiling(np.zeros(3), 4) == 0.0
    assert best_ceiling(np.full(3, 2.5), 4) == 2.5


def test_the_percentile_leaves_zeros_out():
    activations = np.concatenate([np.zeros(900), np.arange(1, 101)])
    assert robust_maximum(activations, 100) == 100
    assert robust_maximum(activations, 50) == 50.5
    assert robust_maximum(np.zeros(4), 99.9) == 0


def test_a_qcfs_layer_keeps_its_ceiling_and_levels():
    model = nn.Sequential(nn.Linear(3, 2), QCFS(6, theta=1.7), nn.Linear(2, 2), nn.ReLU())
    with torch.no_grad():
        model[0].bias.fill_(1.0)
        model[2].weight.abs_()
    network = convert(model, np.ones((4, 3)), threshold=2**15)
    first, second = (network.populations[n].neuron for n in ("linear_0", "linear_2"))
    assert (first.levels, first.threshold, second.levels) == (6, 2**15, 15)
    assert first.unit == (float(np.float32(1.7)) / 6,)
    assert second.unit[0] * 15 == pytest.approx(best_ceiling(_outputs(model)[..., :], 15))


def _outputs(model):
    with torch.no_grad():
        return model.double()(torch.ones(4, 3, dtype=torch.float64)).numpy()


def test_levels_settle_time_and_hysteresis_reach_the_neurons():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    with torch.no_grad():
        model[0].weight.abs_()
    network = convert(
        model,
        np.ones((2, 1, 4, 4)),
        levels=7,
        graded=True,
        settle_time_us=20,
        hysteresis=0.5,
        metadata={"a": 1},
    )
    neuron = network.populations["conv2d_0"].neuron
    assert neuron == Signed(2**14, 7, True, 20 * 10**6, 2**13, 2**13, neuron.unit)
    record = network.metadata["conversion"]
    assert network.metadata["a"] == 1
    assert record["layers"][0]["module"] == "0"
    assert record["layers"][0]["theta"][0] == pytest.approx(neuron.unit[0] * 7)
    assert record["torch"] == torch.__version__
    assert record["calibration_samples"] == 2
    assert json.loads(json.dumps(record)) == record


def test_scales_per_channel_fit_channels_of_different_size():
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
    )
    with torch.no_grad():
        model[0].weight.abs_()
        model[2].weight.abs_()
        model[0].weight *= torch.tensor([1.0, 0.3, 0.1, 0.05])[:, None, None, None]
        model[0].bias.zero_()
        model[2].weight *= torch.tensor([1.0, 3.0, 0.2, 4.0])[:, None, None, None]
    counts = np.random.default_rng(1).poisson(1.0, (50, 2, 6, 6))
    errors = {}
    for scales in ("layer", "channel"):
        network = convert(model, counts, scales=scales)
        errors[scales] = [check.mean_difference for check in layer_check(model, network, counts)]
        assert len(network.populations["conv2d_0"].neuron.unit) == (4 if scales == "channel" else 1)
    assert all(c < 0.6 * one for c, one in zip(errors["channel"][:2], errors["layer"][:2], strict=True))


def test_a_channel_silent_in_calibration_takes_the_layers_scale():
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[2.0], [-1.0]]))
    unit = convert(model, np.ones((1, 1)), scales="channel").populations["linear_0"].neuron.unit
    assert unit == (2.0 / 15,)


# -- rate ------------------------------------------------------------------------------------------


def rate_model(bias=True):
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, bias=bias),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 10, bias=bias),
        nn.ReLU(),
        nn.Linear(10, 4, bias=bias),
    )


def recordings(count, events=600, end_us=100_000):
    """Recordings that each favour a place of their own on an 8 x 8 sensor."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        t = np.sort(rng.integers(0, end_us, events))
        t[0], t[-1] = 0, end_us
        centre = rng.uniform(0, 8, 2)
        x, y = (np.clip(rng.normal(c, 1.5, events), 0, 7).astype(int) for c in centre)
        found.append(Recording(make_events(t, x, y, rng.random(events) < 0.5), None, seed, str(seed)))
    return found


def test_rate_weights_are_normalised_by_percentiles_of_non_zero_activations():
    model, data = rate_model(), recordings(20)
    network = convert(
        model, data, "rate", input_scale=0.1, input_shape=(2, 8, 8), percentile=99, spikes_at_lambda=20
    )
    with torch.no_grad():
        x = torch.from_numpy(np.stack([event_counts(r.events, 8, 8) for r in data]) * 0.1)
        first = model[:2].double()(x).numpy()
    neuron = network.populations["conv2d_0"].neuron
    assert isinstance(neuron, Rate)
    assert neuron.reset == "soft"
    assert neuron.multispike
    assert neuron.unit[0] * 20 == pytest.approx(np.percentile(first[first > 0], 99))
    weight = network.projections["input-conv2d_0"].synapses.weight
    wanted = model[0].weight.detach().numpy().transpose(2, 3, 1, 0) * 0.1 / neuron.unit[0] * 2**14
    np.testing.assert_array_equal(weight, np.rint(wanted))


def test_a_rate_bias_is_a_current_that_is_whole_after_the_recording():
    model, data = rate_model(), recordings(3)
    network = convert(model, data, "rate", input_shape=(2, 8, 8))
    for name, layer in (("conv2d_0", model[0]), ("linear_4", model[4]), ("linear_6", model[6])):
        neuron = network.populations[name].neuron
        unit = neuron.unit * 2**14 if isinstance(neuron, Readout) else neuron.unit[0]
        periods = 100_000 * 10**6 / neuron.period
        (projection,) = network.incoming(name)
        delivered = projection.bias * periods / 2**14 * unit
        np.testing.assert_allclose(delivered, layer.bias.detach().numpy(), atol=unit * periods / 2**15 + 1e-9)
    assert network.metadata["conversion"]["duration_us"] == 100_000


@pytest.mark.parametrize("bias", [False, True])
def test_rate_neurons_tend_to_the_models_ranking(bias):
    model, data = rate_model(bias), recordings(25)
    with torch.no_grad():
        x = np.stack([event_counts(r.events, 8, 8) for r in data])
        logits = model(torch.from_numpy(x).float() * 0.1).numpy()
    agreement = {}
    for spikes in (2, 100):
        network = convert(
            model,
            data,
            "rate",
            input_scale=0.1,
            input_shape=(2, 8, 8),
            percentile=100,
            spikes_at_lambda=spikes,
        )
        engine = make_engine("compiled", network)
        runs = [engine.run(stimulus_from_events(r.events, network)) for r in data]
        unit = network.populations["linear_6"].neuron.unit
        found = np.array([run.charge["linear_6"] for run in runs]) * unit
        agreement[spikes] = np.corrcoef(found.ravel(), logits.ravel())[0, 1]
    activity = {
        n: np.array([{**r.counts, "linear_6": r.charge["linear_6"]}[n] for r in runs]) for n in runs[0].counts
    }
    checks = layer_check(model, network, x * 0.1, activity)
    assert [check.neuron for check in checks] == ["rate", "rate", "readout"]
    assert checks[0].correlation > 0.99
    assert checks[-1].correlation == pytest.approx(agreement[100])
    assert agreement[100] > 0.95
    assert agreement[100] > agreement[2]
    assert np.mean(found.argmax(1) == logits.argmax(1)) >= 0.8


def test_a_rate_network_without_biases_needs_no_duration():
    network = convert(rate_model(bias=False), np.ones((1, 2, 8, 8)), "rate")
    assert network.populations["linear_6"].neuron.period == 0
    run = make_engine("compiled", network).run(Stimulus(np.arange(50), np.arange(50)))
    assert run.counts["conv2d_0"].sum() > 0
    with pytest.raises(InvalidRequest, match="depends on when its input arrives"):
        quantised_activations(network, np.ones(128, int))


def test_recordings_are_counted_and_addressed_as_the_engine_does(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 3 * 4, 24, bias=False), QCFS(32, theta=32.0))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(24))
    events = make_events([0, 1, 2, 3], [3, 3, 0, 1], [2, 2, 0, 1], [True, True, False, True])
    network = convert(model, [events], input_shape=(2, 3, 4))
    network.save(tmp_path / "net.h5")
    network = load_network(tmp_path / "net.h5")
    run = make_engine("compiled", network).run(stimulus_from_events(events, network))
    np.testing.assert_array_equal(run.counts["linear_1"], event_counts(events, 3, 4).ravel())
    # A model of one channel takes both polarities together.
    merged = nn.Sequential(nn.Flatten(), nn.Linear(12, 12, bias=False), QCFS(32, theta=32.0))
    with torch.no_grad():
        merged[1].weight.copy_(torch.eye(12))
    network = convert(merged, [events], input_shape=(1, 3, 4))
    assert layer_check(merged, network, [events])[0].largest_difference == 0


# -- batch by batch --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_a_percentile_found_part_by_part_is_numpys(seed):
    rng = np.random.default_rng(seed)
    values = rng.exponential(1, int(rng.integers(1, 2000)))
    for percentile in (*rng.uniform(0, 100, 5), 50, 99.9, 100):
        search = Percentile(values.size, percentile)
        for part in np.array_split(values, 7):
            search.add(part)
        assert search.best() == np.percentile(values, percentile)
        assert search.held.size <= values.size // 2 + 2


@pytest.mark.parametrize("levels", [1, 15])
def test_a_ceiling_found_part_by_part_is_that_of_all(levels):
    values = np.random.default_rng(0).exponential(1, 5000)
    search = Ceilings(values.max(), levels)
    for part in np.array_split(values, 9):
        search.add(part)
    assert search.best() == best_ceiling(values, levels)


@pytest.mark.parametrize("neuron", ["signed", "rate"])
@pytest.mark.parametrize("scales", ["layer", "channel"])
def test_the_size_of_batches_changes_no_scale(neuron, scales, monkeypatch):
    counts = np.random.default_rng(3).poisson(1.0, (150, 2, 8, 8))
    options = {"duration_us": 1e5, "scales": scales} if neuron == "rate" else {"scales": scales}
    whole = convert(rate_model(), counts, neuron, **options)
    monkeypatch.setattr(activations_room, "BATCH_VALUES", 5000)
    monkeypatch.setattr(calibration_room, "TOGETHER", 500)
    parts = convert(rate_model(), counts, neuron, **options)
    for name in whole.order[1:]:
        one, other = (n.populations[name].neuron.unit for n in (whole, parts))
        assert one == pytest.approx(other, rel=1e-12)
