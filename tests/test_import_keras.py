"""Keras files as graphs: each layer computes what Keras says of it, in both data formats and three versions.

Files are written as Keras writes them; what their layers compute is written down here from Keras' words.
"""

import json
import os
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from builders.keras_files import write
from oracles.graph_values import graph_values

from eventsnn.convert.importers.keras import import_keras
from eventsnn.errors import InvalidFile, InvalidRequest, MissingFile, UnsupportedLayer

torch.set_num_threads(1)


def values(original, batch):
    """The output for a batch, the same in the graph and at every node as the original evaluates it."""
    mine = graph_values(original.graph, batch)
    theirs = original.evaluate(batch, list(mine))
    for name, value in mine.items():
        np.testing.assert_allclose(value, theirs[name], rtol=1e-9, atol=1e-9, err_msg=name)
    return theirs[original.graph.output]


# -- what Keras computes: images (y, x, channels), one sample ------------------------------------------


def starts(length, kernel, stride, dilation, padding, theano=False):
    """Where each window begins."""
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        return [k * stride for k in range((length - reach) // stride + 1)]
    cells = -(-length // stride)
    before = reach // 2 if theano else max((cells - 1) * stride + reach - length, 0) // 2
    return [k * stride - before for k in range(cells)]


def windows(image, kernel, strides, dilation, padding, theano=False):
    """For each output place the pixels of its window that exist: (tap y, tap x, values)."""
    rows, columns = (
        starts(image.shape[axis], kernel[axis], strides[axis], dilation[axis], padding, theano)
        for axis in (0, 1)
    )
    for (i, top), (j, left) in product(enumerate(rows), enumerate(columns)):
        taps = []
        for ky, kx in product(range(kernel[0]), range(kernel[1])):
            y, x = top + ky * dilation[0], left + kx * dilation[1]
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                taps.append((ky, kx, image[y, x]))
        yield i, j, (len(rows), len(columns)), taps


def convolved(image, kernel, bias, strides=(1, 1), padding="valid", dilation=(1, 1), theano=False):
    height, width = kernel.shape[:2]
    for i, j, size, taps in windows(image, (height, width), strides, dilation, padding, theano):
        if i == j == 0:
            found = np.tile(np.asarray(bias, float), (*size, 1))
        for ky, kx, pixel in taps:
            found[i, j] += pixel @ (kernel[height - 1 - ky, width - 1 - kx] if theano else kernel[ky, kx])
    return found


def pooled(image, reduce, size, strides, padding):
    for i, j, cells, taps in windows(image, size, strides, (1, 1), padding):
        if i == j == 0:
            found = np.zeros((*cells, image.shape[2]))
        found[i, j] = reduce([pixel for _, _, pixel in taps], axis=0)
    return found


def to_ours(images):
    return np.moveaxis(images, -1, 1)


# -- layers ------------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(3)
IMAGES = RANDOM.normal(size=(2, 7, 6, 3))


def conv_config(data_format="channels_last", **config):
    return {"filters": 4, "kernel_size": [3, 2], "data_format": data_format, "activation": "linear", **config}


CONVOLUTIONS = list(
    product(
        ["channels_last", "channels_first"],
        ["tensorflow", "theano"],
        [
            ((3, 2), (1, 1), (1, 1)),
            ((2, 4), (2, 1), (1, 1)),
            ((3, 3), (2, 3), (1, 1)),
            ((2, 3), (1, 1), (2, 1)),
        ],
        ["valid", "same"],
    )
)


@pytest.mark.parametrize(("data_format", "backend", "geometry", "padding"), CONVOLUTIONS)
def test_convolutions(tmp_path, data_format, backend, geometry, padding):
    size, strides, dilation = geometry
    kernel, bias = RANDOM.normal(size=(*size, 3, 4)), RANDOM.normal(size=4)
    config = conv_config(
        data_format,
        kernel_size=list(size),
        strides=list(strides),
        dilation_rate=list(dilation),
        padding=padding,
    )
    shape = (7, 6, 3) if data_format == "channels_last" else (3, 7, 6)
    layers = [("Conv2D", config, {"kernel": kernel, "bias": bias})]
    original = import_keras(write(tmp_path / "m.h5", layers, backend=backend, shape=shape))
    expected = [
        convolved(image, kernel, bias, strides, padding, dilation, backend == "theano") for image in IMAGES
    ]
    np.testing.assert_allclose(values(original, to_ours(IMAGES)), to_ours(np.array(expected)), atol=1e-9)


@pytest.mark.parametrize("ordering", ["th", "tf"])
def test_convolutions_of_keras_1(tmp_path, ordering):
    kernel, bias = RANDOM.normal(size=(3, 2, 3, 4)), RANDOM.normal(size=4)
    stored = kernel.transpose(3, 2, 0, 1) if ordering == "th" else kernel
    config = {"nb_filter": 4, "nb_row": 3, "nb_col": 2, "border_mode": "valid", "subsample": [2, 1]}
    config |= {"dim_ordering": ordering, "activation": "relu", "bias": True}
    shape = (3, 7, 6) if ordering == "th" else (7, 6, 3)
    layers = [("Convolution2D", config, {"W": stored, "b": bias})]
    path = write(tmp_path / "m.h5", layers, version=1, backend=None, shape=shape)
    with pytest.raises(InvalidRequest, match="give --backend tensorflow or --backend theano"):
        import_keras(path)
    for backend in ("tensorflow", "theano"):
        found = values(import_keras(path, backend=backend), to_ours(IMAGES))
        expected = [convolved(i, kernel, bias, (2, 1), theano=backend == "theano") for i in IMAGES]
        np.testing.assert_allclose(found, np.maximum(to_ours(np.array(expected)), 0), atol=1e-9)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("size", [(2, 2), (3, 3), (2, 5), (4, 1)])
def test_pools(tmp_path, size, strides, padding):
    for kind, reduce in (("MaxPooling2D", np.max), ("AveragePooling2D", np.mean)):
        config = {"pool_size": list(size), "strides": list(strides), "padding": padding}
        layers = [(kind, {**config, "data_format": "channels_last"}, {})]
        original = import_keras(write(tmp_path / f"{kind}.h5", layers, shape=(7, 6, 3)))
        expected = [pooled(image, reduce, size, strides, padding) for image in IMAGES]
        np.testing.assert_allclose(values(original, to_ours(IMAGES)), to_ours(np.array(expected)), atol=1e-9)


def test_depthwise_and_separable(tmp_path):
    depthwise, pointwise = RANDOM.normal(size=(3, 2, 3, 2)), RANDOM.normal(size=(1, 1, 6, 4))
    bias = RANDOM.normal(size=6)
    own = {"kernel_size": [3, 2], "depth_multiplier": 2, "padding": "same", "data_format": "channels_last"}
    full = np.zeros((3, 2, 3, 6))
    for channel, time in product(range(3), range(2)):
        full[:, :, channel, channel * 2 + time] = depthwise[:, :, channel, time]
    for version, name in ((2, "depthwise_kernel"), (3, "kernel")):
        layers = [("DepthwiseConv2D", own, {name: depthwise, "bias": bias})]
        original = import_keras(write(tmp_path / "d.h5", layers, version=version, shape=(7, 6, 3)))
        expected = np.array([convolved(image, full, bias, padding="same") for image in IMAGES])
        np.testing.assert_allclose(values(original, to_ours(IMAGES)), to_ours(expected), atol=1e-9)
    weights = {"depthwise_kernel": depthwise, "pointwise_kernel": pointwise}
    config = {**own, "filters": 4, "use_bias": False, "activation": "relu"}
    original = import_keras(write(tmp_path / "s.h5", [("SeparableConv2D", config, weights)], shape=(7, 6, 3)))
    expected = [
        convolved(convolved(i, full, 0 * bias, padding="same"), pointwise, np.zeros(4)) for i in IMAGES
    ]
    np.testing.assert_allclose(
        values(original, to_ours(IMAGES)), np.maximum(to_ours(np.array(expected)), 0), atol=1e-9
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("flatten", [None, "channels_last", "channels_first"])
def test_the_order_of_flattened_values(tmp_path, data_format, flatten):
    """From Keras 2.2 a Flatten of channels_first puts the channels last; before, it had no format."""
    last = data_format == "channels_last"
    weight = RANDOM.normal(size=(3 * 7 * 6, 2))
    layers = [
        ("ZeroPadding2D", {"padding": [[0, 0], [0, 0]], "data_format": data_format}, {}),
        ("Flatten", {} if flatten is None else {"data_format": flatten}, {}),
        ("Dense", {"units": 2, "activation": "softmax", "use_bias": False}, {"kernel": weight}),
    ]
    path = write(tmp_path / "m.h5", layers, shape=(7, 6, 3) if last else (3, 7, 6))
    if last and flatten == "channels_first":
        with pytest.raises(UnsupportedLayer, match="flattens as for channels_first"):
            import_keras(path)
        return
    flat = IMAGES if last or flatten == "channels_first" else to_ours(IMAGES)
    raised = np.exp(flat.reshape(2, -1) @ weight)
    found = values(import_keras(path), to_ours(IMAGES))
    np.testing.assert_allclose(found, raised / raised.sum(axis=1, keepdims=True), atol=1e-9)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_model_of_the_rest(tmp_path, version):
    old = version == 1
    gamma, beta, mean = RANDOM.normal(size=(3, 3))
    variance, weight, bias = RANDOM.random(3) + 0.5, RANDOM.normal(size=(3, 5)), RANDOM.normal(size=5)
    statistics = ("running_mean", "running_std") if old else ("moving_mean", "moving_variance")
    norm = {"gamma": gamma, "beta": beta, statistics[0]: mean, statistics[1]: variance}
    axis = {1: -1, 2: 3, 3: [3]}[version]
    dense = {"output_dim": 5} if old else {"units": 5}
    layers = [
        ("ZeroPadding2D", {"padding": [1, 0, 2, 3] if old else [[1, 0], [2, 3]]}, {}),
        ("BatchNormalization", {"epsilon": 0.01, "axis": axis}, norm),
        ("ReLU", {"max_value": 1.5, "negative_slope": 0.0, "threshold": 0.0}, {}),
        ("Dropout", {"rate": 0.5}, {}),
        ("UpSampling2D", {"size": [2, 1], "data_format": "channels_last"}, {}),
        ("GlobalAveragePooling2D", {}, {}),
        (
            "Dense",
            {**dense, "activation": "linear"},
            {"W" if old else "kernel": weight, "b" if old else "bias": bias},
        ),
        ("Activation", {"activation": "relu6"}, {}),
        ("Softmax", {"axis": -1}, {}),
    ]
    original = import_keras(write(tmp_path / "m.h5", layers, version=version, shape=(7, 6, 3)))
    x = np.pad(IMAGES, ((0, 0), (1, 0), (2, 3), (0, 0)))
    x = np.clip((x - mean) / np.sqrt(variance + 0.01) * gamma + beta, 0, 1.5)
    x = np.clip(x.mean(axis=(1, 2)) @ weight + bias, 0, 6)
    expected = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(values(original, to_ours(IMAGES)), expected, atol=1e-9)
    assert original.framework == f"Keras {version}.0.4 on tensorflow, by torch {torch.__version__}"


def test_reshaped_values_and_global_maxima(tmp_path):
    layers = [
        ("Reshape", {"target_shape": [2, 3, 4]}, {}),
        ("MaxPooling2D", {"pool_size": [1, 3], "data_format": "channels_last"}, {}),
        ("Reshape", {"target_shape": [-1]}, {}),
        ("Reshape", {"target_shape": [1, 2, 4]}, {}),
        ("GlobalMaxPooling2D", {"keepdims": True}, {}),
        ("Flatten", {}, {}),
    ]
    original = import_keras(write(tmp_path / "m.h5", layers, shape=(24,)))
    batch = RANDOM.normal(size=(3, 24))
    expected = batch.reshape(3, 2, 3, 4).max(axis=(1, 2))
    np.testing.assert_allclose(values(original, batch), expected)


def test_nodes_are_called_after_layers(tmp_path):
    layers = [
        (
            "Conv2D",
            conv_config(activation="relu", padding="same"),
            {"kernel": np.ones((3, 2, 3, 4)), "bias": np.ones(4)},
        ),
        ("Flatten", {}, {}),
    ]
    graph = import_keras(write(tmp_path / "m.h5", layers, shape=(7, 6, 3))).graph
    assert [node.partition(".")[0] for node in graph.nodes][:4] == [
        "input",
        "conv2d_0",
        "conv2d_0",
        "conv2d_0",
    ]
    assert list(graph.nodes)[1:4] == ["conv2d_0.pad", "conv2d_0.conv", "conv2d_0.relu"]


def test_inputs_whose_size_is_open_or_has_no_channels(tmp_path):
    kernel = {"kernel": np.ones((3, 2, 3, 4)), "bias": np.ones(4)}
    path = write(tmp_path / "m.h5", [("Conv2D", conv_config(), kernel)], shape=(None, None, 3))
    with pytest.raises(InvalidRequest, match=r"size of its input open.*input_shape=\(channels, y, x\)"):
        import_keras(path)
    assert import_keras(path, input_shape=(3, 9, 8)).graph.nodes["input"].shape == (3, 9, 8)
    with pytest.raises(InvalidRequest, match="contradicts"):
        import_keras(path, input_shape=(2, 9, 8))
    path = write(tmp_path / "n.h5", [("Flatten", {}, {})], shape=(5, 4))
    assert import_keras(path).graph.nodes["input"].shape == (1, 5, 4)
    path = write(tmp_path / "o.h5", [("Flatten", {}, {})])
    with pytest.raises(InvalidRequest, match="does not say how large"):
        import_keras(path)


# -- refusals ----------------------------------------------------------------------------------------

KERNEL = {"kernel": np.ones((3, 2, 3, 4)), "bias": np.ones(4)}
REFUSED = {
    "recurrent": ([("LSTM", {"units": 3}, {})], {}, "'lstm_0' is a LSTM, which has no conversion. Supported"),
    "activation": (
        [("Conv2D", conv_config(activation="tanh"), KERNEL)],
        {},
        r"'conv2d_0' \(Conv2D\).*'tanh'",
    ),
    "leaky": ([("ReLU", {"negative_slope": 0.1}, {})], {}, "negative_slope=0.1"),
    "norm along rows": (
        [("BatchNormalization", {"axis": 1, "epsilon": 1e-3}, {})],
        {},
        "normalises along axis 1",
    ),
    "dense on images": ([("Dense", {"units": 2}, {"kernel": np.ones((3, 2))})], {}, "put Flatten before"),
    "padded pool of theano": (
        [("MaxPooling2D", {"padding": "same"}, {})],
        {"backend": "theano"},
        "pads a pool as theano does",
    ),
    "two formats": (
        [("Conv2D", conv_config(), KERNEL), ("MaxPooling2D", {"data_format": "channels_first"}, {})],
        {},
        "several data formats",
    ),
    "no weights": ([("Conv2D", conv_config(), {})], {}, "'conv2d_0'.*has no kernel in the file"),
    "other weights": ([("Conv2D", conv_config(filters=5), KERNEL)], {}, r"shape \(3, 2, 3, 4\), expected"),
    "nan": ([("Conv2D", conv_config(), {**KERNEL, "bias": np.full(4, np.nan)})], {}, "bias.*NaN"),
    "backend": ([("Flatten", {}, {})], {"backend": "abacus"}, "names the backend 'abacus'"),
    "architecture": ([("Flatten", {}, {})], {"model_config": "{"}, "model_config is damaged"),
    "functional": (
        [("Flatten", {}, {})],
        {"model_config": json.dumps({"class_name": "Functional", "config": {"layers": []}})},
        "kind Functional; only Sequential.*ONNX",
    ),
}


@pytest.mark.parametrize(("layers", "attributes", "match"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_convert_is_refused(tmp_path, layers, attributes, match):
    path = write(tmp_path / "m.h5", layers, shape=(7, 6, 3), **attributes)
    with pytest.raises((UnsupportedLayer, InvalidFile), match=match):
        import_keras(path)


def test_files_that_are_none(tmp_path):
    with pytest.raises(MissingFile, match="there is no file"):
        import_keras(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no model")
    with pytest.raises(InvalidFile, match="cannot be read as a Keras model"):
        import_keras(tmp_path / "text.h5")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = []
    with pytest.raises(InvalidFile, match="holds no architecture"):
        import_keras(tmp_path / "weights.h5")
    path = write(tmp_path / "m.h5", [("Flatten", {}, {})], shape=(7, 6, 3))
    with pytest.raises(InvalidRequest, match="contradicts it"):
        import_keras(path, backend="theano")
    with pytest.raises(InvalidRequest, match="backend 'pen' is unknown"):
        import_keras(path, backend="pen")


@pytest.mark.skipif("EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA does not name the data folder")
def test_the_published_lenet_has_its_published_error():
    data = Path(os.environ["EVENTSNN_DATA"])
    original = import_keras(data / "pretrained" / "lenet5_98.96.h5")
    mnist = np.load(data / "mnist" / "mnist.npz")
    images, labels = mnist["test_x"][:, None] / 255, mnist["test_y"]
    wrong = 0
    for begin in range(0, len(labels), 1000):
        some = slice(begin, begin + 1000)
        scores = original.evaluate(images[some], [original.graph.output])[original.graph.output]
        wrong += int((scores.argmax(axis=1) != labels[some]).sum())
    assert wrong == 104
    assert values(original, images[:2]).shape == (2, 10)
