"""``to_nir``: a network as a NIR graph, where NIR can say what it is.

Voltages are in thresholds (``v_threshold`` is 1), of readouts in their units. What NIR cannot say is refused by
name; ``docs/nir.md`` lists it. The same network comes back by ``from_nir``, to the checksum.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork
from eventsnn.network import Axis, Network, Population, Projection
from eventsnn.network.neurons import LEAK_ONE, by_rule
from eventsnn.nir.file import nir_package
from eventsnn.nir.forms import our_order
from eventsnn.nir.kept import KEY
from eventsnn.output import HDF5, replaced_whole

Floats = NDArray[np.float64]
NirShape = tuple[int, ...]


def write_nir(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network as a NIR file.

    Raises
    ------
    InvalidNetwork, MissingExtra
        As ``to_nir``.
    InvalidRequest
        The path is none to write to, or a file of another kind is there.
    """
    nir, graph = nir_package(), to_nir(network)
    with replaced_whole(path, HDF5) as aside:
        nir.write(str(aside), graph)


def to_nir(network: Network) -> Any:
    """A network as a ``nir.NIRGraph``.

    Raises
    ------
    InvalidNetwork
        Something that NIR cannot say, by its name.
    MissingExtra
        The package ``nir`` is not installed.
    """
    return _Writer(network).graph()


