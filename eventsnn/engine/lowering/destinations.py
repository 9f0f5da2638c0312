"""Copies of spikes as records: where they land, and which synapses they have there."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import Synapses
from eventsnn.engine.lowering.cells import (
    Kernel,
    Lowered,
    Shape,
    convolution,
    convolution_cells,
    dense,
    dense_cells,
)
from eventsnn.engine.lowering.layout import fan_out_in_part
from eventsnn.hardware import Part
from eventsnn.network import Network, Projection


def _sparse_edges(
    sparse: Any, projection: Projection, target: Shape, part: Part
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Row pointers, targets in the target population, weights: those that end in a part."""
    cell, channel = np.divmod(sparse.indices, sparse.shape[2])
    channel = channel + projection.channel_offset
    y = cell // sparse.shape[1]
    inside = (y >= part.y0) & (y < part.y1) & (channel >= part.c0) & (channel < part.c1)
    counted = np.concatenate([[0], np.cumsum(inside)])
    return counted[sparse.indptr], (cell * target[2] + channel)[inside], sparse.weight[inside]


def _pointers(sorted_by: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(sorted_by, minlength=size))])


class Destinations:
    """Collects the arrays that deliveries read, copy by copy; ``rows`` are fields of ``DESTINATION``."""

    def __init__(self, network: Network, lowered: dict[str, Lowered]) -> None:
        self.network, self.lowered = network, lowered
        self.rank_of = {name: rank for rank, name in enumerate(network.order)}
        self.rows: list[dict[str, int]] = []
        self.stores: dict[str, list[NDArray[Any]]] = {
            name: [] for name in ("weights", "narrow", "cells", "edges", "fan_out", "effective")
        }
        self.sizes = dict.fromkeys(self.stores, 0)
        self.kernels: dict[str, tuple[Kernel, dict[str, int]]] = {}
        self.estimates = 0
        # Of each population of gates: per part, targets, and places of their sources in the estimates.
        self.windows: dict[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}

    def append(self, store: str, array: NDArray[Any]) -> int:
        """Put an array at the end of a store; returns where it starts."""
        start = self.sizes[store]
        self.stores[store].append(array)
        self.sizes[store] += len(array)
        return start

    def joined(self, store: str, dtype: Any) -> NDArray[Any]:
        """A store's arrays as one."""
        arrays = self.stores[store]
        return np.concatenate(arrays).astype(dtype, copy=False) if arrays else np.zeros(1, dtype=dtype)

    def synapses(self) -> Synapses:
        """Where spikes land."""
        cells = self.stores["cells"]
        return Synapses(
            cells=np.concatenate(cells).view(np.recarray) if cells else k.records(k.CELL, 0),
            edges=self.joined("edges", np.int64),
            weights=self.joined("weights", np.int32),
            narrow=self.joined("narrow", np.int16),
        )

    def fan_out(self) -> k.Records:
        """Records of ``FAN_OUT``."""
        columns = [self.joined(name, np.int32) for name in ("fan_out", "effective")]
        return k.as_records(np.stack(columns, axis=1), k.FAN_OUT)

    def add(self, projection: Projection, part: Part, offset: int, kind: int) -> None:
        """One copy of the spikes of a projection's source."""
        source = self.network.populations[projection.source].shape
        target = self.network.populations[projection.target].shape
        first, stop = projection.channels(source)
        full = fan_out_in_part(self.network, projection, part).astype(np.int32)
        effective = fan_out_in_part(self.network, projection, part, effective=True).astype(np.int32)
        self.append("effective", effective)
        row = {
            "source": self.rank_of[projection.source], "target": self.rank_of[projection.target],
            "target_kind": kind, "target_offset": offset,
            "delay": projection.delay, "fan_out": self.append("fan_out", full),
            "reaches_all": int((full > 0).all()),
            "channels": source[2], "low": max(part.c0 - first, 0), "high": min(part.c1, stop) - first,
        }  # fmt: skip
        row |= self._BY_KIND[self.lowered[projection.name].kind](self, projection, source, target, part)
        self.rows.append(row)

    def _sparse(self, projection: Projection, source: Shape, target: Shape, part: Part) -> dict[str, int]:
        pointers, targets, weights = _sparse_edges(self.lowered[projection.name], projection, target, part)
        return self._stored(weights) | {
            "is_sparse": 1, "edges": self.append("edges", pointers),
            "edge_targets": self.append("edges", targets),
        }  # fmt: skip

    def _gates(self, projection: Projection, source_shape: Shape, shape: Shape, part: Part) -> dict[str, int]:
        source, target, _ = self.network.edges(projection)
        _, width, channels = shape
        y, channel = target // (width * channels), target % channels
        inside = (y >= part.y0) & (y < part.y1) & (channel >= part.c0) & (channel < part.c1)
        source, target = source[inside].astype(np.int64), target[inside].astype(np.int64)
        order, first = np.lexsort((target, source)), self.estimates
        size = self.network.populations[projection.source].size
        self.estimates += size
        self.windows.setdefault(projection.target, []).append((target, first + source))
        return {
            "edges": self.append("edges", _pointers(source, size)),
            "edge_targets": self.append("edges", target[order]), "estimates": first,
        }  # fmt: skip

    def window_fields(self, name: str) -> dict[str, int]:
        """Where the windows of a population of gates are listed, sources ascending."""
        target, place = (np.concatenate(c) for c in zip(*self.windows[name], strict=True))
        order = np.lexsort((place, target))
        return {
            "windows": self.append("edges", _pointers(target, self.network.populations[name].size)),
            "window_sources": self.append("edges", place[order]),
        }

    def _dense(self, projection: Projection, source: Shape, target: Shape, part: Part) -> dict[str, int]:
        synapses: Any = self.lowered[projection.name]
        if projection.name not in self.kernels:
            self._keep(projection, dense(synapses, source))
        return self._rows(projection, source, target, part, dense_cells(synapses, source))

    def _convolution(
        self, projection: Projection, source: Shape, target: Shape, part: Part
    ) -> dict[str, int]:
        synapses: Any = self.lowered[projection.name]
        if projection.name not in self.kernels:
            self._keep(projection, convolution(synapses, source, synapses.target_shape(source)))
        cells = convolution_cells(self.kernels[projection.name][0], target, part)
        return self._rows(projection, source, target, part, cells)

    def _keep(self, projection: Projection, kernel: Kernel) -> None:
        """Weights stand once, however many copies of spikes read them."""
        self.kernels[projection.name] = (kernel, self._stored(kernel.weights))

    def _stored(self, weights: NDArray[np.int32]) -> dict[str, int]:
        """Where weights stand: in half the room if they fit, which is half the way to the processor."""
        limits = np.iinfo(np.int16)
        fits = weights.min(initial=0) >= limits.min and weights.max(initial=0) <= limits.max
        store = "narrow" if fits else "weights"
        stored = weights.astype(np.int16) if fits else weights
        return {"is_narrow": int(fits), "weights": self.append(store, stored)}

    def _rows(
        self, projection: Projection, source: Shape, target: Shape, part: Part, cells: k.Records
    ) -> dict[str, int]:
        kernel, stored = self.kernels[projection.name]
        first, stop = projection.channels(source)
        whole = first == 0 and stop == target[2] and part.c0 == 0 and part.c1 == target[2]
        cells.target += first
        return stored | {
            "cells": self.append("cells", cells), "channel_block": kernel.channel_block,
            "merged": int(kernel.x.step == 1 and kernel.out_group == target[2] and whole),
            "in_group": kernel.in_group, "out_group": kernel.out_group,
            "row_targets": kernel.y.step * target[1] * target[2], "piece_targets": kernel.x.step * target[2],
            "row_pixels": kernel.y.step * target[1], "step_pixels": kernel.x.step,
        }  # fmt: skip

    _BY_KIND: ClassVar = {
        "max_pool": _gates, "sparse": _sparse, "dense": _dense, "conv2d": _convolution,
    }  # fmt: skip
