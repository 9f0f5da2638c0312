"""Values as sums of linear terms in layers' values, and how linear operations act on such sums.

Shapes here are (channels, y, x) throughout; features are (features, 1, 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.layers import Branch, Linear, Shape3
from eventsnn.convert.graph.linear.composition import composed
from eventsnn.convert.graph.linear.response import response
from eventsnn.convert.graph.linear.scaling import of_channels, reading_scaled, rearranged, scaled
from eventsnn.convert.graph.operations import AveragePool, Convolution, Dense, LinearMap
from eventsnn.convert.graph.places import by_channel, followed_by, in_order, is_in_order, taken

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Term:
    """``factor * linear(source.reshape(-1)[indices])`` in some channels of a value.

    Attributes
    ----------
    source : str
        Name of a layer.
    read : tuple of int
        Shape of what ``linear`` reads: of ``indices``, or a reshaped value of the source.
    shape : tuple of int
        Of the term.
    linear, indices, factor, first_channel
        As of ``Branch``; a factor only where ``linear`` is None or an average.
    """

    source: str
    read: Shape3
    shape: Shape3
    linear: Linear | None = None
    indices: Int64 | None = None
    factor: Float64 | None = None
    first_channel: int = 0

    @property
    def channels(self) -> tuple[int, int]:
        """First channel, and one past the last."""
        return self.first_channel, self.first_channel + self.shape[0]

    @property
    def is_value(self) -> bool:
        """Whether it is values of the source, moved at most."""
        return self.linear is None and self.factor is None

    def read_as_is(self, source: Shape3) -> bool:
        """Whether a value of that shape, flattened at most, is what ``linear`` reads without indices."""
        return self.read == source or isinstance(self.linear, Dense | LinearMap)

    def branch(self, source: Shape3) -> Branch:
        """The term as a branch, from a source of a shape."""
        indices = self.indices
        if indices is not None and is_in_order(indices, math.prod(source)) and self.read_as_is(source):
            indices = None
        if indices is None and not self.read_as_is(source):
            indices = in_order(self.read)
        return Branch(self.source, self.linear, indices, self.factor, self.first_channel)


@dataclass(frozen=True, eq=False)
class Form:
    """A value: the sum of its terms, each in its channels, and a bias that broadcasts to ``shape``."""

    shape: Shape3
    terms: tuple[Term, ...]
    bias: Float64

    @property
    def is_values(self) -> bool:
        """Whether it is values of layers side by side, moved at most: what a max-pool can read."""
        taken_by = sorted(term.channels for term in self.terms)
        ends = [0, *(stop for _, stop in taken_by)]
        side_by_side = [first for first, _ in taken_by] == ends[:-1] and ends[-1] == self.shape[0]
        return side_by_side and not self.bias.any() and all(term.is_value for term in self.terms)


def no_bias(shape: Shape3) -> Float64:
    """Zero for each channel."""
    return np.zeros((shape[0], 1, 1))


def three_of(shape: tuple[int, ...]) -> Shape3:
    """A shape that has three axes."""
    return (shape[0], shape[1], shape[2])


def of_layer(name: str, shape: Shape3) -> Form:
    """A layer's own value."""
    return Form(shape, (Term(name, shape, shape),), no_bias(shape))


def scaled_form(form: Form, factor: Float64, shift: Float64) -> Form:
    """``factor * value + shift``.

    Raises
    ------
    TooManyEntries
    """
    factor, shift = by_channel(factor, form.shape), by_channel(shift, form.shape)
    terms = tuple(scaled_term(term, factor[slice(*term.channels)]) for term in form.terms)
    return Form(form.shape, terms, by_channel(factor * form.bias + shift, form.shape))


def scaled_term(term: Term, factor: Float64) -> Term:
    """A term times a factor that broadcasts to its shape."""
    if term.linear is None or isinstance(term.linear, AveragePool):
        both = factor if term.factor is None else factor * term.factor
        both = by_channel(both, term.shape)
        return replace(term, factor=None if (both == 1).all() else both)
    return replace(term, linear=scaled(term.linear, factor, term.read, term.shape))


def sum_of(forms: Sequence[Form]) -> Form:
    """The sum of values of one shape; what a layer gives as itself several times becomes one term."""
    terms: dict[object, Term] = {}
    for term in (term for form in forms for term in form.terms):
        itself = term.linear is None and term.indices is None
        key = (term.source, term.shape, term.first_channel) if itself else object()
        if key in terms:
            other = terms[key]
            one = np.ones((1, 1, 1))
            factors = [one if each.factor is None else each.factor for each in (term, other)]
            both = by_channel(factors[0] + factors[1], term.shape)
            terms[key] = replace(term, factor=None if (both == 1).all() else both)
        else:
            terms[key] = term
    shape = forms[0].shape
    kept = tuple(term for term in terms.values() if term.factor is None or term.factor.any())
    return Form(shape, kept, by_channel(sum((form.bias for form in forms), no_bias(shape)), shape))


