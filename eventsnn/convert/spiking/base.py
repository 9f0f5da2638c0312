"""How a library's modules are described: the neurons of one, in words that every library's fit.

A description is a ``Described``: the operation that the engines step (``Spiking``), a word on how faithful
that is, and what to know. ``Module`` reads a module's own numbers and refuses what is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.operations import Spiking
from eventsnn.errors import InvalidNetwork, UnsupportedLayer

Float64 = NDArray[np.float64]

FAITHFUL, APPROXIMATE = "faithful", "approximate"
"""Two of the three words; what is unsupported is refused by name."""


@dataclass(frozen=True, eq=False)
class Described:
    """A module's neurons.

    Attributes
    ----------
    operation : Spiking
    note : str
        What to know of it.
    gives_state : int
        Of ``Neurons``.
    """

    operation: Spiking
    note: str = ""
    gives_state: int = 0


class Module:
    """A library's module and where it stands.

    Parameters
    ----------
    module : torch.nn.Module
    path : str
        In the model; empty for the model itself.
    """

    def __init__(self, module: Any, path: str) -> None:
        self.module, self.path = module, path
        self.kind = type(module).__name__

    @property
    def place(self) -> str:
        """For messages."""
        return f"module {self.path!r} ({self.kind})" if self.path else f"the {self.kind}"

    def refuse(self, what: str) -> NoReturn:
        """Raise that a module has something no neurons here have; ``what`` ends "module ... "."""
        raise UnsupportedLayer(f"{self.place} {what}")

    def value(self, name: str) -> Any:
        """An attribute.

        Raises
        ------
        UnsupportedLayer
            It is not there: another version of the library.
        """
        try:
            return getattr(self.module, name)
        except AttributeError:
            self.refuse(
                f"has no attribute {name!r}; its library is of another version than those that are read "
                "(docs/spiking-libraries.md)"
            )

    def array(self, name: str) -> Float64:
        """An attribute as finite float64, a tensor's values.

        Raises
        ------
        InvalidNetwork
            No numbers, or not finite.
        """
        return as_array(self.value(name), f"{self.place}: {name}")

    def number(self, name: str) -> float:
        """An attribute that is one number for all neurons.

        Raises
        ------
        UnsupportedLayer
            Several that differ.
        """
        found = self.array(name)
        if found.size == 0 or np.ptp(found):
            self.refuse(
                f"has a {name} from {found.min(initial=np.inf):g} to {found.max(initial=-np.inf):g}; "
                "only one for a whole layer is read here. Train with one a layer"
            )
        return float(found.flat[0])

    def flag(self, name: str) -> bool:
        """An attribute that is true or false."""
        found = self.value(name)
        if not isinstance(found, bool | np.bool_):
            raise InvalidNetwork(f"{self.place}: {name} is {found!r}; it is True or False")
        return bool(found)


def as_array(value: Any, what: str) -> Float64:
    """Numbers or a tensor as finite float64.

    Raises
    ------
    InvalidNetwork
    """
    value = value.detach().cpu().double().numpy() if hasattr(value, "detach") else value
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidNetwork(f"{what} is {value!r}, no number") from error
    if not np.isfinite(found).all():
        raise InvalidNetwork(f"{what} is not finite; train again, or load other weights")
    return found


LEAK = "steps of its time constant; in the event schedule the leak comes at the end of each step"
"""What to know of neurons that leak."""
SYNAPTIC = "a synaptic current; in the event schedule, too, it is updated at the end of each step"


def read(of: Module, **numbers: Any) -> Spiking:
    """Neurons without spikes, whose voltage is read: a ``Spiking`` that does not fire."""
    return replace(spiking(of, np.inf, **numbers), threshold=np.array(1.0), fires=False)


def spiking(
    of: Module,
    threshold: Any,
    *,
    gain: Any = 1.0,
    drift: Any = 0.0,
    start: Any = 0.0,
    leak: float = 1.0,
    **more: Any,
) -> Spiking:
    """A ``Spiking`` of checked numbers; thresholds and starts are above the voltage of a reset.

    Raises
    ------
    InvalidNetwork
        A threshold at or below the voltage of a reset, a start at it, a leak that is none.
    """
    values: Any = [np.asarray(one, dtype=np.float64) for one in (threshold, gain, drift, start)]
    if values[0].min() <= 0:
        raise InvalidNetwork(
            f"{of.place} has a threshold of {values[0].min():g} above the voltage of a reset: a neuron would "
            "fire for ever; allowed is above 0"
        )
    if (values[3] >= values[0]).any():
        raise InvalidNetwork(f"{of.place} starts at its threshold; it would fire before anything came")
    if not 0 <= leak <= 1:
        raise InvalidNetwork(
            f"{of.place} multiplies its voltage by {leak:g} in each step; a leak leaves 0 to 1 of it"
        )
    return Spiking(values[0], values[1], values[2], values[3], leak, **more)
