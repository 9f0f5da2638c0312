"""Calibration data and settings that do not fit are refused; the room stays light to import."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from eventsnn.convert import QCFS, convert, layer_check
from eventsnn.errors import InvalidNetwork, InvalidRequest
from eventsnn.events import Recording, make_events

torch.set_num_threads(1)

IMAGE = np.ones((2, 2, 8, 8))


def conv(**options):
    torch.manual_seed(0)
    return nn.Conv2d(2, 4, 3, **options)


CALIBRATIONS = {
    "no samples": (np.ones((0, 2, 8, 8)), InvalidRequest, "at least one is needed"),
    "no recordings": ([], InvalidRequest, "at least one is needed"),
    "nan": (np.full((1, 2, 8, 8), np.nan), InvalidNetwork, "calibration sample 0 holds NaN"),
    "infinite": (
        torch.tensor([1.0, float("inf")]).repeat(2, 2, 8, 4),
        InvalidNetwork,
        "sample 0 holds NaN or inf",
    ),
    "complex": (IMAGE.astype(np.complex64), InvalidRequest, "complex64: the imaginary part"),
    "large": (IMAGE * 255, InvalidRequest, "give uint8.*input_range.*input='events'"),
    "large whole numbers": (IMAGE.astype(np.int64) * 255, InvalidRequest, "give uint8"),
    "axes": (np.ones((2, 8, 8)), InvalidRequest, r"shape \(2, 8, 8\)"),
    "objects": (np.array(["a"]), InvalidRequest, "dtype <U1"),
    "type": (3, InvalidRequest, "calibration data is a int"),
    "list": ([[1, 2]], InvalidRequest, "the calibration list holds a list"),
    "channels": (np.ones((1, 3, 8, 8)), InvalidNetwork, r"'0' is a Conv2d.* for inputs of shape \(3, 8, 8\)"),
    "too small": (
        np.ones((1, 2, 2, 8)),
        InvalidNetwork,
        r"'0' is a Conv2d.* for inputs of shape \(2, 2, 8\)",
    ),
    "values": (
        np.ones((1, 2, 9, 9)),
        InvalidNetwork,
        r"'3' is a Linear.* for inputs of shape \(2, 9, 9\)",
    ),
    "features": (np.ones((1, 144)), InvalidNetwork, r"'0' is a Conv2d.* for inputs of shape \(144,\)"),
    "silent": (np.zeros((1, 2, 8, 8)), InvalidNetwork, "layer '0' is never active"),
}


@pytest.mark.parametrize(("data", "error", "match"), CALIBRATIONS.values(), ids=CALIBRATIONS)
def test_calibration_data_that_does_not_fit_is_refused(data, error, match):
    model = nn.Sequential(conv(bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    with pytest.raises(error, match=match):
        convert(model, data)


def test_recordings_need_a_sensor_size():
    model = nn.Sequential(conv(), nn.ReLU())
    recording = Recording(make_events([0], [1], [1], [True]), None, 0, "a")
    with pytest.raises(InvalidRequest, match="give input_shape"):
        convert(model, [recording])
    with pytest.raises(InvalidRequest, match=r"shape \(3, 8, 8\); train a model on event counts"):
        convert(model, [recording], input_shape=(3, 8, 8))
    with pytest.raises(InvalidNetwork, match="input_shape says"):
        convert(model, IMAGE, input_shape=(2, 9, 9))


SETTINGS = {
    "neuron": ({"neuron": "lif"}, "neuron is 'lif'; allowed are 'signed' and 'rate'"),
    "levels": ({"levels": 0}, "levels is 0"),
    "scale": ({"input_scale": 0.0}, "input_scale is 0.0"),
    "percentile": ({"percentile": 101}, "percentile is 101"),
    "threshold": ({"threshold": 2**17}, "allowed are 1 to 65536 quanta"),
    "threshold kind": ({"threshold": 1000.5}, "whole numbers"),
    "levels kind": ({"levels": 4.5}, "levels is 4.5; allowed are whole numbers"),
    "settle": ({"settle_time_us": -1}, "settle_time_us is -1"),
    "hysteresis": ({"hysteresis": -0.5}, "hysteresis is -0.5"),
    "duration": ({"neuron": "rate", "duration_us": 0}, "duration_us is 0"),
    "scales": ({"scales": "neuron"}, "'layer' and 'channel'"),
    "spikes": ({"neuron": "rate", "spikes_at_lambda": 0}, "spikes_at_lambda is 0"),
    "rate levels": ({"neuron": "rate", "levels": 4}, "rate neurons have no levels"),
    "rate graded": ({"neuron": "rate", "graded": True}, "rate neurons have no graded"),
    "signed percentile": ({"percentile": 99}, "signed neurons have no percentile setting"),
    "signed spikes": ({"spikes_at_lambda": 15}, "signed neurons have no spikes_at_lambda setting"),
    "no duration": ({"neuron": "rate"}, "give duration_us"),
    "coarse": ({"neuron": "rate", "duration_us": 10**7}, "use a larger threshold"),
}


@pytest.mark.parametrize(("settings", "match"), SETTINGS.values(), ids=SETTINGS)
def test_settings_out_of_range_are_refused(settings, match):
    with pytest.raises(InvalidRequest, match=match):
        convert(nn.Sequential(conv(), nn.ReLU()), IMAGE, **settings)


def test_levels_other_than_a_qcfs_layers_own_are_refused():
    model = nn.Sequential(conv(), QCFS(4))
    assert convert(model, IMAGE, levels=4).populations["conv2d_0"].neuron.levels == 4
    with pytest.raises(
        InvalidRequest, match="levels is 8, but layer '0' was trained with a QCFS of 4 levels"
    ):
        convert(model, IMAGE, levels=8)


def test_a_check_needs_the_same_model_and_whole_events():
    model = nn.Sequential(conv(), nn.ReLU())
    network = convert(model, IMAGE, input_scale=0.5)
    with pytest.raises(InvalidRequest, match="converted from"):
        layer_check(nn.Sequential(conv(padding=1), nn.ReLU()), network, IMAGE)
    with pytest.raises(InvalidRequest, match=r"no whole multiples of the network's input scale 0\.5"):
        layer_check(model, network, IMAGE * 0.3)
    with pytest.raises(InvalidRequest, match="activity of population 'conv2d_0' has 0 values"):
        layer_check(model, network, IMAGE, activity={})
    rate = convert(model, IMAGE, "rate", duration_us=1000)
    with pytest.raises(InvalidRequest, match="give the counts of simulated runs"):
        layer_check(model, rate, IMAGE)


def test_importing_the_room_imports_no_heavy_library():
    code = (
        "import sys, importlib; room = importlib.import_module('eventsnn.convert'); "
        "assert 'torch' not in sys.modules and 'numba' not in sys.modules; "
        "room.quantised_activations; assert 'torch' not in sys.modules; "
        "assert 'convert' in dir(room)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_room_can_be_called_and_names_only_what_it_has():
    room = importlib.import_module("eventsnn.convert")
    model = nn.Sequential(conv(), nn.ReLU())
    assert room(model, IMAGE).checksum == convert(model, IMAGE).checksum
    with pytest.raises(AttributeError, match="no attribute 'converter_of_worlds'"):
        _ = room.converter_of_worlds
