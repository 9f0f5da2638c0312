"""PyTorch models as graphs: the graph computes what the model does, at every node, or it is refused."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles.graph_values import graph_values
from torch import nn
from torch.nn import functional

from eventsnn.convert.graph.operations import AveragePool, MaxPool, Quantised, Rearrange, ReLU, Step
from eventsnn.convert.importers.torch_fx import import_torch
from eventsnn.convert.qcfs import QCFS
from eventsnn.errors import InvalidNetwork, InvalidRequest, UnsupportedLayer

torch.set_num_threads(1)


class Written(nn.Module):
    """A forward given as a function of the module and its input; submodules by name."""

    def __init__(self, forward, **modules):
        super().__init__()
        self.written = forward
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.written(self, x)


def agree(model, shape, samples=3, scale=2.0, tolerance=1e-9, single=False):
    """Import, and compare graph, evaluation and model on random samples.

    The model in float64, or as it is where it asks for single precision itself.
    """
    original = import_torch(model, shape)
    batch = np.random.default_rng(0).normal(size=(samples, *shape)) * scale
    mine = graph_values(original.graph, batch)
    theirs = original.evaluate(batch, list(original.graph.nodes))
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        assert value.shape == theirs[name].shape, name
        np.testing.assert_allclose(value, theirs[name], rtol=tolerance, atol=tolerance, err_msg=name)
    precision = torch.float32 if single else torch.float64
    with torch.no_grad():
        truth = model.to(precision).eval()(torch.from_numpy(batch).to(precision)).numpy()
    tolerance = 1e-4 if single else tolerance
    np.testing.assert_allclose(theirs[original.graph.output], truth, rtol=tolerance, atol=tolerance)
    return original


def operations(original):
    return [type(node.operation) for node in original.graph]


def of(original, kind):
    return [node for node in original.graph if isinstance(node.operation, kind)]


def trained(model):
    """Batch norms with statistics as after training."""
    generator = torch.Generator().manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            module.running_var.copy_(torch.rand(tensor.shape, generator=generator) + 0.3)
    return model


# -- architectures -----------------------------------------------------------------------------------


class OptionA(nn.Module):
    """Shortcut without weights: every second pixel, zero channels on both sides."""

    def __init__(self, planes):
        super().__init__()
        self.planes = planes

    def forward(self, x):
        return functional.pad(
            x[:, :, ::2, ::2], (0, 0, 0, 0, self.planes // 4, self.planes // 4), "constant", 0
        )


class Block(nn.Module):
    def __init__(self, before, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = OptionA(planes) if stride != 1 else nn.Sequential()

    def forward(self, x):
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return functional.relu(out)


class ResNet(nn.Module):
    def __init__(self, blocks=(3, 3, 3), classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        planes = 16
        for number, count in enumerate(blocks, 1):
            layers = []
            for block in range(count):
                stride = 2 if number > 1 and block == 0 else 1
                layers.append(Block(planes, 16 * 2 ** (number - 1), stride))
                planes = 16 * 2 ** (number - 1)
            setattr(self, f"layer{number}", nn.Sequential(*layers))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = functional.avg_pool2d(out, out.size()[3])
        out = out.view(out.size(0), -1)
        return self.linear(out)


class Inception(nn.Module):
    """Branches of several kinds, one behind the other; in-place ReLUs."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(6, 4, 1)
        self.wide = nn.Sequential(nn.Conv2d(6, 4, (1, 3), padding=(0, 1)), nn.BatchNorm2d(4), nn.ReLU(True))
        self.tall = nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=2)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4 + 4 + 6, 3)

    def forward(self, x):
        x = torch.cat([self.relu(self.one(x)), self.tall(self.wide(x)), self.pool(x)], 1)
        x = self.relu(x)
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        x = functional.dropout(x, 0.5, training=self.training)
        return functional.log_softmax(self.head(x.mean((2, 3))), dim=1)


class Shuffle(nn.Module):
    """Split, depthwise, channel shuffle; a chunk that passes as it is."""

    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(4, 4, 3, padding="same", groups=4, dilation=2)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        left, right = x.chunk(2, dim=1)
        out = torch.cat((left, functional.relu6(self.depthwise(right))), dim=1)
        batch, channels, height, width = out.size()
        out = out.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        out = out.view(batch, channels, height, width)
        return functional.adaptive_avg_pool2d(self.head(out), 1).flatten(1)


class Convolution(nn.Conv2d):
    """Standardised weights, computed in the forward."""

    def forward(self, x):
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        weight = weight / weight.std(dim=(1, 2, 3), keepdim=True)
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


ARCHITECTURES = {
    "resnet": (lambda: ResNet((1, 1, 1)), (3, 8, 8)),
    "inception": (Inception, (6, 7, 6)),
    "shuffle": (Shuffle, (8, 6, 5)),
    "standardised": (lambda: nn.Sequential(Convolution(2, 3, 3), nn.ReLU(), nn.Flatten()), (2, 4, 4)),
    "dense": (
        lambda: nn.Sequential(
            nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU6(), nn.Dropout(), nn.Linear(5, 3), nn.Softmax(-1)
        ),
        (6,),
    ),
    "parallel": (lambda: nn.DataParallel(nn.Sequential(nn.DataParallel(nn.Conv2d(2, 3, 2)))), (2, 3, 3)),
    "one layer": (lambda: nn.Linear(4, 2), (4,)),
}


