"""The network: populations and projections that fit together, and their one order.

A network is immutable. Its ``order`` (topological depth, ties by name; a cycle has one depth) is the rank
that law 2 sorts simultaneous events by; declaration order never matters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import shown, text
from eventsnn.errors import InvalidNetwork
from eventsnn.network.contract import InputContract
from eventsnn.network.decision import decision_weights
from eventsnn.network.neurons import CHARGE_LIMIT
from eventsnn.network.population import Population
from eventsnn.network.projections import Projection


class Network:
    """Populations joined by projections, with one input and one output.

    Projections may form cycles; every projection inside one (its ends reach each other) then has a delay
    of at least one tick.

    Parameters
    ----------
    populations : iterable of Population
    projections : iterable of Projection
    metadata : mapping
        What a reader of the file should know (data, accuracy, class names); JSON values.
    output : str or None
        The population read for the decision, kept as ``metadata["output"]``. None is the one named there,
        else the only one without outgoing projections.
    contract : InputContract or None
        What the input means, kept as ``metadata["input"]``. None is the one there, else none: the network
        was not converted, and whoever runs it says what its input is.

    Raises
    ------
    InvalidNetwork
        Names clash or are missing, shapes do not fit, a cycle has no delay, no single input or output.
    """

    def __init__(
        self,
        populations: Iterable[Population],
        projections: Iterable[Projection],
        metadata: Mapping[str, Any] | None = None,
        output: str | None = None,
        contract: InputContract | None = None,
    ) -> None:
        self.populations: Mapping[str, Population] = _by_name(populations, Population)
        self.projections: Mapping[str, Projection] = _by_name(projections, Projection)
        if output is not None:
            text(output, "output", InvalidNetwork)
        if contract is not None and not isinstance(contract, InputContract):
            raise InvalidNetwork(f"contract is {shown(contract)}; give an InputContract")
        named: dict[str, Any] = {} if output is None else {"output": output}
        if contract is not None:
            named["input"] = contract.document()
        self.metadata: Mapping[str, Any] = MappingProxyType({**_json_values(metadata), **named})
        self.contract: InputContract | None = (
            InputContract.of(self.metadata["input"]) if "input" in self.metadata else None
        )
        self._check_ends()
        self.cycles: dict[str, frozenset[str]] = _cycles(self.populations, self.projections.values())
        self.order: tuple[str, ...] = self._order()
        self.input: str = self._only("input", [p.name for p in self if p.neuron.is_input])
        self.output: str = self._output()
        self._check_projections()
        self._check_charges()
        self._check_gates()
        self._check_decision()

    def __iter__(self) -> Any:
        return (self.populations[name] for name in self.order)

    def __repr__(self) -> str:
        neurons = sum(population.size for population in self)
        return (
            f"<Network: {len(self.populations)} populations, {neurons} neurons, {self.synapses()} synapses>"
        )

    def __reduce__(self) -> Any:
        # Mapping proxies do not pickle; what a network is made of does.
        parts = (list(self.populations.values()), list(self.projections.values()), dict(self.metadata))
        return (Network, parts)

    # -- questions ---------------------------------------------------------------------------------

    def fan_out(self, projection: str | Projection, effective: bool = False) -> NDArray[np.int64]:
        """Existing target synapses of each source neuron.

        Parameters
        ----------
        projection : str or Projection
            One of this network's.
        effective : bool
            Leave zero weights out.

        Returns
        -------
        int64 array, shape (source neurons,), in row-major (y, x, channel) order.
        """
        chosen = self._projection(projection)
        source, target = self._shapes(chosen)
        return chosen.fan_out(source, target, effective)

    def synapses(self, projection: str | Projection | None = None) -> int:
        """The number of existing synapses, of one projection or of the whole network."""
        chosen = self.projections.values() if projection is None else [self._projection(projection)]
        return sum(int(self.fan_out(item).sum()) for item in chosen)

    def dense_macs(self, projection: str | Projection | None = None) -> int:
        """Multiply-accumulates by the literature's count, of one projection or of the whole network.

        Targets x taps x source channels per group, as if every tap existed at every window position.
        It is blind to borders, where ``synapses`` counts only what exists: a 3x3 convolution padded by 1
        counts nine taps in a corner that has four. Use it to compare with published numbers only.
        """
        chosen = self.projections.values() if projection is None else [self._projection(projection)]
        return sum(item.synapses.dense_macs(self.populations[item.source].shape) for item in chosen)

    def edges(self, projection: str | Projection) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Every synapse of a projection: source index, target index (int64), weight (int32)."""
        chosen = self._projection(projection)
        return chosen.edges(*self._shapes(chosen))

    def bias(self, population: str) -> NDArray[np.int64]:
        """The summed bias of each neuron of a population, int64 quanta."""
        target = self.population(population)
        total = np.zeros(target.size, dtype=np.int64)
        if target.bias is not None:
            total += np.tile(target.bias, target.size // target.bias.size)
        for projection in self.incoming(population):
            total += projection.bias_of_neurons(*self._shapes(projection))
        return total

    def incoming(self, population: str) -> list[Projection]:
        """The projections that end in a population, by name."""
        return [
            self.projections[n] for n in sorted(self.projections) if self.projections[n].target == population
        ]

    def outgoing(self, population: str) -> list[Projection]:
        """The projections that start in a population, by name."""
        return [
            self.projections[n] for n in sorted(self.projections) if self.projections[n].source == population
        ]

    def lowest_count(self, population: str) -> int:
        """The smallest count that a neuron of a population ends with: exact gates follow their sources."""
        neuron = self.populations[population].neuron
        if neuron.rule == "exact_gate":
            return min(self.lowest_count(projection.source) for projection in self.incoming(population))
        return int(neuron.ruled.lowest) if neuron.rule == "signed" else 0

    @cached_property
    def checksum(self) -> str:
        """Hash of everything that decides what the network computes; metadata is left out."""
        from eventsnn.network.writing import content_checksum

        return content_checksum(self)

    def save(self, path: Any) -> None:
        """Write the network to an HDF5 file (see ``eventsnn.network.writing``)."""
        from eventsnn.network.writing import save_network

        save_network(self, path)

    def at_rest(self) -> Network:
        """The same network starting from its settled state at no input; see ``eventsnn.network.rest``."""
        from eventsnn.network.rest import settled_populations

        return Network(settled_populations(self), self.projections.values(), _unverified(self.metadata))

    def with_neurons(self, **changes: Any) -> Network:
        """The same network with parameters of every population of signed neurons changed.

        ``network.with_neurons(settle_time=10**9, hysteresis_low=100)`` tests lazily; weights stay.
        """
        from dataclasses import replace

        populations = [
            replace(p, neuron=replace(p.neuron, **changes)) if p.neuron.rule == "signed" else p for p in self
        ]
        return Network(populations, self.projections.values(), _unverified(self.metadata))

    # -- validation --------------------------------------------------------------------------------

    def population(self, name: str) -> Population:
        """A population by its name.

        Raises
        ------
        InvalidNetwork
            There is none of that name.
        """
        if not isinstance(name, str) or name not in self.populations:
            raise InvalidNetwork(
                f"no population {shown(name)} in this network; it has {', '.join(sorted(self.populations))}"
            )
        return self.populations[name]

    def _projection(self, projection: str | Projection) -> Projection:
        name = projection.name if isinstance(projection, Projection) else projection
        if not isinstance(name, str) or name not in self.projections:
            raise InvalidNetwork(
                f"no projection {name!r} in this network; it has {', '.join(sorted(self.projections))}"
            )
        return self.projections[name]

    def _shapes(self, projection: Projection) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        return self.populations[projection.source].shape, self.populations[projection.target].shape

    def _only(self, what: str, names: list[str]) -> str:
        if len(names) != 1:
            found = ", ".join(names) if names else "none"
            raise InvalidNetwork(f"a network has exactly one {what} population; found {found}")
        return names[0]

    def _check_ends(self) -> None:
        for projection in self.projections.values():
            for end in (projection.source, projection.target):
                if end not in self.populations:
                    raise InvalidNetwork(
                        f"projection {projection.name!r} names the population {end!r}, which is not there"
                    )

    def _output(self) -> str:
        named = self.metadata.get("output")
        if named is None:
            return self._only("output", self.sinks)
        if not isinstance(named, str) or named not in self.populations:
            raise InvalidNetwork(
                f"the output is named {named!r} (metadata 'output'), which is not there; populations are "
                f"{', '.join(sorted(self.populations))}"
            )
        return str(named)

    @property
    def sinks(self) -> list[str]:
        """The populations without outgoing projections, by rank."""
        sources = {projection.source for projection in self.projections.values()}
        return [population.name for population in self if population.name not in sources]

    def _order(self) -> tuple[str, ...]:
        """Populations by (longest path from a source, name); a cycle counts as one place on a path."""
        depth = dict.fromkeys(self.populations, 0)
        changed = True
        while changed:
            changed = False
            for projection in self.projections.values():
                source, target = projection.source, projection.target
                cycle = self.cycles.get(target, frozenset((target,)))
                if source in cycle:
                    if projection.delay < 1:
                        raise InvalidNetwork(
                            f"the projections form a cycle through {', '.join(sorted(cycle))}, and "
                            f"{projection.name!r} in it has no delay; give every projection of a cycle at "
                            "least one tick"
                        )
                elif depth[target] <= depth[source]:
                    depth.update(dict.fromkeys(cycle, depth[source] + 1))
                    changed = True
        return tuple(sorted(depth, key=lambda name: (depth[name], name)))

    def _check_projections(self) -> None:
        for projection in self.projections.values():
            source, target = self._shapes(projection)
            needed, offset = projection.own_shape(source), projection.channel_offset
            if needed[:2] != target[:2] or offset + needed[2] > target[2]:
                fits = f", from channel {offset} on" if offset else ""
                raise InvalidNetwork(
                    f"projection {projection.name!r} gives shape {needed} from {projection.source!r} "
                    f"of shape {source}{fits}, but {projection.target!r} has shape {target}: it needs "
                    f"{needed[0]} rows, {needed[1]} columns and at least {offset + needed[2]} channels"
                )
            if self.populations[projection.target].neuron.is_input:
                raise InvalidNetwork(f"projection {projection.name!r} ends in the input population")
            projection.bias_of_neurons(source, target)
        for population in self:
            self._check_every_channel_is_reached(population)

    def _check_every_channel_is_reached(self, population: Population) -> None:
        """Refuse a concatenation with a gap; its channels would never receive anything."""
        reached = np.zeros(population.shape[2], dtype=bool)
        found = []
        for projection in self.incoming(population.name):
            source, _ = self._shapes(projection)
            first, stop = projection.channels(source)
            reached[first:stop] = True
            shape = projection.own_shape(source)
            found.append(f"projection {projection.name!r} gives shape {shape} from channel {first} on")
        if found and not reached.all():
            raise InvalidNetwork(
                f"channel {int(np.argmin(reached))} of population {population.name!r} of shape "
                f"{population.shape} receives nothing: {'; '.join(found)}. Change the population's shape, "
                "or add a projection with the channel_offset of the gap"
            )

    def _check_charges(self) -> None:
        for population in self:
            neuron = population.neuron
            driven = population.bias is not None and neuron.current_period > 0 and not neuron.only_read
            if not (self.incoming(population.name) or neuron.is_input or driven):
                raise InvalidNetwork(f"population {population.name!r} receives no projection")
            if neuron.only_read and self.outgoing(population.name):
                raise InvalidNetwork(
                    f"{neuron.kind} population {population.name!r} has outgoing projections; it is only read"
                )
            if neuron.only_read and population.name != self.output:
                raise InvalidNetwork(
                    f"{neuron.kind} population {population.name!r} is not the output, {self.output!r}"
                )
            if population.initial_charge is not None:
                continue
            start = neuron.starting_charge
            bias = np.abs(self.bias(population.name)).max(initial=0)
            if start + int(bias) > CHARGE_LIMIT:
                raise InvalidNetwork(
                    f"population {population.name!r} starts outside the 32-bit charge range; "
                    "use a smaller threshold"
                )

    def _check_decision(self) -> None:
        """Only the output is weighed in a decision."""
        for population in self:
            if population.decision_weights is not None and population.name != self.output:
                raise InvalidNetwork(
                    f"population {population.name!r} has decision_weights, but the decision is read from the "
                    f"output, {self.output!r}; only the output takes them"
                )
        decision_weights(self.populations[self.output])

    def _check_gates(self) -> None:
        """Max gates and max-pool synapses go together, one projection each."""
        for projection in self.projections.values():
            gates = not self.populations[projection.target].neuron.holds_charge
            if gates != projection.synapses.compares:
                raise InvalidNetwork(
                    f"projection {projection.name!r} of kind {projection.synapses.kind} ends in "
                    f"{self.populations[projection.target].neuron.kind} neurons; max_pool synapses end in "
                    "max gates, and nothing else does"
                )
        for population in self:
            if not (population.neuron.holds_charge or population.neuron.is_input):
                self._check_gate(population)

    def _check_gate(self, population: Population) -> None:
        gate = population.neuron
        incoming = self.incoming(population.name)
        if len(incoming) != 1 or incoming[0].bias is not None:
            raise InvalidNetwork(
                f"population {population.name!r} of max gates takes exactly one projection, without a bias; "
                f"found {', '.join(p.name for p in incoming)}"
            )
        source = self.populations[incoming[0].source]
        if gate.emits == "what arrives" and source.neuron.emits == "signed spikes":
            raise InvalidNetwork(
                f"population {population.name!r} of max gates estimates rates ({gate.ruled.filter}), but "
                f"{source.name!r} emits signed spikes; use the filter 'exact'"
            )
        nothing = np.iinfo(np.int64).min
        settled = np.full(population.size, nothing)
        if source.initial_count is not None:
            before, target, _ = self.edges(incoming[0])
            np.maximum.at(settled, target, source.initial_count[before].astype(np.int64))
        settled[settled == nothing] = 0
        given = population.initial_count if population.initial_count is not None else 0 * settled
        if not np.array_equal(given, settled):
            raise InvalidNetwork(
                f"population {population.name!r}: a max gate's initial count is the largest of its window"
            )


def _unverified(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Metadata for other neurons: that these were verified they do not say."""
    conversion = metadata.get("conversion")
    if not isinstance(conversion, Mapping) or "verified" not in conversion:
        return metadata
    return {**metadata, "conversion": {k: v for k, v in conversion.items() if k != "verified"}}


def _cycles(names: Iterable[str], projections: Iterable[Projection]) -> dict[str, frozenset[str]]:
    """For each population on a cycle, the populations that it reaches and that reach it."""
    targets: dict[str, set[str]] = {name: set() for name in names}
    for projection in projections:
        targets[projection.source].add(projection.target)
    reached: dict[str, set[str]] = {}
    for name in targets:
        seen: set[str] = set()
        waiting = list(targets[name])
        while waiting:
            found = waiting.pop()
            if found not in seen:
                seen.add(found)
                waiting.extend(targets[found])
        reached[name] = seen
    return {
        name: frozenset(other for other in seen if name in reached[other])
        for name, seen in reached.items()
        if name in seen
    }


def _json_values(metadata: Any) -> dict[str, Any]:
    """Metadata, refused where the file could not keep it."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping) or not all(isinstance(key, str) for key in metadata):
        raise InvalidNetwork(f"metadata is {shown(metadata)}; give a mapping of texts to JSON values")
    for key, value in metadata.items():
        try:
            json.dumps(value, sort_keys=True)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidNetwork(
                f"metadata {key!r} is {shown(value)}, which JSON cannot hold ({error}); use texts, numbers, "
                "lists and mappings of them"
            ) from error
    return dict(metadata)


def _by_name(items: Any, kind: type[Any]) -> Mapping[str, Any]:
    what = kind.__name__.lower()
    if not isinstance(items, Iterable) or isinstance(items, str | bytes):
        raise InvalidNetwork(f"{what}s are {shown(items)}; give a list of {kind.__name__} objects")
    named: dict[str, Any] = {}
    for item in items:
        if type(item) is not kind:
            raise InvalidNetwork(f"one of the {what}s is {shown(item)}; each is a {kind.__name__}")
        if item.name in named:
            raise InvalidNetwork(f"two {what}s are named {item.name!r}; names are unique")
        named[item.name] = item
    if not named:
        raise InvalidNetwork(f"a network needs at least one {what}")
    return MappingProxyType(named)
