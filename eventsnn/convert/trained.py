"""A trained model of any framework as layers, with the function that evaluates it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from eventsnn.convert.activations import in_population_order
from eventsnn.convert.graph.graph import Evaluate, Float64, Original
from eventsnn.convert.graph.layering import layers_of
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.passes.merge_linear import AveragePools
from eventsnn.convert.lowering.pools import with_pools_of_one_source
from eventsnn.convert.lowering.values import LayerValues
from eventsnn.convert.reading import Reading, reading_of
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
    """

    layers: tuple[Layer, ...]
    evaluate: Evaluate
    framework: str

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
    """

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

    def layers_of(self, shape: tuple[int, ...], average_pools: str = "folded") -> TrainedLayers:
        """The layers for samples of a shape.

        Raises
        ------
        UnsupportedLayer, InvalidNetwork
            What an importer or a pass refuses.
        """
        original = self.original(shape)
        layers = layers_of(original.graph, cast(AveragePools, average_pools))
        return layered(layers, original.evaluate, original.framework, original.graph.nodes)


def layered(
    layers: Sequence[Layer], evaluate: Evaluate, framework: str, known: Container[str] | None = None
) -> TrainedLayers:
    """Layers as families take them: every max-pool over one layer, every layer's value to be had.

    ``known`` are the names that ``evaluate`` answers; by default all.
    """
    split, names = with_pools_of_one_source(layers)
    by_name = {layer.name: layer for layer in split}
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
            elif own:
                answer = answers[names.get(layer.name, layer.name)]
                arranged[layer.name] = in_population_order(layer, np.asarray(answer, dtype=np.float64))
        return {
            name: arranged[name].transpose(0, 3, 1, 2) if name in own else answers[names.get(name, name)]
            for name in wanted
        }

    return TrainedLayers(split, found, framework)


def trained_model(model: Any) -> Trained:
    """A model of any framework that has an importer: a torch module, or what an importer gave.

    Raises
    ------
    UnsupportedLayer
        It is none.
    """
    if isinstance(model, Original):
        return Trained(lambda shape: _of_shape(model, shape), reading_of(model.graph))
    from eventsnn.convert.importers.torch_fx import import_torch
    from eventsnn.convert.importers.torch_prepare import first_channels

    return Trained(lambda shape: import_torch(model, shape), channels=first_channels(model))


def _of_shape(original: Original, shape: tuple[int, ...]) -> Original:
    own = original.graph.nodes[original.graph.input].shape
    if own != shape:
        raise InvalidNetwork(f"the model reads samples of shape {own}, and gets {shape}; check the data")
    return original
