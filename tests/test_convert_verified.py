"""Networks that were verified say so: any deviation is an error, other neurons are not verified."""

import numpy as np
import pytest
import torch
from builders.recordings import write_recordings
from torch import nn

from eventsnn.convert import convert, verification
from eventsnn.convert.reading import Reading
from eventsnn.convert.samples import read_samples
from eventsnn.errors import InvalidNetwork, InvalidRequest
from eventsnn.events import open_dataset

torch.set_num_threads(1)

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 2, 6, 6)).astype(np.uint8)
COUNTS = np.random.default_rng(1).poisson(0.7, (12, 2, 6, 6)).astype(float)


def build(size=6):
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(((size - 2) // 2) ** 2 * 4, 3)
    )


CODINGS = {
    "charge": (IMAGES, {}),
    "analog": (IMAGES, {"input": "analog"}),
    "poisson": (IMAGES, {"input": "poisson", "max_rate_hz": 500}),
    "bernoulli": (IMAGES, {"input": "bernoulli", "duration_us": 20_000}),
    "normalised": (IMAGES, {"input_range": (0, 255), "input_mean": 100, "input_std": 50}),
    "counts": (COUNTS, {"input": "events"}),
    "open": (COUNTS, {"settle_time_us": 500, "hysteresis": 0.5}),
    "graded": (IMAGES, {"graded": True, "scales": "channel", "bias_correction": True}),
    "dark": (IMAGES * np.uint8([0, 1] * 6)[:, None, None, None], {"input": "poisson"}),
}


@pytest.mark.parametrize(("data", "settings"), CODINGS.values(), ids=CODINGS)
def test_every_input_is_verified(data, settings):
    network = convert(build(), data, verify=4, **settings)
    neurons = 4 * 16 + 4 * 4 + 3
    assert network.metadata["conversion"]["verified"] == {"samples": 4, "neurons": neurons, "deviating": 0}
    same = convert(build(), data, **settings)
    assert "verified" not in same.metadata["conversion"]
    for name, population in network.populations.items():
        assert population.neuron == same.populations[name].neuron


def test_recordings_run_with_their_own_times(tmp_path):
    write_recordings(tmp_path / "set")
    data = open_dataset(f"nmnist:{tmp_path / 'set'}")
    network = convert(build(34), data, verify=100, input_scale=0.25)
    assert network.metadata["conversion"]["verified"]["samples"] == len(data)


def test_a_deviation_is_an_error(monkeypatch):
    right = verification.quantised_activations

    def wrong(*given):
        found = right(*given)
        found["linear_4"][0, 2] += 1
        return found

    monkeypatch.setattr(verification, "quantised_activations", wrong)
    with pytest.raises(InvalidNetwork, match=r"'linear_4' deviates .* in 1 of 3 neurons on sample 0: n"):
        convert(build(), IMAGES, verify=2)


def test_other_neurons_are_not_verified():
    network = convert(build(), COUNTS, verify=1)
    for other in (network.at_rest(), network.with_neurons(settle_time=10**9)):
        assert "verified" not in other.metadata["conversion"]
        assert other.metadata["conversion"]["neuron"] == "signed"
        assert other.contract == network.contract


@pytest.mark.parametrize("value", [-1, 0.5, "many", True])
def test_how_many_is_a_whole_number(value):
    with pytest.raises(InvalidRequest, match="verify is"):
        convert(build(), IMAGES, verify=value)


def test_rates_have_no_law_to_be_verified_by():
    with pytest.raises(InvalidRequest, match="rate neurons have no verify"):
        convert(build(), IMAGES, neuron="rate", verify=1)
    with pytest.raises(InvalidRequest, match="no whole multiples"):
        convert(build(), COUNTS / 3, verify=1)


def test_events_begin_at_the_recordings_origin():
    events = np.zeros(3, np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")]))
    events["t"] = [70, 80, 95]
    read = read_samples([events], Reading(lambda shape: True), (2, 6, 6))
    assert read.events(0)["t"].tolist() == [0, 10, 25]
    assert events["t"].tolist() == [70, 80, 95]
    assert read.duration_us == 25
