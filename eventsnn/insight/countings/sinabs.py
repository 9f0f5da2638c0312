"""sinabs: the values that a layer reads times their fan-out, mean of a batch (``sinabs.hooks``).

``conv_layer_synops_hook`` and ``linear_layer_synops_hook`` of sinabs 3.1.3, times the steps: a sum over the
whole input, so that -1 takes away what +1 adds and a value of 0.4 counts 0.4. ``ModelSynopsHook`` then
multiplies by the areas of the average pools (``nn.AvgPool2d``) that it met since the last module with
weights, neurons in between or not. Only ``nn.Conv2d`` and ``nn.Linear`` are counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

from eventsnn.errors import InvalidRequest
from eventsnn.insight.countings.activity import Given
from eventsnn.insight.countings.base import Counted, Counting
from eventsnn.insight.countings.layers import WEIGHTED, Layer
from eventsnn.network import Network


class Sinabs(Counting):
    """``synops`` of each convolution and linear layer."""

    name: ClassVar[str] = "sinabs"
    package: ClassVar[str] = "sinabs 3.1.3"
    quantities: ClassVar[tuple[str, ...]] = ("synops",)
    needs_steps: ClassVar[bool] = False

    def __init__(self, network: Network, layers: tuple[Layer, ...]) -> None:
        super().__init__(network, layers)
        areas = {layer.name: math.prod(layer.kernel) for layer in layers if layer.module == "average_pool"}
        weighted = {layer.name for layer in layers if layer.module in WEIGHTED}
        carried: dict[str, int] = {}
        for population in network:
            found = {
                projection.name: 1
                if projection.name in weighted
                else carried[projection.source] * areas.get(projection.name, 1)
                for projection in network.incoming(population.name)
            }
            if len(set(found.values())) > 1:
                raise InvalidRequest(
                    f"sinabs multiplies by the average pools in front of a layer, and those in front of "
                    f"{population.name!r} differ by branch ({', '.join(sorted(found))}): what it would count "
                    "depends on the order in which a model lists its modules"
                )
            carried[population.name] = next(iter(found.values()), 1)
        self._scale = {layer.name: carried[layer.source] for layer in self.layers}

    def modules(self) -> Mapping[str, Callable[[Layer, Given], Counted]]:
        return {"conv2d": self._synops, "linear": self._synops}

    def _synops(self, layer: Layer, given: Given) -> Counted:
        # The folded pool divides by its area, and the hook multiplies by it.
        return (float(given.summed @ layer.fan_out[given.cell]) * self._scale[layer.name],)
