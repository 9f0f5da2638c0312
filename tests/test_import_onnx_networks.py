"""ONNX networks as exporters write them, batch sizes, outputs, and files that are not what they should be."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs onnx and onnxruntime: install eventsnn[onnx]")
pytest.importorskip("onnxruntime", reason="needs onnxruntime: install eventsnn[onnx]")

import onnx
from builders.onnx_models import FREE, i64, integers, model, node, save, single
from onnx import TensorProto, helper
from oracles.graph_values import graph_values
from oracles.onnx_values import checked, kinds

from eventsnn.convert.graph.operations import Convolution, Dense
from eventsnn.convert.importers.onnx import import_onnx
from eventsnn.errors import (
    EventsnnError,
    InvalidFile,
    InvalidNetwork,
    InvalidRequest,
    MissingFile,
    UnsupportedLayer,
)

RNG = np.random.default_rng(4)
F32 = np.float32
DATA = os.environ.get("EVENTSNN_DATA")


@pytest.fixture(autouse=True)
def same_numbers():
    """The same numbers in every test, whichever ran before."""
    RNG.bit_generator.state = np.random.default_rng(4).bit_generator.state


def whole(*shape, **limits):
    return integers(RNG, *shape, **limits)


@pytest.mark.skipif(DATA is None, reason="needs the data folder: set EVENTSNN_DATA")
def test_a_network_of_cntk_keeps_its_accuracy():
    original = import_onnx(Path(DATA) / "pretrained/mnist-8.onnx")
    graph = original.graph
    assert graph.output == "Plus214_Output_0"
    with np.load(Path(DATA) / "mnist/mnist.npz") as mnist:
        images, labels = mnist["test_x"][:2000, None].astype(np.float64), mnist["test_y"][:2000]
    scores = original.evaluate(images, [graph.output])[graph.output]
    assert (scores.argmax(axis=1) == labels).mean() == 0.984
    few = images[:20]
    values, known = graph_values(graph, few), original.evaluate(few, list(graph.nodes))
    for name, value in values.items():
        np.testing.assert_allclose(value, known[name], atol=1e-6 * np.abs(value).max())


def cntk(batch):
    """Initialisers among the inputs, weights reshaped in the graph, batch size 1 in a shape."""
    nodes = [
        node("Reshape", "w4 wide", "w"),
        node("Conv", "x k", "conv", auto_pad="SAME_UPPER", kernel_shape=[3, 3], strides=[1, 1]),
        node("Add", "conv b", "plus"),
        node("Relu", "plus", "relu"),
        node("MaxPool", "relu", "pool", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0]),
        node("Reshape", "pool flat", "features"),
        node("MatMul", "features w", "times"),
        node("Add", "times c", "y"),
    ]
    constants = {
        "w4": whole(4, 3, 3, 10), "wide": i64(36, 10), "k": whole(4, 1, 3, 3), "b": whole(4, 1, 1),
        "flat": i64(1, 36), "c": whole(1, 10),
    }  # fmt: skip
    return model(nodes, (1, 6, 6), constants=constants, batch=batch, opset=8, ir_version=3, listed=True)


@pytest.mark.parametrize("batch", [1, FREE])
def test_cntk(batch, tmp_path):
    made = cntk(batch)
    path = save(made, tmp_path / "cntk.onnx")
    original = import_onnx(path)
    if batch == 1:
        checked(made, tmp_path)
    images = RNG.integers(0, 9, (3, 1, 6, 6)).astype(float)
    names = list(original.graph.nodes)
    values, known = graph_values(original.graph, images), original.evaluate(images, names)
    for name in names:
        np.testing.assert_array_equal(values[name], known[name])
    assert kinds(original) == ["Convolution", "Affine", "ReLU", "MaxPool", "Rearrange", "Dense", "Affine"]


def tensorflow(batch):
    """As tf2onnx writes it: NHWC outside, transposes around each convolution, MatMul and Add."""
    nodes = [
        node("Transpose", "x", "x_nchw", perm=[0, 3, 1, 2]),
        node("Conv", "x_nchw k", "conv", pads=[0, 0, 1, 1], strides=[2, 2]),
        node("Transpose", "conv", "conv_nhwc", perm=[0, 2, 3, 1]),
        node("Add", "conv_nhwc b", "biased"),
        node("Relu", "biased", "relu"),
        node("Pad", "relu pads", "padded"),
        node("Transpose", "padded", "padded_nchw", perm=[0, 3, 1, 2]),
        node("AveragePool", "padded_nchw", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", "pool", "pool_nhwc", perm=[0, 2, 3, 1]),
        node("ReduceMean", "pool_nhwc", "mean", axes=[1, 2], keepdims=0),
        node("MatMul", "mean w", "product"),
        node("Add", "product c", "scores"),
        node("Softmax", "scores", "y", axis=1),
    ]
    constants = {
        "k": whole(4, 3, 3, 3), "b": whole(4), "pads": i64(0, 1, 0, 0, 0, 0, 1, 0), "w": whole(4, 5),
        "c": whole(5),
    }  # fmt: skip
    return model(nodes, (7, 6, 3), constants=constants, batch=batch, opset=12)


@pytest.mark.parametrize("batch", [1, 5, FREE])
def test_tensorflow(batch, tmp_path):
    original = checked(tensorflow(batch), tmp_path, samples=5, tolerance=1e-5)
    assert original.graph.nodes["x"].shape == (7, 6, 3)
    assert original.graph.nodes["conv_nhwc"].shape == (3, 3, 4)
    assert "Softmax" in kinds(original)


def keras(flatten, opset):
    """A Reshape whose shape is computed from the batch's: what exporters of Keras write for Flatten."""
    nodes = [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t k b", "conv"),
        node("Relu", "conv", "relu"),
        node("Transpose", "relu", "nhwc", perm=[0, 2, 3, 1]),
        node("Shape", "nhwc", "shape"),
        *flatten,
        node("Reshape", "nhwc target", "flat"),
        node("Gemm", "flat w c", "y"),
    ]
    constants = {
        "k": whole(2, 3, 2, 2), "b": whole(2), "w": whole(40, 4), "c": whole(4), "minus": i64(-1),
        "zero": i64(0), "one": i64(1), "four": i64(4), "first": np.array(0, np.int64),
    }  # fmt: skip
    return model(nodes, (5, 6, 3), constants=constants, opset=opset)


