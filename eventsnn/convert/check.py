"""The converted network against the original model: layer by layer, and decision by decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.activations import batches, layer_values
from eventsnn.convert.encoded import encoded_counts
from eventsnn.convert.graph.graph import Graph
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Input
from eventsnn.convert.graph.operations_count import Operations, operations_of
from eventsnn.convert.layer_sums import LayerCheck, LayerSums, Part
from eventsnn.convert.lowering.listed import of_population
from eventsnn.convert.lowering.names import FIRST_SPIKES, population_names
from eventsnn.convert.normalisation import normalisation
from eventsnn.convert.quantised import quantised_activations
from eventsnn.convert.reading import Reading
from eventsnn.convert.samples import Samples, read_samples
from eventsnn.convert.trained import TrainedLayers, trained_model
from eventsnn.errors import InvalidRequest
from eventsnn.network import Network
from eventsnn.network.contract import IMAGE_CODINGS
from eventsnn.network.decision import weights_of_neurons

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """A network beside its model.

    Attributes
    ----------
    layers : list of LayerCheck
        Spiking populations and the readout, from input to output.
    decisions, model_decisions : int64 array, shape (samples,)
        Output neuron of the largest activation, the first of several; -1 where spiking outputs are all
        silent, so that nothing is decided.
    best, model_best : int64 array, shape (samples, 5 or classes if these are fewer)
        Output neurons by falling activation, equal ones by index; -1 for silent spiking outputs.
    classes : int
        Output neurons in all.
    operations : tuple of Operations
        Of the original, node by node.
    ignored : tuple of Part
        Nodes of the original that changed no decision and are in no layer.
    """

    layers: list[LayerCheck]
    decisions: Int64
    model_decisions: Int64
    best: Int64 = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    model_best: Int64 = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    classes: int = 0
    operations: tuple[Operations, ...] = ()
    ignored: tuple[Part, ...] = ()

    def first_wrong(self, correlation: float = 0.95) -> str | None:
        """The first layer whose values correlate with the original's by less; None if there is none."""
        return next((layer.name for layer in self.layers if layer.correlation < correlation), None)

    def why_wrong(
        self, correlation: float = 0.95, fall: float = 0.03, clipped: float = 0.02
    ) -> tuple[str, str] | None:
        """The first layer that goes wrong, and in what; None if there is none.

        Its values correlate with the original's by less than ``correlation``, or by ``fall`` less than those
        of the layer before, or a larger share than ``clipped`` lies beyond its scale.
        """
        before = 1.0
        for layer in self.layers:
            if layer.clipped > clipped:
                return layer.name, (
                    f"{layer.clipped:.1%} of the original's values lie beyond its scale of {layer.scale_text}"
                )
            if layer.correlation < correlation or layer.correlation < before - fall:
                return layer.name, (
                    f"its values correlate with the original's by {layer.correlation:.3f}, those before by "
                    f"{before:.3f}"
                )
            before = layer.correlation
        return None

    @property
    def agreement(self) -> float:
        """The share of samples for which both decide alike."""
        return float((self.decisions == self.model_decisions).mean())

    def accuracy(self, labels: Int64, within: int = 1) -> tuple[float, float] | None:
        """The share of labelled samples whose label is among the best few: of the original, of the network.

        None where no sample has a label, or where so many are best that the share says nothing.
        """
        known = labels >= 0
        if not known.any() or (within > 1 and self.classes <= within):
            return None
        rows = labels[known, None]
        of_model, of_network = (
            float((side[known, :within] == rows).any(axis=1).mean()) for side in (self.model_best, self.best)
        )
        return of_model, of_network


