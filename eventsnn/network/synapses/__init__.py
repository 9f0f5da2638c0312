"""The kinds of synapses a projection can have: one module per family.

Every kind answers the same questions for a source shape ``(y, x, channel)``:

- ``target_shape(source)``: the shape its synapses end in;
- ``fan_out(source, target, effective, box)``: existing synapses of each source neuron;
- ``edges(source, target)``: the explicit list of its synapses;
- ``dense_macs(source)``: the border-blind count the literature quotes.

``target`` is what ``target_shape`` gave; where these channels lie in a larger population is the
projection's business (``Projection.channel_offset``). A zero weight is a synapse like any other;
*effective* fan-out leaves it out. Weights are int32 quanta.

A new kind is a frozen dataclass of arrays, axes and whole numbers with a ``kind`` of its own, listed in
``SYNAPSE_KINDS``: the network file reads and writes it by its fields.
"""

from typing import Any

from eventsnn.network.synapses.axis import Axis
from eventsnn.network.synapses.base import Box, Int32, Int64, Shape
from eventsnn.network.synapses.conv2d import Conv2d, conv1d
from eventsnn.network.synapses.dense import Dense
from eventsnn.network.synapses.per_channel import AveragePool, Identity, MaxPool, SumPool, Upsample
from eventsnn.network.synapses.sparse import Sparse

Synapses = Conv2d | Dense | Sparse | AveragePool | SumPool | MaxPool | Upsample | Identity
SYNAPSE_KINDS: dict[str, type[Any]] = {
    cls.kind: cls for cls in (Conv2d, Dense, Sparse, AveragePool, SumPool, MaxPool, Upsample, Identity)
}

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
]