FLATTENS = {
    "slice": [
        node("Cast", "shape", "wide", to=TensorProto.INT64),
        node("Slice", "wide zero one zero", "samples"),
        node("Concat", "samples minus", "target", axis=0),
    ],
    "gather": [
        node("Gather", "shape first", "scalar", axis=0),
        node("Unsqueeze", "scalar zero", "samples"),
        node("Concat", "samples minus", "target", axis=0),
    ],
    "product": [
        node("Cast", "shape", "floats", to=TensorProto.FLOAT),
        node("Cast", "floats", "again", to=TensorProto.INT64),
        node("Slice", "again one four zero", "rest"),
        node("ReduceProd", "rest", "features", keepdims=1),
        node("Concat", "minus features", "target", axis=0),
    ],
}


@pytest.mark.parametrize("name", FLATTENS)
def test_keras(name, tmp_path):
    original = checked(keras(FLATTENS[name], 13), tmp_path)
    assert kinds(original)[-1] == "Dense"


def test_batch_norm_of_features_between_unsqueeze_and_squeeze(tmp_path):
    nodes = [
        node("MatMul", "x w", "product"),
        node("Unsqueeze", "product", "wide", axes=[2]),
        node("BatchNormalization", "wide s b m v", "normed", epsilon=0.5),
        node("Squeeze", "normed", "narrow", axes=[2]),
        node("Relu", "narrow", "y"),
    ]
    constants = {"w": whole(4, 3), "s": whole(3), "b": whole(3), "m": whole(3), "v": whole(3, lowest=1)}
    original = checked(model(nodes, (4,), constants=constants, opset=9), tmp_path)
    assert kinds(original) == ["Dense", "Rearrange", "Affine", "Rearrange", "ReLU"]


