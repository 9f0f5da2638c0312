"""Max pools as the synapses of gates."""

from __future__ import annotations

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import MaxPool
from eventsnn.convert.lowering.grids import grid_of, window_axis
from eventsnn.errors import UnsupportedLayer
from eventsnn.network import MaxPool as Gates

Shape3 = tuple[int, int, int]


def gate_synapses(layer: Layer, source: Shape3, padded: bool) -> Gates:
    """Which neurons each gate compares.

    Parameters
    ----------
    layer : Layer
        A max-pool, with one branch.
    source : (int, int, int)
        Shape (channels, y, x) of the layer that it reads.
    padded : bool
        Whether zeros among what it reads may be left out: no count is below what stands for 0.

    Raises
    ------
    UnsupportedLayer
        Windows that do not lie regularly, rearranged values that are no grid, or zeros that would count.
    """
    (branch,) = layer.branches
    operation = layer.operation
    assert isinstance(operation, MaxPool)
    grid = grid_of(branch.indices, source)
    read = source if branch.indices is None else branch.indices.shape
    if grid is None or grid.shift or read[0] != source[0]:
        raise UnsupportedLayer(
            f"layer {layer.path!r} ({layer.origin}) pools values in another order than those of the layer "
            "before it; gates have windows over rows and columns. Rearrange them behind the pool"
        )
    if not padded and branch.indices is not None and (branch.indices < 0).any():
        raise UnsupportedLayer(
            f"layer {layer.path!r} ({layer.origin}) compares values below zero with zeros that were put "
            "around them; pool without them, or put a ReLU before the pool"
        )
    rows, columns = window_axis(operation.rows, grid.rows), window_axis(operation.columns, grid.columns)
    if rows is None or columns is None:
        raise UnsupportedLayer(
            f"layer {layer.path!r} ({layer.origin}) has windows of no regular size and distance; use a size "
            "that divides its input, or kernel_size and stride"
        )
    return Gates(rows, columns)
