"""Populations: the neurons of one layer, of one kind and shape, with their own bias and initial state."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import shown, text, whole
from eventsnn.errors import InvalidNetwork
from eventsnn.network.decision import check_decision_weights
from eventsnn.network.neurons import CHARGE_LIMIT, LEAK_ONE, NEURON_KINDS, Neuron
from eventsnn.network.neurons.base import require


def check_name(name: Any, what: str) -> str:
    """The name of a population or projection, as a group of the network file can bear it."""
    found = text(name, f"a {what} name", InvalidNetwork)
    require(
        found not in ("", ".", "..") and "/" not in found,
        f"{what} name {found!r} is empty, a dot, or contains a slash",
    )
    require(
        found.isprintable(),
        f"{what} name {found!r} holds a character that cannot be written; use letters, digits, signs",
    )
    return found


def whole_shape(shape: Any, what: str) -> tuple[int, int, int]:
    """``(y, x, channel)`` as ints, or a clear refusal."""
    allowed = "allowed is (y, x, channel), each a whole number, at least 1"
    if not isinstance(shape, tuple | list | np.ndarray) or len(shape) != 3:
        raise InvalidNetwork(f"{what} {shown(shape)}; {allowed}")
    try:
        y, x, channel = (whole(side, "a side", InvalidNetwork, 1) for side in shape)
    except InvalidNetwork as error:
        raise InvalidNetwork(f"{what} {shown(shape)}; {allowed}") from error
    return y, x, channel


def _array(values: Any, what: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InvalidNetwork(f"{what} is {shown(values)}, which is no array of numbers") from error


@dataclass(frozen=True, eq=False)
class Population:
    """The neurons of one layer.

    Parameters
    ----------
    name : str
        Unique in the network; no slash.
    shape : tuple of int
        ``(y, x, channel)``. A neuron's index is row-major in this order.
    neuron : Neuron
        The model all its neurons follow.
    initial_charge, initial_count : int32 array of shape (neurons,), or None
        State loaded at a sample's start instead of the neuron model's initial charge, the biases and a
        count of zero: see ``eventsnn.network.rest``. Signed neurons need both, a readout the charge, exact
        max gates the count. Rate neurons take a charge each, below the threshold, in place of the one of
        their model; their biases are currents, which flow all the same.
    bias : int32 array of shape (channels,) or (neurons,), or None
        Quanta of the population itself, added to the biases of the projections that end here. Rate
        neurons with one may do without projections: a source of spikes at a constant rate.
    decision_weights : int64 array of shape (channels,), or None
        Of the network's output only: what a count of each channel weighs in the decision, in parts of 2^20
        of the largest; see ``eventsnn.network.decision``. None takes the units of its neurons.
    leak_factors, synapse_factors : int32 array of shape (channels,) or (neurons,), or None
        Several time constants: the factor of each neuron in place of the model's ``leak_factor`` or
        ``synapse_factor``, which is the largest of them. Kept in the shortest form: one a channel where that
        says it all, None where all are the same.
    """

    name: str
    shape: tuple[int, int, int]
    neuron: Neuron
    initial_charge: NDArray[np.int32] | None = field(default=None, repr=False)
    initial_count: NDArray[np.int32] | None = field(default=None, repr=False)
    bias: NDArray[np.int32] | None = field(default=None, repr=False)
    decision_weights: NDArray[np.int64] | None = field(default=None, repr=False)
    leak_factors: NDArray[np.int32] | None = field(default=None, repr=False)
    synapse_factors: NDArray[np.int32] | None = field(default=None, repr=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name(self.name, "population"))
        require(
            type(self.neuron) in NEURON_KINDS.values(),
            f"population {self.name!r} has {shown(self.neuron)} as its neuron, which no engine knows; "
            f"allowed are {', '.join(kind.__name__ for kind in NEURON_KINDS.values())} themselves, not "
            "classes derived from them",
        )
        object.__setattr__(self, "shape", whole_shape(self.shape, f"population {self.name!r} has shape"))
        object.__setattr__(self, "size", math.prod(self.shape))
        require(self.size < 2**31, f"population {self.name!r} has {self.size} neurons; limit is 2^31 - 1")
        self._check_unit()
        self._check_initial_state()
        self._check_bias()
        for name, most in (("leak_factor", LEAK_ONE), ("synapse_factor", LEAK_ONE - 1)):
            object.__setattr__(self, f"{name}s", self._checked_factors(name, most))
        object.__setattr__(self, "decision_weights", check_decision_weights(self))

    def _check_unit(self) -> None:
        unit = self.neuron.unit
        values = len(unit) if isinstance(unit, tuple) else 1
        require(
            values in (1, self.shape[2]),
            f"population {self.name!r} has {values} units for {self.shape[2]} channels; give one in all or "
            "one per channel",
        )

    def factors(self, name: str) -> NDArray[np.int64]:
        """The ``leak_factor`` or ``synapse_factor`` of every neuron, int64, shape (neurons,)."""
        own = getattr(self, f"{name}s")
        if own is None:
            return np.full(self.size, getattr(self.neuron.ruled, name, 0), dtype=np.int64)
        return np.tile(own.astype(np.int64), self.size // own.size)

    def _checked_factors(self, name: str, most: int) -> NDArray[np.int32] | None:
        given = getattr(self, f"{name}s")
        if given is None:
            return None
        what = f"population {self.name!r}: {name}s"
        array = _array(given, what)
        require(
            np.issubdtype(array.dtype, np.integer)
            and array.shape in ((self.shape[2],), (self.size,))
            and int(array.min()) >= 0
            and int(array.max()) <= most,
            f"{what} have shape {array.shape} and dtype {array.dtype}; they are {self.shape[2]} (one a "
            f"channel) or {self.size} (one a neuron) whole numbers from 0 to {most}",
        )
        ruled, period = self.neuron.ruled, "leak_period" if name == "leak_factor" else name
        require(
            bool(getattr(ruled, period, 0)),
            f"{what} are given, and its {self.neuron.kind} neurons have no {period}",
        )
        largest = int(getattr(ruled, name))
        require(
            largest == int(array.max()),
            f"{what} go up to {int(array.max())}, and the {name} of its neurons is {largest}; it is the "
            "largest of them",
        )
        rows = array.reshape(-1, self.shape[2])
        if (array == largest).all():
            return None
        array = np.array(rows[0] if (rows == rows[0]).all() else array, dtype=np.int32)
        array.flags.writeable = False
        return array

    def _check_bias(self) -> None:
        if self.bias is None:
            return
        array = _array(self.bias, f"population {self.name!r}: a bias")
        require(
            np.issubdtype(array.dtype, np.integer) and array.shape in ((self.shape[2],), (self.size,)),
            f"population {self.name!r} has a bias of shape {array.shape} and dtype {array.dtype}; it takes "
            f"{self.shape[2]} (one a channel) or {self.size} (one a neuron) whole numbers of quanta",
        )
        require(
            int(array.min()) >= -CHARGE_LIMIT and int(array.max()) <= CHARGE_LIMIT,
            f"population {self.name!r}: a bias leaves the 32-bit range; use a smaller threshold",
        )
        require(
            self.neuron.holds_charge,
            f"population {self.name!r} of {self.neuron.kind} neurons holds no charge and takes no bias",
        )
        array = np.ascontiguousarray(array, dtype=np.int32)
        array.flags.writeable = False
        object.__setattr__(self, "bias", array)

    def _check_initial_state(self) -> None:
        needed = self.neuron.loads
        given = (self.initial_charge is not None, self.initial_count is not None)
        require(
            given in (needed, (False, False)),
            f"population {self.name!r} of {self.neuron.kind} neurons has initial state (charge, count) = "
            f"{given}; it takes {needed} or none",
        )
        least, most = self.neuron.lowest_count, self.neuron.largest_count
        for name, low, high in (
            ("initial_charge", -CHARGE_LIMIT, CHARGE_LIMIT),
            ("initial_count", least, most),
        ):
            if getattr(self, name) is None:
                continue
            if name == "initial_charge":
                high = min(high, self.neuron.largest_start)
            array = _array(getattr(self, name), f"population {self.name!r}: {name}")
            require(
                np.issubdtype(array.dtype, np.integer)
                and array.shape == (self.size,)
                and low <= int(array.min())
                and int(array.max()) <= high,
                f"population {self.name!r}: an initial state has one whole number a neuron from {low} to "
                f"{high}; {name} has shape {array.shape} and dtype {array.dtype}",
            )
            object.__setattr__(self, name, np.ascontiguousarray(array, dtype=np.int32))
        if self.initial_charge is not None and self.initial_count is not None:
            count = self.initial_count.astype(np.int64)
            settled = self.neuron.settled_count(self.initial_charge.astype(np.int64), count)
            require(
                settled is None or np.array_equal(settled, count),
                f"population {self.name!r}: an initial state must be settled, so that no test would emit",
            )