def flattened(target, batch, opset=13):
    """A network that flattens to a shape with numbers."""
    nodes = [node("Relu", "x", "a"), node("Reshape", "a target", "b"), node("MatMul", "b w", "y")]
    return model(
        nodes, (2, 3, 2), constants={"target": i64(*target), "w": whole(12, 5)}, batch=batch, opset=opset
    )


@pytest.mark.parametrize(
    ("target", "batch"),
    [((4, -1), 4), ((4, 12), 4), ((-1, 12), 4), ((0, -1), 4), ((1, -1), 1), ((2, 12), 2), ((101, -1), 101)],
)
def test_a_batch_size_of_the_models_own(target, batch, tmp_path):
    """Right for any number of samples, and of one graph whatever the batch."""
    made = flattened(target, batch)
    original = checked(made, tmp_path, samples=2 * batch)
    images = RNG.integers(-3, 4, (7, 2, 3, 2)).astype(float)
    values, known = graph_values(original.graph, images), original.evaluate(images, ["a", "y"])
    np.testing.assert_array_equal(known["a"], values["a"])
    np.testing.assert_array_equal(known["y"], values["y"])
    assert original.evaluate(images[:0], ["y"])["y"].shape == (0, 5)


@pytest.mark.parametrize("target", [(4, -1), (1, 12), (101, -1)])
def test_a_batch_size_that_only_a_reshape_knows(target, tmp_path):
    original = import_onnx(save(flattened(target, FREE), tmp_path / "model.onnx"))
    images = RNG.integers(-3, 4, (5, 2, 3, 2)).astype(float)
    known = original.evaluate(images, ["y"])
    np.testing.assert_array_equal(known["y"], graph_values(original.graph, images)["y"])


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_size_that_means_any(batch, tmp_path):
    """As some exporters of CNTK and Keras write a free axis."""
    original = import_onnx(save(flattened((-1, 12), batch), tmp_path / "model.onnx"))
    images = RNG.integers(-3, 4, (5, 2, 3, 2)).astype(float)
    known = original.evaluate(images, ["y"])
    np.testing.assert_array_equal(known["y"], graph_values(original.graph, images)["y"])


@pytest.mark.parametrize(("target", "batch"), [((6, -1), 4), ((-1, 6), 4), ((-1, 24), FREE)])
def test_a_reshape_across_samples_is_refused(target, batch, tmp_path):
    path = save(flattened(target, batch), tmp_path / "model.onnx")
    with pytest.raises(UnsupportedLayer, match=r"Reshape of b.*leave each sample|weights for 12 features"):
        import_onnx(path)


