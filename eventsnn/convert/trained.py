"""A trained model of any framework as layers, with the function that evaluates it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventsnn.convert.graph.graph import Evaluate, Float64, Original
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.lowering.pools import with_pools_of_one_source
from eventsnn.convert.reading import Reading


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


@dataclass(frozen=True, eq=False)
class Trained:
    """A model, before the shape of its samples is known.

    Attributes
    ----------
    reading : Reading
    original : callable
        What its importer makes of it for samples of a shape.
    """

    reading: Reading
    original: Callable[[tuple[int, ...]], Original]

    def layers_of(self, shape: tuple[int, ...]) -> TrainedLayers:
        """The layers for samples of a shape.

        Raises
        ------
        UnsupportedLayer, InvalidNetwork
            What an importer or a pass refuses.
        """
        from eventsnn.convert.graph.layering import layers_of

        original = self.original(shape)
        return layered(layers_of(original.graph), original.evaluate, original.framework)


def layered(layers: Sequence[Layer], evaluate: Evaluate, framework: str) -> TrainedLayers:
    """Layers as families take them: the input first, every max-pool over one layer."""
    split, names = with_pools_of_one_source(layers)
    if not names:
        return TrainedLayers(split, evaluate, framework)

    def by_part(values: Float64, wanted: Sequence[str]) -> Mapping[str, Float64]:
        found = evaluate(values, list(dict.fromkeys(names.get(name, name) for name in wanted)))
        return {name: found[names.get(name, name)] for name in wanted}

    return TrainedLayers(split, by_part, framework)


def trained_model(model: Any) -> Trained:
    """A model of any framework that has an importer.

    Raises
    ------
    UnsupportedLayer
        It is none.
    """
    raise NotImplementedError(model)
