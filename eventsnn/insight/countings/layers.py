"""A network as the modules of a tensor library: what the counters of such libraries look at.

A projection is one module, or none where a tensor library has an operator in its place (``+``, slicing); a
folded average pool is a module of its own in front of it; neurons that integrate and fire are one, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.network import Network, Projection
from eventsnn.network.synapses import Axis, Conv2d, Dense, Shape, Synapses

Int64 = NDArray[np.int64]
WEIGHTED = ("conv2d", "conv_transpose2d", "linear")


@dataclass(frozen=True, eq=False)
class Layer:
    """A module, and what it reads.

    Attributes
    ----------
    name : str
        The projection's; with ``.pool`` its folded pool's; with ``.neurons`` a population's.
    module : str
        ``conv2d``, ``conv_transpose2d``, ``linear``, ``average_pool``, ``max_pool``, ``upsample``, or
        ``neurons``.
    source, target : str
        Populations.
    shape : (int, int, int)
        Of the tensor it reads, pooled cells where a pool is folded.
    kernel : (int, int)
        Rows and columns of a pool.
    pool : (int, int)
        Rows and columns of source neurons whose mean is a value of that tensor.
    frame : (int, int, int, int)
        Zeros around that tensor, in it: above, below, left, right. Modules pad alike on both sides; what is
        padded otherwise is so before.
    synapses : Synapses or None
        From ``shape`` on.
    delay : int
        Ticks after which the tensor holds a spike.
    biased : bool
        Whether the module adds a bias.
    """

    name: str
    module: str
    source: str
    target: str
    shape: Shape
    kernel: tuple[int, int] = (1, 1)
    pool: tuple[int, int] = (1, 1)
    frame: tuple[int, int, int, int] = (0, 0, 0, 0)
    synapses: Synapses | None = None
    delay: int = 0
    biased: bool = False

    @property
    def size(self) -> int:
        """Values of the tensor that it reads."""
        return math.prod(self.shape)

    @property
    def area(self) -> int:
        """Source neurons in a pooled cell."""
        return math.prod(self.pool)

    @cached_property
    def own(self) -> Shape:
        """The shape of what it gives, before it is joined with others'."""
        assert self.synapses is not None
        return self.synapses.target_shape(self.shape)

    @cached_property
    def fan_out(self) -> Int64:
        """Existing synapses of each value, zero weights included, shape (size,)."""
        assert self.synapses is not None
        return self.synapses.fan_out(self.shape, self.own)

    @cached_property
    def effective_fan_out(self) -> Int64:
        """The same without zero weights."""
        assert self.synapses is not None
        return self.synapses.fan_out(self.shape, self.own, effective=True)

    def cells(self, source: Shape) -> Int64:
        """The value that each source neuron is part of, -1 where it fills no whole cell, (neurons,)."""
        if source == self.shape:
            return np.arange(self.size)
        above, below, left, right = self.frame
        y, x, channel = np.indices(source, dtype=np.int64)
        y, x = y // self.pool[0] + above, x // self.pool[1] + left
        cell = (y * self.shape[1] + x) * self.shape[2] + channel
        inside = (y < self.shape[0] - below) & (x < self.shape[1] - right)
        return np.where(inside, cell, -1).reshape(-1)


def layers_of(network: Network) -> tuple[Layer, ...]:
    """Every module of a network, those that feed others first.

    Raises
    ------
    InvalidRequest
        Synapses that no module has, or recurrent ones, which no counter follows.
    """
    if network.cycles:
        raise InvalidRequest(
            f"the projections form a cycle through {', '.join(sorted(network.cycles))}; the counters of "
            "other libraries do not follow recurrent projections, so there is nothing of theirs to give"
        )
    found: list[Layer] = []
    for population in network:
        weighted = [p for p in network.incoming(population.name) if _module(p, network) in WEIGHTED]
        for projection in network.incoming(population.name):
            biased = projection.bias is not None
            if population.bias is not None and projection in weighted[:1]:
                biased = True
            found += _of_projection(projection, network, biased)
        if population.neuron.rule == "rate":
            name = population.name
            found.append(Layer(f"{name}.neurons", "neurons", name, name, population.shape))
    return tuple(found)


