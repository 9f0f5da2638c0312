"""Models that come wrapped, pruned, complex, or in another format: converted, or told what to do."""

import zipfile

import h5py
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from eventsnn.convert import convert, layer_check, load_model
from eventsnn.errors import InvalidFile, UnsupportedLayer

torch.set_num_threads(1)

COUNTS = np.random.default_rng(0).poisson(0.7, (8, 2, 6, 6)).astype(float)


def build(norm=nn.BatchNorm2d):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), norm(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        model[1].running_mean.uniform_(-0.3, 0.3)
        model[1].running_var.uniform_(0.5, 1.5)
    return model.eval()


def test_data_parallel_is_the_model_inside(tmp_path):
    wanted = convert(build(), COUNTS)
    wrapped = nn.DataParallel(build())
    assert convert(wrapped, COUNTS).checksum == wanted.checksum
    assert layer_check(wrapped, wanted, COUNTS)[0].correlation > 0.99
    inside = nn.Sequential(nn.DataParallel(nn.Sequential(*build()[:3])), *build()[3:])
    assert convert(inside, COUNTS).order == ("input", "conv2d_0.0", "linear_2")
    assert isinstance(inside[0], nn.DataParallel)
    torch.save(wrapped, tmp_path / "model.pt")
    assert convert(load_model(tmp_path / "model.pt"), COUNTS).checksum == wanted.checksum


def test_sync_batch_norm_is_batch_norm(tmp_path):
    model = build(nn.SyncBatchNorm)
    assert convert(model, COUNTS).checksum == convert(build(), COUNTS).checksum
    torch.save(model, tmp_path / "model.pt")
    assert convert(load_model(tmp_path / "model.pt"), COUNTS).checksum == convert(build(), COUNTS).checksum


def test_a_pruned_module_converts_and_its_file_says_how_to_make_it_permanent(tmp_path):
    model = build()
    prune.l1_unstructured(model[0], "weight", 0.5)
    pruned = convert(model, COUNTS)
    weight = pruned.projections["input-conv2d_0"].synapses.weight
    assert (weight == 0).sum() == weight.size // 2
    torch.save(model, tmp_path / "model.pt")
    with pytest.raises(InvalidFile, match=r"pruned modules.*prune\.remove"):
        load_model(tmp_path / "model.pt")
    prune.remove(model[0], "weight")
    assert convert(model, COUNTS).checksum == pruned.checksum


NUMBERS = {
    "complex": (lambda: nn.Sequential(nn.Linear(2, 2, dtype=torch.complex64)), r"'0\.weight'.*complex64"),
    "complex bias": (lambda: _with(nn.Linear(2, 2), bias=torch.ones(2, dtype=torch.complex128)), "'0.bias'"),
    "whole numbers": (lambda: _with(nn.Linear(2, 2), weight=torch.ones(2, 2, dtype=torch.int8)), "int8"),
    "truth values": (lambda: _with(nn.Linear(2, 2), weight=torch.ones(2, 2, dtype=torch.bool)), "bool"),
    "no values": (lambda: nn.Sequential(nn.Linear(2, 2, device="meta")), "holds no values"),
}


def _with(layer, **tensors):
    for name, tensor in tensors.items():
        setattr(layer, name, nn.Parameter(tensor, requires_grad=False))
    return nn.Sequential(layer)


@pytest.mark.parametrize(("make", "match"), NUMBERS.values(), ids=NUMBERS)
def test_parameters_that_are_no_real_numbers_are_refused(make, match):
    with pytest.raises(UnsupportedLayer, match=match):
        convert(make(), np.ones((2, 2)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_real_numbers_of_any_size_are_taken(dtype):
    assert convert(build().to(dtype), COUNTS).order[-1] == "linear_4"


def hdf5(path, attributes=(), groups=()):
    with h5py.File(path, "w") as file:
        file.attrs.update(dict.fromkeys(attributes, "x"))
        for group in groups:
            file.create_group(group)


def archive(path, *names):
    with zipfile.ZipFile(path, "w") as made:
        for name in names:
            made.writestr(name, "{}")


OTHERS = {
    "keras 3": ("a.keras", lambda p: archive(p, "config.json", "model.weights.h5"), "is a Keras model"),
    "nir": ("a.nir", lambda p: hdf5(p, groups=["node"]), "is a NIR graph"),
    "hdf5": ("a.h5", hdf5, "is an HDF5 file"),
    "aedat4": (
        "a.aedat4",
        lambda p: p.write_bytes(b"#!AER-DAT4.0\r\n" + bytes(80)),
        r"AEDAT 4\.0 .*not supported yet",
    ),
    "arrays": ("a.npz", lambda p: np.savez(p, x=np.ones(3)), "NumPy arrays, no model"),
    "tflite": ("a.tflite", lambda p: p.write_bytes(b"\x1c\0\0\0TFL3" + bytes(40)), "TensorFlow Lite"),
    "safetensors": (
        "a.safetensors",
        lambda p: p.write_bytes((80).to_bytes(8, "little") + b'{"w":' + bytes(80)),
        r"safetensors.*--definition",
    ),
}


@pytest.mark.parametrize(("name", "write", "match"), OTHERS.values(), ids=OTHERS)
def test_another_format_is_named(name, write, match, tmp_path):
    write(tmp_path / name)
    with pytest.raises(InvalidFile, match=match) as refused:
        load_model(tmp_path / name)
    assert "truncated" not in str(refused.value)


def test_a_converted_network_is_no_model(tmp_path):
    convert(build(), COUNTS).save(tmp_path / "net.h5")
    with pytest.raises(InvalidFile, match="a converted network already"):
        load_model(tmp_path / "net.h5")
