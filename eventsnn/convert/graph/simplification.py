"""All passes in their order."""

from __future__ import annotations

from eventsnn.convert.graph.graph import Graph
from eventsnn.convert.graph.passes.activations import activate_before_pools
from eventsnn.convert.graph.passes.arrange import arrange
from eventsnn.convert.graph.passes.batch_norm import fold_backwards, fold_forwards
from eventsnn.convert.graph.passes.merge_linear import AveragePools, merge_linear
from eventsnn.convert.graph.passes.plain import drop_plain
from eventsnn.convert.graph.passes.softmax import remove_softmax


def simplified(graph: Graph, average_pools: AveragePools = "population") -> Graph:
    """A graph as all passes leave it: what layering reads. Its class scores have the same order.

    Parameters
    ----------
    graph : Graph
        As an importer gives it.
    average_pools : str
        ``"folded"`` into what follows, or each a ``"population"`` of its own.

    Raises
    ------
    UnsupportedLayer
        A softmax inside, values of another rank than 1 or 3, layers too large to be merged; by name.
    """
    graph = drop_plain(remove_softmax(arrange(drop_plain(graph))))
    graph = fold_forwards(fold_backwards(graph))
    graph = drop_plain(activate_before_pools(graph))
    graph = merge_linear(graph, average_pools)
    return arrange(fold_forwards(fold_backwards(graph)))  # averages that merged are in no factor's way now
