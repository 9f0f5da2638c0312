"""What cannot be converted is refused by name, never left out."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from eventsnn.convert import QCFS, convert, layer_check
from eventsnn.errors import InvalidNetwork, UnsupportedLayer

torch.set_num_threads(1)

IMAGE = np.ones((2, 2, 8, 8))


def conv(channels=2, **options):
    torch.manual_seed(0)
    return nn.Conv2d(channels, 4, 3, **options)


def trained_norm(channels):
    norm = nn.BatchNorm2d(channels)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, 0.5, 1.5, 0.7])[:channels])
        norm.bias.uniform_(-0.5, 0.5)
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.3, 2)
    return norm


def linear_model(**weights):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(128, 6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        for name, value in weights.items():
            model[int(name[1:])].weight.flatten()[0] = value
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
    "parameter": (lambda m, x: m.head(m.flat(m.act(m.conv(x) * torch.sin(x.sum())))), "sin|sum"),
    "two outputs": (lambda m, x: (m.act(m.conv(x)), x), "returns|output"),
    "control flow": (lambda m, x: m.act(m.conv(x)) if x.sum() > 0 else x, "cannot be followed|control"),
}


@pytest.mark.parametrize(("forward", "match"), FORWARDS.values(), ids=FORWARDS)
def test_a_forward_that_is_no_feed_forward_network_is_refused(forward, match):
    with pytest.raises(UnsupportedLayer, match=match):
        convert(Written(forward), IMAGE)


class Two(nn.Module):
    def forward(self, x, y):
        return x


def hooked():
    model = nn.Sequential(conv(), nn.ReLU())
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    return model


def weight_normed():
    return nn.Sequential(torch.nn.utils.parametrizations.weight_norm(conv()), nn.ReLU())


WRITTEN = {
    "functional relu": lambda m, x: m.head(m.flat(functional.relu(m.conv(x)))),
    "torch relu": lambda m, x: m.head(m.flat(torch.relu(m.conv(x)))),
    "tensor relu": lambda m, x: m.head(m.flat(m.conv(x).relu())),
    "functional flatten": lambda m, x: m.head(torch.flatten(m.act(m.conv(x)), 1)),
    "view": lambda m, x: m.head(m.act(m.conv(x)).view(x.size(0), -1)),
    "addition": lambda m, x: m.head(m.flat(m.act(m.conv(x)) + m.act(m.conv(x + 1)))),
    "parameter": lambda m, x: m.head(m.flat(m.act(m.conv(x) * m.offset))),
    "concatenation": lambda m, x: m.head(
        m.flat(functional.max_pool2d(torch.cat([m.conv(x), m.act(m.conv(x))], 1), 2, 1))[:, :144]
    ),
    "pools of both signs": lambda m, x: m.head(m.flat(functional.max_pool2d(m.conv(x), 3, 1, 1))),
}
BUILT = {
    "max pool": lambda: nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(2)),
    "relu6": lambda: nn.Sequential(conv(), nn.ReLU6()),
    "softmax": lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 2), nn.Softmax(1)),
    "linear-linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 5), nn.Dropout(), nn.Linear(5, 2)),
    "activation after pool": lambda: nn.Sequential(conv(), nn.AvgPool2d(2), nn.ReLU()),
    "overlapping pool": lambda: nn.Sequential(nn.AvgPool2d(3, stride=2), conv(), nn.ReLU()),
    "padded pool": lambda: nn.Sequential(nn.AvgPool2d(2, padding=1), conv(), nn.ReLU()),
    "ceil pool": lambda: nn.Sequential(nn.AvgPool2d(3, ceil_mode=True), conv(padding=1), nn.ReLU()),
    "adaptive pool": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(3), conv(), nn.ReLU()),
    "relu after max pool": lambda: nn.Sequential(conv(), nn.MaxPool2d(2), nn.ReLU()),
    "norm after max pool": lambda: nn.Sequential(conv(), nn.MaxPool2d(3, 2), trained_norm(4), nn.ReLU()),
    "norms around": lambda: nn.Sequential(
        conv(), nn.ReLU(), nn.MaxPool2d(2), trained_norm(4), conv(stride=2, channels=4), nn.ReLU()
    ),
    "norm first": lambda: nn.Sequential(nn.BatchNorm2d(2), conv(), nn.ReLU()),
    "norm after relu": lambda: nn.Sequential(conv(), nn.ReLU(), nn.BatchNorm2d(4)),
    "norm of values": lambda: nn.Sequential(conv(), nn.Flatten(), nn.BatchNorm1d(144), nn.ReLU()),
    "parametrised": weight_normed,
    **{name: (lambda forward=forward: Written(forward)) for name, forward in WRITTEN.items()},
}


@pytest.mark.parametrize("average_pools", ["folded", "population"])
@pytest.mark.parametrize("build", BUILT.values(), ids=BUILT)
def test_a_model_of_another_form_converts_and_agrees_with_itself(build, average_pools):
    torch.manual_seed(0)
    model, images = build().eval(), np.random.default_rng(0).poisson(0.7, (40, 2, 8, 8))
    network = convert(model, images, levels=255, scales="channel", average_pools=average_pools)
    checks = layer_check(model, network, images)
    assert [check.name for check in checks if check.correlation < 0.995] == []
    assert {check.name for check in checks} == set(network.order[1:])


MODELS = {
    "tanh": (
        lambda: nn.Sequential(conv(), nn.Tanh()),
        r"module '1' is a Tanh.*ReLU or eventsnn\.convert\.QCFS",
    ),
    "nested": (
        lambda: nn.Sequential(conv(), nn.Sequential(nn.ReLU(), nn.GELU())),
        r"module '1\.1' is a GELU",
    ),
    "group norm": (lambda: nn.Sequential(conv(), nn.GroupNorm(2, 4), nn.ReLU()), "BatchNorm2d, which folds"),
    "other": (
        lambda: nn.Sequential(nn.Conv1d(2, 2, 3)),
        "is a Conv1d, which has no conversion. Supported are",
    ),
    "norm of the batch": (
        lambda: nn.Sequential(conv(), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU()),
        "without running statistics",
    ),
    "padding mode": (
        lambda: nn.Sequential(conv(padding=1, padding_mode="reflect"), nn.ReLU()),
        "mode 'reflect'",
    ),
    "flatten": (lambda: nn.Sequential(conv(), nn.ReLU(), nn.Flatten(2)), r"values of shape \(4, 36\)"),
    "no flatten": (
        lambda: nn.Sequential(conv(), nn.ReLU(), nn.Linear(6, 2)),
        r"put nn\.Flatten\(\) before it",
    ),
    "nothing": (lambda: nn.Sequential(nn.Flatten()), "nothing to convert"),
    "hook": (hooked, "module '0' has a forward hook"),
    "two inputs": (Two, "takes 2 inputs"),
}


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
    with pytest.raises(InvalidNetwork, match=r"'1' .*has a running variance that is not positive"):
        convert(model, IMAGE)
    model = nn.Sequential(conv(), QCFS(4))
    with torch.no_grad():
        model[1].theta.fill_(float("nan"))
    with pytest.raises(InvalidNetwork, match="theta is nan"):
        convert(model, IMAGE)


def test_weights_beyond_32_bits_are_refused():
    with pytest.raises(
        InvalidNetwork, match=r"a weight of layer 'linear_3' would be .* beyond the 32-bit range"
    ):
        convert(nn.Sequential(nn.Flatten(), *_huge()), IMAGE)
    model = nn.Sequential(conv(), QCFS(4))
    with torch.no_grad():
        model[0].bias[0] = -1e9
    with pytest.raises(InvalidNetwork, match="a bias of layer 'conv2d_0'"):
        convert(model, IMAGE)


def test_a_threshold_that_rounds_every_weight_to_zero_is_refused():
    with pytest.raises(InvalidNetwork, match="all weights of layer 'conv2d_0' round to zero"):
        convert(nn.Sequential(conv(), QCFS(4, theta=100.0)), IMAGE, threshold=1)


def _huge():
    model = linear_model()
    with torch.no_grad():
        model[1].weight[0], model[1].bias[0] = -1e3, -1e3  # silent on the calibration data
        model[3].weight[:, 0] = 1e30
    return model[1:]
