"""What every kind of synapses shares: what it says of itself, shapes, boxes, the check of its numbers.

Weights can be large (VGG-16's first dense layer has 103 million), so nothing here or in the kinds makes
a wider or boolean copy of a whole weight array: work goes block by block.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from eventsnn import arguments
from eventsnn.errors import InvalidNetwork

if TYPE_CHECKING:
    from eventsnn.network.synapses.conv2d import Conv2d
    from eventsnn.network.synapses.dense import Dense
    from eventsnn.network.synapses.per_channel import MaxPool
    from eventsnn.network.synapses.sparse import Sparse

Shape = tuple[int, int, int]
Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]
Float = NDArray[np.floating[Any]]
# Python integers: no sum of weights times counts may wrap inside a proof.
Objects = NDArray[np.object_]

BLOCK = 2**20
"""Elements worked on at a time where a temporary array is needed."""


@dataclass(frozen=True)
class Box:
    """Rows ``y0`` to ``y1`` and channels ``c0`` to ``c1`` (ends excluded) of a target population."""

    y0: int
    y1: int
    c0: int
    c1: int


@dataclass(frozen=True, eq=False)
class Synapses(ABC):
    """Which synapses exist and what they weigh, for a source of any shape. Kinds are frozen dataclasses.

    What others need to know of a kind it says here, so that nobody asks which kind it is. A kind gives
    ``target_shape`` and ``edges``; every other question is answered by its ``equivalent``, and where a kind
    knows better or faster it answers itself. ``target`` is what ``target_shape`` gave.

    Attributes
    ----------
    kind : str
        The kind's name in network files, checksums and messages.
    compares : bool
        Its targets compare what arrives (max pooling) and hold no charge that weights are added to.
    """

    kind: ClassVar[str]
    compares: ClassVar[bool] = False

    @abstractmethod
    def target_shape(self, source: Shape) -> Shape:
        """The shape the synapses from a source of shape (y, x, channel) end in."""

    @abstractmethod
    def edges(self, source: Shape, target: Shape) -> tuple[Int64, Int64, Int32]:
        """Every synapse as (source index, target index, weight); no two neurons share two."""

    def equivalent(self, source: Shape) -> Conv2d | Dense | Sparse:
        """The same synapses as a kind that answers every question itself; unless said, listed one by one."""
        target = self.target_shape(source)
        listed: type[Sparse] = SYNAPSE_KINDS["sparse"]
        return listed.from_edges(*self.edges(source, target), math.prod(source), target)

    def lowered_as(self, source: Shape) -> Conv2d | Dense | Sparse | MaxPool:
        """The same synapses as the compiled engine knows them: these four kinds are lowered as themselves."""
        return self.equivalent(source)

    def fan_out(self, source: Shape, target: Shape, effective: bool = False, box: Box | None = None) -> Int64:
        """Existing synapses of each source neuron, int64, shape (source neurons,).

        ``effective`` leaves zero weights out; ``box`` counts only those that end in it.
        """
        return self.equivalent(source).fan_out(source, target, effective, box)

    def dense_macs(self, source: Shape) -> int:
        """Multiply-accumulates of the layer if every tap existed at every window position."""
        return self.equivalent(source).dense_macs(source)

    def dense_work(self, source: Shape) -> tuple[int, int, int]:
        """Of a dense layer that computes the same: multiply-accumulates, additions or compares, weights."""
        return self.equivalent(source).dense_work(source)

    def weight_range(self, source: Shape) -> tuple[int, int]:
        """The smallest and the largest weight, or 0 where that is beyond it."""
        return self.equivalent(source).weight_range(source)

    def weight_count(self, source: Shape) -> int:
        """Weights that the kind holds."""
        return self.equivalent(source).weight_count(source)

    def with_weights(self, change: Callable[[Int32], Int32], source: Shape) -> Synapses:
        """The same synapses with other weights; ``change`` takes arrays of whatever shape."""
        return self.equivalent(source).with_weights(change, source)

    def stored_words(self, source: Shape) -> tuple[Int64, Int64]:
        """Words in the cores that serve the targets, by what a core stores once for whatever it serves.

        Returns
        -------
        int64 array, shape (target channels,)
            Shared by all targets of a channel.
        int64 array, shape (target rows, target channels)
            Of each row's targets alone.
        """
        return self.equivalent(source).stored_words(source)

    def heard_in(self, source: Shape, target: Shape, box: Box) -> Bool:
        """Which source neurons have a synapse that ends in a box, shape (source neurons,)."""
        return self.fan_out(source, target, box=box) > 0

    def heard_by(self, source: Shape, target: Shape, neuron: int) -> Bool:
        """Which source neurons have a synapse to one target neuron, shape (source neurons,)."""
        return self.equivalent(source).heard_by(source, target, neuron)

    def signed_sums(self, source: Shape) -> tuple[Objects, Objects]:
        """Sums of the positive and of the negative weights into each target, broadcastable to its shape.

        As if every tap existed at every target: borders get less.
        """
        return self.equivalent(source).signed_sums(source)

    def summing(self, source: Shape, weights: Callable[[Int32], NDArray[Any]]) -> Callable[[Float], Float]:
        """A function from what sources bring to what targets get, in floating point.

        Parameters
        ----------
        source : (int, int, int)
        weights : function
            From weights of whatever shape to what stands in their place, in the dtype to sum in.

        Returns
        -------
        function
            From payloads of shape (samples, source neurons) to sums of shape (samples, target neurons).
        """
        return self.equivalent(source).summing(source, weights)


class Weighted(Synapses):
    """Kinds that hold their weights in one array."""

    weight: Int32

    def weight_range(self, source: Shape) -> tuple[int, int]:
        del source
        return int(self.weight.min(initial=0)), int(self.weight.max(initial=0))

    def weight_count(self, source: Shape) -> int:
        del source
        return int(self.weight.size)

    def with_weights(self, change: Callable[[Int32], Int32], source: Shape) -> Self:
        del source
        found: Any = self
        return cast(Self, replace(found, weight=change(self.weight)))


SYNAPSE_KINDS: dict[str, type[Any]] = {}
"""Kinds by name: what networks, and their files, may hold."""

Kind = TypeVar("Kind", bound=type[Synapses])


def register_synapses(cls: Kind) -> Kind:
    """Let networks and their files hold a kind; a decorator for kinds from outside the package.

    Raises
    ------
    InvalidNetwork
        It has no ``kind``, or another class has the same.
    """
    arguments.registered(SYNAPSE_KINDS, cls, Synapses, InvalidNetwork)
    return cls


def added(default: Any) -> Any:
    """A field that schema 1 gained later: at its default it stays out of files and checksums."""
    return field(default=default, metadata={"omitted_at_default": True})


def whole(value: Any, what: str) -> int:
    """A whole number as an int, or a clear refusal."""
    return arguments.whole(value, what, InvalidNetwork)


def sides(values: Any, length: int, what: str) -> tuple[int, ...]:
    """So many whole numbers, each at least 1, or a clear refusal."""
    allowed = f"{what} is {arguments.shown(values)}; it holds {length} whole numbers, each at least 1"
    if not isinstance(values, tuple | list | np.ndarray) or len(values) != length:
        raise InvalidNetwork(allowed)
    try:
        return tuple(arguments.whole(side, what, InvalidNetwork, 1) for side in values)
    except InvalidNetwork as error:
        raise InvalidNetwork(allowed) from error


def as_weights(weight: Any, dimensions: int, kind: str) -> Int32:
    """Integer weights as a read-only int32 array, or a clear refusal.

    An int32 array in C order is taken as it is, not copied, and is read-only from then on.
    """
    try:
        array = np.asarray(weight)
    except (ValueError, TypeError) as error:  # rows of unequal lengths
        raise InvalidNetwork(
            f"{kind} weight is {arguments.shown(weight)}; it needs an array of {dimensions} dimensions"
        ) from error
    if array.ndim != dimensions:
        raise InvalidNetwork(f"{kind} weight has {array.ndim} dimensions; it needs {dimensions}")
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidNetwork(
            f"{kind} weight has dtype {array.dtype}; weights are integer quanta: scale and round "
            "them first (eventsnn.convert does)"
        )
    if array.size and (int(array.min()) <= -(2**31) or int(array.max()) >= 2**31):
        raise InvalidNetwork(f"{kind} weight leaves the 32-bit range; use a smaller threshold")
    array = np.ascontiguousarray(array, dtype=np.int32)
    array.flags.writeable = False
    return array


def blocks(length: int, size: int = BLOCK) -> Iterator[slice]:
    """``length`` items in consecutive slices of at most ``size``."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def nonzero_per_row(matrix: Int32) -> Int64:
    """Entries that are not zero in each row, int64, shape (rows,)."""
    found = np.zeros(len(matrix), dtype=np.int64)
    for rows in blocks(len(matrix), max(1, BLOCK // max(1, matrix.shape[1]))):
        found[rows] = np.count_nonzero(matrix[rows], axis=1)
    return found


def signed_column_sums(matrix: Int32) -> tuple[Objects, Objects]:
    """Sums of the positive and of the negative entries in each column, shape (columns,)."""
    found = tuple(np.zeros(matrix.shape[1], dtype=np.int64) for _ in range(2))
    for rows in blocks(len(matrix), max(1, BLOCK // max(1, matrix.shape[1]))):
        part = matrix[rows].astype(np.int64)
        found[0][:] += np.maximum(part, 0).sum(axis=0)
        found[1][:] += np.minimum(part, 0).sum(axis=0)
    return found[0].astype(object), found[1].astype(object)