def layer_check(
    model: Any,
    network: Network,
    samples: Any,
    activity: Mapping[str, NDArray[np.int64]] | None = None,
) -> list[LayerCheck]:
    """Compare a converted network with its model, layer by layer; the last layer's ``decisions`` too.

    Parameters
    ----------
    model : torch.nn.Module, or what else ``convert`` takes
        The one the network was converted from.
    network : Network
    samples : array or tensor, ImageSet, RecordingSet, or list of recordings
        As for ``convert``; arrays for networks of events are event counts times the network's input
        scale, others images before the normalisation that the network has folded in.
    activity : mapping of str to int64 array, shape (samples, neurons), optional
        Spike counts (readout: charges) of simulated runs on these samples, by population. Needed for
        rate neurons; signed ones are evaluated by ``quantised_activations`` without it, on the input that
        a run with seed 0 would have.

    Returns
    -------
    list of LayerCheck
        Spiking populations and the readout, from input to output.

    Raises
    ------
    InvalidRequest
        The network is not this model's, the samples are no event counts, ``activity`` is missing or of
        another shape.
    """
    return compare(model, network, samples, activity).layers


def rates_of_first_spikes(
    network: Network, name: str, rank: NDArray[np.int64], neuron: NDArray[np.int64], time: NDArray[np.int64]
) -> Float64:
    """What spikes of neurons that fire once count as beside their unit: a sample's duration by their time.

    ``rank``, ``neuron`` and ``time`` (ticks) are a run's spikes; silent neurons have 0.
    """
    contract = network.contract
    assert contract is not None
    assert contract.duration_us is not None
    found = np.zeros(network.populations[name].size)
    mine = rank == network.order.index(name)
    found[neuron[mine]] = contract.duration_us * 10**6 / time[mine]
    return found


def compare(
    model: Any,
    network: Network,
    samples: Any,
    activity: Mapping[str, NDArray[np.int64]] | None = None,
) -> Comparison:
    """``layer_check`` with every sample's decisions."""
    trained = trained_model(model)
    read = samples_for(network, trained.reading, samples)
    layers = trained.layers_of(read.shape, _average_pools(network), "equalised" in _conversion(network))
    return _with_original(
        compare_layers(layers, network, read, activity), layers.layers, trained.original(read.shape).graph
    )


def _with_original(found: Comparison, layers: Sequence[Layer], graph: Graph) -> Comparison:
    """A comparison that says which nodes of the original became what, and what they cost there."""
    own = [layer for layer in layers if not isinstance(layer.operation, Input)]
    used = {name for layer in layers for name in (layer.name, *layer.folded)}

    def parts(names: Iterable[str]) -> tuple[Part, ...]:
        return tuple(Part(name, graph.nodes[name].origin) for name in names if name in graph.nodes)

    return replace(
        found,
        layers=[
            replace(check, folded=parts(layer.folded)) for check, layer in zip(found.layers, own, strict=True)
        ],
        operations=operations_of(graph),
        ignored=parts(node.name for node in graph if node.name not in used),
    )


def samples_for(network: Network, reading: Reading, samples: Any) -> Samples:
    """Samples as a network takes them, with its unit."""
    source = network.populations[network.input]
    contract = network.contract
    coding = None if contract is None else contract.coding
    folded = contract is not None and contract.folded
    read = read_samples(samples, reading, _input_shape(samples, source.shape), coding, folded)
    if coding in IMAGE_CODINGS and read.counted:
        raise InvalidRequest(f"the network was converted for {coding} images; give images, not recordings")
    neuron: Any = source.neuron
    return replace(read, unit=neuron.unit)


