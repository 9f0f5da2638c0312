"""The kinds of synapses a projection can have: one module per family.

Every kind answers the questions of ``Synapses`` for a source shape ``(y, x, channel)``. Where its target
channels lie in a larger population is the projection's business (``Projection.channel_offset``). A zero
weight is a synapse like any other; *effective* fan-out leaves it out. Weights are int32 quanta.

A new kind is a frozen dataclass of arrays, axes and whole numbers derived from ``Synapses``, with a ``kind``
of its own, given to ``register_synapses``: the network file reads and writes it by its fields.
"""

from eventsnn.network.synapses.axis import Axis
from eventsnn.network.synapses.base import (
    SYNAPSE_KINDS,
    Box,
    Int32,
    Int64,
    Shape,
    Synapses,
    register_synapses,
)
from eventsnn.network.synapses.conv2d import Conv2d, conv1d
from eventsnn.network.synapses.dense import Dense
from eventsnn.network.synapses.per_channel import AveragePool, Identity, MaxPool, SumPool, Upsample
from eventsnn.network.synapses.sparse import Sparse

for _kind in (Conv2d, Dense, Sparse, AveragePool, SumPool, MaxPool, Upsample, Identity):
    register_synapses(_kind)

__all__ = [
    "SYNAPSE_KINDS",
    "AveragePool",
    "Axis",
    "Box",
    "Conv2d",
    "Dense",
    "Identity",
    "Int32",
    "Int64",
    "MaxPool",
    "Shape",
    "Sparse",
    "SumPool",
    "Synapses",
    "Upsample",
    "conv1d",
    "register_synapses",
]
