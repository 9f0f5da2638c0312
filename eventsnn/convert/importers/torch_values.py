"""What the calls of a traced model compute, and the graph's nodes for it.

A value gets a node when an operation of the graph computes it. Two kinds wait until something reads them,
as only then it is known what they are part of: curves (``round(x / s)``, of which scales and clips may
follow) and sums (of which ``(y - x).detach() + x`` cancels). What has no conversion is refused when
something reads it: a value that nothing reads, or that cancels, does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from torch import fx

from eventsnn.convert.graph.graph import Node, Shape
from eventsnn.convert.graph.operations import Add, Affine, Operation, Quantised, Rearrange, ReLU, Step
from eventsnn.convert.importers.curves import Curve, Jump, Ramp, Stairs
from eventsnn.errors import UnsupportedLayer

Float64 = NDArray[np.float64]
Change = Callable[[Float64], Float64]

EQUAL = 1e-12
"""Two scales that differ by less, relatively, differ by rounding."""


@dataclass(frozen=True, eq=False)
class Site:
    """One call of the traced model.

    Attributes
    ----------
    node : fx.Node
    name : str
        What its value is called, before it is made unique.
    origin : str
        ``Conv2d``, ``torch.cat``.
    owner : str
        "module 'layer1.0'", for messages.
    place : str
        The same with what it does: "module 'layer1.0' calls torch.cat".
    """

    node: fx.Node
    name: str
    origin: str
    owner: str
    place: str

    def refusal(self, text: str) -> UnsupportedLayer:
        """The error that says what stands in the way here."""
        return UnsupportedLayer(f"{self.place}, which{text}")


@dataclass(eq=False)
class Value:
    """One sample's value of a call (of one of its results).

    Attributes
    ----------
    shape : tuple of int
    name : str or None
        Of its node in the graph; None: it has none yet.
    base, curve
        It is this curve of another value.
    terms : dict of Value to float, or None
        It is the sum of other values with these factors.
    constant : float or array
        Added to the sum: only where a value without conversion is among the terms.
    refusal : UnsupportedLayer or None
        It has no conversion.
    """

    site: Site
    shape: Shape = ()
    result: int | None = None
    name: str | None = None
    base: Value | None = None
    curve: Curve | None = None
    terms: dict[Value, float] | None = None
    constant: Any = None
    refusal: UnsupportedLayer | None = None


def depends(value: Any) -> bool:
    """Whether a call's value is one of the network, or several of them: else it is a constant."""
    return isinstance(value, Value) or (
        isinstance(value, tuple) and any(isinstance(part, Value) for part in value)
    )


@dataclass(frozen=True, eq=False)
class Place:
    """Where the original has a node's value: a call, which of its results, and what to make of it."""

    node: fx.Node
    result: int | None = None
    change: Change | None = None

    def then(self, change: Change) -> Place:
        """A further change after it."""
        first = self.change
        return Place(self.node, self.result, change if first is None else lambda value: change(first(value)))


