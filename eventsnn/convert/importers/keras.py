"""Sequential Keras models from ``.h5`` files, read by h5py alone and rebuilt as PyTorch modules.

Keras 1, 2 and 3 write the same file: the architecture as JSON in the attribute ``model_config``, the weights
in groups by layer. Values of images are (channels, y, x) here, whatever the file's ``data_format``.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

from eventsnn.convert.graph.graph import Original
from eventsnn.convert.importers.keras_layer import Float64, Layer, inputs_of
from eventsnn.convert.importers.keras_layers import LAYERS
from eventsnn.convert.importers.torch_fx import import_torch
from eventsnn.errors import InvalidFile, InvalidRequest, MissingFile, UnsupportedLayer

BACKENDS = ("tensorflow", "theano", "cntk", "jax", "torch")
"""What computed the model. Theano alone flips the kernels of convolutions."""

_OLD_FORMATS = {"th": "channels_first", "tf": "channels_last"}


def import_keras(
    path: str | Path, input_shape: Sequence[int] | None = None, backend: str | None = None
) -> Original:
    """The graph of a sequential Keras model, and the model in PyTorch to evaluate.

    Parameters
    ----------
    path : path
        Of an HDF5 file written by ``model.save(path)``.
    input_shape : sequence of int, optional
        (channels, y, x) or (features,) of one sample, where the file leaves sizes open.
    backend : str, optional
        What the model was trained with, where the file does not say: see ``BACKENDS``.

    Raises
    ------
    MissingFile, InvalidFile
        No such file, or no readable one; weights without architecture.
    UnsupportedLayer
        A layer without conversion, or a model that is no chain of layers.
    InvalidRequest
        The backend or the input's size is not known, or is given otherwise than the file says.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFile(f"there is no file {path}")
    try:
        with h5py.File(path, "r") as file:
            attributes = {key: _text(value) for key, value in file.attrs.items() if key in _READ}
            weights = _weights(path, file.get("model_weights", file))
            told = _text(file.get("model_weights", file).attrs.get("backend"))
    except InvalidFile:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise InvalidFile(f"{path} cannot be read as a Keras model: {error}; save it again") from error
    layers = _layers(path, attributes.get("model_config"))
    backend = _backend(path, attributes.get("backend") or told, backend, layers)
    model, shape = _rebuilt(path, layers, weights, backend, input_shape)
    original = import_torch(model, shape)
    framework = (
        f"Keras {attributes.get('keras_version') or 'of unknown version'} on {backend or 'any backend'}"
    )
    return replace(original, framework=f"{framework}, by {original.framework}")


_READ = ("model_config", "backend", "keras_version")


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return value if isinstance(value, str) else None


def _weights(path: Path, group: Any) -> dict[str, dict[str, Float64]]:
    """Arrays by layer and by their own names: ``kernel``, ``bias``, ``gamma``."""
    found: dict[str, dict[str, Float64]] = {}
    for layer in _names(group.attrs, "layer_names"):
        own = found.setdefault(layer, {})
        for name in _names(group[layer].attrs, "weight_names"):
            short = name.rpartition("/")[2].partition(":")[0].removeprefix(f"{layer}_")
            array = np.asarray(group[layer][name], dtype=np.float64)
            if not np.isfinite(array).all():
                raise InvalidFile(f"{path}: the {short} of layer {layer!r} holds NaN or infinite values")
            own[_OLD_NAMES.get(short, short)] = array
    return found


def _names(attributes: Any, key: str) -> list[str]:
    """A list of names; long ones are written in parts, ``layer_names0``, ``layer_names1``."""
    parts = [key] if key in attributes else []
    while not parts or parts[-1] != key:
        if f"{key}{len(parts)}" not in attributes:
            break
        parts.append(f"{key}{len(parts)}")
    return [_text(name) or str(name) for part in parts for name in attributes[part]]


_OLD_NAMES = {"W": "kernel", "b": "bias", "running_mean": "moving_mean", "running_std": "moving_variance"}
"""Keras 1; its ``running_std`` is a variance."""


def _layers(path: Path, config: str | None) -> list[Layer]:
    if config is None:
        raise InvalidFile(
            f"{path} holds no architecture (no model_config), at most weights; save the whole model with "
            "model.save(path)"
        )
    try:
        read = json.loads(config)
        kind, inside = str(read["class_name"]), read["config"]
        if kind != "Sequential":
            inside = []
        listed = inside["layers"] if isinstance(inside, dict) else inside
        layers = [Layer(entry["class_name"], dict(entry["config"])) for entry in listed]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InvalidFile(f"{path}: its model_config is damaged ({error!r}); save the model again") from error
    if kind != "Sequential":
        raise UnsupportedLayer(
            f"{path} holds a Keras model of the kind {kind}; only Sequential ones are read from .h5. Export "
            "it to ONNX (tf2onnx) and convert that"
        )
    return layers


def _backend(path: Path, told: str | None, given: str | None, layers: list[Layer]) -> str | None:
    if given is not None and given not in BACKENDS:
        raise InvalidRequest(f"backend {given!r} is unknown; allowed are {', '.join(BACKENDS)}")
    if told is not None and told not in BACKENDS:
        raise InvalidFile(f"{path} names the backend {told!r}; known are {', '.join(BACKENDS)}")
    if told and given and told != given:
        raise InvalidRequest(
            f"{path} was written with the backend {told!r}; backend={given!r} contradicts it"
        )
    if not (told or given) and any("onv" in layer.kind for layer in layers):
        raise InvalidRequest(
            f"{path} does not say what it was trained with, and Theano's convolutions flip their kernels; "
            "give --backend tensorflow or --backend theano (backend='theano' in Python)"
        )
    return told or given


def _rebuilt(
    path: Path,
    layers: list[Layer],
    weights: Mapping[str, Mapping[str, Float64]],
    backend: str | None,
    input_shape: Sequence[int] | None,
) -> tuple[nn.Module, tuple[int, ...]]:
    found = [str(layer.data_format) for layer in layers if layer.is_image]
    formats = {_OLD_FORMATS.get(name, name) for name in found}
    if len(formats) > 1 or not formats <= {"channels_first", "channels_last"}:
        raise UnsupportedLayer(
            f"{path} has layers of several data formats ({', '.join(sorted(formats))}); give a model of one"
        )
    data_format = formats.pop() if formats else "channels_last"
    shape = inputs_of(path, layers, data_format, input_shape)
    samples = torch.zeros(1, *shape, dtype=torch.float64)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for layer in layers:
        rule = LAYERS.get(layer.kind)
        if rule is None:
            raise UnsupportedLayer(
                f"layer {layer.name!r} is a {layer.kind}, which has no conversion. Supported are "
                f"{', '.join(sorted(LAYERS))}. Replace it by these and train again"
            )
        given = weights.get(layer.name, {})
        built = rule(layer.given(path, given, data_format, backend, tuple(samples.shape[1:])))
        for key, module in built.items():
            try:
                with torch.no_grad():
                    samples = module.to(torch.float64).eval()(samples)
            except RuntimeError as error:
                raise InvalidFile(
                    f"{path}: layer {layer.name!r} ({layer.kind}) does not fit values of shape "
                    f"{tuple(samples.shape[1:])}: {str(error).splitlines()[0]}"
                ) from error
            name = layer.name.replace(".", "_")
            if len(built) == 1:
                parts[name] = module
            else:
                parts.setdefault(name, nn.Sequential()).add_module(key, module)
    return nn.Sequential(parts), shape