def compare_layers(
    original: TrainedLayers,
    network: Network,
    read: Samples,
    activity: Mapping[str, NDArray[np.int64]] | None = None,
) -> Comparison:
    """``compare`` for a model whose layers are known."""
    names = population_names(original.layers)
    layers = [layer for layer in original.layers if not isinstance(layer.operation, Input)]
    _require_same(network, original.layers, names)
    neuron: Any = network.populations[network.input].neuron
    contract, norm = network.contract, None
    channels = original.layers[0].shape[0]
    if contract is not None:
        norm = normalisation(contract.input_range, contract.mean, contract.deviation, channels)
    read = replace(read, unit=neuron.unit, normalisation=norm)
    if activity is None and any(population.neuron.tested == "at delivery" for population in network):
        raise InvalidRequest(
            "what rate neurons end with depends on when their input arrives; give the counts of simulated "
            "runs as activity"
        )
    if activity is not None:
        _require_shapes(activity, layers, names, read.count)
    told = {layer["name"]: layer for layer in _conversion(network).get("layers", ())}
    sums = {
        layer.name: LayerSums(network, names[layer.name], told.get(names[layer.name], {})) for layer in layers
    }
    ranked: list[tuple[Int64, Int64]] = []
    begin = 0
    for values in batches(read, original.layers):
        end = begin + len(values)
        if activity is None:
            image = values.reshape(-1, *original.layers[0].shape).transpose(0, 2, 3, 1)
            found = encoded_counts(network, image, read.indices[begin:end])
            part: Mapping[str, NDArray[Any]] = quantised_activations(network, found.counts, found.analog)
        else:
            part = {name: np.asarray(counts)[begin:end] for name, counts in activity.items()}
        for layer, output in layer_values(original.layers, original.evaluate, read.model_values(values)):
            counts = part[names[layer.name]].reshape(output.shape)
            sums[layer.name].add(counts, output)
            if layer is layers[-1]:
                ranked.append(_best(network, counts, output))
        begin = end
    best, of_model = (np.concatenate(side) for side in zip(*ranked, strict=True))
    decisions, decided = best[:, 0], of_model[:, 0]
    checks = [sums[layer.name].check() for layer in layers]
    checks[-1] = replace(checks[-1], decisions=float((decisions == decided).mean()))
    classes = network.populations[network.output].size
    return Comparison(checks, decisions, decided, best, of_model, classes)


def _average_pools(network: Network) -> str:
    """Whether averages were folded when the network was converted."""
    return str(_conversion(network).get("average_pools", "folded"))


def _conversion(network: Network) -> Mapping[str, Any]:
    """What the network's file says about its conversion."""
    found: Mapping[str, Any] = network.metadata.get("conversion", {})
    return found


def _input_shape(samples: Any, shape: tuple[int, int, int]) -> tuple[int, ...] | None:
    """The model's input shape for the network's, where recordings do not tell it."""
    listed = isinstance(samples, list | tuple)
    return (shape[2], shape[0], shape[1]) if listed or hasattr(samples, "reader") else None


def _require_same(network: Network, layers: Sequence[Layer], names: Mapping[str, str]) -> None:
    # What no layer gives and nothing is projected to fires biases.
    built = {
        p.name: p.shape
        for p in network
        if p.name in names.values() or (network.incoming(p.name) and p.name != FIRST_SPIKES)
    }  # fmt: skip
    asked = {names[layer.name]: of_population(layer.shape) for layer in layers}
    if built != asked:
        raise InvalidRequest(
            f"the network has the layers {built}, the model gives {asked}; compare a network with the model "
            "it was converted from"
        )


def _require_shapes(
    activity: Mapping[str, Any], layers: Sequence[Layer], names: Mapping[str, str], count: int
) -> None:
    for layer in layers:
        name = names[layer.name]
        values = np.asarray(activity[name]) if name in activity else np.empty(0)
        wanted = count * int(np.prod(layer.shape))
        if values.size != wanted or len(values) != count:
            raise InvalidRequest(
                f"activity of population {name!r} has {values.size} values; {count} samples have {wanted}"
            )


BEST = 5
"""Outputs that are ranked: the field reports whether the label is the best, or among the best five."""


def _best(network: Network, counts: Int64, output: Float64) -> tuple[Int64, Int64]:
    """The outputs of the largest activations, not the largest counts: of the network, of the original."""
    population = network.populations[network.output]
    rows, of_model = counts.reshape(len(counts), -1).astype(np.int64), output.reshape(len(output), -1)
    weights = weights_of_neurons(population)
    if weights is not None:
        rows = rows * weights
    silent = population.neuron.emits != "nothing"
    return _ranked(rows, silent), _ranked(of_model, silent and not population.neuron.drawn)


def _ranked(values: Int64 | Float64, silent: bool) -> Int64:
    """Columns by falling value, the first of equal ones first; -1 where outputs at or below 0 say nothing."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :BEST]
    if silent:
        order[np.take_along_axis(values, order, axis=1) <= 0] = -1
    return order
