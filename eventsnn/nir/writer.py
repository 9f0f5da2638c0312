"""``to_nir``: a network as a NIR graph, where NIR can say what it is.

Voltages are in thresholds (``v_threshold`` is 1), of readouts in their units. What NIR cannot say is refused
by name; ``docs/nir.md`` lists it. The same network comes back by ``from_nir``, to the checksum.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from eventsnn.errors import InvalidNetwork
from eventsnn.network import Network, Population, Projection
from eventsnn.network.neurons import LEAK_ONE, by_rule
from eventsnn.nir.file import nir_package
from eventsnn.nir.kept import KEY
from eventsnn.nir.written_synapses import SYNAPSES, Floats, in_nir_order, nir_shape, voltage_quanta
from eventsnn.output import HDF5, NOT_OURS, replaced_whole, require_replaceable


def write_nir(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network as a NIR file.

    Raises
    ------
    InvalidNetwork, MissingExtra
        As ``to_nir``.
    InvalidRequest
        The path is none to write to, or a file of another kind is there.
    """
    nir, graph, content = nir_package(), to_nir(network), io.BytesIO()
    require_replaceable(path, HDF5, NOT_OURS)
    nir.write(content, graph)
    with replaced_whole(path, HDF5) as aside:
        aside.write_bytes(content.getbuffer())


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
        bare = rule.synapse_factor and not (rule.leak_period and rule.leak_factor)
        _refuse(population, bool(bare), "a synaptic current without a leak")
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
            tau, r, rest = self._leaking(population, rule.threshold)
            self._say_several(population, metadata)
            if rule.synapse_factor:
                self.nodes[population.name] = self.nir.CubaLIF(
                    **self._synaptic(population), tau_mem=tau, r=r, v_leak=0 * one,
                    v_threshold=one, v_reset=0 * one, metadata=metadata,
                )  # fmt: skip
                return
            self.nodes[population.name] = self.nir.LIF(tau, r, rest, one, 0 * one, metadata=metadata)
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
        bare = rule.synapse_factor and not rule.leak_period
        _refuse(population, bool(bare), "a synaptic current without a leak")
        self._keep(population, None)
        one = np.ones(nir_shape(population))
        if rule.leak_period:
            tau, r, rest = self._leaking(population, voltage_quanta(population))
            metadata: dict[str, Any] = {}
            self._say_several(population, metadata)
            if rule.synapse_factor:
                self.nodes[population.name] = self.nir.CubaLI(
                    **self._synaptic(population), tau_mem=tau, r=r, v_leak=0 * one,
                    metadata=metadata,
                )  # fmt: skip
                return
            self.nodes[population.name] = self.nir.LI(tau, r, rest, metadata=metadata)
        else:
            _refuse(population, population.bias is not None, "biases of its own (not of a projection)")
            self.nodes[population.name] = self.nir.I(one)

    def _keep(self, population: Population, quanta: int | None) -> None:
        neuron: Any = population.neuron
        found: dict[str, Any] = {"quanta": voltage_quanta(population) if quanta is None else quanta}
        found |= {"unit": neuron.unit, "period": neuron.current_period}
        if neuron.leak_period:
            found |= {"leak_period": neuron.leak_period, "leak_factor": neuron.ruled.leak_factor}
        if population.decision_weights is not None:
            found["decision_weights"] = population.decision_weights.tolist()
        self.kept[population.name] = found

    def _say_several(self, population: Population, metadata: dict[str, Any]) -> None:
        """Time constants that lie next to each other are not one that was rounded."""
        if population.leak_factors is not None or population.synapse_factors is not None:
            metadata[KEY] = json.dumps({"several": True})

    def _left(self, population: Population, name: str) -> Floats:
        """What a step leaves, of each neuron in our order."""
        left: Floats = population.factors(name) / LEAK_ONE
        _refuse(population, bool((left == 0).any()), f"a {name} that leaves nothing")
        _refuse(population, bool((left == 1).any()), f"a {name} that takes nothing")
        return left

    def _synaptic(self, population: Population) -> dict[str, Floats]:
        """Time constant of the current, and w_in so that an input adds itself."""
        _refuse(population, population.bias is not None, "biases of its own beside a synaptic current")
        left, shape = self._left(population, "synapse_factor"), nir_shape(population)
        tau = -(self.step / 1e12) / np.log(left)
        return {"tau_syn": in_nir_order(tau, shape), "w_in": in_nir_order(1 / (1 - left), shape)}

    def _leaking(self, population: Population, quanta: int) -> tuple[Floats, Floats, Floats]:
        """Time constant, r so that an input adds itself, and v_leak."""
        left, shape = self._left(population, "leak_factor"), nir_shape(population)
        tau = -(population.neuron.leak_period / 1e12) / np.log(left)
        rest = np.zeros(population.size)
        if population.bias is not None:
            bias = population.bias.astype(np.float64)
            _refuse(population, not bias.any(), "biases of its own that are all 0")
            rest = np.tile(bias, population.size // len(bias)) / quanta / (1 - left)
        tau, r, rest = (in_nir_order(values, shape) for values in (tau, 1 / (1 - left), rest))
        return tau, r, rest

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
        nodes = SYNAPSES[kind](projection, source, target, voltage_quanta(target))
        self.last = source.name
        if projection.delay:
            # Before what has a bias, which is there from the start.
            delay = np.full(nir_shape(source), projection.delay / 1e12)
            if round(float(delay.flat[0]) * 1e12) != projection.delay:
                raise InvalidNetwork(
                    f"projection {projection.name!r} has a delay of {projection.delay} ticks, which NIR's "
                    "seconds cannot say exactly"
                )
            self._append(f"{projection.name}.delay", self.nir.Delay(delay))
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
        self.edges.append((self.last, target.name))

    def _append(self, name: str, node: Any) -> None:
        name = self._free(name)
        self.nodes[name] = node
        self.edges.append((self.last, name))
        self.last = name


def _refuse(population: Population, has: bool, what: str) -> None:
    if has:
        raise InvalidNetwork(f"population {population.name!r} has {what}, which NIR cannot say")


NEURONS: dict[str, Callable[[_Writer, Population], None]] = {
    "input": _Writer.input_neurons,
    "rate": _Writer.firing,
    "readout": _Writer.read,
}
"""What NIR can say, by the rule of neurons."""