def _of_projection(projection: Projection, network: Network, biased: bool) -> list[Layer]:
    module = _module(projection, network)
    if module is None:
        return []
    shape = network.populations[projection.source].shape
    pool, synapses = _unpooled(projection.synapses)
    frame, synapses = _evenly_padded(synapses)
    cells = (shape[0] // pool[0] + frame[0] + frame[1], shape[1] // pool[1] + frame[2] + frame[3], shape[2])
    kernel = _kernel(synapses) if module.endswith("_pool") else (1, 1)
    name, source, target, delay = projection.name, projection.source, projection.target, projection.delay
    layer = Layer(name, module, source, target, cells, kernel, pool, frame, synapses, delay, biased)
    if layer.area == 1:
        return [layer]
    return [Layer(f"{name}.pool", "average_pool", source, target, shape, pool, delay=delay), layer]


def _kernel(synapses: Any) -> tuple[int, int]:
    return synapses.y.taps, synapses.x.taps


def _unpooled(synapses: Any) -> tuple[tuple[int, int], Synapses]:
    """The folded average pool of synapses, and they themselves behind it."""
    if isinstance(synapses, Dense):
        return synapses.pool, replace(synapses, pool=(1, 1))
    if isinstance(synapses, Conv2d):
        y, x = (replace(axis, pool=1) for axis in (synapses.y, synapses.x))
        return (synapses.y.pool, synapses.x.pool), replace(synapses, y=y, x=x)
    axes = [getattr(synapses, name, None) for name in ("y", "x")]
    if any(isinstance(axis, Axis) and axis.pool > 1 for axis in axes):
        raise InvalidRequest(
            f"synapses of kind {synapses.kind} with a folded pool are no module of another library; give the "
            "pool a population of its own (convert with average pools as populations)"
        )
    return (1, 1), synapses


def _evenly_padded(synapses: Any) -> tuple[tuple[int, int, int, int], Synapses]:
    """What is padded before a window that is not padded alike on both sides, and the synapses without."""
    axes = [getattr(synapses, name, None) for name in ("y", "x")]
    if all(not isinstance(a, Axis) or a.transposed or a.pad_before == a.pad_after for a in axes):
        return (0, 0, 0, 0), synapses
    y, x = (replace(axis, pad_before=0, pad_after=0) for axis in (synapses.y, synapses.x))
    above, below, left, right = (
        pad for axis in (synapses.y, synapses.x) for pad in (axis.pad_before, axis.pad_after)
    )
    return (above, below, left, right), replace(synapses, y=y, x=x)


def _module(projection: Projection, network: Network) -> str | None:
    kind = projection.synapses.kind
    if kind not in MODULES:
        raise InvalidRequest(
            f"projection {projection.name!r} has synapses of kind {kind!r}, of which nobody knows what "
            f"module they would be elsewhere; countings know {', '.join(sorted(MODULES))}"
        )
    return MODULES[kind](projection, network)


def _convolution(projection: Projection, network: Network) -> str:
    del network
    synapses: Any = projection.synapses
    axes = (synapses.y, synapses.x)
    if any(axis.transposed and axis.pad_after > axis.pad_before + axis.output_padding for axis in axes):
        raise InvalidRequest(
            f"projection {projection.name!r} is transposed and cut off more at its end than at its "
            "beginning, which no module of another library is"
        )
    transposed = {axis.transposed for axis in axes if axis.taps > 1 or axis.stride > 1}
    if len(transposed) > 1:
        raise InvalidRequest(
            f"projection {projection.name!r} is transposed along one axis alone, which no module of another "
            "library is"
        )
    return "conv_transpose2d" if True in transposed else "conv2d"


def _moved(projection: Projection, network: Network) -> None:
    """Listed synapses are slicing, padding, flattening or the like if each target has one at most."""
    source, target = (network.populations[end].shape for end in (projection.source, projection.target))
    _, targets, _ = projection.edges(source, target)
    if np.bincount(targets, minlength=1).max(initial=0) > 1:
        raise InvalidRequest(
            f"projection {projection.name!r} lists its synapses one by one (sparse), several to a target: "
            "nobody knows what module that would be elsewhere, and so what its counter would count"
        )


MODULES: dict[str, Callable[[Projection, Network], str | None]] = {
    "conv2d": _convolution,
    "dense": lambda projection, network: "linear",
    "average_pool": lambda projection, network: "average_pool",
    "max_pool": lambda projection, network: "max_pool",
    # What moves or adds values is an operator there, and sinabs' own sum pool has no counter.
    "sum_pool": lambda projection, network: None,
    "identity": lambda projection, network: None,
    "upsample": lambda projection, network: "upsample",
    "sparse": _moved,
}
"""The module that synapses are elsewhere, by their kind; None: an operator, which no counter sees."""
