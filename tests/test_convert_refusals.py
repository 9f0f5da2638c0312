"""What cannot be converted is refused by name, never left out."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import eventsnn.convert as room
from eventsnn.convert import QCFS, convert, layer_check
from eventsnn.errors import InvalidNetwork, InvalidRequest, UnsupportedLayer
from eventsnn.events import Recording, make_events

torch.set_num_threads(1)

IMAGE = np.ones((2, 2, 8, 8))


def conv(**options):
    torch.manual_seed(0)
    return nn.Conv2d(2, 4, 3, **options)


def linear_model(**weights):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(128, 6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        for name, value in weights.items():
            getattr(model[int(name[1:])], "weight").flatten()[0] = value
    return model


class Written(nn.Module):
    """A forward given as a function of the module and its input."""

    def __init__(self, forward):
        super().__init__()
        self.conv, self.act, self.flat, self.head = conv(), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
        self.offset = nn.Parameter(torch.ones(1))
        self.written = forward

    def forward(self, x):
        return self.written(self, x)


FORWARDS = {
    "functional relu": (lambda m, x: m.head(m.flat(functional.relu(m.conv(x)))), "calls the function 'relu'"),
    "torch relu": (lambda m, x: m.head(m.flat(torch.relu(m.conv(x)))), "calls the function 'relu', which is no module"),
    "tensor relu": (lambda m, x: m.head(m.flat(m.conv(x).relu())), "nn.ReLU"),
    "functional flatten": (lambda m, x: m.head(torch.flatten(m.act(m.conv(x)), 1)), "nn.Flatten"),
    "view": (lambda m, x: m.head(m.act(m.conv(x)).view(x.size(0), -1)), "calls the function 'size'"),
    "addition": (lambda m, x: m.head(m.flat(m.act(m.conv(x)) + m.act(m.conv(x)))), "branches|does not read"),
    "parameter": (lambda m, x: m.head(m.flat(m.act(m.conv(x) * m.offset))), "uses the tensor 'offset' directly"),
    "two outputs": (lambda m, x: (m.act(m.conv(x)), x), "returns one tensor"),
    "control flow": (lambda m, x: m.act(m.conv(x)) if x.sum() > 0 else x, "cannot be followed"),
}


@pytest.mark.parametrize(("forward", "match"), FORWARDS.values(), ids=FORWARDS)
def test_a_forward_that_is_no_chain_of_modules_is_refused(forward, match):
    with pytest.raises(UnsupportedLayer, match=match):
        convert(Written(forward), IMAGE)


def test_the_module_that_calls_a_function_is_named():
    model = nn.Sequential(conv(), nn.Sequential(nn.Identity(), Block()), nn.ReLU())
    with pytest.raises(UnsupportedLayer, match=r"module '1\.1' calls the function 'relu'"):
        convert(model, IMAGE)


class Block(nn.Module):
    def forward(self, x):
        return functional.relu(x)


class Two(nn.Module):
    def forward(self, x, y):
        return x


def hooked():
    model = nn.Sequential(conv(), nn.ReLU())
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    return model


def parametrised():
    return nn.Sequential(torch.nn.utils.parametrizations.weight_norm(conv()), nn.ReLU())


MODELS = {
    "max pool": (lambda: nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(2)), r"module '2' is a MaxPool2d.*AvgPool2d"),
    "tanh": (lambda: nn.Sequential(conv(), nn.Tanh()), r"module '1' is a Tanh.*ReLU or eventsnn\.convert\.QCFS"),
    "relu6": (lambda: nn.Sequential(conv(), nn.ReLU6()), "is a ReLU6.*QCFS, which saturates"),
    "softmax": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 2), nn.Softmax(1)), "decision is the largest logit"),
    "nested": (lambda: nn.Sequential(conv(), nn.Sequential(nn.ReLU(), nn.GELU())), r"module '1\.1' is a GELU"),
    "group norm": (lambda: nn.Sequential(conv(), nn.GroupNorm(2, 4), nn.ReLU()), "BatchNorm2d, which folds"),
    "other": (lambda: nn.Sequential(nn.Conv1d(2, 2, 3)), "is a Conv1d, which has no conversion. Supported are"),
    "linear-linear": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 5), nn.Dropout(), nn.Linear(5, 2)),
        "module '3' follows '1' with no activation between them",
    ),
    "two activations": (lambda: nn.Sequential(conv(), nn.ReLU(), QCFS(4)), "module '2' is an activation"),
    "activation after pool": (lambda: nn.Sequential(conv(), nn.AvgPool2d(2), nn.ReLU()), "'1' averages layer '0'"),
    "overlapping pool": (lambda: nn.Sequential(nn.AvgPool2d(3, stride=2), conv(), nn.ReLU()), "windows side by side"),
    "padded pool": (lambda: nn.Sequential(nn.AvgPool2d(2, padding=1), conv(), nn.ReLU()), "'0' is an average pool"),
    "ceil pool": (lambda: nn.Sequential(nn.AvgPool2d(3, ceil_mode=True), conv(padding=1), nn.ReLU()), "ceil_mode=False"),
    "adaptive pool": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(3), conv(), nn.ReLU()), "8 x 8 pixels to 3 x 3"),
    "norm first": (lambda: nn.Sequential(nn.BatchNorm2d(2), conv(), nn.ReLU()), "module '0' is a batch norm that"),
    "norm after relu": (lambda: nn.Sequential(conv(), nn.ReLU(), nn.BatchNorm2d(4)), "does not directly follow"),
    "norm of values": (
        lambda: nn.Sequential(conv(), nn.Flatten(), nn.BatchNorm1d(144), nn.ReLU()), "does not directly follow",
    ),
    "norm of the batch": (
        lambda: nn.Sequential(conv(), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU()),
        "without running statistics",
    ),
    "padding mode": (lambda: nn.Sequential(conv(padding=1, padding_mode="reflect"), nn.ReLU()), "mode 'reflect'"),
    "flatten": (lambda: nn.Sequential(conv(), nn.ReLU(), nn.Flatten(2)), "flattens axes 2 to -1"),
    "no flatten": (lambda: nn.Sequential(conv(), nn.ReLU(), nn.Linear(6, 2)), r"put nn\.Flatten\(\) before it"),
    "flat output": (lambda: nn.Sequential(conv(), nn.ReLU(), nn.Flatten()), "classes would be reordered"),
    "nothing": (lambda: nn.Sequential(nn.Flatten()), "nothing to convert"),
    "hook": (hooked, "module '0' has a forward hook"),
    "parametrised": (parametrised, "remove_parametrizations"),
    "two inputs": (Two, "takes 2 inputs"),
}  # fmt: skip


@pytest.mark.parametrize(("build", "match"), MODELS.values(), ids=MODELS)
def test_a_model_without_faithful_conversion_is_refused(build, match):
    with pytest.raises(UnsupportedLayer, match=match):
        convert(build(), IMAGE)


def test_what_is_no_module_is_refused():
    with pytest.raises(UnsupportedLayer, match="found OrderedDict; give the eager model"):
        convert(conv().state_dict(), IMAGE)


def test_weights_that_are_not_finite_name_their_layer():
    with pytest.raises(InvalidNetwork, match="the weight of module '3' holds NaN"):
        convert(linear_model(_3=float("nan")), IMAGE)
    model = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU())
    model[1].running_var[2] = float("inf")
    with pytest.raises(InvalidNetwork, match="running variance of module '1'"):
        convert(model, IMAGE)
    model[1].running_var[2] = -1
    with pytest.raises(InvalidNetwork, match="'1' has a running variance that is not positive"):
        convert(model, IMAGE)
    model = nn.Sequential(conv(), QCFS(4))
    with torch.no_grad():
        model[1].theta.fill_(float("nan"))
    with pytest.raises(InvalidNetwork, match="theta is nan"):
        convert(model, IMAGE)


def test_weights_beyond_32_bits_are_refused():
    with pytest.raises(InvalidNetwork, match="a weight of layer 'linear_3' would be .* beyond the 32-bit range"):
        convert(nn.Sequential(nn.Flatten(), *_huge()), IMAGE)
    model = nn.Sequential(conv(), QCFS(4))
    with torch.no_grad():
        model[0].bias[0] = -1e9
    with pytest.raises(InvalidNetwork, match="a bias of layer 'conv2d_0'"):
        convert(model, IMAGE)


def _huge():
    model = linear_model()
    with torch.no_grad():
        model[1].weight[0], model[1].bias[0] = -1e3, -1e3  # silent on the calibration data
        model[3].weight[:, 0] = 1e30
    return model[1:]


CALIBRATIONS = {
    "no samples": (np.ones((0, 2, 8, 8)), InvalidRequest, "at least one is needed"),
    "no recordings": ([], InvalidRequest, "at least one is needed"),
    "nan": (np.full((1, 2, 8, 8), np.nan), InvalidNetwork, "calibration sample 0 holds NaN"),
    "infinite": (torch.tensor([1.0, float("inf")]).repeat(2, 2, 8, 4), InvalidNetwork, "sample 0 holds NaN or inf"),
    "negative": (-IMAGE, InvalidRequest, "is never negative"),
    "axes": (np.ones((2, 8, 8)), InvalidRequest, r"shape \(2, 8, 8\)"),
    "objects": (np.array(["a"]), InvalidRequest, "dtype <U1"),
    "type": (3, InvalidRequest, "calibration data is a int"),
    "list": ([[1, 2]], InvalidRequest, "the calibration list holds a list"),
    "channels": (np.ones((1, 3, 8, 8)), InvalidNetwork, "'0' reads 2 channels, but gets 3 channels"),
    "too small": (np.ones((1, 2, 2, 8)), InvalidNetwork, "does not fit its input of 2 x 8"),
    "values": (np.ones((1, 2, 9, 9)), InvalidNetwork, "module '3' reads 144 values, but gets 4 x 7 x 7 = 196"),
    "features": (np.ones((1, 144)), InvalidNetwork, "gets flattened values"),
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
    "neuron": (dict(neuron="lif"), "neuron is 'lif'; allowed are 'signed' and 'rate'"),
    "levels": (dict(levels=0), "levels is 0"),
    "scale": (dict(input_scale=0.0), "input_scale is 0.0"),
    "percentile": (dict(percentile=101), "percentile is 101"),
    "threshold": (dict(threshold=2**17), "allowed are 1 to 65536 quanta"),
    "threshold kind": (dict(threshold=1000.5), "whole numbers"),
    "settle": (dict(settle_time_us=-1), "settle_time_us is -1"),
    "hysteresis": (dict(hysteresis=-0.5), "hysteresis is -0.5"),
    "duration": (dict(neuron="rate", duration_us=0), "duration_us is 0"),
    "scales": (dict(scales="neuron"), "'layer' and 'channel'"),
    "spikes": (dict(neuron="rate", spikes_at_lambda=0), "spikes_at_lambda is 0"),
    "rate levels": (dict(neuron="rate", levels=4), "rate neurons have no levels"),
    "rate graded": (dict(neuron="rate", graded=True), "rate neurons have no graded"),
    "no duration": (dict(neuron="rate"), "give duration_us"),
    "coarse": (dict(neuron="rate", duration_us=10**7), "use a larger threshold"),
}


@pytest.mark.parametrize(("settings", "match"), SETTINGS.values(), ids=SETTINGS)
def test_settings_out_of_range_are_refused(settings, match):
    with pytest.raises(InvalidRequest, match=match):
        convert(nn.Sequential(conv(), nn.ReLU()), IMAGE, **settings)


def test_levels_other_than_a_qcfs_layers_own_are_refused():
    model = nn.Sequential(conv(), QCFS(4))
    assert convert(model, IMAGE, levels=4).populations["conv2d_0"].neuron.levels == 4
    with pytest.raises(InvalidRequest, match="levels is 8, but layer '0' was trained with a QCFS of 4 levels"):
        convert(model, IMAGE, levels=8)


def test_a_check_needs_the_same_model_and_whole_events():
    model = nn.Sequential(conv(), nn.ReLU())
    network = convert(model, IMAGE, input_scale=0.5)
    with pytest.raises(InvalidRequest, match="converted from"):
        layer_check(nn.Sequential(conv(padding=1), nn.ReLU()), network, IMAGE)
    with pytest.raises(InvalidRequest, match="no whole multiples of the network's input scale 0.5"):
        layer_check(model, network, IMAGE * 0.3)
    with pytest.raises(InvalidRequest, match="activity of population 'conv2d_0' has 0 values"):
        layer_check(model, network, IMAGE, activity={})
    rate = convert(model, IMAGE, "rate", duration_us=1000)
    with pytest.raises(InvalidRequest, match="give the counts of simulated runs"):
        layer_check(model, rate, IMAGE)


def test_importing_the_room_imports_no_heavy_library():
    code = (
        "import sys, eventsnn.convert as room; "
        "assert 'torch' not in sys.modules and 'numba' not in sys.modules; "
        "room.quantised_activations; assert 'torch' not in sys.modules; "
        "assert 'convert' in dir(room)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_room_can_be_called_and_names_only_what_it_has():
    model = nn.Sequential(conv(), nn.ReLU())
    assert room(model, IMAGE).checksum == convert(model, IMAGE).checksum
    with pytest.raises(AttributeError, match="no attribute 'converter_of_worlds'"):
        room.converter_of_worlds