@pytest.mark.parametrize(("build", "shape"), ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_architectures_are_equal_to_the_model_at_every_node(build, shape):
    agree(trained(build()), shape)


def test_nodes_are_called_after_modules_and_functions():
    graph = import_torch(ResNet((1, 1, 1)), (3, 8, 8)).graph
    names = list(graph.nodes)
    assert names[:9] == [
        "input",
        "conv1",
        "bn1",
        "relu",
        "layer1.0.conv1",
        "layer1.0.bn1",
        "layer1.0.relu",
        "layer1.0.conv2",
        "layer1.0.bn2",
    ]
    assert names[9:11] == ["layer1.0.add", "layer1.0.relu#2"]
    assert "layer2.0.shortcut.pad" in names
    assert graph.output == "linear"
    assert graph.nodes["layer1.0.add"].inputs == ("layer1.0.bn2", "relu")
    assert graph.nodes["layer1.0.conv1"].origin == "Conv2d"
    assert graph.nodes["layer1.0.relu"].origin == "functional.relu"
    assert list(import_torch(nn.Sequential(OrderedDict({"a/b": nn.ReLU()})), (2,)).graph.nodes) == [
        "input",
        "a_b",
    ]


def test_a_module_used_twice_is_two_nodes():
    model = Written(lambda m, x: m.act(m.conv(m.act(m.conv(x)))), conv=nn.Conv2d(2, 2, 1), act=nn.ReLU())
    original = agree(model, (2, 3, 3))
    assert list(original.graph.nodes) == ["input", "conv", "act", "conv#2", "act#2"]


def test_the_given_model_is_left_as_it_is():
    model = trained(Inception()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    import_torch(model, (6, 7, 6))
    assert model.training
    assert model.relu.inplace
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


@pytest.mark.skipif("EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA does not name the data folder")
def test_the_published_resnet20_is_equal_to_the_model():
    path = Path(os.environ["EVENTSNN_DATA"]) / "pretrained" / "resnet20-12fca82f.th"
    weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    model = ResNet()
    model.load_state_dict({name.removeprefix("module."): tensor for name, tensor in weights.items()})
    agree(model, (3, 32, 32), samples=2, scale=1.0)


RANDOM_STEPS = {
    "conv": lambda layer, a, b, number: layer(a),
    "norm": lambda layer, a, b, number: layer(a),
    "relu": lambda layer, a, b, number: functional.relu(a),
    "pool": lambda layer, a, b, number: functional.max_pool2d(a, 3, 1, 1),
    "add": lambda layer, a, b, number: a + b,
    "difference": lambda layer, a, b, number: a - 3 * b,
    "cat": lambda layer, a, b, number: torch.cat([a[:, :2], b[:, 2:]], dim=1),
    "affine": lambda layer, a, b, number: number * a + 0.25,
    "step": lambda layer, a, b, number: a.sign() + 0.5 * b,
    "levels": lambda layer, a, b, number: torch.clamp((a / abs(number)).round(), -2, 5) * abs(number),
    "flip": lambda layer, a, b, number: a.flip(2).contiguous(),
    "through": lambda layer, a, b, number: through(b, a),
}


class Random(nn.Module):
    """A random graph: every value is computed from one or two before it."""

    def __init__(self, seed):
        super().__init__()
        random = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.layers, self.steps = nn.ModuleList(), []
        made = {"conv": lambda: nn.Conv2d(4, 4, 3, padding=1), "norm": lambda: nn.BatchNorm2d(4)}
        for number in range(1, 13):
            kind = list(RANDOM_STEPS)[random.integers(len(RANDOM_STEPS))]
            self.layers.append(made.get(kind, nn.Identity)())
            first, second = (int(place) for place in random.integers(0, number, 2))
            self.steps.append((kind, first, second, float(random.normal())))

    def forward(self, x):
        values = [x]
        for layer, (kind, first, second, number) in zip(self.layers, self.steps, strict=True):
            values.append(RANDOM_STEPS[kind](layer, values[first], values[second], number))
        return sum(values[-3:], values[-4])


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_are_equal_to_the_model(seed):
    agree(trained(Random(seed)), (4, 5, 4), scale=1.0)


# -- pools -------------------------------------------------------------------------------------------


def random_pool(random):
    kernel = tuple(int(k) for k in random.integers(1, 5, 2))
    stride = tuple(int(s) for s in random.integers(1, 4, 2))
    padding = tuple(int(random.integers(0, k // 2 + 1)) for k in kernel)
    ceil = bool(random.integers(2))
    if random.integers(2):
        return nn.MaxPool2d(
            kernel, stride, padding, tuple(int(d) for d in random.integers(1, 3, 2)), ceil_mode=ceil
        )
    divisor = [None, None, 5][random.integers(3)]
    return nn.AvgPool2d(kernel, stride, padding, ceil, bool(random.integers(2)), divisor)


def test_pools_of_every_kind_are_equal_to_the_model():
    random, tried = np.random.default_rng(1), 0
    for _ in range(120):
        pool = random_pool(random)
        shape = (2, *(int(n) for n in random.integers(4, 10, 2)))
        try:
            pool(torch.zeros(1, *shape))
        except RuntimeError:  # PyTorch has no such pool
            continue
        tried += 1
        original = agree(pool, shape)
        assert len(original.graph.nodes) == 2
    assert tried > 80


@pytest.mark.parametrize("size", [1, 3, (2, None), (5, 4), 9])
@pytest.mark.parametrize("kind", [nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])
def test_adaptive_pools_are_equal_to_the_model(kind, size):
    agree(kind(size), (2, 7, 5))


def test_windows_by_hand():
    (pool,) = of(import_torch(nn.MaxPool2d(3, 2, 1, ceil_mode=True), (1, 6, 5)), MaxPool)
    assert pool.operation.rows.first == (0, 1, 3, 5)
    assert pool.operation.rows.end == (2, 4, 6, 6)
    assert pool.operation.columns.end == (2, 4, 5)
    (pool,) = of(import_torch(nn.AvgPool2d(2, 2, 1, ceil_mode=True), (1, 4, 4)), AveragePool)
    np.testing.assert_array_equal(pool.operation.divisor, 4 * np.ones((3, 3)))


REDUCTIONS = {
    "mean": (lambda m, x: x.mean((2, 3)), (3, 4, 5)),
    "mean kept": (lambda m, x: torch.mean(x, dim=[-1, -2], keepdim=True), (3, 4, 5)),
    "mean of flat": (lambda m, x: x.flatten(2).mean(-1), (3, 4, 5)),
    "mean of rows": (lambda m, x: x.mean(2), (3, 4, 5)),
    "sum of channels": (lambda m, x: x.sum(dim=1), (3, 4, 5)),
    "largest": (lambda m, x: x.amax(dim=(2, 3)), (3, 4, 5)),
    "of features": (lambda m, x: x.view(-1, 2, 3).mean(1), (6,)),
}


@pytest.mark.parametrize(("forward", "shape"), REDUCTIONS.values(), ids=REDUCTIONS)
def test_reductions_are_equal_to_the_model(forward, shape):
    agree(Written(lambda m, x: forward(m, x).flatten(1)), shape)


# -- convolutions, sums, moves -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_convolutions_of_every_kind_are_equal_to_the_model():
    random = np.random.default_rng(2)
    for _ in range(60):
        groups = int(random.integers(1, 3))
        kernel = tuple(int(k) for k in random.integers(1, 4, 2))
        same = bool(random.integers(3) == 0)
        model = nn.Conv2d(
            2 * groups,
            3 * groups,
            kernel,
            1 if same else tuple(int(s) for s in random.integers(1, 4, 2)),
            "same" if same else tuple(int(p) for p in random.integers(0, 3, 2)),
            tuple(int(d) for d in random.integers(1, 3, 2)),
            groups,
            bool(random.integers(2)),
        )
        agree(model, (2 * groups, 8, 9))


def test_transposed_convolutions_are_equal_to_the_model():
    random = np.random.default_rng(4)
    for _ in range(40):
        groups, stride = int(random.integers(1, 3)), tuple(int(s) for s in random.integers(1, 4, 2))
        model = nn.ConvTranspose2d(
            2 * groups,
            3 * groups,
            tuple(int(k) for k in random.integers(1, 5, 2)),
            stride,
            int(random.integers(0, 2)),
            tuple(int(random.integers(s)) for s in stride),
            groups,
            bool(random.integers(2)),
            dilation=1,
        )
        agree(model, (2 * groups, 5, 4))
    agree(nn.ConvTranspose2d(2, 3, 3, dilation=2), (2, 5, 4))


WEIGHT = torch.linspace(-1, 1, 12, dtype=torch.float64)
CALLS = {
    "weights of its own": lambda m, x: functional.conv2d(x, m.weight, m.bias, padding=1),
    "linear": lambda m, x: functional.linear(x.flatten(1), WEIGHT.repeat(6).view(2, 36)),
    "matrix": lambda m, x: x.reshape(x.shape[0], -1) @ WEIGHT.repeat(6).view(36, 2),
    "norm": lambda m, x: functional.batch_norm(x, WEIGHT[:4], WEIGHT[:4] + 2, WEIGHT[4:8], WEIGHT[8:]),
    "residual": lambda m, x: x + torch.relu(x),
    "difference": lambda m, x: x - x.relu(),
    "twice": lambda m, x: x + x,
    "three": lambda m, x: torch.add(x, x.relu()) + x.clamp(0, 1) + 2,
    "constants": lambda m, x: (1 - x) * 3 / 7 + 0.5 - x.new_full((4, 1, 1), 0.2),
    "channels": lambda m, x: (x + WEIGHT[:4].view(1, 4, 1, 1)).mul(WEIGHT[4:8].view(4, 1, 1)),
    "per place": lambda m, x: x * WEIGHT[:9].view(3, 3),
    "negated": lambda m, x: -x.neg().negative(),
    "relus": lambda m, x: functional.hardtanh(x.clamp_min(0), 0, 2),
    "clips": lambda m, x: torch.clamp(x, -1, 0.5) + functional.hardtanh(x) + x.clamp_max(0.3),
    "hard sigmoid": lambda m, x: torch.clip(x / 6 + 0.5, 0, 1),
    "maximum": lambda m, x: torch.maximum(torch.minimum(x, torch.tensor(1.5)), torch.zeros(1)),
    "zero channels": lambda m, x: torch.cat([x, x.new_zeros(x.size(0), 2, 3, 3), x.relu()], dim=1),
    "zeros before": lambda m, x: torch.cat([torch.zeros_like(x), x], 1),
    "double": lambda m, x: torch.cat([x, x], -1),
    "rows": lambda m, x: torch.cat((x[:, :1], x[:, 2:, :, [0, 2]].repeat(1, 1, 1, 2)[..., :3]), 1),
    "padded": lambda m, x: functional.pad(functional.pad(x, (1, 0, 0, 2)), (1, 1, 1, 1), mode="reflect"),
    "permuted": lambda m, x: x.permute(0, 2, 3, 1).flatten(1),
    "squeezed": lambda m, x: (
        x[:, :, 1:2, 1:2].squeeze(-1).squeeze(2).unsqueeze(-1).transpose(1, 2).flatten(1)
    ),
    "split": lambda m, x: (
        torch.split(x, [1, 3], dim=1)[1] + x.unbind(1)[0].unsqueeze(1).expand(-1, 3, -1, -1)
    ),
    "nearest": lambda m, x: functional.interpolate(x, scale_factor=2),
    "sizes of another": lambda m, x: functional.interpolate(x[:, :, :2], size=x.shape[2:]).view_as(x),
    "shuffled": lambda m, x: functional.pixel_unshuffle(functional.pixel_shuffle(x, 2), 3).flip(1).roll(1, 2),
    "branch by shape": lambda m, x: m.conv(x) if x.shape[1] == 4 and m.conv(x).dim() == 4 else x.exp(),
    "number of axes": lambda m, x: x.relu() if len(x.shape) == 4 else x.exp(),
    "loop over channels": lambda m, x: sum(x[:, k : k + 1] * k for k in range(x.size(1))),
    "constants by shape": lambda m, x: x + torch.ones(int(x.shape[1]), 1, 1) * int(x.shape[2]),
    "axes": lambda m, x: x.reshape(x.size(0), *x.shape[1:3], -1).requires_grad_(False),
    "fixed weights": lambda m, x: functional.conv2d(x, torch.ones(2, 4, 2, 2) / 3, torch.ones(2)),
    "all axes": lambda m, x: functional.adaptive_avg_pool2d(x, 1).squeeze(),
    "in place": lambda m, x: x.clone().relu_().add_(1).clamp_(max=2),
    "written over": lambda m, x: functional.relu(m.conv(x), inplace=True),
    "casts": lambda m, x: x.float().relu().to(torch.float32).type_as(x).double().detach(),
    "sizes": lambda m, x: x.view(-1, x.size(1) * x.shape[2] * x.shape[-1]),
}


@pytest.mark.parametrize("forward", CALLS.values(), ids=CALLS)
def test_calls_are_equal_to_the_model(forward):
    model = Written(forward, conv=nn.Conv2d(4, 3, 1), weight=nn.Parameter(torch.randn(2, 4, 3, 3)))
    model.bias = nn.Parameter(torch.randn(2))
    agree(model, (4, 3, 3), single=forward in (CALLS["casts"], CALLS["fixed weights"]))


def test_modules_that_move_values_are_rearranged():
    model = nn.Sequential(
        nn.ZeroPad2d((1, 0, 2, 1)),
        nn.PixelUnshuffle(2),
        nn.ChannelShuffle(2),
        nn.Upsample(scale_factor=2),
        nn.ConstantPad2d(1, 0.0),
        nn.ReflectionPad2d(1),
        nn.Flatten(2),
        nn.Unflatten(1, (4, 4)),
        nn.Flatten(),
    )
    original = agree(model, (4, 3, 5))
    assert set(operations(original)[1:]) == {Rearrange}
    padded = of(original, Rearrange)[0].operation.indices
    assert (padded[:, :2] == -1).all()
    assert padded[0, 2, 1] == 0
    assert padded[3, 4, 5] == 3 * 15 + 2 * 5 + 4


def test_a_tensor_changed_in_place_is_read_as_it_is_then():
    def forward(m, x):
        y = m.conv(x)
        z = functional.relu(y, inplace=True)
        return y + 2 * z  # both are the rectified values

    agree(Written(forward, conv=nn.Conv2d(2, 2, 1)), (2, 3, 3))
    agree(Written(lambda m, x: m.relu(m.conv(x)), conv=nn.Conv2d(2, 2, 1), relu=nn.ReLU(True)), (2, 3, 3))


@pytest.mark.parametrize(
    "norm",
    [
        torch.nn.utils.parametrizations.weight_norm,
        torch.nn.utils.parametrizations.spectral_norm,
        torch.nn.utils.spectral_norm,
        lambda module: torch.nn.utils.prune.l1_unstructured(module, "weight", 7),
        lambda module: torch.nn.utils.prune.random_unstructured(module, "bias", 1),
    ],
)
def test_computed_weights_are_those_of_the_forward(norm):
    model = nn.Sequential(norm(nn.Conv2d(2, 3, 3)), nn.ReLU())
    model(torch.randn(1, 2, 4, 4))  # one step of power iteration
    agree(model, (2, 4, 4))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weight_norm_of_old_models_is_followed():
    model = nn.Sequential(torch.nn.utils.weight_norm(nn.Linear(4, 3)), nn.ReLU())
    with torch.no_grad():
        model[0].weight_g.mul_(2)  # as loading a state_dict does: the weight attribute is out of date
    original = import_torch(model, (4,))
    weight = original.graph.nodes["0"].operation.weight
    direction = model[0].weight_v / model[0].weight_v.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(weight, (model[0].weight_g * direction).detach().numpy(), rtol=1e-6)


# -- integer activations -----------------------------------------------------------------------------


class RoundThrough(torch.autograd.Function):
    @staticmethod
    def forward(context, x, largest):
        context.save_for_backward(x)
        return torch.round(torch.clamp(x, min=0, max=largest))

    @staticmethod
    def backward(context, gradient):
        return gradient, None


def through(rounded, x):
    return (rounded - x).detach() + x


def lsq(m, x):
    """Learned step size (Esser et al. 2020) as SpikeZIP writes it: a gradient scale that cancels."""
    scale = 1.0 / ((x.detach().abs().mean() * x.numel()) ** 0.5)
    graded = m.step * scale
    step = (m.step - graded).detach() + graded
    y = x / step
    return torch.clamp(through(torch.floor(y + 0.5), y), min=0, max=15) * step


class Floor(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.floor()

    @staticmethod
    def backward(context, gradient):
        return gradient


def bu(m, x):
    """QCFS as its authors write it."""
    x = x / m.step
    x = torch.clamp(x, 0, 1)
    x = Floor.apply(x * 8 + 0.5) / 8
    return x * m.step


def spike_zip(m, x):
    """Its activation, with bounds that move to the device of the input and a gradient scale by its size."""
    lowest, largest = torch.tensor(0.0), torch.tensor(15.0)
    if str(lowest.device) == "cpu":
        lowest = lowest.to(x.device)
    largest = largest.to(x.device)
    graded = m.step * (1.0 / ((largest.detach().abs().mean() * x.numel()) ** 0.5))
    step = (m.step - graded).detach() + graded
    x = x / step + 0.5
    return torch.clamp((x.floor() - x).detach() + x, min=lowest, max=largest) * step


INTEGER = {
    "i-lif": (lambda m, x: RoundThrough.apply(x, 4), (1.0, 0, 4, 0.0, "half-even")),
    "i-lif with unit": (lambda m, x: RoundThrough.apply(x * 4, 4) / 4, (0.25, 0, 4, 0.0, "half-even")),
    "round then clip": (
        lambda m, x: m.step * torch.clip((x / m.step).round(), -3, 12),
        (0.7, -3, 12, 0.0, "half-even"),
    ),
    "clip then round": (
        lambda m, x: torch.round(torch.clamp(x / m.step, 0, 15)) * m.step,
        (0.7, 0, 15, 0.0, "half-even"),
    ),
    "spike-zip": (spike_zip, (0.7, 0, 15, 0.5, "floor")),
    "lsq": (lsq, (0.7, 0, 15, 0.5, "floor")),
    "qcfs": (bu, (0.7 / 8, 0, 8, 0.5, "floor")),
    "relu first": (lambda m, x: (x.relu() / 0.5).floor().clamp(max=7) * 0.5, (0.5, 0, 7, 0.0, "floor")),
    "relu6": (
        lambda m, x: through(torch.round(functional.relu6(x) * 2) / 2, x),
        (0.5, 0, 12, 0.0, "half-even"),
    ),
    "truncated": (lambda m, x: x.clamp(0, 5).trunc(), (1.0, 0, 5, 0.0, "floor")),
    "floor divided": (lambda m, x: torch.clamp(x // 0.5, 0, 6) * 0.5, (0.5, 0, 6, 0.0, "floor")),
    "rounding mode": (
        lambda m, x: torch.div(x, 0.5, rounding_mode="floor").clamp(0, 6).mul(0.5),
        (0.5, 0, 6, 0.0, "floor"),
    ),
    "reversed": (
        lambda m, x: x + (0.5 * torch.round(x * 2).clamp(0, 9) - x).detach(),
        (0.5, 0, 9, 0.0, "half-even"),
    ),
    "tensors": (
        lambda m, x: (
            torch.minimum(torch.maximum(torch.round(x / m.step), torch.tensor(0.0)), torch.tensor(3.0))
            * m.step
        ),
        (0.7, 0, 3, 0.0, "half-even"),
    ),
    "rounded twice": (
        lambda m, x: torch.round(torch.clamp(torch.round(x), 0, 4)),
        (1.0, 0, 4, 0.0, "half-even"),
    ),
}


class Neuron(Written):
    """Looked into: its class says nothing."""


@pytest.mark.parametrize(("forward", "expected"), INTEGER.values(), ids=INTEGER)
def test_integer_activations_are_found_by_their_arithmetic(forward, expected):
    neuron = Neuron(forward, step=nn.Parameter(torch.tensor(0.7, dtype=torch.float64)))
    model = nn.Sequential(nn.Conv2d(2, 4, 3), neuron, nn.Flatten(), nn.Linear(64, 3))
    original = agree(model, (2, 6, 6), scale=6.0)
    assert [node.name for node in original.graph] == ["input", "0", "1", "2", "3"]
    node = original.graph.nodes["1"]
    assert isinstance(node.operation, Quantised)
    assert node.origin == "Neuron"
    unit, *rest = expected
    np.testing.assert_allclose(node.operation.unit, unit, rtol=1e-12)
    found = node.operation
    assert [found.lowest, found.largest, found.shift, found.rounding] == rest


def test_our_own_activation_is_the_same_looked_into():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), QCFS(7, theta=1.3))
    original = agree(model, (2, 5, 5))
    found = original.graph.nodes["1"].operation
    assert (found.lowest, found.largest, found.shift, found.rounding) == (0, 7, 0.5, "floor")

    class Mine(QCFS):
        pass

    model[1] = Mine(7, theta=1.3).double()
    again = agree(model, (2, 5, 5)).graph.nodes["1"].operation
    np.testing.assert_allclose(again.unit, found.unit, rtol=1e-12)
    assert (again.lowest, again.largest, again.shift, again.rounding) == (0, 7, 0.5, "floor")


def test_levels_with_one_unit_a_channel():
    def forward(m, x):
        step = m.step.view(-1, 1, 1)
        return torch.round(torch.clamp(x / step + step, 0, 7)) * (2 * step)

    model = Neuron(forward, step=nn.Parameter(torch.linspace(0.3, 1.1, 4)))
    original = agree(model, (4, 3, 3))
    (node,) = of(original, Quantised)
    assert node.operation.unit.shape == (4, 1, 1)
    assert [type(node.operation).__name__ for node in original.graph] == [
        "Input",
        "Affine",
        "Quantised",
        "Affine",
    ]


def test_levels_after_a_batch_norm_are_of_its_output():
    model = trained(
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), Neuron(INTEGER["i-lif with unit"][0]))
    )
    original = agree(model, (2, 6, 6))
    assert list(original.graph.nodes) == ["input", "0", "1", "2"]
    assert np.unique(original.graph.nodes["2"].operation.unit) == 0.25


def test_levels_are_called_after_the_innermost_module():
    class Rounded(nn.Module):
        def forward(self, x):
            return torch.clamp(torch.round(x), 0, 4)

    block = Written(lambda m, x: m.drop(m.act(m.conv(x))) + x, conv=nn.Conv2d(2, 2, 1), act=Rounded())
    block.drop = nn.Dropout()
    graph = agree(nn.Sequential(OrderedDict(block=block, last=Rounded())), (2, 3, 3)).graph
    assert list(graph.nodes) == ["input", "block.conv", "block.act", "block.add", "last"]
    assert [node.origin for node in graph][2:] == ["Rounded", "+", "Rounded"]


def test_halves_round_to_even():
    original = import_torch(Neuron(lambda m, x: torch.clamp(torch.round(x), 0, 4)), (5,))
    batch = np.array([[0.5, 1.5, 2.5, 3.5, 4.5]])
    (value,) = graph_values(original.graph, batch)[original.graph.output]
    assert value.tolist() == [0, 2, 2, 4, 4]
    np.testing.assert_array_equal(
        value, original.evaluate(batch, [original.graph.output])[original.graph.output][0]
    )


STEPS = {
    "sign": (lambda m, x: torch.sign(x), (-1, 1, 0)),
    "heaviside": (lambda m, x: torch.heaviside(x, torch.tensor(0.5, dtype=x.dtype)), (0, 1, 0.5)),
    "greater": (lambda m, x: (x > 0).float(), (0, 1, 0)),
    "at least": (lambda m, x: (x >= 0).to(x.dtype), (0, 1, 1)),
    "binary tanh": (lambda m, x: x.sign().add(0.01).sign(), (-1, 1, 1)),
    "hardtanh and sign": (lambda m, x: through(torch.sign(x), functional.hardtanh(x)), (-1, 1, 0)),
    "chosen": (lambda m, x: torch.where(x >= 0, 2.0, -0.5), (-0.5, 2, 2)),
    "of bits": (lambda m, x: 2 * (x >= 0).float() - 1, (-1, 1, 1)),
    "of a relu": (lambda m, x: torch.sign(x.relu()), (0, 1, 0)),
}


@pytest.mark.parametrize(("forward", "expected"), STEPS.values(), ids=STEPS)
def test_steps_are_found_by_their_arithmetic(forward, expected):
    original = agree(nn.Sequential(nn.Linear(4, 6), Neuron(forward), nn.Linear(6, 2)), (4,), single=True)
    (node,) = of(original, Step)
    assert (node.operation.low, node.operation.high, node.operation.at_zero) == expected
    zero = graph_values(import_torch(Neuron(forward), (1,)).graph, np.zeros((1, 1)))
    assert zero[list(zero)[-1]] == expected[2]


def test_steps_at_another_point_and_downwards():
    original = agree(Neuron(lambda m, x: 3 * (x < 0.7).float()), (5,))
    assert operations(original)[1:] != []
    assert len(of(original, Step)) == 1
    agree(Neuron(lambda m, x: torch.where(x.clamp(-1, 1) > 0.5, -1, 1).double()), (5,))


def test_binary_levels_are_quantised():
    """``2 round(clip((x + 1) / 2, 0, 1)) - 1``: the binary tanh of BinaryNet."""
    original = agree(Neuron(lambda m, x: 2 * torch.round(torch.clamp((x + 1) / 2, 0, 1)) - 1), (5,))
    (node,) = of(original, Quantised)
    assert (node.operation.lowest, node.operation.largest, node.operation.shift) == (0, 1, 0.5)
    assert operations(original).count(ReLU) == 0


# -- refusals ----------------------------------------------------------------------------------------


def conv(**options):
    return nn.Conv2d(2, 4, 3, **options)


def dictionary(m, x):
    return {"logits": m.conv(x), "features": x}


def keeps_a_view(m, x):
    y = m.conv(x)
    first = y[:, :1]
    functional.relu(y, inplace=True)
    return first


def adds_in_place(m, x):
    y = m.conv(x)
    before = y
    y += m.conv(x).relu()
    return y + before


FORWARDS = {
    "gate": (lambda m, x: m.conv(x) * m.conv(x).relu(), r"multiplies two values of the network"),
    "sigmoid": (lambda m, x: torch.sigmoid(m.conv(x)), r"calls torch\.sigmoid, which has no conv.*ReLU"),
    "inside": (lambda m, x: m.inner(m.conv(x)), r"module 'inner\.0' calls torch\.exp"),
    "two outputs": (lambda m, x: (m.conv(x), x), "returns a tuple"),
    "named outputs": (dictionary, "returns a dict with 'logits', 'features'"),
    "several": (lambda m, x: m.conv(x).chunk(2, 1), "returns a tuple"),
    "control flow": (lambda m, x: m.conv(x) if x.sum() > 0 else x, "cannot be followed"),
    "of the batch": (lambda m, x: m.conv(x) - m.conv(x).mean(), "reduces the axis of samples"),
    "over samples": (lambda m, x: m.conv(x).mean(0), "reduces the axis of samples"),
    "mixed samples": (lambda m, x: m.conv(x).view(-1, 2, 6, 6), "does not keep samples apart"),
    "flipped samples": (lambda m, x: m.conv(x).flip(0), "mixes the samples"),
    "one sample for all": (lambda m, x: m.conv(x)[[0, 0, 0]], "mixes the samples"),
    "branch of samples": (lambda m, x: m.conv(x) if x.size(0) > 2 else x, "depends on the number of samples"),
    "bias for all": (
        lambda m, x: functional.linear(x.flatten(1), torch.ones(2, 128), torch.ones(1)),
        "a bias of",
    ),
    "weights by values": (lambda m, x: functional.conv2d(x, x), "has as weight a value|does not fit"),
    "three samples": (
        lambda m, x: m.conv(x) + torch.ones(3, 1, 1, 1),
        "does not run in float64 on a batch of 2",
    ),
    "samples in a row": (lambda m, x: x.flatten().reshape(x.shape), "does not keep samples apart"),
    "loop over samples": (lambda m, x: sum(m.conv(x) for _ in range(x.size(0))), "depends on the number of"),
    "loop by values": (lambda m, x: sum(m.conv(x) for _ in range(x.sum())), "depends on the values"),
    "count of samples": (lambda m, x: m.conv(x) / x.size(0), "number of samples"),
    "stretched": (lambda m, x: m.conv(x).mean((2, 3), keepdim=True) + m.conv(x), "only equal shapes"),
    "stretched constant": (lambda m, x: x[:, :, :1, :1] + torch.ones(3, 3), "stretches values"),
    "random": (lambda m, x: functional.dropout(m.conv(x), 0.5), "stays random"),
    "one constant": (lambda m, x: torch.zeros_like(x), "does not depend on its input"),
    "padded with ones": (lambda m, x: functional.pad(m.conv(x), (1, 1), value=1.0), "pads with 1"),
    "smooth upsampling": (
        lambda m, x: functional.interpolate(m.conv(x), scale_factor=2, mode="bilinear"),
        "'nearest'",
    ),
    "softmax of channels": (lambda m, x: m.conv(x).softmax(1), "over all values of a sample"),
    "only rounded": (lambda m, x: torch.round(m.conv(x)), "without a smallest and a largest"),
    "rounded to tenths": (lambda m, x: torch.round(m.conv(x), decimals=1), "decimals"),
    "between levels": (
        lambda m, x: torch.clamp(torch.round(m.conv(x)), 0, 2.5).round(),
        "conversion|rounds|spiking",
    ),
    "cut": (lambda m, x: m.conv(x).trunc(), "may be negative"),
    "joined with ones": (lambda m, x: torch.cat([x, torch.ones_like(x)], 1), "other than zeros"),
    "samples joined": (lambda m, x: torch.cat([x, x]), "joins samples"),
    "places": (lambda m, x: m.conv(x).max(1)[0], "with places"),
    "indices": (lambda m, x: functional.max_pool2d(x, 2, return_indices=True)[0], "max_pool2d_with_indices"),
    "integers": (lambda m, x: m.conv(x).int().double(), r"Tensor\.int"),
    "view changed": (keeps_a_view, "in place"),
    "sum in place": (adds_in_place, "something else than the calls"),
    "filled": (lambda m, x: m.conv(x).zero_(), "in place"),
    "alpha": (lambda m, x: torch.add(x, m.conv(x)[:, :2], alpha=2), "alpha=2|fit"),
    "unknown option": (
        lambda m, x: torch.sum(m.conv(x), (2, 3), dtype=torch.float32, out=None),
        "way that has no",
    ),
}


@pytest.mark.parametrize(("forward", "match"), FORWARDS.values(), ids=FORWARDS)
def test_a_forward_without_faithful_conversion_is_refused(forward, match):
    inner = nn.Sequential(Written(lambda m, x: torch.exp(x)))
    with pytest.raises((UnsupportedLayer, InvalidNetwork), match=match):
        import_torch(Written(forward, conv=conv(), inner=inner), (2, 8, 8))


class Two(nn.Module):
    def forward(self, x, y):
        return x


def hooked():
    model = nn.Sequential(conv(), nn.ReLU())
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    return model


def with_tensor(value):
    model = nn.Sequential(conv(), nn.ReLU())
    model[0].weight = nn.Parameter(value, requires_grad=False)
    return model


def with_weight(module, value):
    with torch.no_grad():
        module.weight.view(-1)[0] = value
    return nn.Sequential(module)


def negative_variance():
    norm = nn.BatchNorm2d(2)
    norm.running_var[1] = -1
    return nn.Sequential(norm)


MODELS = {
    "tanh": (lambda: nn.Sequential(conv(), nn.Tanh()), r"module '1' is a Tanh.*eventsnn\.convert\.QCFS"),
    "nested": (
        lambda: nn.Sequential(conv(), nn.Sequential(nn.ReLU(), nn.GELU())),
        r"module '1\.1' is a GELU",
    ),
    "group norm": (lambda: nn.Sequential(conv(), nn.GroupNorm(2, 4)), "BatchNorm2d, which folds"),
    "recurrent": (
        lambda: nn.Sequential(nn.Flatten(2), nn.LSTM(64, 3), Written(lambda m, x: x[0])),
        "module '1' is a LSTM.*feed-forward",
    ),
    "lazy": (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), "'1.weight'.*has no values yet"),
    "attention": (
        lambda: nn.Sequential(nn.Flatten(2), nn.TransformerEncoderLayer(64, 2, batch_first=True)),
        "is a TransformerEncoderLayer.*without recurrence and attention",
    ),
    "along one axis": (lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(2, 2, 2)), "is a Conv1d.*Conv2d"),
    "norm of the batch": (
        lambda: nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)),
        "without running statistics",
    ),
    "padding mode": (lambda: nn.Sequential(conv(padding=1, padding_mode="reflect")), "mode 'reflect'"),
    "no flatten": (lambda: nn.Sequential(conv(), nn.Linear(6, 2)), r"put nn\.Flatten\(\) before it"),
    "hook": (hooked, "module '0' has a forward hook"),
    "two inputs": (Two, r"takes 2 inputs \(x, y\)"),
    "wrong size": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(7, 2)),
        r"module '1'.*does not fit.*\(2, 8, 8\).*give samples of the size",
    ),
    "of volumes": (  # which takes the two channels for something else, so that what follows does not fit
        lambda: nn.Sequential(nn.Conv3d(3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(7, 2)),
        "module '0' is a Conv3d, which has no conversion",
    ),
    "complex": (lambda: with_tensor(torch.zeros(4, 2, 3, 3, dtype=torch.complex64)), "complex64"),
    "integers": (lambda: with_tensor(torch.zeros(4, 2, 3, 3, dtype=torch.int8)), "int8; weights are"),
    "no values": (lambda: with_tensor(torch.zeros(4, 2, 3, 3, device="meta")), "'0.weight'.*holds no values"),
    "nan": (lambda: with_weight(conv(), float("nan")), "the weight of module '0' holds NaN"),
    "infinite": (
        lambda: with_weight(nn.BatchNorm2d(2), float("inf")),
        "the weight of module '0' holds NaN or",
    ),
    "variance": (negative_variance, "running variance that is not positive"),
    "levels of nan": (lambda: nn.Sequential(QCFS(4), nn.Flatten()), "theta is nan"),
    "one bound a channel": (
        lambda: Written(lambda m, x: torch.minimum(x.relu(), torch.tensor([1.0, 2.0]).view(2, 1, 1))),
        "one for each channel",
    ),
}


