"""``from_nir``: a NIR graph as a network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eventsnn.arguments import shown
from eventsnn.errors import InvalidFile, InvalidNetwork, InvalidRequest
from eventsnn.network import InputContract, Network, Projection
from eventsnn.network.quanta import Chosen
from eventsnn.nir.choices import USUAL_STEP_US, Choices
from eventsnn.nir.described import Described
from eventsnn.nir.fidelity import fidelity
from eventsnn.nir.file import nir_package, read_graph
from eventsnn.nir.kept import kept_in, of_population
from eventsnn.nir.populations import input_population, population_of

SETTLED = ("reset", "comparison", "spikes", "lower_clamp", "integration")
DIFFERS = "differs by node"


def from_nir(
    source: Any,
    *,
    reset: str | None = None,
    comparison: str | None = None,
    spikes: str | None = None,
    lower_clamp: float | None = None,
    integration: str | None = None,
    step_us: float | None = None,
    threshold: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Network:
    """Read a spiking network from NIR.

    What is left out is as the file's metadata says, else as NIR defines it: hard, greater, one.

    Parameters
    ----------
    source : path or nir.NIRGraph
    reset : str, optional
        ``"hard"``: a spike sets the voltage to ``v_reset``; ``"soft"``: it takes off the threshold.
    comparison : str, optional
        Neurons fire when ``"greater"`` than the threshold, or ``"greater-or-equal"``.
    spikes : str, optional
        At one test: ``"one"``, or ``"many"``, as many thresholds as the voltage holds (soft reset).
    lower_clamp : float, optional
        The lowest voltage of spiking neurons, in the graph's unit; none unless given.
    integration : str, optional
        How time constants act in a step: ``"exponential"`` or ``"euler"``, see ``eventsnn.nir.cells``.
    step_us : float, optional
        Microseconds of a timestep. NIR does not say it; graphs with time constants, delays or biases need it.
    threshold : int, optional
        Quanta of a threshold, for all neurons; else chosen for each node so that its weights fit.
    metadata : mapping, optional
        Kept in the network.

    Returns
    -------
    Network
        ``metadata["nir"]`` holds the choices, the quanta of each threshold and how faithful each node is.

    Raises
    ------
    InvalidFile, MissingFile
        No NIR file, or a damaged one, or one whose nodes do not fit together.
    InvalidNetwork
        A graph whose nodes do not fit together, or numbers that cannot be.
    UnsupportedLayer
        A node that no population can have, by its name.
    InvalidRequest
        Choices that are not known, or contradict each other.
    MissingExtra
        The package ``nir`` is not installed.

    Warns
    -----
    NirWarning
        Something odd was read in the only way that makes sense of it.
    """
    asked = Choices(reset, comparison, spikes, lower_clamp, integration, step_us, threshold)
    if isinstance(source, str | os.PathLike):
        graph, version = read_graph(source)
        try:
            return _network(graph, version, Path(source).name, asked, metadata)
        except InvalidNetwork as error:
            raise InvalidFile(f"{source}: {error}") from error
    nir = nir_package()
    if not isinstance(source, nir.NIRGraph):
        raise InvalidRequest(f"{shown(source)} is no NIR graph; give a path or a nir.NIRGraph")
    return _network(source, nir.version, "the NIR graph", asked, metadata)


def _network(
    graph: Any, version: str, where: str, asked: Choices, metadata: Mapping[str, Any] | None
) -> Network:
    kept, described = kept_in(graph, where), Described(graph, where, asked)
    step = described.choices.step or round(USUAL_STEP_US * 1e6)
    populations = [input_population(described, of_population(kept, described.input))]
    projections: list[Projection] = []
    chosen: dict[str, Chosen] = {}
    for name in described.cells:
        own = of_population(kept, name)
        population, incoming, chosen[name] = population_of(described, name, step, asked.threshold, own)
        populations.append(population)
        projections += incoming
    told = kept.get("metadata", {})
    if not isinstance(told, dict):
        raise InvalidFile(f"{where} keeps {shown(told)} as the network's metadata; it is a JSON object")
    contract = kept.get("input")
    return Network(
        populations,
        _named_apart(projections),
        {**told, **(metadata or {}), "nir": _record(described, version, step, chosen)},
        output=described.output_population,
        contract=None if contract is None else InputContract.of(contract),
    )


def _record(graph: Described, version: str, step: int, chosen: dict[str, Chosen]) -> dict[str, Any]:
    """What was chosen, in the words of ``from_nir``, and each node's fidelity."""
    return {
        "version": version,
        **{name: _of_all(graph, name) for name in SETTLED},
        "step_us": step / 1e6,
        "thresholds": {
            name: {"quanta": one.quanta, "largest_weight": one.largest, "rounding": one.error}
            for name, one in chosen.items()
        },
        "nodes": {one.node: [one.kind, one.word, one.reason] for one in fidelity(graph)},
    }


def _of_all(graph: Described, name: str) -> Any:
    """A choice that all neurons share; the graph's where there are none, ``DIFFERS`` where they do not."""
    found = {getattr(cell.choices, name) for cell in graph.cells.values() if cell.fires}
    if not found:
        return getattr(graph.choices, name)
    return found.pop() if len(found) == 1 else DIFFERS


def _named_apart(projections: list[Projection]) -> list[Projection]:
    """Projections of one name (a node that lies on several paths) with numbers behind."""
    seen: set[str] = set()
    found = []
    for one in projections:
        name, number = one.name, 1
        while name in seen:
            number += 1
            name = f"{one.name}_{number}"
        seen.add(name)
        found.append(one if name == one.name else replace(one, name=name))
    return found
