"""A layer of a Keras file: its settings and weights under the names of Keras 1, 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eventsnn.errors import InvalidFile, InvalidRequest, UnsupportedLayer

Float64 = NDArray[np.float64]
Modules = dict[str, nn.Module]
"""What a layer becomes, in order and by name."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """A layer of the file, and what it is built with.

    Attributes
    ----------
    kind : str
        Keras' class.
    config : dict
    weights : mapping of str to float64 array
    data_format : str
        Of the whole model.
    backend : str or None
    shape : tuple of int
        Of one sample that it reads: (channels, y, x) or (features,).
    """

    kind: str
    config: dict[str, Any]
    path: Path = Path()
    weights: Mapping[str, Float64] = field(default_factory=dict)
    model_format: str = ""
    backend: str | None = None
    shape: tuple[int, ...] = ()

    def given(
        self,
        path: Path,
        weights: Mapping[str, Float64],
        data_format: str,
        backend: str | None,
        shape: tuple[int, ...],
    ) -> Layer:
        """The layer with what surrounds it."""
        return replace(
            self, path=path, weights=weights, model_format=data_format, backend=backend, shape=shape
        )

    @property
    def name(self) -> str:
        """Its name in the file."""
        return str(self.config.get("name", self.kind.lower()))

    @property
    def data_format(self) -> Any:
        """Its own ``data_format`` (Keras 1: ``dim_ordering``), None where it has none."""
        return self.config.get("data_format", self.config.get("dim_ordering"))

    @property
    def is_image(self) -> bool:
        """Whether the order of axes is its own matter: Flatten's format means something else."""
        return self.kind != "Flatten" and self.data_format is not None

    def refuse(self, text: str) -> NoReturn:
        """Say what stands in the way."""
        raise UnsupportedLayer(f"layer {self.name!r} ({self.kind}) {text}")

    def option(self, *names: str, default: Any = None) -> Any:
        """A setting under its name in Keras 2 or 1."""
        for name in names:
            if name in self.config:
                return self.config[name]
        return default

    def pair(self, *names: str, default: Any = 1) -> Pair:
        """A setting along (y, x)."""
        found = self.option(*names)
        found = default if found is None else found
        first, second = found if isinstance(found, list | tuple) else (found, found)
        return int(first), int(second)

    def weight(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """An array of the layer's weights, of this shape."""
        if name not in self.weights:
            raise InvalidFile(
                f"{self.path}: layer {self.name!r} ({self.kind}) has no {name} in the file, only "
                f"{', '.join(self.weights) or 'no weights'}; save the whole model again"
            )
        array = self.weights[name]
        if array.shape != shape:
            raise InvalidFile(
                f"{self.path}: the {name} of layer {self.name!r} ({self.kind}) has shape {array.shape}, "
                f"expected {shape}"
            )
        return torch.from_numpy(array)

    def image(self) -> tuple[int, int, int]:
        """The shape of the image that it reads."""
        if len(self.shape) != 3:
            self.refuse(f"reads values of shape {self.shape}, no image")
        return self.shape[0], self.shape[1], self.shape[2]


def inputs_of(
    path: Path, layers: list[Layer], data_format: str, given: Sequence[int] | None
) -> tuple[int, ...]:
    """Shape of one sample, (channels, y, x) or (features,)."""
    config = layers[0].config if layers else {}
    batch = config.get("batch_input_shape", config.get("batch_shape"))
    found = batch[1:] if batch else config.get("input_shape", None)
    if found is None and config.get("input_dim"):
        found = [config["input_dim"]]
    own = tuple(given) if given is not None else None
    if found is None:
        if own is None:
            raise InvalidRequest(
                f"{path} does not say how large its input is; give input_shape=(channels, y, x) "
                "(--input-shape C,H,W)"
            )
        return own
    if len(found) == 3 and data_format == "channels_last":
        found = [found[2], *found[:2]]
    elif len(found) == 2:
        found = [1, *found]  # an image without an axis for channels
    elif len(found) not in (1, 3):
        raise UnsupportedLayer(
            f"{path} reads samples with {len(found)} axes; only images and vectors convert"
        )
    if own is not None:
        fits = len(own) == len(found) and all(a in (None, b) for a, b in zip(found, own, strict=True))
        if not fits:
            raise InvalidRequest(f"input_shape {own} contradicts {path}, whose model reads {tuple(found)}")
        return own
    if None in found:
        raise InvalidRequest(
            f"{path} leaves the size of its input open ({tuple(found)} as channels, y, x); give "
            "input_shape=(channels, y, x) (--input-shape C,H,W)"
        )
    return tuple(int(length) for length in found)
