"""One call of a traced model, as the rules for modules and functions see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, fx

from eventsnn.convert.graph.graph import Shape
from eventsnn.convert.graph.operations import Affine, Operation, Rearrange
from eventsnn.convert.importers.curves import Curve, identity
from eventsnn.convert.importers.torch_values import (
    Change,
    Float64,
    Nodes,
    Site,
    Value,
    of_rank,
    require_ranks,
)
from eventsnn.errors import InvalidNetwork


class Call:
    """A call with what it gave for a batch of random samples.

    Attributes
    ----------
    site : Site
    result
        What the call gave.
    batch : int
        Number of samples it was tried on.
    varying : set of fx.Node
        Calls that give something else for another number of samples, apart from their first axis.
    """

    def __init__(
        self,
        nodes: Nodes,
        site: Site,
        result: Any,
        batch: int,
        varying: set[fx.Node],
        again: Callable[[fx.Node, Tensor], Any],
    ) -> None:
        self.nodes, self.site, self.result, self.batch, self.varying = nodes, site, result, batch, varying
        self._again = again

    def refuse(self, text: str) -> NoReturn:
        """Say why the call has no conversion; the text follows the name of the place."""
        raise self.site.refusal(text)

    def invalid(self, text: str) -> NoReturn:
        """Say what is wrong with the numbers of the call."""
        raise InvalidNetwork(f"{self.site.place}, which{text}")

    def value(self, argument: Any) -> Value:
        """An argument that depends on the network's input."""
        if not isinstance(argument, Value):
            self.refuse(" computes with the network's input where a constant is needed, or the reverse")
        if argument.refusal is not None:
            raise argument.refusal.with_traceback(None)
        return argument

    def image(self, argument: Any) -> Value:
        """An argument of shape (channels, y, x) that depends on the network's input."""
        value = self.value(argument)
        if len(value.shape) != 3:
            self.refuse(f" reads values of shape {value.shape} for one sample, no image (channels, y, x)")
        return value

    def vector(self, argument: Any) -> Value:
        """An argument of shape (features,) that depends on the network's input."""
        value = self.value(argument)
        if len(value.shape) != 1:
            self.refuse(
                f" reads values of shape {value.shape} for one sample, where it acts on the last axis alone; "
                "put nn.Flatten() before it"
            )
        return value

    def shape(self, result: Any = None) -> Shape:
        """Of one sample of what the call gave."""
        result = self.result if result is None else result
        if not isinstance(result, Tensor) or result.ndim < 2 or result.shape[0] != self.batch:
            found = (
                f"gives the shape {tuple(result.shape)}" if isinstance(result, Tensor) else "gives no tensor"
            )
            self.refuse(
                f" does not keep samples apart along the first axis: a batch of {self.batch} {found}. "
                "Reshape with -1 or x.size(0) for the first axis"
            )
        return tuple(result.shape[1:])

    def emit(self, operation: Operation, *sources: Value, shape: Shape | None = None) -> Value:
        """The call is this operation of these values."""
        value = Value(self.site, self.shape() if shape is None else shape)
        self.nodes.after(value, operation, tuple(self.nodes.read(source) for source in sources))
        return value

    def before(self, what: str, operation: Operation, source: Value, shape: Shape, change: Change) -> Value:
        """A value on the way into the call: ``change`` of its source's."""
        value = Value(self.site, shape)
        name = self.nodes.read(source)
        value.name = self.nodes.before(self.site, what, operation, name, shape, change)
        return value

    def inside(
        self, what: str, operation: Operation, sources: list[Value], shape: Shape, change: Change
    ) -> Value:
        """A value on the way out of the call: ``change`` of the call's."""
        value = Value(self.site, shape)
        names = tuple(self.nodes.read(source) for source in sources)
        value.name = self.nodes.inside(value, what, operation, names, shape, change)
        return value

    # -- constants ---------------------------------------------------------------------------------

    def constant(self, argument: Any, node: Any, shape: Shape) -> Float64:
        """A number or tensor as it acts on a value of this shape; ``node`` stands for it in the trace."""
        if isinstance(node, fx.Node) and node in self.varying:
            self.refuse(
                " computes with the number of samples; what one sample gives may not depend on others"
            )
        if isinstance(argument, bool | int | float):
            return of_rank(argument, len(shape))
        if not isinstance(argument, Tensor) or argument.is_complex():
            self.refuse(f" computes with a {type(argument).__name__}, which is no number")
        array = argument.detach().to(torch.float64).numpy()
        if array.ndim == len(shape) + 1:
            if array.shape[0] not in (1, self.batch) or (array != array[:1]).any():
                self.refuse(" computes with constants that differ from sample to sample")
            array = array[0]
        if array.ndim > len(shape) or np.broadcast_shapes(array.shape, shape) != shape:
            self.refuse(
                f" stretches values of shape {shape} to a constant of shape {array.shape}; "
                "give both the same shape"
            )
        if np.isnan(array).any():
            self.invalid(" computes with NaN; train again or load other weights")
        return of_rank(array, len(shape))

    def finite(self, tensor: Tensor | None, what: str) -> Float64:
        """Weights as float64."""
        if not isinstance(tensor, Tensor):
            self.refuse(f" has as {what} a value that depends on the network's input")
        array = tensor.detach().to(torch.float64).numpy()
        if not np.isfinite(array).all():
            raise InvalidNetwork(
                f"the {what} of {self.site.owner} holds NaN or infinite values; train again or load other "
                "weights"
            )
        return array

    # -- element by element ------------------------------------------------------------------------

    def curve(
        self,
        argument: Value,
        change: Callable[[Any], Curve | None],
        operation: Operation | None,
        text: str = " is a function of one value that spiking neurons do not compute",
    ) -> Value:
        """A function of each element: ``change`` of the curve that the argument is, and as an operation."""
        source = self.value(argument)
        self.shape()
        rank = len(source.shape)
        base, curve = (source, identity(rank)) if source.base is None else (source.base, source.curve)
        found = change(curve)
        if found is None and base is not source:
            self.nodes.read(source)
            base, found = source, change(identity(rank))
        value = Value(self.site, source.shape)
        if found is not None:
            value.base, value.curve = base, found
        if source.name is not None and operation is not None:
            self.nodes.after(value, operation, (source.name,))
        elif found is None:
            self.refuse(text)
        return value

    def affine(self, source: Value, factor: Float64, shift: Float64) -> Value:
        """``factor x + shift`` with constants."""

        def change(curve: Curve) -> Curve | None:
            scaled = curve.scaled(factor)
            return scaled and scaled.moved(shift)

        return self.curve(source, change, self._affine(factor, shift))

    def scaled(self, source: Value, factor: Float64) -> Value:
        """Times a constant."""
        return self.curve(source, lambda curve: curve.scaled(factor), self._affine(factor, 0 * factor))

    def divided(self, source: Value, divisor: Float64) -> Value:
        """Divided by a constant."""
        if not (divisor != 0).all():
            self.refuse(" divides by zero")
        operation = self._affine(1 / divisor, 0 * divisor)
        return self.curve(source, lambda curve: curve.divided(divisor), operation)

    def moved(self, source: Value, by: Float64) -> Value:
        """Plus a constant."""
        return self.curve(source, lambda curve: curve.moved(by), self._affine(np.ones_like(by), by))

    def _affine(self, factor: Float64, shift: Float64) -> Affine:
        if not (np.isfinite(factor).all() and np.isfinite(shift).all()):
            self.invalid(" computes with infinite numbers; train again or load other weights")
        require_ranks(self.site, Affine, [], self.shape())
        return Affine(factor, shift)

    # -- moves -------------------------------------------------------------------------------------

    def moves(self, argument: Value) -> Any:
        """The call only moves, repeats or drops values or puts zeros between: found by moving numbers."""
        source = self.value(argument)
        size = int(np.prod(source.shape))
        numbers = torch.arange(1, self.batch * size + 1, dtype=torch.float64)
        given = self._again(self.site.node, numbers.reshape(self.batch, *source.shape))
        if isinstance(given, tuple | list):
            return tuple(self._moved_to(source, part, size, k) for k, part in enumerate(given))
        return self._moved_to(source, given, size, None)

    def _moved_to(self, source: Value, given: Any, size: int, result: int | None) -> Value:
        shape = self.shape(given)
        places = given.numpy().astype(np.int64).reshape(self.batch, *shape)
        for sample in range(self.batch):
            own = np.where(places[sample] > 0, places[sample] - sample * size, 0)
            if (own != places[0]).any() or own.max(initial=0) > size:
                self.refuse(" mixes the samples of a batch; keep the first axis for them")
        return self.rearranged(source, places[0] - 1, result)

    def rearranged(self, source: Value, indices: Any, result: int | None = None) -> Value:
        """A value with the source's values in other places; the source where they stay."""
        size = int(np.prod(source.shape))
        if indices.shape == source.shape and (indices.ravel() == np.arange(size)).all():
            return source
        value = Value(self.site, indices.shape, result)
        name = self.nodes.read(source)
        self.nodes.after(value, Rearrange(indices), (name,))
        return value

    def before_rearranged(self, source: Value, indices: Any, what: str) -> Value:
        """The same on the way into the call."""

        def change(values: Float64) -> Float64:
            flat = values.reshape(len(values), -1)
            return np.where(indices >= 0, flat[:, indices], 0.0)

        return self.before(what, Rearrange(indices), source, indices.shape, change)