class Nodes:
    """The graph's nodes as they are found, and where the original has their values."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.places: dict[str, Place] = {}

    def add(
        self,
        wanted: str,
        operation: Operation,
        inputs: tuple[str, ...],
        shape: Shape,
        origin: str,
        place: Place,
    ) -> str:
        """A new node; its unique name."""
        wanted = (wanted or origin.lower()).replace("/", "_")
        name, number = wanted, 1
        while name in self.nodes:
            number += 1
            name = f"{wanted}#{number}"
        self.nodes[name] = Node(name, operation, inputs, shape, origin)
        self.places[name] = place
        return name

    def before(
        self, site: Site, what: str, operation: Operation, source: str, shape: Shape, change: Change
    ) -> str:
        """A node that no call computes, on the way into one: ``change`` of its source's value."""
        place = self.places[source].then(change)
        return self.add(f"{site.name}.{what}", operation, (source,), shape, site.origin, place)

    def after(self, value: Value, operation: Operation, inputs: tuple[str, ...]) -> str:
        """The node of a value itself."""
        place = Place(value.site.node, value.result)
        require_ranks(value.site, operation, [self.nodes[name].shape for name in inputs], value.shape)
        value.name = self.add(value.site.name, operation, inputs, value.shape, value.site.origin, place)
        return value.name

    def inside(
        self,
        value: Value,
        what: str,
        operation: Operation,
        inputs: tuple[str, ...],
        shape: Shape,
        change: Change,
    ) -> str:
        """A node that no call computes, on the way out of one: ``change`` of the call's value."""
        place = Place(value.site.node, value.result, change)
        require_ranks(value.site, operation, [self.nodes[name].shape for name in inputs], shape)
        name = f"{value.site.name}.{what}"
        return self.add(name, operation, inputs, shape, value.site.origin, place)

    def read(self, value: Value) -> str:
        """The name of a value's node, made now where it has none.

        Raises
        ------
        UnsupportedLayer
            The value has no conversion.
        """
        if value.refusal is not None:
            raise value.refusal.with_traceback(None)
        if value.name is not None:
            return value.name
        if value.terms is not None:
            return self._sum(value, value.terms)
        assert value.base is not None
        assert value.curve is not None
        source = self.read(value.base)
        require_ranks(value.site, Affine, [value.base.shape], value.shape)
        match value.curve:
            case Ramp():
                return self._ramp(value, value.curve, source)
            case Stairs():
                return self._stairs(value, value.curve, source)
            case Jump():
                return self._jump(value, value.curve, source)

    def _sum(self, value: Value, terms: dict[Value, float]) -> str:
        names = []
        for term, factor in terms.items():
            name = self.read(term)
            if factor != 1:
                name = self._affine(value, "scaled", name, term.shape, np.float64(factor), np.float64(0))
            names.append(name)
        return self.after(value, Add(), tuple(names))

    def _affine(self, value: Value, what: str, source: str, shape: Shape, factor: Any, shift: Any) -> str:
        """``factor x + shift`` of a node's value; the node itself where that is the same."""
        factor, shift = of_rank(factor, len(shape)), of_rank(shift, len(shape))
        if (factor == 1).all() and (shift == 0).all():
            return source
        affine = Affine(factor, shift)
        return self.before(value.site, what, affine, source, shape, lambda x: factor * x + shift)

    def _ramp(self, value: Value, ramp: Ramp, source: str) -> str:
        low, high = _single(value.site, ramp.low), _single(value.site, ramp.high)
        shape = value.shape
        if low == -np.inf and high == np.inf:
            return self.after(value, Affine(1 / ramp.unit, ramp.shift), (source,))
        if low == -np.inf:  # high - relu(high - x)
            risen = self._affine(value, "risen", source, shape, -1 / ramp.unit, high - ramp.shift)
            clipped = self.inside(value, "clipped", ReLU(), (risen,), shape, lambda y: high - y)
            return self.after(value, _even(shape, -1.0, high), (clipped,))
        risen = self._affine(value, "risen", source, shape, 1 / ramp.unit, ramp.shift - low)
        clip = ReLU(None if high == np.inf else high - low)
        if low == 0:
            return self.after(value, clip, (risen,))
        clipped = self.inside(value, "clipped", clip, (risen,), shape, lambda y: y - low)
        return self.after(value, _even(shape, 1.0, low), (clipped,))

    def _stairs(self, value: Value, stairs: Stairs, source: str) -> str:
        lowest, largest = _single(value.site, stairs.lowest), _single(value.site, stairs.largest)
        if not np.isfinite([lowest, largest]).all():
            raise value.site.refusal(
                " rounds without a smallest and a largest value; clip what is rounded, as spiking neurons "
                "have a largest count"
            )
        shift = np.unique(stairs.shift)
        moved = 0.0
        if len(shift) == 1:
            moved = float(shift[0])
        else:
            source = self._affine(value, "moved", source, value.shape, 1.0, stairs.shift * stairs.unit)
        unit, scale, offset = stairs.unit, stairs.scale, stairs.offset
        levels = Quantised(unit, int(lowest), int(largest), moved, stairs.rounding)
        factor = scale / unit
        if (np.abs(factor - 1) <= EQUAL).all() and (offset == 0).all():
            return self.after(value, levels, (source,))
        inner = self.inside(value, "levels", levels, (source,), value.shape, lambda y: (y - offset) / factor)
        return self.after(value, Affine(factor, offset + np.zeros_like(factor)), (inner,))

    def _jump(self, value: Value, jump: Jump, source: str) -> str:
        if jump.below == jump.at == jump.above:
            raise value.site.refusal(f" gives {jump.at:g} for every input; leave it out")
        source = self._affine(value, "moved", source, value.shape, 1.0, jump.moved_by)
        if jump.below <= jump.above:
            return self.after(value, Step(jump.below, jump.above, jump.at), (source,))
        step = Step(-jump.below, -jump.above, -jump.at)
        inner = self.inside(value, "step", step, (source,), value.shape, np.negative)
        return self.after(value, _even(value.shape, -1.0, 0.0), (inner,))


def require_ranks(site: Site, operation: Operation | type, read: list[Shape], shape: Shape) -> None:
    """Refuse operations on anything but (channels, y, x) and (features,).

    Raises
    ------
    UnsupportedLayer
    """
    if isinstance(operation, Rearrange):
        return
    for found in (*read, shape):
        if len(found) not in (1, 3):
            raise site.refusal(
                f" computes on values of shape {found} for one sample; spiking layers are images "
                "(channels, y, x) or vectors: flatten or reshape them before"
            )


def of_rank(number: Any, rank: int) -> Float64:
    """A number or array as an array that broadcasts to a value with so many axes."""
    array = np.asarray(number, dtype=np.float64)
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def _even(shape: Shape, factor: float, shift: float) -> Affine:
    return Affine(of_rank(factor, len(shape)), of_rank(shift, len(shape)))


def _single(site: Site, bounds: Float64) -> float:
    found = np.unique(bounds)
    if len(found) != 1:
        raise site.refusal(
            f" clips at bounds between {found[0]:g} and {found[-1]:g}, one for each channel; give all "
            "channels of a layer one bound, in units of their scale"
        )
    return float(found[0])


def refuse(site: Site, text: str) -> NoReturn:
    """Raise the refusal of a call."""
    raise site.refusal(text)
