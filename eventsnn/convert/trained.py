"""A trained model of any framework as layers, with the function that evaluates it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from eventsnn.convert.activations import in_population_order
from eventsnn.convert.graph.graph import Evaluate, Float64, Original
from eventsnn.convert.graph.layering import layers_of
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.passes.equalise import Equalised, equalised
from eventsnn.convert.graph.passes.merge_linear import AveragePools
from eventsnn.convert.lowering.pools import with_pools_of_one_source
from eventsnn.convert.lowering.values import LayerValues, derived_value
from eventsnn.convert.reading import Reading
from eventsnn.errors import InvalidNetwork, UnsupportedLayer


@dataclass(frozen=True, eq=False)
class TrainedLayers:
    """A model for samples of one shape.

    Attributes
    ----------
    layers : tuple of Layer
        In topological order, the input first; every max-pool reads one layer.
    evaluate : callable
        Of ``Original``.
    framework : str
        Of ``Original``.
    equalised : Equalised or None
        What cross-layer equalisation did, where it was asked for.
    """

    layers: tuple[Layer, ...]
    evaluate: Evaluate
    framework: str
    equalised: Equalised | None = None

    @property
    def version(self) -> dict[str, str]:
        """The framework's version under its name, for records."""
        name, _, number = self.framework.partition(" ")
        return {name: number}


class Trained:
    """A model, before the shape of its samples is known.

    Attributes
    ----------
    reading : Reading
        How it reads its input.
    trained_on : tuple of dict
        Records of the data that trained it (``eventsnn.network.training``), where its file names them.
    """

    trained_on: tuple[dict[str, Any], ...] = ()

    def __init__(
        self,
        original: Callable[[tuple[int, ...]], Original],
        reading: Reading | None = None,
        channels: int | None = None,
    ) -> None:
        self._original = original
        self._found: dict[tuple[int, ...], Original] = {}
        self.reading = Reading(self._takes, channels) if reading is None else reading

    def original(self, shape: tuple[int, ...]) -> Original:
        """What its importer makes of it for samples of a shape; imported once."""
        if shape not in self._found:
            self._found[shape] = self._original(shape)
        return self._found[shape]

    def _takes(self, shape: tuple[int, ...]) -> bool:
        try:
            self.original(shape)
        except (InvalidNetwork, UnsupportedLayer):
            return False
        return True

    def layers_of(
        self, shape: tuple[int, ...], average_pools: str = "folded", equalise: bool = False
    ) -> TrainedLayers:
        """The layers for samples of a shape.

        Raises
        ------
        UnsupportedLayer, InvalidNetwork
            What an importer or a pass refuses.
        """
        return layers_of_original(self.original(shape), average_pools, equalise)


def layers_of_original(
    original: Original, average_pools: str = "folded", equalise: bool = False
) -> TrainedLayers:
    """Layers of what an importer gave; images are (channels, y, x) whatever order the original has."""
    graph = original.graph
    layers = layers_of(graph, cast(AveragePools, average_pools))
    even = equalised(layers, graph.nodes) if equalise else None
    if even is not None:
        layers = even.layers
    evaluate, own = original.evaluate, graph.nodes[graph.input].shape
    order = layers[0].arrangement
    if order is not None:
        inverse = np.argsort(order.reshape(-1))

        def evaluate(values: Float64, names: Sequence[str]) -> Mapping[str, Float64]:
            flat = values.reshape(len(values), -1)[:, inverse]
            return original.evaluate(flat.reshape(len(values), *own), names)

        layers = (replace(layers[0], arrangement=None), *layers[1:])
    return replace(layered(layers, evaluate, original.framework, graph.nodes), equalised=even)


def layered(
    layers: Sequence[Layer], evaluate: Evaluate, framework: str, known: Container[str] | None = None
) -> TrainedLayers:
    """Layers as families take them: every max-pool over one layer, every layer's value to be had.

    ``known`` are the names that ``evaluate`` answers; by default all.
    """
    split, names = with_pools_of_one_source(layers)
    by_name = {layer.name: layer for layer in split}
    names |= {layer.name: layer.derived.name for layer in split if layer.derived is not None}
    own = {
        layer.name: LayerValues(layer, by_name)
        for layer in split
        if known is not None and names.get(layer.name, layer.name) not in known
    }
    if not names and not own:
        return TrainedLayers(split, evaluate, framework)

    def found(values: Float64, wanted: Sequence[str]) -> Mapping[str, Float64]:
        needed = list(wanted)
        for name in needed:  # grows
            if name in own:
                needed += [b.source for b in by_name[name].branches if b.source not in needed]
        asked = dict.fromkeys(names.get(name, name) for name in needed if name not in own)
        answers = evaluate(values, list(asked))
        arranged: dict[str, Float64] = {}
        for layer in split:
            if layer.name not in needed:
                continue
            if layer.name in own:
                sources = [arranged[branch.source] for branch in layer.branches]
                arranged[layer.name] = own[layer.name](sources)
                continue
            answer = answers[names.get(layer.name, layer.name)]
            value = in_population_order(layer, np.asarray(answer, dtype=np.float64))
            arranged[layer.name] = value if layer.derived is None else derived_value(layer, value)
        return {name: arranged[name].transpose(0, 3, 1, 2) for name in wanted}

    in_order = tuple(replace(layer, arrangement=None) for layer in split)
    return TrainedLayers(in_order, found, framework)


def trained_model(model: Any) -> Trained:
    """A model of any framework that has an importer: a torch module, or what an importer gave.

    What this function returned is taken as it is, so that several questions about it import it once.

    Raises
    ------
    UnsupportedLayer
        It is none.
    """
    if isinstance(model, Trained):
        return model
    if isinstance(model, Original):
        return _OfOriginal(model)
    from eventsnn.convert.importers.torch_fx import import_torch
    from eventsnn.convert.importers.torch_prepare import first_channels
    from eventsnn.convert.spiking.stand_ins import has_spiking

    if has_spiking(model):
        raise UnsupportedLayer(
            f"{type(model).__name__} has spiking neurons: it is a spiking network already, which is read "
            "and not converted: eventsnn.from_spiking(model, input_shape), or eventsnn convert MODEL.pt "
            "--definition FILE.py:CALLABLE without --calibration"
        )
    found = Trained(lambda shape: import_torch(model, shape), channels=first_channels(model))
    found.trained_on = tuple(getattr(model, "trained_on", ()))
    return found


class _OfOriginal(Trained):
    """A model whose importer was given the shape of its samples, or read it in a file."""

    def __init__(self, original: Original) -> None:
        graph = original.graph
        first = layers_of_original(original).layers[0].shape
        self.shape: tuple[int, ...] = first if len(graph.nodes[graph.input].shape) > 1 else first[:1]
        channels = self.shape[0] if len(self.shape) > 1 else None
        super().__init__(lambda shape: original, Reading(lambda shape: shape == self.shape, channels))

    def original(self, shape: tuple[int, ...]) -> Original:
        """What the importer gave.

        Raises
        ------
        InvalidNetwork
            The samples have another shape.
        """
        if tuple(shape) != self.shape:
            raise InvalidNetwork(
                f"the model reads samples of shape {self.shape}, and the data have {tuple(shape)}; give "
                "data of the size that it was trained for"
            )
        return super().original(shape)