def test_the_number_of_samples_is_no_parameter(tmp_path):
    """Other numbers of a shape may be one: an average written out."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape which", "length", axis=0),
        node("Cast", "length", "divisor", to=TensorProto.FLOAT),
        node("ReduceSum", "x two", "sum", keepdims=0),
        node("Div", "sum divisor", "y"),
    ]
    constants = {"which": np.array(2), "two": i64(2)}
    assert kinds(checked(model(nodes, (3, 4), constants=constants), tmp_path))[-1] == "Affine"
    path = save(model(nodes, (3, 4), constants={**constants, "which": np.array(0)}), tmp_path / "model.onnx")
    with pytest.raises(UnsupportedLayer, match=r"'y' \(Div\): its factor depends on the batch size"):
        import_onnx(path, "y")


def test_a_bias_for_each_row(tmp_path):
    made = model([node("Gemm", "x w b", "y")], (2,), constants={"w": whole(2, 4), "b": whole(3, 4)}, batch=3)
    with pytest.raises(UnsupportedLayer, match=r"Gemm of y.*differs from sample to sample"):
        import_onnx(save(made, tmp_path / "model.onnx"), "y")
    made = model([node("Gemm", "x w b", "y")], (4,), constants={"w": whole(4, 5), "b": whole(3, 5)}, batch=3)
    made.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.ones((3, 1), F32), "b"))
    checked(made, tmp_path)


def test_batch_size_one_may_leave_the_batch_axis(tmp_path):
    """With one sample there is nothing to mix: channels first, no batch axis, sums over all there is."""
    nodes = [
        node("Transpose", "x", "a", perm=[1, 0, 2, 3]),
        node("Relu", "a", "b"),
        node("Squeeze", "b one", "c"),
        node("Add", "c row", "d"),
        node("Reshape", "d all", "e"),
        node("MatMul", "e w", "f"),
        node("Add", "f wide", "y"),
    ]
    constants = {"one": i64(1), "row": whole(3, 1, 1), "all": i64(12), "w": whole(12, 5), "wide": whole(1, 5)}
    original = checked(model(nodes, (3, 2, 2), constants=constants, batch=1), tmp_path)
    assert original.graph.nodes["a"].shape == (3, 1, 2, 2)
    assert original.graph.nodes["y"].shape == (5,)


def test_an_input_without_batch_axis(tmp_path):
    nodes = [
        node("Unsqueeze", "x zero", "a"),
        node("Conv", "a k", "b"),
        node("GlobalMaxPool", "b", "c"),
        node("Flatten", "c", "d", axis=0),
        node("Softmax", "d", "y"),
    ]
    made = model(nodes, (2, 6, 5), constants={"zero": i64(0), "k": whole(4, 2, 3, 3)}, batch=None)
    original = checked(made, tmp_path)
    assert original.graph.nodes["x"].shape == (2, 6, 5)


def test_an_input_of_bytes(tmp_path):
    nodes = [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Cast", "t", "f", to=TensorProto.FLOAT),
        node("Mul", "f scale", "s"),
        node("Conv", "s k", "y"),
    ]
    constants = {"scale": F32(0.25), "k": whole(2, 3, 2, 2)}
    made = model(nodes, (4, 4, 3), constants=constants, kind=TensorProto.UINT8)
    original = checked(made, tmp_path, lowest=0, largest=255)
    with pytest.raises(InvalidRequest, match="is uint8"):
        original.evaluate(np.full((1, 4, 4, 3), 0.5), ["y"])
    nodes[1] = node("Cast", "t", "f", to=TensorProto.INT32)
    constants["scale"] = np.array(2, np.int32)
    made = model(
        [*nodes[:3], node("Cast", "s", "y", to=TensorProto.FLOAT)], (4, 4, 3), constants=constants, kind=2
    )
    with pytest.raises(UnsupportedLayer, match=r"Mul of s.*int32 numbers"):
        import_onnx(save(made, tmp_path / "model.onnx"), "y")


# What PyTorch's exporter writes, of modules with functional calls.


def exported(module, path, shape, batch=None, **settings):
    torch = pytest.importorskip("torch", reason="needs PyTorch: install eventsnn[torch]")
    import warnings

    with torch.no_grad():
        for parameter in (*module.parameters(), *module.buffers()):
            if parameter.is_floating_point():
                parameter.copy_(
                    torch.randint(1, 4, parameter.shape) * torch.randint(0, 2, parameter.shape).mul(2).sub(1)
                )
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.abs_()
    free = {} if batch else {"x": {0: "samples"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), torch.zeros(batch or 2, *shape), str(path), dynamo=False, input_names=["x"],
            output_names=["y"], dynamic_axes=free, **{"opset_version": 13, **settings},
        )  # fmt: skip
    return onnx.load(str(path))


def torch_networks():
    torch = pytest.importorskip("torch", reason="needs PyTorch: install eventsnn[torch]")
    nn, functional = torch.nn, torch.nn.functional

    class Residual(nn.Module):
        """A block of ResNet-20: option A's shortcut."""

        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(4)
            self.second = nn.Conv2d(4, 4, 3, padding=1)
            self.last = nn.Linear(4, 5)

        def forward(self, x):
            y = self.second(functional.relu(self.norm(self.first(x))))
            shortcut = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 1))
            y = functional.relu(y + shortcut)
            y = functional.avg_pool2d(y, y.size()[3])
            return self.last(y.view(y.size(0), -1))

    class Inception(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Conv2d(3, 2, 1)
            self.five = nn.Conv2d(3, 3, 5, padding=2)
            self.pooled = nn.Conv2d(3, 1, 1)
            self.last = nn.Linear(6, 5)

        def forward(self, x):
            pool = functional.max_pool2d(x, 3, 1, 1)
            x = torch.cat([self.one(x), self.five(x), self.pooled(pool)], 1)
            x = functional.max_pool2d(functional.relu6(x), 3, 2, ceil_mode=True)
            return functional.log_softmax(
                self.last(functional.dropout(x.mean((2, 3)), training=self.training)), 1
            )

    class Shuffle(nn.Module):
        """Channel shuffle and depthwise convolution."""

        def __init__(self):
            super().__init__()
            self.deep = nn.Conv2d(4, 4, 3, groups=4, padding=1)
            self.last = nn.Conv2d(4, 5, (1, 1), groups=1)

        def forward(self, x):
            samples, channels, height, width = x.shape
            x = (
                x.view(samples, 2, channels // 2, height, width)
                .transpose(1, 2)
                .reshape(samples, channels, height, width)
            )
            left, right = functional.relu(self.deep(x)).chunk(2, dim=1)
            x = functional.interpolate(torch.cat((right, left), 1), scale_factor=2)
            return torch.flatten(functional.adaptive_avg_pool2d(self.last(x), 1), 1)

    return {
        "residual": (Residual, (3, 6, 6)),
        "inception": (Inception, (3, 6, 6)),
        "shuffle": (Shuffle, (4, 4, 6)),
    }


@pytest.mark.parametrize("name", ["residual", "inception", "shuffle"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"opset_version": 9}, {"opset_version": 17, "do_constant_folding": False}, {"batch": 1},
     {"batch": 3}, {"keep_initializers_as_inputs": True}],
    ids=["free", "opset 9", "unfolded", "batch 1", "batch 3", "listed"],
)  # fmt: skip
def test_pytorch(name, settings, tmp_path):
    kind, shape = torch_networks()[name]
    if name != "shuffle" and settings.get("opset_version") == 9:
        pytest.skip("its ceil mode and slices with steps are of opset 10")
    made = exported(kind(), tmp_path / "torch.onnx", shape, **settings)
    checked(made, tmp_path, tolerance=1e-5, lowest=-1, largest=1)


# Networks of the ONNX Model Zoo, whose graphs come with onnx, their weights made up.

ZOO = Path(onnx.__file__).parent / "backend/test/data/light"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("squeezenet", {"Convolution": 26, "Concatenate": 8, "Softmax": 1}),
        ("shufflenet", {"Add": 13, "Rearrange": 49}),
    ],
)
def test_networks_of_the_zoo(name, count):
    path = ZOO / f"light_{name}.onnx"
    if not path.is_file():
        pytest.skip("this onnx comes without its test data")
    original = import_onnx(path)
    found = kinds(original)
    assert {kind: found.count(kind) for kind in count} == count
    assert original.graph.nodes[original.graph.output].shape in ((1000,), (1000, 1, 1))