def side_by_side(forms: Sequence[Form]) -> Form:
    """Values one behind the other along the channels."""
    shape = (sum(form.shape[0] for form in forms), *forms[0].shape[1:])
    terms, biases, first = [], [], 0
    full = any(form.bias.shape[1:] != (1, 1) for form in forms)
    for form in forms:
        terms += [replace(term, first_channel=term.first_channel + first) for term in form.terms]
        biases.append(np.broadcast_to(form.bias, form.shape if full else (form.shape[0], 1, 1)))
        first += form.shape[0]
    return Form(shape, tuple(terms), by_channel(np.concatenate(biases), shape))


def moved(form: Form, indices: Int64) -> Form:
    """A rearrangement of a value; ``indices`` of the shape (channels, y, x) after it.

    Raises
    ------
    TooManyEntries
    """
    if indices.shape == form.shape and is_in_order(indices, indices.size):
        return form
    shape = three_of(indices.shape)
    terms = []
    for term in form.terms:
        begin = term.first_channel * form.shape[1] * form.shape[2]
        inside = (indices >= begin) & (indices < begin + math.prod(term.shape))
        channels = np.nonzero(inside.any(axis=(1, 2)))[0]
        if channels.size:
            own = slice(int(channels[0]), int(channels[-1]) + 1)
            places = np.where(inside[own], indices[own] - begin, -1)
            terms.append(replace(moved_term(term, places), first_channel=own.start))
    bias = taken(np.broadcast_to(form.bias, form.shape), indices, 0.0)
    return Form(shape, tuple(terms), by_channel(bias, shape))


def moved_term(term: Term, places: Int64) -> Term:
    """A rearrangement of one term; ``places`` in its flattened value, -1 for a zero."""
    shape = three_of(places.shape)
    same_order = is_in_order(places, math.prod(term.shape))
    factor = term.factor
    if factor is not None and not (same_order and shape == term.shape):
        factor = by_channel(taken(np.broadcast_to(factor, term.shape), places, 1.0), shape)
    if term.linear is None:
        keeps = term.indices is None and same_order
        indices = None if keeps else followed_by(term.indices, places)
        return replace(term, read=shape, shape=shape, indices=indices, factor=factor)
    if same_order and (shape == term.shape or isinstance(term.linear, Dense | LinearMap)):
        return replace(term, shape=shape, factor=factor)
    linear = rearranged(term.linear, places, term.read, term.shape)
    return scaled_moved(replace(term, linear=linear, shape=shape, factor=None), factor)


def scaled_moved(term: Term, factor: Float64 | None) -> Term:
    """A term that is no average any more, with the factor that it had."""
    return term if factor is None else scaled_term(term, factor)


def through(form: Form, linear: Linear, bias: Float64, shape: Shape3) -> Form:
    """What a linear operation makes of a value, term by term.

    Parameters
    ----------
    form : Form
    linear : Convolution, Dense, AveragePool or LinearMap
    bias : float64 array
        Of the operation, broadcasts to ``shape``.
    shape : tuple of int
        Of the result.

    Raises
    ------
    TooManyEntries
    """
    terms = []
    for term in form.terms:
        part, first, own = of_channels(linear, term.channels, form.shape, shape)
        own = three_of(own)
        factor = None
        if term.factor is not None:
            part, factor = reading_scaled(part, term.factor, term.shape, own)
        read, indices = term.read, term.indices
        if term.linear is not None:
            part = composed(part, term.linear, read, term.shape, own)
        elif indices is not None:
            part, indices = without_empty_channels(part, indices)
            read = three_of(indices.shape)
        new = Term(term.source, read, own, part, indices, None, first)
        terms.append(new if factor is None else scaled_term(new, factor))
    own_bias = response(linear, form.bias, form.shape, shape) + bias
    return Form(shape, tuple(terms), by_channel(own_bias, shape))


def without_empty_channels(linear: Linear, indices: Int64) -> tuple[Linear, Int64]:
    """An operation without the channels of which it reads zeros alone, if it can: shuffled concatenations."""
    read = (indices >= 0).any(axis=(1, 2))
    if read.all():
        return linear, indices
    if isinstance(linear, Convolution) and linear.groups == 1:
        return replace(linear, weight=np.ascontiguousarray(linear.weight[:, read])), indices[read]
    if isinstance(linear, Dense):
        return replace(linear, weight=np.ascontiguousarray(linear.weight[:, read])), indices[read]
    return linear, indices
