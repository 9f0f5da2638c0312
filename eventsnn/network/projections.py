"""Projections: the synapses from one population to another, with their bias and delay.

Which synapses exist and what they weigh is the business of ``eventsnn.network.synapses``, in terms of the
synapses' *own* target shape. A projection says where that lies in its target population: in the channels
from ``channel_offset`` on. Several projections side by side concatenate their sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from eventsnn.arguments import shown, text
from eventsnn.errors import InvalidNetwork
from eventsnn.network.population import check_name
from eventsnn.network.synapses import SYNAPSE_KINDS, Box, Int32, Int64, Shape, Synapses
from eventsnn.network.synapses.base import Bool, Float, added, as_weights, whole


@dataclass(frozen=True, eq=False)
class Projection:
    """The synapses from one population to another.

    Parameters
    ----------
    name, source, target : str
        Its own name and those of its populations.
    synapses : Synapses
        Which synapses exist and their weights.
    bias : int32 array or None
        Quanta added to each target: one value per channel of the synapses' own target shape, or one per
        neuron of it. A charge at time 0 for signed neurons and readouts without a period, else quanta
        per period (law 3).
    delay : int
        Ticks from emission to delivery.
    channel_offset : int
        The synapses' first channel is this one of the target population, which may have more channels
        than the synapses: projections side by side concatenate.
    exact_weight, exact_bias : float64 array or None
        What weights and bias were before they were rounded to quanta, of their shapes: for the engines that
        compute in floating point. Integers are what the network is.
    """

    name: str
    source: str
    target: str
    synapses: Synapses
    bias: Int32 | None = None
    delay: int = 0
    channel_offset: int = added(0)
    exact_weight: Float | None = None
    exact_bias: Float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name(self.name, "projection"))
        for end in ("source", "target"):
            found = text(getattr(self, end), f"{end} of projection {self.name!r}", InvalidNetwork)
            object.__setattr__(self, end, found)
        if type(self.synapses) not in SYNAPSE_KINDS.values():
            raise InvalidNetwork(
                f"projection {self.name!r} has {shown(self.synapses)} as its synapses, which no engine "
                f"knows; allowed are {', '.join(kind.__name__ for kind in SYNAPSE_KINDS.values())} "
                "themselves, not classes derived from them"
            )
        for name in ("delay", "channel_offset"):
            object.__setattr__(self, name, whole(getattr(self, name), f"{name} of projection {self.name!r}"))
        if not 0 <= self.delay < 2**62:
            raise InvalidNetwork(f"projection {self.name!r} has delay {self.delay}; it must be >= 0")
        if not 0 <= self.channel_offset < 2**31:
            raise InvalidNetwork(
                f"projection {self.name!r} has channel_offset {self.channel_offset}; it is the first "
                "channel its synapses reach, 0 or more"
            )
        if self.bias is not None:
            object.__setattr__(self, "bias", as_weights(self.bias, 1, f"{self.name!r} bias"))
        self._check_exact("exact_weight", getattr(self.synapses, "weight", None))
        self._check_exact("exact_bias", self.bias)

    def _check_exact(self, name: str, quanta: Int32 | None) -> None:
        """Refuse what is not what these quanta were rounded from."""
        given = getattr(self, name)
        if given is None:
            return
        array = np.array(given, dtype=np.float64)
        if quanta is None or array.shape != quanta.shape or not (np.abs(array - quanta) <= 0.5).all():
            raise InvalidNetwork(
                f"projection {self.name!r}: {name} of shape {array.shape} is not what its quanta were "
                "rounded from; "
                "it has their shape and lies within half a quantum of each, or leave it out"
            )
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    def own_shape(self, source: Shape) -> Shape:
        """The shape (y, x, channel) that the synapses from a source end in, ``channel_offset`` left out."""
        try:
            return self.synapses.target_shape(source)
        except InvalidNetwork as error:
            raise InvalidNetwork(f"projection {self.name!r} from {self.source!r}: {error}") from error

    def channels(self, source: Shape) -> tuple[int, int]:
        """The target population's channels that the synapses reach: first, and one past the last."""
        return self.channel_offset, self.channel_offset + self.own_shape(source)[2]

    def fan_out(self, source: Shape, target: Shape, effective: bool = False, box: Box | None = None) -> Int64:
        """Existing synapses of each source neuron.

        Parameters
        ----------
        source, target : (int, int, int)
            Shapes of the two populations.
        effective : bool
            Leave zero weights out.
        box : Box or None
            Count only synapses that end in this box of the target population.

        Returns
        -------
        int64 array, shape (source neurons,), in row-major (y, x, channel) order.
        """
        del target  # as in edges; the synapses' own shape follows from the source's
        own = self.own_shape(source)
        return self.synapses.fan_out(source, own, effective, None if box is None else self._inside(box, own))

    def heard_in(self, source: Shape, target: Shape, box: Box) -> Bool:
        """Which source neurons have a synapse in a box of the target population, shape (source neurons,)."""
        del target
        own = self.own_shape(source)
        return self.synapses.heard_in(source, own, self._inside(box, own))

    def heard_by(self, source: Shape, target: Shape, neuron: int) -> Bool:
        """Which source neurons have a synapse to a neuron of the target population, (source neurons,)."""
        own = self.own_shape(source)
        cell, channel = divmod(neuron, target[2])
        channel -= self.channel_offset
        if not 0 <= channel < own[2]:
            return np.zeros(math.prod(source), dtype=np.bool_)
        return self.synapses.heard_by(source, own, cell * own[2] + channel)

    def _inside(self, box: Box, own: Shape) -> Box:
        """What a box of the target population holds of the synapses' own target."""
        c0, c1 = (min(max(c - self.channel_offset, 0), own[2]) for c in (box.c0, box.c1))
        return Box(box.y0, box.y1, c0, c1)

    def edges(self, source: Shape, target: Shape) -> tuple[Int64, Int64, Int32]:
        """Every synapse as (source index, target index, weight), indices of the two populations."""
        own = self.own_shape(source)
        sources, targets, weights = self.synapses.edges(source, own)
        if own != target:
            cell, channel = np.divmod(targets, own[2])
            targets = cell * target[2] + channel + self.channel_offset
        return sources, targets, weights

    def bias_of_neurons(self, source: Shape, target: Shape) -> Int64:
        """The bias of each neuron of the target population, int64, shape (target neurons,)."""
        bias = np.zeros(target, dtype=np.int64)
        if self.bias is None:
            return bias.reshape(-1)
        own = self.own_shape(source)
        size = int(np.prod(own))
        if self.bias.size not in (own[2], size):
            raise InvalidNetwork(
                f"projection {self.name!r} has {self.bias.size} biases; its synapses end in shape {own} "
                f"and take {own[2]} (one a channel) or {size} (one a neuron)"
            )
        first, stop = self.channels(source)
        bias[..., first:stop] = self.bias.reshape(own) if self.bias.size == size else self.bias
        return bias.reshape(-1)
