"""NeuroBench: pairs of a value and a weight that are both other than zero (``SynapticOperations``).

``single_layer_MACs`` of NeuroBench 2.3.0, summed over calls: ones in place of all that is not zero, run
through the layer without its bias. A call counts as accumulates if its whole input holds nothing but 0, 1 and
-1, as multiply-accumulates otherwise. ``Dense`` has ones in place of everything, in every call. Convolutions
and linear layers; transposed convolutions, pools and additions are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from eventsnn.insight.countings.activity import Given
from eventsnn.insight.countings.base import Counted, Counting
from eventsnn.insight.countings.layers import Layer


class NeuroBench(Counting):
    """``Effective_MACs``, ``Effective_ACs``, ``Dense`` of each convolution and linear layer."""

    name: ClassVar[str] = "neurobench"
    package: ClassVar[str] = "neurobench 2.3.0"
    quantities: ClassVar[tuple[str, ...]] = ("effective_macs", "effective_acs", "dense")
    whole: ClassVar[bool] = True

    def modules(self) -> Mapping[str, Callable[[Layer, Given], Counted]]:
        return {"conv2d": _operations, "linear": _operations}


def _operations(layer: Layer, given: Given) -> Counted:
    graded = np.zeros(given.steps, dtype=np.bool_)
    graded[given.step[np.abs(given.value) != 1]] = True
    operations = layer.effective_fan_out[given.cell]
    multiplied = int(operations[graded[given.step]].sum())
    return multiplied, int(operations.sum()) - multiplied, given.steps * int(layer.fan_out.sum())