@pytest.mark.parametrize(("build", "match"), MODELS.values(), ids=MODELS)
def test_a_model_without_faithful_conversion_is_refused(build, match):
    model = build()
    if "theta" in match:
        with torch.no_grad():
            model[0].theta.fill_(float("nan"))
    with pytest.raises((UnsupportedLayer, InvalidNetwork), match=match):
        import_torch(model, (2, 8, 8))


def test_what_is_no_module_is_refused():
    with pytest.raises(UnsupportedLayer, match="found OrderedDict; give the eager model"):
        import_torch(conv().state_dict(), (2, 8, 8))


def test_what_nothing_reads_does_no_harm():
    def forward(m, x):
        y = m.conv(x)
        torch.sigmoid(y)
        return y

    assert list(agree(Written(forward, conv=conv()), (2, 8, 8)).graph.nodes) == ["input", "conv"]


def test_evaluation_takes_batches_of_any_size_and_refuses_other_names():
    original = import_torch(Inception(), (6, 7, 6))
    batch = np.random.default_rng(0).normal(size=(5, 6, 7, 6))
    one, other = "relu", original.graph.output
    whole = original.evaluate(batch, [one, other])
    assert list(whole) == [one, other]
    for sample in range(5):  # also one alone: see "all axes"
        alone = original.evaluate(batch[sample : sample + 1], [one])[one]
        np.testing.assert_allclose(alone[0], whole[one][sample], atol=1e-12)
    with pytest.raises(InvalidRequest, match="no node 'nothing'"):
        original.evaluate(batch, ["nothing"])
    with pytest.raises(InvalidRequest, match="do not fit"):
        original.evaluate(batch[:, :5], [one])
    assert original.framework == f"torch {torch.__version__}"
