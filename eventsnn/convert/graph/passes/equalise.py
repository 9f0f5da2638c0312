"""Cross-layer equalisation: channels of one layer with weights of one size before and behind it.

``relu(x / s) = relu(x) / s`` for s > 0, so that a channel's weights may be divided by s before a ReLU and
multiplied behind it. With ``s = sqrt(before * behind) / behind``, of the largest magnitudes of a channel's
weights, both come out equal, and so do the channels' activations: one scale, and few levels, then serve all.

M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-free quantization through weight equalization and
bias correction", ICCV 2019, arXiv:1906.04721, section 4.1. Departures: a layer may have several readers, of
which the largest weight counts; the range is the largest magnitude, for symmetric weights half of theirs.

Unlike the other passes it works on layers: whatever is linear between two of them is one operation there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from eventsnn.convert.graph.graph import Derived
from eventsnn.convert.graph.layers import Branch, Float64, Layer, Shape3
from eventsnn.convert.graph.linear.scaling import reading_scaled, scaled
from eventsnn.convert.graph.operations import Convolution, Dense, LinearMap, MaxPool, ReLU
from eventsnn.convert.graph.places import by_channel, taken

WEIGHTED = (Convolution, Dense, LinearMap)

SWEEPS = 20
"""Times that all layers are gone through, at most: each changes what its neighbours read."""

SETTLED = 0.01
"""A sweep that changes no channel by more than this share is the last."""


@dataclass(frozen=True, eq=False)
class Equalised:
    """Layers of the same function.

    Attributes
    ----------
    layers : tuple of Layer
        Values of those in ``factors``, and of pools that read them, are the original's divided by the
        factors, which ``derived`` says.
    factors : dict of str to float64 array, shape (channels,)
        By layer that was equalised.
    skipped : dict of str to str
        Why a layer was not, by its path; to follow its name in a sentence.
    """

    layers: tuple[Layer, ...]
    factors: dict[str, Float64]
    skipped: dict[str, str]


def equalised(layers: Sequence[Layer], known: Collection[str] | None = None) -> Equalised:
    """Every ReLU that weights alone lead to and from, equalised.

    Parameters
    ----------
    layers : sequence of Layer
    known : collection of str, optional
        Names of values that the original has; by default all.
    """
    found = {layer.name: layer for layer in layers}
    last = layers[-1].name
    skipped, chosen, pools = {}, [], {}
    for layer in layers:
        if layer.operation is None or not layer.branches or isinstance(layer.operation, MaxPool):
            continue
        pools[layer.name] = _pools_behind(layer, layers)
        reason = _hindered(layer, found, pools[layer.name], last)
        if reason is None:
            chosen.append(layer.name)
        else:
            skipped[layer.path] = reason
    factors = {name: np.ones(found[name].shape[0]) for name in chosen}
    for _ in range(SWEEPS):
        largest = 0.0
        for name in chosen:
            factor = _factor(found, name, pools[name])
            largest = max(largest, float(np.abs(np.log(factor)).max()))
            factors[name] = factors[name] * factor
            _rescale(found, name, pools[name], factor)
        if largest <= SETTLED:
            break
    for name in chosen:
        for each in (name, *pools[name]):
            found[each] = replace(found[each], derived=_derived(found[each], factors[name], known))
    return Equalised(tuple(found[layer.name] for layer in layers), factors, skipped)


def _pools_behind(layer: Layer, layers: Sequence[Layer]) -> list[str]:
    """Max-pools that read nothing but a layer, or nothing but such pools."""
    found = [layer.name]
    for other in layers:
        if isinstance(other.operation, MaxPool) and {b.source for b in other.branches} <= set(found):
            found.append(other.name)
    return found[1:]


def _hindered(layer: Layer, layers: dict[str, Layer], pools: list[str], last: str) -> str | None:
    """Why a layer cannot be equalised; None if it can."""
    operation = layer.operation
    if not isinstance(operation, ReLU):
        return f"is a {type(operation).__name__}, whose values do not scale with its sum"
    if operation.ceiling is not None:
        return f"has a ceiling of {operation.ceiling:g}, one for all channels"
    if any(not isinstance(branch.linear, WEIGHTED) for branch in layer.branches):
        return "adds up what comes without weights (a shortcut, an average)"
    values = {layer.name, *pools}
    if last in values:
        return "decides by its own values"
    for other in layers.values():
        if other.name in pools:
            if len(other.branches) > 1 or other.branches[0].indices is not None:
                return f"is pooled in {other.path!r} in another order"
            continue
        for branch in other.branches:
            if branch.source not in values:
                continue
            if not isinstance(branch.linear, WEIGHTED):
                return f"is read by {other.path!r} without weights (an addition, an average, a concatenation)"
            if isinstance(branch.linear, Convolution) and not _keeps_channels(branch, layers):
                return f"is read by {other.path!r} in another order"
    return None


def _keeps_channels(branch: Branch, layers: dict[str, Layer]) -> bool:
    """Whether each channel that a branch reads is of one channel of its source."""
    if branch.indices is None:
        return True
    size = prod(layers[branch.source].shape[1:])
    channels = np.where(branch.indices >= 0, branch.indices // size, -1).reshape(len(branch.indices), -1)
    return all(len(set(row[row >= 0].tolist())) <= 1 for row in channels)


def _factor(layers: dict[str, Layer], name: str, pools: list[str]) -> Float64:
    """The factor of each channel; 1 for those without any weight on one side."""
    layer = layers[name]
    before = np.zeros(layer.shape[0])
    for branch in layer.branches:
        size = _by_output(branch, layer)
        own = slice(branch.first_channel, branch.first_channel + len(size))
        before[own] = np.maximum(before[own], size)
    behind = np.zeros(layer.shape[0])
    for other in layers.values():
        for branch in other.branches if other.name not in pools else ():
            if branch.source in (name, *pools):
                behind = np.maximum(behind, _by_source(branch, layers[branch.source].shape))
    factor, both = np.ones(layer.shape[0]), (before > 0) & (behind > 0)
    factor[both] = np.sqrt(before[both] / behind[both])
    return factor


def _by_output(branch: Branch, layer: Layer) -> Float64:
    """The largest magnitude of the weights of each channel that a branch gives."""
    linear = branch.linear
    if isinstance(linear, LinearMap):
        rows = np.asarray(abs(linear.matrix).max(axis=1).todense()).reshape(-1)
    else:
        assert isinstance(linear, Convolution | Dense)
        rows = np.abs(linear.weight).reshape(len(linear.weight), -1).max(axis=1)
    if not isinstance(linear, Convolution):
        rows = rows.reshape(-1, prod(layer.shape[1:])).max(axis=1)
    return np.asarray(rows, dtype=np.float64)


def _by_source(branch: Branch, source: Shape3) -> Float64:
    """The largest magnitude of the weights that read each channel of a branch's source."""
    linear, read = branch.linear, source if branch.indices is None else branch.indices.shape
    if isinstance(linear, Convolution):
        inside = np.abs(linear.weight).max(axis=(2, 3)).reshape(linear.groups, -1, linear.weight.shape[1])
        columns = np.repeat(inside.max(axis=1).reshape(-1), prod(read[1:]))
    elif isinstance(linear, Dense):
        columns = np.abs(linear.weight).max(axis=0)
    else:
        assert isinstance(linear, LinearMap)
        columns = np.asarray(abs(linear.matrix).max(axis=0).todense()).reshape(-1)
    found = np.zeros(prod(source))
    place = np.arange(found.size) if branch.indices is None else branch.indices.reshape(-1)
    np.maximum.at(found, place[place >= 0], columns[place >= 0])
    return found.reshape(source[0], -1).max(axis=1)