class _Writer:
    def __init__(self, network: Network) -> None:
        self.nir, self.network = nir_package(), network
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.kept: dict[str, dict[str, Any]] = {}
        self.step = self._step()

    def _step(self) -> int:
        """Ticks of the one step that all currents and leaks name."""
        neurons = [population.neuron for population in self.network]
        found = {ticks for n in neurons for ticks in (n.current_period, n.leak_period) if ticks}
        if len(found) > 1:
            told = ", ".join(f"{ticks / 1e6:g}" for ticks in sorted(found))
            raise InvalidNetwork(f"the network names several steps ({told} us), and a NIR graph has one")
        return next(iter(found), 10**9)

    def graph(self) -> Any:
        """All nodes and edges."""
        for population in self.network:
            by_rule(NEURONS, population)(self, population)
        for projection in self.network.projections.values():
            self._chain(projection)
        output = self.network.populations[self.network.output]
        name = self._free("output")
        self.nodes[name] = self.nir.Output(np.array(nir_shape(output)))
        self.edges.append((output.name, name))
        told = {
            key: value
            for key, value in self.network.metadata.items()
            if key not in ("output", "input", "nir")
        }
        kept: dict[str, Any] = {"populations": self.kept, "metadata": told}
        if self.network.contract is not None:
            kept["input"] = self.network.contract.document()
        metadata = {KEY: json.dumps(kept), "step_us": self.step / 1e6, "integration": "exponential"}
        return self.nir.NIRGraph(self.nodes, self.edges, metadata=metadata, type_check=False)

    def _free(self, name: str) -> str:
        """A node's name that nothing has yet."""
        while name in self.nodes or name in self.network.populations:
            name += "_"
        return name

    # -- neurons ------------------------------------------------------------------------------------------

    def input_neurons(self, population: Population) -> None:
        """An Input node."""
        self.nodes[population.name] = self.nir.Input(np.array(nir_shape(population)))
        neuron: Any = population.neuron
        self.kept[population.name] = {"unit": neuron.unit, "analog_scale": neuron.analog_scale}

    def firing(self, population: Population) -> None:
        """An IF, LIF or Threshold node."""
        neuron: Any = population.neuron
        rule = neuron.ruled
        _refuse(population, bool(rule.refractory), "a refractory time")
        _refuse(population, bool(rule.start_time), "a start time")
        _refuse(population, bool(rule.test_period), "a test period")
        charged = population.initial_charge is not None or neuron.starting_charge
        _refuse(population, bool(charged), "an initial charge")
        _refuse(
            population, bool(rule.hard and rule.multispike), "many spikes a test and a hard reset at once"
        )
        self._keep(population, rule.threshold)
        metadata: dict[str, Any] = {
            "reset": "hard" if rule.hard else "soft",
            "comparison": "greater" if rule.strict else "greater-or-equal",
            "spikes": "many" if rule.multispike else "one",
        }
        if rule.clamped:
            metadata["lower_clamp"] = rule.clamp / rule.threshold
        one = np.ones(nir_shape(population))
        if rule.leak_period and rule.leak_factor == 0:
            plain = rule.hard and not (rule.multispike or rule.clamped) and population.bias is None
            _refuse(population, not plain, "a leak that leaves nothing, and more than a Threshold node has")
            self.nodes[population.name] = self.nir.Threshold(one, metadata=metadata)
        elif rule.leak_period:
            tau, r, rest = self._leaking(population, rule, rule.threshold)
            self.nodes[population.name] = self.nir.LIF(
                tau * one, r * one, rest, one, 0 * one, metadata=metadata
            )
        else:
            _refuse(population, population.bias is not None, "biases of its own (not of a projection)")
            self.nodes[population.name] = self.nir.IF(one, one, 0 * one, metadata=metadata)

    def read(self, population: Population) -> None:
        """An I or LI node."""
        neuron: Any = population.neuron
        rule = neuron.ruled
        _refuse(population, bool(rule.start_time), "a start time")
        _refuse(population, population.initial_charge is not None, "an initial charge")
        biased = self.network.bias(population.name).any() and not neuron.current_period
        _refuse(population, bool(biased), "a bias that is a charge at time 0")
        if population.name == self.network.output and self.network.outgoing(population.name):
            _refuse(population, True, "what reads it")
        self._keep(population, None)
        one = np.ones(nir_shape(population))
        if rule.leak_period:
            tau, r, rest = self._leaking(population, rule, self._quanta(population))
            self.nodes[population.name] = self.nir.LI(tau * one, r * one, rest)
        else:
            _refuse(population, population.bias is not None, "biases of its own (not of a projection)")
            self.nodes[population.name] = self.nir.I(one)

    def _keep(self, population: Population, quanta: int | None) -> None:
        neuron: Any = population.neuron
        found: dict[str, Any] = {"quanta": self._quanta(population) if quanta is None else quanta}
        found |= {"unit": neuron.unit, "period": neuron.current_period}
        if neuron.leak_period:
            found |= {"leak_period": neuron.leak_period, "leak_factor": neuron.ruled.leak_factor}
        if population.decision_weights is not None:
            found["decision_weights"] = population.decision_weights.tolist()
        self.kept[population.name] = found

    def _quanta(self, population: Population) -> int:
        """Quanta of a voltage of 1."""
        rule = population.neuron.ruled
        if hasattr(rule, "threshold"):
            return int(rule.threshold)
        unit: Any = population.neuron.unit
        return min(max(1, round(1 / float(unit))), 2**20)

    def _leaking(self, population: Population, rule: Any, quanta: int) -> tuple[float, float, Floats]:
        """Time constant, r so that an input adds itself, and v_leak."""
        _refuse(population, rule.leak_factor == LEAK_ONE, "a leak that takes nothing")
        left = rule.leak_factor / LEAK_ONE
        _refuse(population, left == 0, "a leak that leaves nothing")
        tau = -(rule.leak_period / 1e12) / math.log(left)
        rest = np.zeros(population.size)
        if population.bias is not None:
            bias = population.bias.astype(np.float64)
            _refuse(population, not bias.any(), "biases of its own that are all 0")
            rest = np.tile(bias, population.size // len(bias)) / quanta / (1 - left)
        return tau, 1 / (1 - left), _in_nir_order(rest, nir_shape(population))

    # -- projections ----------------------------------------------------------------------------------------

    def _chain(self, projection: Projection) -> None:
        """Nodes from a population to another: what stands before, the one with weights, a Delay."""
        source, target = (self.network.populations[end] for end in (projection.source, projection.target))
        own = projection.own_shape(source.shape)
        if own != target.shape:
            raise InvalidNetwork(
                f"projection {projection.name!r} ends in some channels of {target.name!r}, and NIR has no "
                "concatenation; write its targets as populations of their own"
            )
        kind = projection.synapses.kind
        if kind not in SYNAPSES:
            raise InvalidNetwork(
                f"projection {projection.name!r} of kind {kind} has no node in NIR; there are nodes for "
                f"{', '.join(SYNAPSES)}"
            )
        nodes = SYNAPSES[kind](self, projection, source, target)
        self.last = source.name
        for node in nodes[:-1]:
            self._append(f"{projection.name}.{type(node).__name__.lower()}", node)
        main = nodes[-1]
        kept: dict[str, Any] = {"projection": projection.name}
        weight: Any = projection.synapses
        if kind in ("identity", "sum_pool", "average_pool") and len(weight.weight) > 1:
            kept["per_channel"] = True
        if projection.bias is not None and not projection.bias.any():
            kept["zero_bias"] = True
        # The node that names the chain is the first that ``from_nir`` looks at.
        named = main if hasattr(main, "weight") else nodes[0]
        named.metadata[KEY] = json.dumps(kept)
        self._append(projection.name, main)
        if projection.delay:
            delay = np.full(nir_shape(target), projection.delay / 1e12)
            if round(float(delay.flat[0]) * 1e12) != projection.delay:
                raise InvalidNetwork(
                    f"projection {projection.name!r}: its delay is too long to be exact in NIR"
                )
            self._append(f"{projection.name}.delay", self.nir.Delay(delay))
        elif projection.source == projection.target:
            raise InvalidNetwork(f"projection {projection.name!r} is a loop without a delay")
        self.edges.append((self.last, target.name))

    def _append(self, name: str, node: Any) -> None:
        name = self._free(name)
        self.nodes[name] = node
        self.edges.append((self.last, name))
        self.last = name

    def weights(self, projection: Projection, target: Population) -> Floats:
        """In voltages of the target."""
        synapses: Any = projection.synapses
        quanta = synapses.weight if projection.exact_weight is None else projection.exact_weight
        return quanta.astype(np.float64) / self._quanta(target)

    def bias(self, projection: Projection, target: Population, count: int) -> Floats:
        """One value a channel (or output), in voltages of the target."""
        if projection.bias is None:
            return np.zeros(count)
        quanta = projection.bias if projection.exact_bias is None else projection.exact_bias
        if len(quanta) != count:
            raise InvalidNetwork(
                f"projection {projection.name!r} has a bias for each neuron, and NIR's convolutions have one "
                "a channel"
            )
        return quanta.astype(np.float64) / self._quanta(target)


def nir_shape(population: Population) -> NirShape:
    """Of a population (y, x, channel): (features,), or (channels, y, x)."""
    y, x, channels = population.shape
    return (channels,) if y == x == 1 else (channels, y, x)


def _in_nir_order(values: Floats, shape: NirShape) -> Floats:
    found = np.empty(len(values))
    found[our_order(shape)] = values
    return found.reshape(shape)


def _refuse(population: Population, has: bool, what: str) -> None:
    if has:
        raise InvalidNetwork(f"population {population.name!r} has {what}, which NIR cannot say")


def _folded(writer: _Writer, window: tuple[int, int]) -> list[Any]:
    if window == (1, 1):
        return []
    return [writer.nir.SumPool2d(np.array(window), np.array(window), np.array([0, 0]))]


def _paddings(projection: Projection, axes: tuple[Axis, Axis]) -> Any:
    """NIR's padding of two axes."""
    if any(axis.transposed for axis in axes):
        raise InvalidNetwork(f"projection {projection.name!r} is a transposed convolution, which NIR has not")
    if all(axis.pad_before == axis.pad_after for axis in axes):
        return tuple(axis.pad_before for axis in axes)
    spans = [(axis.taps - 1) * axis.dilation for axis in axes]
    same = [
        axis.stride == 1 and (axis.pad_before, axis.pad_after) == (span // 2, span - span // 2)
        for axis, span in zip(axes, spans, strict=True)
    ]
    if not all(same):
        raise InvalidNetwork(f"projection {projection.name!r} is padded unequally, which NIR cannot say")
    return "same"


def _conv2d(writer: _Writer, projection: Projection, source: Population, target: Population) -> list[Any]:
    synapses: Any = projection.synapses
    axes = (synapses.y, synapses.x)
    if len(nir_shape(source)) == 1 or len(nir_shape(target)) == 1:
        raise InvalidNetwork(
            f"projection {projection.name!r} is a convolution from or to a single pixel, which NIR would "
            "read as a row of features; use dense synapses"
        )
    weight = writer.weights(projection, target).transpose(3, 2, 0, 1)
    bias = writer.bias(projection, target, target.shape[2])
    conv = writer.nir.Conv2d(
        None, np.ascontiguousarray(weight), tuple(a.stride for a in axes), _paddings(projection, axes),
        tuple(a.dilation for a in axes), synapses.groups, bias,
    )  # fmt: skip
    return [*_folded(writer, (axes[0].pool, axes[1].pool)), conv]


def _dense(writer: _Writer, projection: Projection, source: Population, target: Population) -> list[Any]:
    synapses: Any = projection.synapses
    before = nir_shape(source)
    nodes = _folded(writer, synapses.pool)
    if len(before) > 1:
        inner = (before[0], *(n // p for n, p in zip(before[1:], synapses.pool, strict=True)))
        nodes.append(writer.nir.Flatten({"input": np.array(inner)}, 0, -1))
        before = inner
    ours = writer.weights(projection, target)
    weight = np.empty_like(ours)
    weight[our_order(before)] = ours
    if projection.bias is None:
        return [*nodes, writer.nir.Linear(weight.T)]
    return [*nodes, writer.nir.Affine(weight.T, writer.bias(projection, target, target.shape[2]))]


def _pool(writer: _Writer, projection: Projection, source: Population, target: Population) -> list[Any]:
    synapses: Any = projection.synapses
    if len(nir_shape(source)) == 1:
        raise InvalidNetwork(
            f"projection {projection.name!r} pools a single pixel, which NIR reads as features"
        )
    if len(nir_shape(target)) == 1:
        raise InvalidNetwork(
            f"projection {projection.name!r} pools to a single pixel, which NIR keeps apart from features; "
            "use dense synapses"
        )
    axes = (synapses.y, synapses.x)
    if any(a.transposed or a.dilation > 1 or a.pool > 1 or a.pad_before != a.pad_after for a in axes):
        raise InvalidNetwork(f"projection {projection.name!r} is a pool of a geometry that NIR has not")
    average = synapses.kind == "average_pool"
    made = writer.nir.AvgPool2d if average else writer.nir.SumPool2d
    numbers = [np.array([getattr(a, what) for a in axes]) for what in ("taps", "stride", "pad_before")]
    factor = float(np.prod(numbers[0])) if average else 1.0
    return [made(*numbers), _scale(writer, projection, target, factor)]


def _scale(writer: _Writer, projection: Projection, target: Population, factor: float = 1.0) -> Any:
    if projection.bias is not None:
        raise InvalidNetwork(
            f"projection {projection.name!r} of kind {projection.synapses.kind} has a bias, which NIR's "
            "nodes for it have not"
        )
    shape = nir_shape(target)
    weight = writer.weights(projection, target) * factor
    by_channel = np.broadcast_to(weight, (shape[0],)).reshape(-1, *[1] * (len(shape) - 1))
    return writer.nir.Scale(np.broadcast_to(by_channel, shape).copy())


def _identity(writer: _Writer, projection: Projection, source: Population, target: Population) -> list[Any]:
    del source
    return [_scale(writer, projection, target)]


SYNAPSES: dict[str, Callable[[_Writer, Projection, Population, Population], list[Any]]] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "sum_pool": _pool,
    "average_pool": _pool,
    "identity": _identity,
}
NEURONS: dict[str, Callable[[_Writer, Population], None]] = {
    "input": _Writer.input_neurons,
    "rate": _Writer.firing,
    "readout": _Writer.read,
}
"""What NIR can say, by kind of synapses and rule of neurons."""