# Outputs.


def heads(**settings):
    nodes = [
        node("Relu", "x", "a"),
        node("Gemm", "a w", "scores"),
        node("Softmax", "scores", "probabilities"),
        node("ArgMax", "scores", "label", axis=1, keepdims=0),
    ]
    return model(nodes, (3,), constants={"w": whole(3, 5)}, **settings)


def test_the_class_scores_are_found_among_several_outputs(tmp_path):
    shapes = {"a": [FREE, 3, 1, 2], "scores": [FREE, 5]}
    nodes = [node("Relu", "x", "a"), node("Flatten", "a", "f"), node("Gemm", "f w", "scores")]
    made = model(nodes, (3, 1, 2), ("a", "scores"), constants={"w": whole(6, 5)}, output_shapes=shapes)
    path = save(made, tmp_path / "model.onnx")
    assert import_onnx(path).graph.output == "scores"
    inferred = model(nodes, (3, 1, 2), ("a", "scores"), constants={"w": whole(6, 5)})
    assert import_onnx(save(inferred, path)).graph.output == "scores"


def test_ambiguous_outputs_are_listed(tmp_path):
    shapes = {"scores": [FREE, 5], "probabilities": [FREE, 5]}
    made = heads(outputs=("probabilities", "scores"), output_shapes=shapes)
    path = save(made, tmp_path / "model.onnx")
    with pytest.raises(InvalidNetwork, match=r"'probabilities' \(N, 5\), 'scores' \(N, 5\).*--output-node"):
        import_onnx(path)
    assert import_onnx(path, "scores").graph.output == "scores"
    assert import_onnx(path, "Gemm of scores").graph.output == "scores"
    inner = import_onnx(path, "a")
    assert list(inner.graph.nodes) == ["x", "a"]
    with pytest.raises(InvalidRequest, match=r"no node and no value 'nothing'.*probabilities, scores"):
        import_onnx(path, "nothing")