def _rescale(layers: dict[str, Layer], name: str, pools: list[str], factor: Float64) -> None:
    """Divide a layer's values by factors, and multiply the weights that read them."""
    layer = layers[name]
    wide = factor.reshape(-1, 1, 1)
    branches = []
    for branch in layer.branches:
        assert isinstance(branch.linear, WEIGHTED)
        channels = len(_by_output(branch, layer))
        own = wide[branch.first_channel : branch.first_channel + channels]
        read = layers[branch.source].shape if branch.indices is None else branch.indices.shape
        linear = scaled(branch.linear, 1 / own, read, (channels, *layer.shape[1:]))
        branches.append(replace(branch, linear=linear))
    bias = by_channel(np.broadcast_to(layer.bias, layer.shape) / wide, layer.shape)
    layers[name] = replace(layer, branches=tuple(branches), bias=bias)
    for other in list(layers.values()):
        if other.name in pools or not {b.source for b in other.branches} & {name, *pools}:
            continue
        reading = [
            _reading(branch, other, layers[branch.source].shape, wide)
            if branch.source in (name, *pools)
            else branch
            for branch in other.branches
        ]
        layers[other.name] = replace(other, branches=tuple(reading))


def _reading(branch: Branch, layer: Layer, source: Shape3, factor: Float64) -> Branch:
    """A branch of the same values, whose source's are to be multiplied by a factor of each channel."""
    full, linear = np.broadcast_to(factor, source), branch.linear
    if branch.indices is not None:
        # Rows and columns of zeros have their channel's factor, so that it stays one a channel.
        full = taken(full, branch.indices, np.nan)
        there = ~np.isnan(full)
        largest = np.where(there, full, 0).max(axis=tuple(range(1, full.ndim)), keepdims=True)
        full = np.where(there, full, np.where(largest > 0, largest, 1.0))
    if isinstance(linear, Dense):
        return replace(branch, linear=replace(linear, weight=linear.weight * full.reshape(-1)))
    assert isinstance(linear, Convolution | LinearMap)
    new, left = reading_scaled(linear, full, full.shape, layer.shape)
    assert left is None
    return replace(branch, linear=new)


def _derived(layer: Layer, factor: Float64, known: Collection[str] | None) -> Derived | None:
    """How a layer's values follow from the original's."""
    wide = 1 / factor.reshape(-1, 1, 1)
    if layer.derived is not None:
        return replace(layer.derived, factor=wide * layer.derived.factor, shift=wide * layer.derived.shift)
    if known is not None and layer.name not in known:
        return None  # computed from the layers before it
    return Derived(layer.name, wide, np.zeros_like(wide))
