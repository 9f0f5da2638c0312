"""Max-pools over concatenated layers as one pool for each of them: gates read one population."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from scipy import sparse

from eventsnn.convert.graph.graph import Derived
from eventsnn.convert.graph.layers import Branch, Layer
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, LinearMap, MaxPool
from eventsnn.convert.lowering.listed import ENTRIES, own_channels

Shape3 = tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """Channels ``first`` to ``end`` of a pool, as a layer of their own."""

    name: str
    first: int
    end: int


def with_pools_of_one_source(layers: Sequence[Layer]) -> tuple[tuple[Layer, ...], dict[str, str]]:
    """The same layers, every max-pool behind a concatenation split; those that read it read the parts.

    Returns
    -------
    layers : tuple of Layer
    names : dict of str to str
        Of each part: the name in the original of the value that it is channels of.
    """
    found: list[Layer] = []
    names: dict[str, str] = {}
    shapes = {layer.name: layer.shape for layer in layers}
    parts: dict[str, list[Part]] = {}
    for layer in layers:
        branches = tuple(
            piece
            for branch in layer.branches
            for piece in _pieces(branch, layer, shapes[branch.source], parts.get(branch.source))
        )
        layer = replace(layer, branches=branches)
        if not isinstance(layer.operation, MaxPool) or len(branches) < 2 or layer is layers[-1]:
            found.append(layer)
            continue
        parts[layer.name] = []
        arrangement = layer.arrangement
        if arrangement is None:
            arrangement = np.arange(prod(layer.shape)).reshape(layer.shape)
        for number, branch in enumerate(branches, start=1):
            read = shapes[branch.source] if branch.indices is None else branch.indices.shape
            part = Part(f"{layer.name}#{number}", branch.first_channel, branch.first_channel + read[0])
            parts[layer.name].append(part)
            names[part.name] = layer.name
            shapes[part.name] = (read[0], *layer.shape[1:])
            found.append(
                replace(
                    layer,
                    name=part.name,
                    shape=shapes[part.name],
                    branches=(replace(branch, first_channel=0),),
                    bias=np.zeros((1, 1, 1)),
                    arrangement=arrangement[part.first : part.end],
                    derived=_part_of(layer, part),
                )
            )
    return tuple(found), names


def _part_of(layer: Layer, part: Part) -> Derived | None:
    """How the values of a part follow from the original's."""
    if layer.derived is None:
        return None
    factor, shift = (
        np.broadcast_to(each, layer.shape)[part.first : part.end]
        for each in (layer.derived.factor, layer.derived.shift)
    )
    return replace(layer.derived, factor=factor, shift=shift)


def _pieces(branch: Branch, layer: Layer, source: Shape3, parts: list[Part] | None) -> list[Branch]:
    """A branch that reads a split pool as one branch a part."""
    if parts is None:
        return [branch]
    if branch.indices is None and type(branch.linear) in SPLIT:
        pieces = [SPLIT[type(branch.linear)](branch, part) for part in parts]
        if None not in pieces:
            return [piece for piece in pieces if piece is not None]
    if isinstance(branch.linear, Dense):
        return [_columns(branch, branch.linear, source, part) for part in parts]
    return [_entries(branch, layer, source, part) for part in parts]


def _of_channels(branch: Branch, part: Part) -> Branch:
    factor = branch.factor
    if factor is not None and factor.ndim == 3 and factor.shape[0] > 1:
        factor = factor[part.first : part.end]
    return replace(branch, source=part.name, factor=factor, first_channel=branch.first_channel + part.first)


def _convolution(branch: Branch, part: Part) -> Branch | None:
    linear = branch.linear
    assert isinstance(linear, Convolution)
    if linear.groups > 1:
        return None
    weight = np.ascontiguousarray(linear.weight[:, part.first : part.end])
    return replace(branch, source=part.name, linear=replace(linear, weight=weight))


SPLIT: dict[type[Any], Callable[[Branch, Part], Branch | None]] = {
    type(None): _of_channels,
    AveragePool: _of_channels,
    Convolution: _convolution,
}


def _columns(branch: Branch, linear: Dense, source: Shape3, part: Part) -> Branch:
    """The columns of a dense layer that read a part."""
    place = np.arange(prod(source)) if branch.indices is None else branch.indices.reshape(-1)
    first, end = (channel * prod(source[1:]) for channel in (part.first, part.end))
    own = (place >= first) & (place < end)
    dense = Dense(np.ascontiguousarray(linear.weight[:, own]), linear.bias)
    return replace(branch, source=part.name, linear=dense, indices=place[own] - first)


def _entries(branch: Branch, layer: Layer, source: Shape3, part: Part) -> Branch:
    """Whatever reads a part, entry by entry."""
    read = source if branch.indices is None else branch.indices.shape
    output, place, weight = ENTRIES[type(branch.linear)](branch.linear, read, layer)
    if branch.indices is not None:
        place = branch.indices.reshape(-1)[place]
    first, end = (channel * prod(source[1:]) for channel in (part.first, part.end))
    own = (place >= first) & (place < end)
    outputs = own_channels(branch, layer, source) * prod(layer.shape[1:])
    matrix = sparse.coo_array(
        (weight[own], (output[own], place[own] - first)), shape=(outputs, end - first)
    ).tocsr()
    return replace(branch, source=part.name, linear=LinearMap(matrix, np.zeros((1, 1, 1))), indices=None)
