"""How a model reads its input: what calibration data need to know of it before its graph has shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eventsnn.convert.graph.graph import Graph
from eventsnn.convert.graph.operations import Convolution


@dataclass(frozen=True)
class Reading:
    """What the first layers tell.

    Attributes
    ----------
    rows : bool
        Samples are rows of features, not images.
    channels : int or None
        Of an image, where a convolution comes first.
    takes : callable
        Whether samples of a shape, (channels, height, width) or (features,), can be read.
    """

    rows: bool
    channels: int | None
    takes: Callable[[tuple[int, ...]], bool]


def reading_of(graph: Graph) -> Reading:
    """How a graph, whose shapes are known, reads its input."""
    shape = graph.nodes[graph.input].shape
    readers = [node.operation for node in graph.readers(graph.input)]
    convolved = any(isinstance(operation, Convolution) for operation in readers)
    return Reading(len(shape) == 1, shape[0] if convolved else None, lambda given: given == shape)
