"""The work of the dense network behind a spiking one: what a GPU or a digital accelerator would compute."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

from eventsnn.errors import InvalidHardware
from eventsnn.network import Network, Projection


@dataclass(frozen=True)
class LayerWork:
    """One projection as a dense layer, for one sample.

    Attributes
    ----------
    macs : int
        Multiply-accumulates by the literature's border-blind count; 0 for pools and identities.
    additions : int
        Additions or comparisons of pools and identities, and of pooling folded into a layer.
    weights : int
        Weights and biases that are stored.
    values_read, values_written : int
        Activations: every source value once, every target value once.
    """

    name: str
    macs: int
    additions: int
    weights: int
    values_read: int
    values_written: int


@dataclass(frozen=True)
class Work:
    """The dense network's work per sample: its layers, computed ``passes`` times.

    One pass is the dense network that one would deploy; as many passes as timesteps is the spiking network
    stepped through time on dense hardware.
    """

    layers: tuple[LayerWork, ...]
    passes: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.passes * sum(layer.macs for layer in self.layers)

    @property
    def additions(self) -> int:
        """Additions and comparisons outside multiply-accumulates."""
        return self.passes * sum(layer.additions for layer in self.layers)

    @property
    def operations(self) -> int:
        """Operations as GPU data sheets count: two per multiply-accumulate."""
        return 2 * self.macs + self.additions

    @property
    def weights(self) -> int:
        """Weights and biases stored; each pass reads them."""
        return sum(layer.weights for layer in self.layers)

    @property
    def activations(self) -> int:
        """Values read and written between layers."""
        return self.passes * sum(layer.values_read + layer.values_written for layer in self.layers)

    @property
    def launches(self) -> int:
        """Layers started, one kernel each."""
        return self.passes * len(self.layers)

    def description(self) -> list[dict[str, Any]]:
        """The layers as JSON values."""
        return [asdict(layer) for layer in self.layers]

    @classmethod
    def from_description(cls, layers: list[dict[str, Any]]) -> Work:
        """What ``description`` gave, computed once."""
        return cls(tuple(LayerWork(**layer) for layer in layers))

    def repeated(self, passes: int) -> Work:
        """The same layers computed a number of times for a sample."""
        if isinstance(passes, bool) or not isinstance(passes, int) or passes < 1:
            raise InvalidHardware(
                f"passes is {passes!r}; a sample takes a whole number of passes, at least 1 (1 for the dense "
                "network, the number of timesteps for a network stepped through time)"
            )
        return replace(self, passes=passes)


def work_of(network: Network) -> Work:
    """The work of the dense network behind a spiking one, a layer for each projection by name.

    Multiply-accumulates are ``Network.dense_macs``, the published way of counting. A population's own bias
    is left out.
    """
    return Work(tuple(_layer(network, network.projections[name]) for name in sorted(network.projections)))


def _layer(network: Network, projection: Projection) -> LayerWork:
    source = network.populations[projection.source]
    macs, additions, weights = projection.synapses.dense_work(source.shape)
    return LayerWork(
        name=projection.name,
        macs=macs,
        additions=additions,
        weights=weights + (0 if projection.bias is None else projection.bias.size),
        values_read=source.size,
        values_written=prod(projection.own_shape(source.shape)),
    )