def test_a_label_is_no_score(tmp_path):
    path = save(heads(outputs=("label",)), tmp_path / "model.onnx")
    with pytest.raises(UnsupportedLayer, match=r"ArgMax.*--output-node"):
        import_onnx(path)


@pytest.mark.parametrize("declared", [[], None])
def test_a_training_graph_has_no_scores(declared, tmp_path):
    nodes = [node("Gemm", "x w", "scores"), node("ReduceMean", "scores", "loss", keepdims=0)]
    made = model(nodes, (3,), ("loss",), constants={"w": whole(3, 5)}, output_shapes={"loss": declared})
    with pytest.raises(
        (InvalidNetwork, UnsupportedLayer), match=r"no output with class scores|leave each sample"
    ):
        import_onnx(save(made, tmp_path / "model.onnx"))


def test_an_image_is_no_score(tmp_path):
    path = save(single("Relu", (3, 2, 2)), tmp_path / "model.onnx")
    with pytest.raises(InvalidNetwork, match=r"'y' has shape \(3, 2, 2\).*--output-node"):
        import_onnx(path)
    assert import_onnx(path, "y").graph.nodes["y"].shape == (3, 2, 2)


def test_an_input_of_the_loss_alone_does_not_matter(tmp_path):
    made = model(
        [node("Gemm", "x w", "scores"), node("Sub", "scores target", "loss")],
        (3,), ("scores", "loss"), constants={"w": whole(3, 5)},
        output_shapes={"loss": [], "scores": [FREE, 5]},
    )  # fmt: skip
    made.graph.input.append(helper.make_tensor_value_info("target", TensorProto.FLOAT, [FREE, 5]))
    path = save(made, tmp_path / "model.onnx")
    assert list(import_onnx(path).graph.nodes) == ["x", "scores"]
    with pytest.raises(UnsupportedLayer, match=r"depends on 2 inputs \(x, target\)"):
        import_onnx(path, "loss")


# Evaluation.


def test_values_do_not_depend_on_what_else_is_asked_for(tmp_path):
    nodes = [node("Conv", "x k", "a"), node("BatchNormalization", "a s b m v", "c"), node("Relu", "c", "y")]
    parameters = {name: RNG.random(2, F32) for name in "sbmv"}
    made = model(nodes, (3, 5, 5), constants={"k": RNG.random((2, 3, 3, 3), F32), **parameters})
    original = import_onnx(save(made, tmp_path / "model.onnx"), "y")
    images = RNG.random((4, 3, 5, 5))
    together = original.evaluate(images, ["x", "a", "c", "y"])
    for name in ("a", "c", "y"):
        np.testing.assert_array_equal(original.evaluate(images, [name])[name], together[name])
    np.testing.assert_array_equal(together["x"], images.astype(F32))
    assert list(original.evaluate(images, [])) == []
    assert original.framework.startswith("onnxruntime ")
    with pytest.raises(InvalidRequest, match="no node 'w'"):
        original.evaluate(images, ["w"])
    with pytest.raises(InvalidRequest, match=r"samples of shape \(3, 5, 5\)"):
        original.evaluate(images[0], ["y"])


