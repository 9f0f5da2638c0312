"""An emulated CIFAR10-DVS recording end to end: AEDAT 2.0 on disk to a decision, every event replayed."""

import numpy as np
import pytest

import eventsnn
from eventsnn.convert import quantised_activations
from eventsnn.engine import make_engine, stimulus_from_events
from eventsnn.errors import InvalidRequest
from eventsnn.events import CIFAR10_CLASSES, event_counts, open_dataset, write_emulated_cifar10_dvs
from eventsnn.network import Axis, Conv2d, Dense, Input, Network, Population, Projection, Readout, Signed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    y, x = np.mgrid[:32, :32]
    stripes = ((np.sin(x / 3) + np.cos(y / 4)) * 60 + 128).astype(np.uint8)
    blobs = (255 * np.exp(-((x - 16) ** 2 + (y - 12) ** 2) / 90)).astype(np.uint8)
    images = np.stack([np.stack([p] * 3, axis=-1) for p in (stripes, blobs)])
    path = tmp_path_factory.mktemp("emulated")
    write_emulated_cifar10_dvs(images, np.array([0, 3]), path, CIFAR10_CLASSES, seed=1)
    return path


@pytest.fixture(scope="module")
def network():
    """32 x 32 x 2 to 16 x 16 x 8 to 8 x 8 x 16 signed neurons to ten classes, settling every 5 ms."""
    rng = np.random.default_rng(0)
    axis = Axis(3, 2, 1, 1)

    def signed(threshold):
        return Signed(threshold, 8, settle_time=5 * 10**9)

    return Network(
        [
            Population("input", (32, 32, 2), Input()),
            Population("conv1", (16, 16, 8), signed(20_000)),
            Population("conv2", (8, 8, 16), signed(600)),
            Population("out", (1, 1, 10), Readout(unit=0.001)),
        ],
        [
            Projection("1", "input", "conv1", Conv2d(rng.integers(-90, 110, (3, 3, 2, 8)), axis, axis)),
            Projection("2", "conv1", "conv2", Conv2d(rng.integers(-90, 110, (3, 3, 8, 16)), axis, axis)),
            Projection("3", "conv2", "out", Dense(rng.integers(-99, 99, (1024, 10)))),
        ],
    )


def test_every_event_of_a_recording_is_replayed(folder, network):
    recordings = open_dataset(f"cifar10-dvs:{folder}").downsampled(4)
    assert (recordings.height, recordings.width, len(recordings)) == (32, 32, 2)
    results = eventsnn.simulate(network, recordings, hardware="event-conv-large")
    for sample, recording in zip(results.table.samples, recordings, strict=True):
        assert sample.input_events == len(recording.events) > 10_000
        assert sample.label == recording.label
        assert sample.synaptic_operations > sample.input_events * 8


def test_the_final_counts_are_the_quantised_network_of_the_event_counts(folder, network):
    recording = open_dataset(f"cifar10-dvs:{folder}").downsampled(4)[1]
    run = make_engine("compiled", network).run(stimulus_from_events(recording.events, network))
    inputs = event_counts(recording.events, 32, 32).transpose(1, 2, 0)
    expected = quantised_activations(network, inputs)
    for name in ("conv1", "conv2"):
        np.testing.assert_array_equal(run.counts[name], np.asarray(expected[name]).reshape(-1))
    np.testing.assert_array_equal(run.charge["out"], np.asarray(expected["out"]).reshape(-1))


def test_a_sensor_larger_than_the_network_is_refused(folder, network):
    with pytest.raises(
        InvalidRequest, match=r"128 x 128 pixels, .* 32 x 32; divide addresses with --downsample 4 "
    ):
        eventsnn.simulate(network, f"cifar10-dvs:{folder}")
    recordings = open_dataset(f"cifar10-dvs:{folder}")
    with pytest.raises(InvalidRequest, match=r"100 x 128 pixels, .* crop:width=32,height=32"):
        eventsnn.simulate(network, recordings.transformed("crop:width=100,height=128"))
    with pytest.raises(InvalidRequest, match=r"16 x 16 pixels, .* these have fewer pixels"):
        eventsnn.simulate(network, recordings.downsampled(8))
