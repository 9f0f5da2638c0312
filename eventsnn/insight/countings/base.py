"""What every counting shares: which modules it counts, and how each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from eventsnn.insight.countings.activity import Given
from eventsnn.insight.countings.layers import Layer
from eventsnn.network import Network

Counted = tuple[float, ...]


class Counting(ABC):
    """How another package counts the operations of a network, sample by sample, at batch size one.

    Parameters
    ----------
    network : Network
    layers : tuple of Layer
        Of that network.

    Attributes
    ----------
    name : str
        What users call it.
    package : str
        Whose definition it is, with the version that was read.
    quantities : tuple of str
        What it counts, as columns are called.
    whole : bool
        Whether these are whole numbers.
    needs_steps : bool
        Whether they depend on how a sample is cut into steps.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    quantities: ClassVar[tuple[str, ...]]
    whole: ClassVar[bool] = False
    needs_steps: ClassVar[bool] = True

    def __init__(self, network: Network, layers: tuple[Layer, ...]) -> None:
        self.network = network
        self.layers = tuple(layer for layer in layers if layer.module in self.modules())

    @abstractmethod
    def modules(self) -> Mapping[str, Callable[[Layer, Given], Counted]]:
        """How a module is counted, by its kind; what is not among them is not counted."""

    def count(self, layer: Layer, given: Given) -> Counted:
        """One of ``layers`` in one sample; a value for each of ``quantities``."""
        return self.modules()[layer.module](layer, given)
