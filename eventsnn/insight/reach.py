"""Which neurons reach a neuron: one target at a time, since all synapses of a large layer are too many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsnn.network import Network, Projection


def sources_of(network: Network, projection: Projection, target: int) -> NDArray[np.bool_]:
    """Source neurons of a projection with a synapse to a neuron, bool, shape (source neurons,)."""
    source, reached = (network.populations[name].shape for name in (projection.source, projection.target))
    return projection.heard_by(source, reached, target)
