"""ONNX operators as conversion graphs, each in each of its forms.

The graph's values, by the oracle, are those of onnxruntime in every node; those of ``evaluate`` are those of
onnxruntime on the file as it is.
"""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs onnx and onnxruntime: install eventsnn[onnx]")
pytest.importorskip("onnxruntime", reason="needs onnxruntime: install eventsnn[onnx]")

import onnx
from builders.onnx_models import i64, integers, model, node, save, single
from onnx import TensorProto
from oracles.onnx_values import checked, kinds

from eventsnn.convert.importers.onnx import import_onnx
from eventsnn.errors import UnsupportedLayer

RNG = np.random.default_rng(12)
F32 = np.float32


@pytest.fixture(autouse=True)
def same_numbers():
    """The same numbers in every test, whichever ran before."""
    RNG.bit_generator.state = np.random.default_rng(12).bit_generator.state


def whole(*shape, **limits):
    return integers(RNG, *shape, **limits)


CONVOLUTIONS = {
    "plain": ((2, 7, 6), whole(3, 2, 3, 3), {}),
    "asymmetric pads": ((2, 7, 6), whole(3, 2, 3, 2), {"pads": [0, 1, 2, 3]}),
    "same upper": ((2, 7, 6), whole(3, 2, 2, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 1]}),
    "same lower": ((2, 7, 6), whole(3, 2, 2, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    "same of one": ((2, 7, 6), whole(3, 2, 1, 1), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "valid": ((2, 7, 6), whole(3, 2, 3, 3), {"auto_pad": "VALID", "strides": [2, 1]}),
    "groups": ((4, 5, 6), whole(6, 2, 3, 3), {"group": 2, "pads": [1, 1, 1, 1]}),
    "depthwise": ((3, 5, 6), whole(6, 1, 3, 3), {"group": 3, "dilations": [2, 1], "kernel_shape": [3, 3]}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_convolutions(name, bias, tmp_path):
    shape, weight, attributes = CONVOLUTIONS[name]
    parameters = (weight, whole(len(weight))) if bias else (weight,)
    original = checked(single("Conv", shape, *parameters, **attributes), tmp_path)
    assert kinds(original) == ["Convolution"]
    assert original.graph.nodes["y"].origin == "Conv"


def test_random_windows(tmp_path):
    """Pools and convolutions of random geometry."""
    rng = np.random.default_rng(5)
    done = 0
    for _ in range(400):
        size, kernel, stride = (
            tuple(int(n) for n in rng.integers(low, high, 2)) for low, high in ((3, 9), (1, 4), (1, 4))
        )
        dilation = tuple(int(n) for n in rng.integers(1, 3, 2))
        pads = [int(rng.integers(0, taps)) for taps in (*kernel, *kernel)]
        if any(size[k] + pads[k] + pads[k + 2] < (kernel[k] - 1) * dilation[k] + 1 for k in (0, 1)):
            continue
        shared = {"strides": stride, "dilations": dilation, "pads": pads}
        kind = ("MaxPool", "AveragePool", "Conv")[done % 3]
        if kind == "Conv":
            made = single("Conv", (2, *size), whole(3, 2, *kernel), opset=19, **shared)
        else:
            extra = {"ceil_mode": int(rng.integers(2))}
            if kind == "AveragePool":
                extra["count_include_pad"] = int(rng.integers(2))
            made = single(kind, (2, *size), opset=19, kernel_shape=kernel, **shared, **extra)
        taps = [range(-pads[k], size[k] + pads[k + 2], dilation[k])[: kernel[k]] for k in (0, 1)]
        if kind != "Conv" and not all(any(0 <= tap < size[k] for tap in taps[k]) for k in (0, 1)):
            continue  # a window in the padding alone is refused
        checked(made, tmp_path, samples=2)
        done += 1
        if done == 45:
            break
    assert done == 45


POOLS = {
    "max same upper": ("MaxPool", 8, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "max same lower": ("MaxPool", 8, {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "max valid": ("MaxPool", 12, {"auto_pad": "VALID", "strides": [2, 1]}),
    "max of stride one": ("MaxPool", 7, {}),
    "average same upper": ("AveragePool", 7, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "average same, padding counted": (
        "AveragePool",
        11,
        {"auto_pad": "SAME_LOWER", "strides": [2, 2], "count_include_pad": 1},
    ),
    "average ceil": ("AveragePool", 10, {"ceil_mode": 1, "strides": [2, 2], "pads": [1, 0, 1, 0]}),
}


@pytest.mark.parametrize("name", POOLS)
def test_pools(name, tmp_path):
    kind, opset, attributes = POOLS[name]
    original = checked(single(kind, (2, 7, 6), opset=opset, kernel_shape=[3, 2], **attributes), tmp_path)
    assert kinds(original) == [kind]


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools(kind, tmp_path):
    original = checked(single(kind, (2, 7, 6)), tmp_path)
    assert kinds(original) == [kind.removeprefix("Global")]


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceMax", "ReduceSum"])
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [1, 2], [1], [3], [1, 2, 3]])
def test_reductions(kind, keep, axes, tmp_path):
    if kind == "ReduceSum":
        made = single(kind, (4, 3, 5), i64(*axes), opset=13, keepdims=keep)
    else:
        made = single(kind, (4, 3, 5), opset=11, axes=axes, keepdims=keep)
    original = checked(made, tmp_path)
    spatial = sorted(axis % 4 for axis in axes) == [2, 3]
    if spatial and keep:
        assert len(kinds(original)) == 1


def test_a_reduction_with_its_axes_as_input(tmp_path):
    checked(single("ReduceMean", (4, 3, 5), i64(1, 2), opset=18, keepdims=0), tmp_path)
    same = checked(single("ReduceMean", (4, 3, 5), i64(), opset=18, noop_with_empty_axes=1), tmp_path)
    assert kinds(same) == []


PRODUCTS = {
    "gemm": ("Gemm", (5,), (whole(5, 4), whole(4)), {}),
    "gemm transposed": ("Gemm", (5,), (whole(4, 5), whole(1, 4)), {"transB": 1, "alpha": 2.0, "beta": -0.5}),
    "gemm of one bias": ("Gemm", (5,), (whole(4, 5), whole(1)), {"transB": 1}),
    "gemm without bias": ("Gemm", (5,), (whole(5, 4),), {"alpha": 0.25}),
    "matmul": ("MatMul", (5,), (whole(5, 4),), {}),
    "matmul on the last axis": ("MatMul", (3, 2, 5), (whole(5, 4),), {}),
    "matmul on one pixel": ("MatMul", (1, 1, 5), (whole(5, 4),), {}),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name, tmp_path):
    kind, shape, parameters, attributes = PRODUCTS[name]
    checked(single(kind, shape, *parameters, **attributes), tmp_path)


@pytest.mark.parametrize("shape", [(5, 1), (5, 3), (2, 5, 3)])
def test_weights_on_the_left(shape, tmp_path):
    made = model([node("MatMul", "w x", "y")], shape, constants={"w": whole(4, 5)})
    checked(made, tmp_path)


ARITHMETIC = {
    "add": ("Add", (3, 4, 5), whole(3, 1, 1)),
    "add one": ("Add", (3, 4, 5), whole(1)),
    "add scalar": ("Add", (3, 4, 5), whole()),
    "add a row": ("Add", (3, 4, 5), whole(5)),
    "add whole": ("Add", (3, 4, 5), whole(1, 3, 4, 5)),
    "add larger": ("Add", (3, 1, 1), whole(3, 4, 5)),
    "subtract": ("Sub", (3, 4, 5), whole(3, 1, 1)),
    "multiply": ("Mul", (3, 4, 5), whole(1, 3, 1, 1)),
    "multiply larger": ("Mul", (1, 4, 1), whole(3, 1, 5)),
    "divide": ("Div", (3, 4, 5), np.array([2.0, -4.0, 0.5], F32).reshape(3, 1, 1)),
    "sum": ("Sum", (4,), whole(4)),
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_with_constants(name, tmp_path):
    kind, shape, constant = ARITHMETIC[name]
    original = checked(single(kind, shape, constant), tmp_path)
    assert kinds(original)[-1] == "Affine"


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul"])
def test_constants_on_the_left(kind, tmp_path):
    checked(model([node(kind, "c x", "y")], (3, 2, 2), constants={"c": whole(3, 1, 1)}), tmp_path)


@pytest.mark.parametrize("kind", ["Add", "Sub", "Sum"])
def test_sums_of_two_values(kind, tmp_path):
    nodes = [
        node("Relu", "x", "a"),
        node("GlobalMaxPool", "a", "b"),
        node(kind, "a b", "c"),
        node(kind, "b a", "d"),
    ]
    original = checked(model([*nodes, node("Add", "c d", "y")], (3, 2, 2), constants={}), tmp_path)
    assert "Add" in kinds(original)


def test_sum_of_three(tmp_path):
    nodes = [node("Relu", "x", "a"), node("Neg", "x", "b"), node("Sum", "x a b", "y")]
    assert kinds(checked(model(nodes, (3, 2)), tmp_path)) == ["ReLU", "Affine", "Add"]


@pytest.mark.parametrize("opset", [7, 9, 14, 15])
@pytest.mark.parametrize("shape", [(3, 2, 4), (3,), (3, 5)])
def test_batch_norm(opset, shape, tmp_path):
    parameters = (whole(3), whole(3), whole(3), whole(3, lowest=1, largest=4))
    original = checked(
        single("BatchNormalization", shape, *parameters, opset=opset, epsilon=0.25), tmp_path, tolerance=1e-5
    )
    assert original.graph.nodes["y"].operation.factor.shape == (3, *(1,) * (len(shape) - 1))


LIMITS = {
    "relu": ("Relu", 13, (), {}, None),
    "clip from zero": ("Clip", 10, (), {"min": 0.0}, None),
    "clip by attributes": ("Clip", 10, (), {"min": 0.0, "max": 2.0}, 2.0),
    "clip by inputs": ("Clip", 11, (F32(0), F32(2)), {}, 2.0),
    "clip without ceiling": ("Clip", 13, (F32(0),), {}, None),
    "clip to the largest": ("Clip", 13, (F32(0), np.finfo(F32).max), {}, None),
    "maximum": ("Max", 8, (np.zeros(1, F32),), {}, None),
}


@pytest.mark.parametrize("name", LIMITS)
def test_rectifiers(name, tmp_path):
    kind, opset, parameters, attributes, ceiling = LIMITS[name]
    original = checked(single(kind, (3, 2), *parameters, opset=opset, **attributes), tmp_path)
    assert original.graph.nodes["y"].operation.ceiling == ceiling


@pytest.mark.parametrize("kind", ["Min", "Clip"])
def test_a_ceiling_after_a_rectifier(kind, tmp_path):
    inputs = "a c" if kind == "Min" else "a  c"
    nodes = [node("Relu", "x", "a"), node(kind, inputs, "y")]
    original = checked(model(nodes, (3, 2), constants={"c": F32(2)}), tmp_path)
    assert original.graph.nodes["y"].operation.ceiling == 2


@pytest.mark.parametrize(
    ("kind", "parameters", "opset"),
    [("Clip", (F32(-1), F32(2)), 13), ("Clip", (F32(1), F32(2)), 13), ("Clip", (None, F32(1)), 13),
     ("Clip", (F32(-2),), 13), ("Max", (F32([-1]),), 13), ("Max", (F32(1),), 8), ("Min", (F32(1),), 13),
     ("Clip", (F32(-2), F32(0)), 13)],
)  # fmt: skip
def test_other_limits_are_a_rectifier_between_offsets(kind, parameters, opset, tmp_path):
    original = checked(single(kind, (3, 2), *parameters, opset=opset), tmp_path, samples=9)
    assert kinds(original) == ["Affine", "ReLU", "Affine"]


def test_hard_sigmoid(tmp_path):
    assert kinds(checked(single("HardSigmoid", (3, 2), alpha=0.25), tmp_path, samples=9)) == [
        "Affine",
        "ReLU",
    ]


def test_a_clip_without_limits_is_nothing(tmp_path):
    assert kinds(checked(single("Clip", (3, 2), opset=13), tmp_path)) == []


def test_sign(tmp_path):
    assert kinds(checked(single("Sign", (3, 2)), tmp_path)) == ["Step"]


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(
    ("shape", "opset", "attributes"),
    [
        ((5,), 7, {}),
        ((5,), 13, {}),
        ((5, 1, 1), 11, {}),
        ((5, 1, 1), 13, {"axis": 1}),
        ((5,), 12, {"axis": -1}),
    ],
)
def test_softmax(kind, shape, opset, attributes, tmp_path):
    original = checked(single(kind, shape, opset=opset, **attributes), tmp_path)
    assert original.graph.nodes["y"].operation.logarithm == (kind == "LogSoftmax")


MOVES = {
    "reshape": ("Reshape", (4, 6), (i64(-1, 3, 8),), 13, {}),
    "reshape with zeros": ("Reshape", (4, 6), (i64(0, 2, 0, -1),), 7, {}),
    "reshape not allowing zeros": ("Reshape", (4, 6), (i64(-1, 24),), 14, {"allowzero": 1}),
    "flatten": ("Flatten", (2, 3, 4), (), 7, {}),
    "flatten after one": ("Flatten", (1, 3, 4), (), 13, {"axis": 2}),
    "flatten from the end": ("Flatten", (1, 3, 4), (), 13, {"axis": -2}),
    "transpose": ("Transpose", (2, 3, 4), (), 13, {"perm": [0, 2, 3, 1]}),
    "squeeze": ("Squeeze", (2, 1, 3, 1), (), 11, {"axes": [2, 4]}),
    "squeeze by input": ("Squeeze", (2, 1, 3, 1), (i64(-1),), 13, {}),
    "unsqueeze": ("Unsqueeze", (2, 3), (), 11, {"axes": [2, 4]}),
    "unsqueeze by input": ("Unsqueeze", (2, 3), (i64(-1, 1),), 13, {}),
    "slice by attributes": ("Slice", (4, 6, 5), (), 9, {"axes": [1, 2], "starts": [1, 0], "ends": [3, -1]}),
    "slice by inputs": ("Slice", (4, 6, 5), (i64(-1, 0), i64(-5, 2**62), i64(1, 3), i64(-2, 3)), 10, {}),
    "slice without axes": ("Slice", (4, 6), (i64(0, 1), i64(2**31 - 1, 3)), 13, {}),
    "slice past the end": ("Slice", (4, 6), (i64(2), i64(99), i64(-1)), 13, {}),
    "pad by attributes": ("Pad", (2, 3, 4), (), 10, {"pads": [0, 1, 2, 0, 0, 0, 1, 3]}),
    "pad by inputs": ("Pad", (2, 3, 4), (i64(0, 0, 1, 2, 0, 0, 3, 0), F32(0)), 13, {}),
    "pad some axes": ("Pad", (2, 3, 4), (i64(1, 2), None, i64(-1)), 18, {}),
    "crop": ("Pad", (2, 3, 4), (i64(0, 0, -1, 0, 0, 1, 0, -2),), 11, {}),
    "pad by reflection": ("Pad", (2, 3, 4), (i64(0, 0, 1, 2, 0, 0, 1, 1),), 13, {"mode": "reflect"}),
    "gather": ("Gather", (4, 3), (i64(3, 0, 0, -1),), 13, {"axis": 1}),
    "gather one": ("Gather", (4, 3), (np.array(2),), 7, {"axis": 2}),
    "expand": ("Expand", (4, 1), (i64(1, 4, 3),), 13, {}),
    "tile": ("Tile", (2, 3), (i64(1, 2, 2),), 13, {}),
    "depth to space": ("DepthToSpace", (8, 2, 3), (), 11, {"blocksize": 2}),
    "depth to space, columns first": ("DepthToSpace", (8, 2, 3), (), 13, {"blocksize": 2, "mode": "CRD"}),
    "space to depth": ("SpaceToDepth", (2, 4, 6), (), 13, {"blocksize": 2}),
    "upsample by attribute": ("Upsample", (2, 3, 4), (), 7, {"scales": [1.0, 1.0, 2.0, 3.0]}),
    "upsample by input": ("Upsample", (2, 3, 4), (np.array([1, 1, 2, 2], F32),), 9, {"mode": "nearest"}),
    "resize in opset 10": ("Resize", (2, 3, 4), (np.array([1, 1, 2, 2], F32),), 10, {}),
    "resize": (
        "Resize", (2, 3, 4), (np.array([], F32), np.array([1, 1, 3, 2], F32)), 13,
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ),
    "resize by half a pixel": ("Resize", (2, 3, 4), (None, np.array([1, 1, 2, 4], F32)), 19, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_moves(name, tmp_path):
    kind, shape, parameters, opset, attributes = MOVES[name]
    original = checked(single(kind, shape, *parameters, opset=opset, **attributes), tmp_path)
    assert set(kinds(original)) <= {"Rearrange"}
    assert len(kinds(original)) <= 1


@pytest.mark.parametrize(
    ("opset", "parameters", "attributes"),
    [(7, (), {"split": [1, 3]}), (13, (i64(1, 3),), {}), (11, (), {}), (18, (), {"num_outputs": 2})],
)
@pytest.mark.parametrize("output", ["y", "z"])
def test_splits(opset, parameters, attributes, output, tmp_path):
    made = single("Split", (4, 3), *parameters, opset=opset, outputs=2, axis=1, **attributes)
    assert kinds(checked(made, tmp_path, output)) == ["Rearrange"]


def test_concatenation(tmp_path):
    nodes = [node("Relu", "x", "a"), node("Concat", "x a x", "y", axis=1)]
    original = checked(model(nodes, (2, 3)), tmp_path)
    assert original.graph.nodes["y"].operation.axis == 0
    original = checked(model([node("Relu", "x", "a"), node("Concat", "x a", "y", axis=-1)], (2, 3)), tmp_path)
    assert original.graph.nodes["y"].operation.axis == 1


def test_concatenation_with_constants(tmp_path):
    """Zeros that a network puts beside its channels are a rearrangement; other numbers are values."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "samples", axis=0),
        node("Unsqueeze", "samples", "one", axes=[0]),
        node("Concat", "one rest", "filled", axis=0),
        node("ConstantOfShape", "filled", "c"),
        node("Concat", "c x c", "y", axis=1),
    ]
    constants = {"zero": np.array(0), "rest": i64(2, 3)}
    assert kinds(checked(model(nodes, (2, 3), constants=constants, opset=11), tmp_path)) == ["Rearrange"]
    nodes[-2].attribute.append(
        onnx.helper.make_attribute("value", onnx.numpy_helper.from_array(np.array([2], F32)))
    )
    found = kinds(checked(model(nodes, (2, 3), constants=constants, opset=11), tmp_path))
    assert found == ["Rearrange", "Affine", "Rearrange", "Affine", "Concatenate"]


@pytest.mark.parametrize("kind", ["Reshape", "Expand", "Resize"])
def test_shapes_computed_from_the_batch(kind, tmp_path):
    """The first number of the shape is the batch size, whatever it is."""
    rest = {"Reshape": i64(3, 4), "Expand": i64(2, 3, 2), "Resize": i64(2, 6, 2)}[kind]
    nodes = [
        node("Shape", "x", "shape"),
        node("Slice", "shape zero one", "samples"),
        node("Concat", "samples rest", "target", axis=0),
        node(kind, "x   target" if kind == "Resize" else "x target", "y"),
    ]
    made = model(
        nodes,
        (2, 3, 2) if kind != "Expand" else (2, 1, 2),
        constants={"zero": i64(0), "one": i64(1), "rest": rest},
    )
    assert kinds(checked(made, tmp_path)) == ["Rearrange"]


def test_what_does_nothing(tmp_path):
    nodes = [
        node("Identity", "x", "a"),
        node("Cast", "a", "b", to=TensorProto.DOUBLE),
        node("Cast", "b", "c", to=TensorProto.FLOAT),
        node("Dropout", "c", "d mask"),
        node("Reshape", "d shape", "y"),
    ]
    original = checked(model(nodes, (2, 3), constants={"shape": i64(-1, 2, 3)}), tmp_path)
    assert kinds(original) == []
    assert original.graph.output == "x"


def test_constants_are_computed(tmp_path):
    """Whatever depends on no input: weights in half precision, transposed, chosen, with random names."""
    nodes = [
        node("Constant", "", "half", value=onnx.numpy_helper.from_array(whole(4, 3).astype(np.float16))),
        node("Cast", "half", "single", to=TensorProto.FLOAT),
        node("Transpose", "single", "turned"),
        node("Greater", "turned zero", "above"),
        node("Where", "above turned zero", "w"),
        node("Mul", "w scale", "scaled"),
        node("MatMul", "x scaled", "y"),
    ]
    original = checked(model(nodes, (3,), constants={"zero": F32(0), "scale": F32(2)}), tmp_path)
    assert kinds(original) == ["Dense"]
    assert original.graph.nodes["y"].operation.weight.min() == 0


REFUSED = {
    "one axis": (single("Conv", (2, 7), whole(3, 2, 3)), "convolve over 1 axes"),
    "same dilated": (
        single("Conv", (2, 7, 6), whole(3, 2, 3, 2), auto_pad="SAME_UPPER", dilations=[2, 3]),
        "auto_pad with dilations",
    ),
    "samples in columns": (single("Gemm", (3,), whole(3, 4), transA=1), "samples stand in columns"),
    "weights of three axes": (single("MatMul", (2, 3), whole(2, 3, 4)), "only a matrix"),
    "too few features": (single("MatMul", (2,), whole(3, 4)), "weights for 3 features"),
    "too few channels": (single("Conv", (4, 3, 3), whole(3, 2, 3, 3)), "do not fit 4 channels"),
    "larger than its input": (single("Conv", (2, 3, 3), whole(3, 2, 4, 3)), "larger than the padded input"),
    "variance below zero": (
        single("BatchNormalization", (2,), *(whole(2),) * 3, -whole(2, lowest=1)), "variance is negative",
    ),
    "another zero point": (
        model(
            [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s o", "y")],
            (3,), constants={"s": F32(1), "z": np.uint8(1), "o": np.uint8(2)},
        ),
        "zero point 2 is not that of its levels, 1",
    ),
    "pool of one axis": (
        single("MaxPool", (2, 7), kernel_shape=[2]), r"reads shape \(N, 2, 7\); only images",
    ),
    "integers of nowhere": (
        model([node("DequantizeLinear", "x s", "y")], (3,), constants={"s": F32(1)}, kind=TensorProto.UINT8),
        "no QuantizeLinear gives",
    ),
    "other rectifier": (single("LeakyRelu", (3,)), "train the network with ReLU"),
    "recurrent": (single("GRU", (3, 4), whole(1, 6, 4), whole(1, 6, 2), hidden_size=2), "recurrent"),
    "window in the padding": (
        single("MaxPool", (1, 3, 3), kernel_shape=[2, 2], pads=[2, 0, 0, 0]), "padding alone",
    ),
    "unknown": (single("Tan", (3,)), "this operator has no conversion"),
    "clip to nothing": (single("Clip", (3,), F32(1), F32(1)), "leave nothing of its input"),
    "rounding alone": (single("Round", (3,)), "rounds without limits"),
    "rounding to a fraction": (
        model(
            [node("Floor", "x", "r"), node("Clip", "r zero c", "y")],
            (3,), constants={"zero": F32(0), "c": F32(1.5)},
        ),
        "rounds without limits",
    ),
    "comparison of activations": (model([node("Less", "x x", "y")], (3,)), "compares activations"),
    "limits that differ": (single("Max", (2,), F32([1, 0])), "not one number"),
    "gate": (model([node("Mul", "x x", "y")], (3,)), "multiplies two activations"),
    "matrix of activations": (model([node("MatMul", "x x", "y")], (3, 3)), "multiplies two activations"),
    "division": (model([node("Div", "c x", "y")], (3,), constants={"c": F32(1)}), "divides by an activation"),
    "division by zero": (single("Div", (3,), F32(0)), "divides by zero"),
    "maximum of activations": (model([node("Max", "x x", "y")], (3,)), "compares activations"),
    "training batch norm": (
        single("BatchNormalization", (2,), *(whole(2),) * 4, opset=14, outputs=3, training_mode=1),
        "training mode",
    ),
    "training batch norm before": (
        single("BatchNormalization", (2,), *(whole(2),) * 4, opset=9, outputs=5), "training mode",
    ),
    "training dropout": (single("Dropout", (2,), F32(0.5), np.array(True)), "training mode"),
    "rounding": (single("Cast", (2,), to=TensorProto.INT32), "rounds activations to INT32"),
    "padding with ones": (single("Pad", (2, 2), i64(0, 0, 0, 0, 0, 1), F32(1)), "pads with 1"),
    "blending": (single("Resize", (2, 2, 2), None, F32([1, 1, 2, 2]), mode="linear"), "blends values"),
    "softmax over a part": (single("Softmax", (3, 4)), "a part of each sample"),
    "samples reduced": (single("ReduceMean", (3,), axes=[0], keepdims=1), "leave each sample"),
    "samples softmaxed": (single("Softmax", (3,), axis=0), "a part of each sample"),
    "samples turned": (single("Transpose", (3, 4), perm=[1, 0, 2]), "leave each sample"),
    "samples cut": (single("Slice", (3,), i64(0), i64(2), i64(0)), "leave each sample"),
    "samples chosen": (single("Gather", (3,), i64(0, 1), axis=0), "leave each sample"),
    "samples repeated": (single("Tile", (3,), i64(2, 1)), "leave each sample"),
    "samples joined": (model([node("Concat", "x x", "y", axis=0)], (3,)), "leave each sample"),
    "samples told apart": (single("Add", (3,), whole(2, 1) + F32([[0], [9]])), "do(es)? not"),
    "samples as channels": (single("Unsqueeze", (3, 4), i64(0)), "leave each sample"),
    "computed weights": (
        model([node("Relu", "x", "a"), node("Conv", "x a", "y")], (2, 3, 3)), "computed from the network",
    ),
    "mask": (model([node("Dropout", "x", "a b"), node("Not", "b", "y")], (3,)), "quantised integers"),
    "random": (single("RandomNormalLike", (3,)), "no conversion"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name, tmp_path):
    made, message = REFUSED[name]
    path = save(made, tmp_path / "model.onnx")
    with pytest.raises(UnsupportedLayer, match=message) as caught:
        import_onnx(path, "y")
    assert any(f"{one.name!r} ({one.op_type})" in str(caught.value) for one in made.graph.node)


# Quantised activations, recognised by their arithmetic.


def chain(*steps, **constants):
    """Operators one after the other on ``x``; a step is a kind and the names of constants."""
    nodes, read = [], "x"
    for place, (kind, *names) in enumerate(steps):
        made = "y" if place == len(steps) - 1 else f"t{place}"
        nodes.append(node(kind, " ".join([read, *names]), made))
        read = made
    return model(
        nodes, (3, 2, 2), constants={name: np.asarray(value, F32) for name, value in constants.items()}
    )


@pytest.mark.parametrize(("kind", "rounding"), [("Round", "half-even"), ("Floor", "floor")])
@pytest.mark.parametrize(("lowest", "largest"), [(0, 3), (-2, 2), (0, 1)])
def test_scale_round_limit_scale(kind, rounding, lowest, largest, tmp_path):
    steps = [("Div", "s"), (kind,), ("Clip", "low", "high"), ("Mul", "s")]
    made = chain(*steps, s=2, low=lowest, high=largest)
    original = checked(made, tmp_path, samples=20, lowest=-9, largest=9)
    assert kinds(original) == ["Quantised"]
    found = original.graph.nodes["y"].operation
    assert (found.unit, found.lowest, found.largest, found.shift, found.rounding) == (
        2,
        lowest,
        largest,
        0,
        rounding,
    )


def test_scale_limit_floor_scale(tmp_path):
    """QCFS with four levels and threshold 2."""
    steps = [
        ("Div", "t"),
        ("Clip", "zero", "one"),
        ("Mul", "l"),
        ("Add", "half"),
        ("Floor",),
        ("Div", "l"),
        ("Mul", "t"),
    ]
    made = chain(*steps, t=2, zero=0, one=1, l=4, half=0.5)
    original = checked(made, tmp_path, samples=20, lowest=-9, largest=9)
    assert kinds(original) == ["Quantised"]
    found = original.graph.nodes["y"].operation
    assert (found.unit, found.lowest, found.largest, found.shift, found.rounding) == (0.5, 0, 4, 0.5, "floor")


def test_units_of_channels(tmp_path):
    units = [[[2]], [[4]], [[0.5]]]
    made = chain(("Div", "s"), ("Round",), ("Clip", "low", "high"), ("Mul", "s"), s=units, low=0, high=3)
    original = checked(made, tmp_path, samples=20, lowest=-9, largest=9)
    assert kinds(original) == ["Quantised"]
    np.testing.assert_array_equal(original.graph.nodes["y"].operation.unit, units)


QUANTISED = {
    "without scales": ([("Round",), ("Clip", "zero", "three")], ["Quantised"]),
    "another scale after": ([("Div", "two"), ("Round",), ("Clip", "zero", "three"), ("Mul", "three")],
                            ["Affine", "Quantised", "Affine"]),
    "limits on both sides": (
        [("Clip", "zero", "three"), ("Div", "two"), ("Round",), ("Clip", "zero", "one"), ("Mul", "two")],
        ["Quantised"],
    ),
    "a bias after": (
        [("Div", "two"), ("Round",), ("Clip", "zero", "c"), ("Add", "bias"), ("Mul", "two")],
        ["Affine", "Quantised", "Affine", "Affine"],
    ),
    "batch norm before": (
        [("Mul", "c"), ("Add", "bias"), ("Div", "two"), ("Round",), ("Clip", "zero", "c"), ("Mul", "two")],
        ["Affine", "Affine", "Quantised"],
    ),
    "a rectifier before": ([("Relu",), ("Min", "three"), ("Floor",)], ["ReLU", "Quantised"]),
    "binary tanh": (
        [("Add", "one"), ("Div", "two"), ("Clip", "zero", "one"), ("Round",), ("Mul", "two"), ("Sub", "one")],
        ["Quantised", "Affine"],
    ),
    "limits before a sign": ([("Clip", "minus", "one"), ("Sign",)], ["Step"]),
}  # fmt: skip


@pytest.mark.parametrize("name", QUANTISED)
def test_quantised_activations(name, tmp_path):
    steps, expected = QUANTISED[name]
    bias = np.array([1, 2, 3]).reshape(3, 1, 1)
    made = chain(*steps, zero=0, one=1, two=2, three=3, c=3, minus=-1, bias=bias)
    assert kinds(checked(made, tmp_path, samples=20, lowest=-9, largest=9)) == expected


@pytest.mark.parametrize("kind", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
@pytest.mark.parametrize("inputs", ["x c", "c x"])
@pytest.mark.parametrize("limit", [0, [[1], [0], [-2]]])
def test_comparisons(kind, inputs, limit, tmp_path):
    constants = {"c": np.array(limit, F32), "a": F32(1), "b": F32(-1)}
    nodes = [node(kind, inputs, "t"), node("Not", "t", "n"), node("Where", "n a b", "w")]
    nodes += [node("Cast", "t", "f", to=TensorProto.FLOAT), node("Add", "w f", "y")]
    checked(model(nodes, (3, 2), constants=constants), tmp_path, samples=9)


@pytest.mark.parametrize("zero", [np.uint8(0), np.uint8(3), np.int8(-2)])
def test_quantised_integers_between(zero, tmp_path):
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("Flatten", "d", "y"),
    ]
    made = model(nodes, (3, 2), constants={"s": F32(2), "z": np.array(zero)})
    original = checked(made, tmp_path, samples=9, lowest=-900, largest=900)
    assert kinds(original) == ["Quantised", "Rearrange"]
    nodes[2] = node("Flatten", "q", "y")
    with pytest.raises(UnsupportedLayer, match=r"Flatten.*quantised integers"):
        import_onnx(
            save(model(nodes, (3, 2), constants={"s": F32(2), "z": np.array(zero)}), tmp_path / "m.onnx"), "y"
        )