def test_nodes_between_tensors_are_evaluated(tmp_path):
    """Names of the graph that the model does not have."""
    nodes = [node("Relu", "x", "a"), node("MatMul", "a w", "b"), node("Sub", "a b", "y")]
    original = checked(model(nodes, (2, 3), constants={"w": whole(3, 3)}), tmp_path)
    assert {"b in its own order", "a as columns", "b negated"} <= set(original.graph.nodes)


# Files.


def small(**settings):
    return single("Gemm", (3,), whole(3, 5), whole(5), **settings)


def test_damaged_files(tmp_path, capfd):
    """Bytes changed at random: read, or refused in a sentence of ours, and nothing printed."""
    path = tmp_path / "model.onnx"
    content = cntk(1).SerializeToString()
    rng = np.random.default_rng(8)
    refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            import_onnx(path)
        except EventsnnError:
            refused += 1
    assert refused >= 10
    assert capfd.readouterr() == ("", "")


def test_damaged_weights(tmp_path):
    made = small()
    made.graph.initializer[0].dims[0] = 4
    with pytest.raises(InvalidFile, match="initialiser 'c0' is damaged"):
        import_onnx(save(made, tmp_path / "model.onnx"))


def test_scores_without_batch_axis(tmp_path):
    made = model(
        [node("MatMul", "x w", "y")], (3,), constants={"w": whole(3, 5)}, batch=None, output_shapes={"y": [5]}
    )
    original = import_onnx(save(made, tmp_path / "model.onnx"))
    assert original.graph.nodes["y"].shape == (5,)
    label = model(
        [node("ReduceMax", "x", "y", axes=[1], keepdims=0)], (3,), batch=5, output_shapes={"y": [5]}
    )
    with pytest.raises(InvalidNetwork, match=r"has shape \(\) a sample"):
        import_onnx(save(label, tmp_path / "model.onnx"))


def test_free_image_size(tmp_path):
    nodes = [node("Conv", "x k", "a"), node("GlobalAveragePool", "a", "b"), node("Flatten", "b", "y")]
    made = model(nodes, (2, "height", "width"), constants={"k": whole(5, 2, 3, 3)})
    path = save(made, tmp_path / "model.onnx")
    with pytest.raises(
        UnsupportedLayer, match=r"\(N, 2, height, width\) with 'height', 'width' free; .*input_shape"
    ):
        import_onnx(path)
    original = import_onnx(path, input_shape=(2, 5, 6))
    assert original.graph.nodes["a"].shape == (5, 3, 4)
    assert original.evaluate(np.ones((3, 2, 5, 6)), ["y"])["y"].shape == (3, 5)
    for shape in ((3, 5, 6), (2, 5)):
        with pytest.raises(InvalidRequest, match="does not fit input 'x'"):
            import_onnx(path, input_shape=shape)


def test_external_data(tmp_path):
    made = small()
    path = tmp_path / "model.onnx"
    onnx.save_model(made, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    original = import_onnx(path)
    batch = RNG.random((3, 3))
    known = original.evaluate(batch, ["y"])["y"]
    np.testing.assert_allclose(known, graph_values(original.graph, batch)["y"], atol=1e-5)
    weights = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(weights[:-4])
    with pytest.raises(InvalidFile, match=r"weights.bin is truncated"):
        import_onnx(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(MissingFile, match=r"'c0' lie in weights.bin, which is not beside the model"):
        import_onnx(path)
    elsewhere = onnx.load(str(path), load_external_data=False)
    for entry in elsewhere.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../weights.bin"
    with pytest.raises(InvalidFile, match="must be a file in the model's folder"):
        import_onnx(save(elsewhere, path))


def test_local_functions_are_inlined(tmp_path):
    function = helper.make_function(
        "ours", "Double", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 13)]
    )
    double = helper.make_node("Double", ["x"], ["d"], domain="ours")
    made = model([double, node("Relu", "d", "y")], (3,))
    made.functions.append(function)
    made.opset_import.append(helper.make_opsetid("ours", 1))
    assert kinds(checked(made, tmp_path)) == ["Add", "ReLU"]


