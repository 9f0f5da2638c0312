"""The definitions that the wheel carries: their published sizes, names of weights, conversion, refusals."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eventsnn.convert.definitions import DEFINITIONS, definition
from eventsnn.errors import InvalidFile, InvalidRequest

torch = pytest.importorskip("torch")

from eventsnn.convert import convert, quantised_activations  # noqa: E402
from eventsnn.convert.definitions.trained import load_trained, save_trained  # noqa: E402
from eventsnn.convert.graph.operations_count import operations_of, total  # noqa: E402
from eventsnn.convert.importers.torch_fx import import_torch  # noqa: E402

IMAGENET = {"size": 224, "classes": 1000, "hidden": (4096, 4096), "batch_norm": False}
# Parameters as published: LeCun et al. 1998, torchvision's tables, pytorch_resnet_cifar10's.
PARAMETERS = [
    ("lenet5", {}, 61_706),
    ("vgg11", IMAGENET, 132_863_336),
    ("vgg16", IMAGENET, 138_357_544),
    ("inception-v3", {}, 27_161_264 - 3_326_696),  # without the auxiliary classifier
    ("resnet18", {"stem": "imagenet", "classes": 1000}, 11_689_512),
    ("resnet18", {}, 11_173_962),
    ("resnet20", {}, 269_722),
]
SMALL = [
    ("lenet5", {"levels": 3}, (1, 28, 28)),
    ("lenet5", {"pool_kind": "average", "channels": 2, "size": 34}, (2, 34, 34)),
    ("vgg7", {"width": 4, "hidden": [8], "size": 16}, (3, 16, 16)),
    ("vgg7", {"width": 4, "hidden": [], "size": 16, "batch_norm": False, "levels": 7}, (3, 16, 16)),
    ("resnet20", {"levels": 7}, (3, 16, 16)),
    ("small-inception", {"width": 4}, (3, 16, 16)),
    ("small-inception", {"width": 2, "levels": 15}, (3, 16, 16)),
    ("binarynet", {"channels": 1, "size": 12, "widths": [4, 8], "hidden": [16]}, (1, 12, 12)),
    ("binarynet", {"channels": 1, "size": 12, "widths": [4], "hidden": [], "step": "heaviside"}, (1, 12, 12)),
]
DATA = pytest.mark.skipif("EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA does not name the data")


def built(name, parameters):
    """With statistics and offsets as after training, so that no layer is idle."""
    torch.manual_seed(0)
    model = definition(name, **parameters)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.running_mean.shape, generator=generator))
            module.weight.data.copy_(0.5 + torch.rand(module.weight.shape, generator=generator))
            module.bias.data.copy_(0.3 + 0.2 * torch.randn(module.bias.shape, generator=generator))
    return model.eval()


@pytest.mark.parametrize(("name", "parameters", "expected"), PARAMETERS)
def test_parameters_are_as_many_as_published(name, parameters, expected):
    with torch.device("meta"):  # no memory
        model = definition(name, **parameters)
    assert sum(p.numel() for p in model.parameters()) == expected


def test_the_network_of_cifar10_dvs_has_the_published_operations():
    with torch.device("meta"):
        model = definition("vggsnn")
    weights = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    assert weights == 9_263_232
    graph = import_torch(definition("vggsnn", batch_norm=False), (2, 48, 48)).graph
    blind = [each.blind / 1e6 for each in operations_of(graph)]
    assert blind == [
        2.654208, 169.869312, 169.869312, 339.738624, 169.869312, 339.738624, 84.934656, 84.934656, 0.046080,
    ]  # fmt: skip
    assert sum(each.blind for each in operations_of(graph)) == 1_361_654_784


def test_inception_v3_has_the_published_operations():
    graph = import_torch(definition("inception-v3"), (3, 299, 299)).graph
    assert round(sum(each.blind for each in operations_of(graph)) / 1e9, 2) == 5.71  # torchvision's table


def test_operations_of_lenet_by_hand():
    graph = import_torch(definition("lenet5"), (1, 28, 28)).graph
    macs = 6 * 25 * 784 + 16 * 150 * 100 + 120 * 400 + 84 * 120 + 84 * 10
    assert total(operations_of(graph), border_blind=True) == 2 * macs + 4704 + 1600 + 120 + 84 + 10


def test_vgg_is_named_as_torchvision_names_it():
    with torch.device("meta"):
        names = list(definition("vgg16", **IMAGENET).state_dict())
    assert names[:4] == ["features.0.weight", "features.0.bias", "features.2.weight", "features.2.bias"]
    assert "features.28.bias" in names
    assert names[-6::2] == ["classifier.0.weight", "classifier.3.weight", "classifier.6.weight"]


def test_resnet18_is_named_as_torchvision_names_it():
    with torch.device("meta"):
        names = set(definition("resnet18", stem="imagenet", classes=1000).state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer4.1.bn2.bias"} <= names
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.bias", "fc.weight", "fc.bias"} <= names
    assert "layer1.0.downsample.0.weight" not in names
    assert len(names) == 122


@DATA
def test_published_weights_of_resnet20_load_as_they_are():
    path = Path(os.environ["EVENTSNN_DATA"]) / "pretrained" / "resnet20-12fca82f.th"
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    definition("resnet20").load_state_dict({k.removeprefix("module."): v for k, v in state.items()})


@pytest.mark.parametrize(("name", "parameters", "shape"), SMALL)
def test_small_ones_convert(name, parameters, shape):
    model = built(name, parameters)
    images = np.random.default_rng(0).random((30, *shape))
    network = convert(
        model, images[:20], levels=None if "levels" in parameters else 255, scales="channel", input="charge"
    )
    source = network.populations[network.input]
    counts = np.floor(images[20:].transpose(0, 2, 3, 1) / source.neuron.unit + 0.5).astype(np.int64)
    charges = quantised_activations(network, counts)[network.output] * np.asarray(
        network.populations[network.output].neuron.unit
    )
    with torch.no_grad():
        scores = model(torch.from_numpy(counts * source.neuron.unit).permute(0, 3, 1, 2).float()).numpy()
    # Of quantisers, values next to a tie may fall on the other side, with integer weights.
    apart = np.abs(charges - scores).mean() / np.abs(scores).max()
    assert apart < 0.03


def test_binary_networks_have_two_values_and_gradients_that_pass():
    for step, lowest in (("sign", -1.0), ("heaviside", 0.0)):
        model = definition("binarynet", channels=1, size=4, widths=[3], each=1, hidden=[5], step=step)
        images = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        model.train()(images).square().sum().backward()
        gradients = [p.grad for p in model.parameters()]
        assert all(g is not None and bool(g.any()) for g in gradients[:3])
        values = model.eval()[:3](images)
        assert set(values.unique().tolist()) == {lowest, 1.0}
        # The first layer's result is a sum of pixels with signs.
        weight = torch.where(model[0].weight >= 0, 1.0, -1.0)
        assert torch.equal(model[0](images), torch.nn.functional.conv2d(images, weight, None, padding=1))


def test_in_training_a_step_has_the_gradient_of_a_clip():
    from eventsnn.convert.definitions.binary import signs

    x = torch.tensor([-1.5, -0.5, 0.0, 0.5, 1.5], requires_grad=True)
    result = signs(x, True)
    assert result.tolist() == [-1, -1, 1, 1, 1]
    result.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


REFUSED = [
    ("lenet", {}, "there is no definition 'lenet'"),
    ("lenet5", {"width": 3}, "no parameter 'width'; it has channels, classes, size"),
    ("lenet5", {"levels": 0}, "levels is 0; allowed are whole numbers from 1"),
    ("lenet5", {"size": 20}, "size is 20; allowed are whole numbers from 28 on"),
    ("lenet5", {"classes": True}, "classes is True"),
    ("vgg7", {"size": 7}, "size is 7; 3 pools of 2 x 2 need at least 8 pixels"),
    ("vgg7", {"hidden": "12"}, "hidden is '12'; give a list"),
    ("vgg7", {"hidden": [2.5]}, "hidden is 2.5"),
    ("vgg7", {"pool_kind": "min"}, "allowed are 'max' and 'average'"),
    ("vgg11", {"dropout": 1}, "dropout is 1"),
    ("inception-v3", {"size": 74}, "size is 74; Inception-v3 needs at least 75 pixels"),
    ("resnet18", {"stem": "x"}, "stem is 'x'; allowed are 'imagenet' and 'cifar'"),
    ("binarynet", {"step": "tanh"}, "step is 'tanh'; allowed are 'sign' and 'heaviside'"),
]


@pytest.mark.parametrize(("name", "parameters", "message"), REFUSED)
def test_refusals_say_what_is_allowed(name, parameters, message):
    with pytest.raises(InvalidRequest) as refused:
        definition(name, **parameters)
    assert message in str(refused.value)


def test_the_list_of_definitions_needs_no_pytorch():
    code = (
        "import sys; from eventsnn.convert.definitions import DEFINITIONS; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(DEFINITIONS) == 10


def test_trained_weights_come_back(tmp_path):
    parameters = {"width": 2, "hidden": [3], "size": 8}
    model = built("vgg7", parameters)
    save_trained(tmp_path / "m.pt", model, "vgg7", parameters)
    found = load_trained(tmp_path / "m.pt")
    assert not found.training
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(found(images), model(images))
    assert found.state_dict()["features.1.num_batches_tracked"].dtype == torch.int64


def test_of_binary_weights_the_signs_come_back(tmp_path):
    parameters = {"channels": 1, "size": 4, "widths": [3], "each": 1, "hidden": [5]}
    model = built("binarynet", parameters)
    save_trained(tmp_path / "m.pt", model, "binarynet", parameters)
    found = load_trained(tmp_path / "m.pt")
    assert set(found[0].weight.unique().tolist()) == {-1.0, 1.0}
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(found(images), model(images))


def test_files_that_are_no_trained_weights_are_refused(tmp_path):
    path = tmp_path / "m.pt"
    with pytest.raises(FileNotFoundError):
        load_trained(path)
    path.write_bytes(b"no")
    with pytest.raises(InvalidFile, match="cannot be read"):
        load_trained(path)
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(InvalidFile, match="does not name its definition"):
        load_trained(path)
    for name, parameters in (("vgg7", {"size": 8}), ("other", {}), ("vgg7", {"no": 1})):
        torch.save({"definition": name, "parameters": parameters, "state_dict": {}}, path)
        with pytest.raises(InvalidFile, match="its definition"):
            load_trained(path)
