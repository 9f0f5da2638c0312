"""A graph as layers: one population each, with everything linear between them in its branches.

The form that passes end in and families (signed, rate) lower to a network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.graph import Derived
from eventsnn.convert.graph.operations import (
    AveragePool,
    Convolution,
    Dense,
    Input,
    LinearMap,
    MaxPool,
    Quantised,
    ReLU,
    Spiking,
    Step,
)

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Shape3 = tuple[int, int, int]

Linear = Convolution | Dense | AveragePool | LinearMap
Activation = ReLU | Quantised | Step | Spiking


@dataclass(frozen=True, eq=False)
class Branch:
    """What one layer gives another: ``factor * linear(rearranged values of the source)``, without bias.

    Attributes
    ----------
    source : str
        Name of a layer before.
    linear : Convolution, Dense, AveragePool, LinearMap or None
        Its bias is zero: biases are added up in the layer. None: the values themselves.
    indices : int64 array or None
        What ``linear`` reads, of its input's shape (channels, y, x): places in the source's flattened
        (channels, y, x) value, -1 for a zero. None: the value itself; Dense and LinearMap read it
        flattened in that order.
    factor : float64 array or None
        Of the output, broadcasts to the branch's output shape; only where ``linear`` has no weights to
        hold it (AveragePool, None).
    first_channel : int
        Where the branch's channels begin in the layer's: concatenation before a pool or an activation.
    """

    source: str
    linear: Linear | None
    indices: Int64 | None = None
    factor: Float64 | None = None
    first_channel: int = 0


@dataclass(frozen=True, eq=False)
class Layer:
    """One population.

    Attributes
    ----------
    name : str
        Of the node whose value it has; one that the original does not know where it never has that
        value: an activation or a factor that moved past a pool.
    path : str
        Name of the weighted node (of the pool, the addition) that it comes from, for messages.
    origin : str
        The original's word for that.
    operation : Input, ReLU, Quantised, Step, Spiking, MaxPool or None
        None: the class scores, read as charge, if it is the last; else a linear population (an average,
        what a max-pool reads unrectified). Softmax at the end changes no decision and is left out.
    shape : tuple of int
        (channels, y, x); features are (features, 1, 1).
    branches : tuple of Branch
        None for the input. Those of a max-pool have ``linear`` None and no factor, and lie side by side:
        each channel of what is pooled comes from one.
    bias : float64 array
        Broadcasts to ``shape``.
    arrangement : int64 array or None
        As of ``Node``: places of these values in the original's flattened value.
    folded : tuple of str
        Names of the original's nodes that are part of it, in order.
    derived : Derived or None
        Where the original does not know ``name``: how to have the layer's values from one that it knows.
        None there: in no such way.
    """

    name: str
    path: str
    origin: str
    operation: Input | Activation | MaxPool | None
    shape: Shape3
    branches: tuple[Branch, ...]
    bias: Float64
    arrangement: Int64 | None = None
    folded: tuple[str, ...] = ()
    derived: Derived | None = None