def test_operators_of_others_are_refused(tmp_path):
    made = model([helper.make_node("FusedConv", ["x", "k"], ["y"], domain="com.microsoft")], (2, 3, 3))
    made.graph.initializer.append(onnx.numpy_helper.from_array(whole(2, 2, 1, 1), "k"))
    with pytest.raises(
        UnsupportedLayer, match=r"'y' \(com.microsoft.FusedConv\): it is no operator of the ONNX"
    ):
        import_onnx(save(made, tmp_path / "model.onnx"))


@pytest.mark.parametrize(
    "content", [b"", b"no model", b"\x89HDF\r\n\x1a\n" + bytes(64), bytes(100), b"PK\x03\x04" + bytes(40)]
)
def test_foreign_files(content, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InvalidFile, match="is no ONNX file, or it is truncated"):
        import_onnx(path)


def test_truncated_files(tmp_path):
    """Whatever is left of a file, it is refused in one sentence of ours."""
    path = tmp_path / "model.onnx"
    content = cntk(1).SerializeToString()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(InvalidFile):
            import_onnx(path)


def test_what_a_model_must_have(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(MissingFile, match="no model file"):
        import_onnx(path)
    foreign = model([node("Relu", "x", "y")], (3,))
    foreign.opset_import[0].domain = "ai.onnx.ml"
    with pytest.raises(InvalidFile, match="no operators of the ONNX standard"):
        import_onnx(save(foreign, path))
    with pytest.raises(UnsupportedLayer, match=r"input 'x' is of type BOOL"):
        import_onnx(save(model([node("Not", "x", "y")], (3,), kind=TensorProto.BOOL), path), "y")
    with pytest.raises(InvalidFile, match="opset 6; opset 7 and newer"):
        import_onnx(save(model([node("Relu", "x", "y")], (3,), opset=6), path))
    for bad in (np.nan, np.inf):
        weight = whole(3, 5)
        weight[1, 2] = bad
        with pytest.raises(
            InvalidNetwork, match=r"initialiser 'c0' holds NaN|'y' .*weight holds NaN or infinity"
        ):
            import_onnx(save(single("Gemm", (3,), weight), path))
    made = model([node("Relu", "c", "y")], (3,), constants={"c": whole(1, 3)})
    with pytest.raises(UnsupportedLayer, match="depends on 0 inputs"):
        import_onnx(save(made, path), "y")
    made = model([node("Shape", "x", "s"), node("Cast", "s", "y", to=TensorProto.FLOAT)], (3,))
    with pytest.raises(InvalidNetwork, match="does not depend on the values of the input"):
        import_onnx(save(made, path), "y")


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_extra(missing):
    code = f"""
import sys
sys.modules["{missing}"] = None
from eventsnn.errors import MissingExtra
try:
    import eventsnn.convert.importers.onnx
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"needs {missing}" in done.stdout
    assert "pip install 'eventsnn[onnx]'" in done.stdout


def test_weights_are_in_float64(tmp_path):
    """As stored, without rounding."""
    weight = RNG.random((3, 5), F32)
    original = import_onnx(save(single("Gemm", (3,), weight, transB=0), tmp_path / "model.onnx"))
    operation = original.graph.nodes["y"].operation
    assert isinstance(operation, Dense)
    assert operation.weight.dtype == np.float64
    np.testing.assert_array_equal(operation.weight, weight.T.astype(np.float64))
    kernel = RNG.random((2, 3, 1, 1), F32)
    original = import_onnx(save(single("Conv", (3, 2, 2), kernel), tmp_path / "model.onnx"), "y")
    assert isinstance(original.graph.nodes["y"].operation, Convolution)
    np.testing.assert_array_equal(original.graph.nodes["y"].operation.weight, kernel)
