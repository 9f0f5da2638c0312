"""Countings of a run's samples as columns: in all, and by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import nearest, shown
from eventsnn.counting import COLUMN
from eventsnn.errors import InvalidRequest
from eventsnn.insight.countings.base import Counting
from eventsnn.insight.countings.neurobench import NeuroBench
from eventsnn.insight.countings.sinabs import Sinabs
from eventsnn.insight.countings.syops import Syops
from eventsnn.results.results import Results

COUNTINGS: dict[str, type[Counting]] = {kind.name: kind for kind in (Sinabs, Syops, NeuroBench)}
"""By name."""


def chosen_countings(names: Any) -> tuple[type[Counting], ...]:
    """Countings by name: a text with commas, or several names.

    Raises
    ------
    InvalidRequest
        None, one that is not known, or one twice.
    """
    listed = names.split(",") if isinstance(names, str) else names
    if not isinstance(listed, Iterable) or not (listed := [*listed]):
        raise InvalidRequest(f"countings are {shown(names)}; give some of {', '.join(COUNTINGS)}")
    for name in listed:
        if not isinstance(name, str) or name not in COUNTINGS:
            raise InvalidRequest(
                f"there is no counting {shown(name)}{nearest(name, COUNTINGS)}; there are "
                f"{', '.join(COUNTINGS)}"
            )
    if len(set(listed)) < len(listed):
        raise InvalidRequest(f"countings are {', '.join(listed)}: one is named twice; name each once")
    return tuple(COUNTINGS[name] for name in listed)


@dataclass(frozen=True, eq=False)
class Countings:
    """What other packages would have counted in each sample of a run, and the true count beside.

    Attributes
    ----------
    results : Results
        The run.
    kinds : tuple of Counting
    values : list of float64 arrays, shape (samples, layers, quantities)
        One for each of ``kinds``.
    """

    results: Results
    kinds: tuple[Counting, ...]
    values: list[NDArray[np.float64]]

    def columns(self, by_layer: bool = True) -> dict[str, NDArray[Any]]:
        """Columns of shape (samples,): ``sinabs_synops``, and by layer ``sinabs_synops.conv1``.

        The true count by layer is ``synaptic_operations.conv1``, by the population that the synapses end in;
        a layer of the others is a projection.
        """
        found: dict[str, NDArray[Any]] = {}
        if by_layer:
            true = self.results.table.counter(COLUMN["synaptic_operations"])
            for rank, name in enumerate(self.results.table.order):
                if self.kinds[0].network.incoming(name):
                    found[f"synaptic_operations.{name}"] = true[:, rank]
        for kind, values in zip(self.kinds, self.values, strict=True):
            for place, quantity in enumerate(kind.quantities):
                name, counted = f"{kind.name}_{quantity}", values[:, :, place]
                if kind.whole:
                    counted = counted.astype(np.int64)
                found[name] = counted.sum(axis=1)
                if by_layer:
                    layers = {f"{name}.{layer.name}": counted[:, i] for i, layer in enumerate(kind.layers)}
                    found |= layers
        return found

    def means(self) -> dict[str, Any]:
        """Means a sample, as JSON values: by counting and quantity, in all and by layer."""
        found: dict[str, Any] = {}
        for kind, values in zip(self.kinds, self.values, strict=True):
            mean = values.mean(axis=0)
            found[kind.name] = {
                "package": kind.package,
                **dict(zip(kind.quantities, mean.sum(axis=0).tolist(), strict=True)),
                "layers": {
                    layer.name: dict(zip(kind.quantities, row, strict=True))
                    for layer, row in zip(kind.layers, mean.tolist(), strict=True)
                },
            }
        return found
