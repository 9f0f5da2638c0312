"""One cell of a NIR graph and the chains that end in it, as a population and its projections."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidNetwork, NirWarning
from eventsnn.network import Input, IntegrateAndFire, Population, Projection, Readout, Sparse
from eventsnn.network.neurons import LEAK_ONE
from eventsnn.network.quanta import Chosen, quanta_for, rounded
from eventsnn.nir.cells import Cell
from eventsnn.nir.described import Described
from eventsnn.nir.forms import Form, form, our_order, our_shape
from eventsnn.nir.graph import Chain
from eventsnn.nir.kept import kept_in
from eventsnn.nir.operations import Floats, NirShape

CLOSE = 1e-6
"""To 1: a gain that ``to_nir`` wrote, after a time constant has been by way of a logarithm."""
MOST_DELAYS = 64
"""Of one chain: projections that it becomes."""
COARSE = 0.01
"""Part of the largest weight that rounding may take off without a warning."""


def input_population(graph: Described, kept: Mapping[str, Any]) -> Population:
    """The population of the Input node."""
    shape = our_shape(graph.shapes[graph.input], f"node {graph.input!r} (Input)")
    own = {key: kept[key] for key in ("unit", "analog_scale") if key in kept}
    return Population(graph.input, shape, Input(**own))


def population_of(
    graph: Described, name: str, step: int, threshold: int | None, kept: Mapping[str, Any]
) -> tuple[Population, list[Projection], Chosen]:
    """A cell as a population.

    Parameters
    ----------
    graph : Described
    name : str
    step : int
        Ticks.
    threshold : int or None
        Quanta, if they are not to be chosen.
    kept : mapping
        Of ``eventsnn.nir.kept``.

    Raises
    ------
    InvalidNetwork
        Numbers that do not fit.
    """
    one, shape = graph.cells[name], graph.shapes[name]
    order, ours = our_order(shape), our_shape(shape, f"node {name!r}")
    per_volt = np.ones(prod(shape)) if one.threshold is None else 1 / _in_order(one.threshold, shape, order)
    gain = _in_order(one.gain, shape, order)
    if "quanta" in kept and (np.abs(gain - 1) < CLOSE).all():
        gain = np.ones_like(gain)  # as it was written
    unit = gain * per_volt
    if not np.isfinite(unit).all():
        raise InvalidNetwork(f"node {name!r}: r beside v_threshold is beyond floating point; rescale them")
    wires = [(chain, _form(graph, chain, unit)) for chain in graph.chains if chain.target == name]
    scaled = [made.weight * unit[made.target_of_weight] for _, made in wires]
    largest = max((float(np.abs(weight).max(initial=0)) for weight in scaled), default=0.0)
    quanta = quanta_for(name, largest, kept.get("quanta", threshold))
    projections, error = [], 0.0
    for (chain, made), weight in zip(wires, scaled, strict=True):
        error = max(error, float(np.abs(np.rint(weight * quanta) / quanta - weight).max(initial=0)))
        projections += _projections(graph, chain, made, weight * quanta, unit * quanta, step)
    if error > COARSE * largest:
        warnings.warn(
            f"node {name!r}: the largest weight is {largest:.3g} thresholds, and rounding to whole quanta "
            f"takes up to {error:.3g} off; rescale the node",
            NirWarning,
            stacklevel=4,
        )
    drift = rounded(_in_order(one.drift, shape, order) * per_volt * quanta, name)
    start = rounded(_in_order(one.start, shape, order) * per_volt * quanta, name)
    alike = bool((start == start[0]).all()) and (one.fires or not start.any())
    clamp = _clamp(one, _in_order(one.reset, shape, order), per_volt * quanta)
    weights = kept.get("decision_weights")
    factors: dict[str, Any] = {
        "leak_factor": _factors(one.leak, shape, order, LEAK_ONE),
        "synapse_factor": _factors(one.synapse, shape, order, LEAK_ONE - 1),
    }
    population = Population(
        name,
        ours,
        _neuron(one, quanta, int(start[0]) if alike else 0, clamp, step, factors, kept),
        initial_charge=None if alike else start,
        bias=by_channel(drift, ours[2]) if drift.any() else None,
        decision_weights=None if weights is None else np.array(weights),
        **{f"{key}s": of_each for key, of_each in factors.items() if len(of_each) > 1 and of_each.max() > 0},
    )
    return population, projections, Chosen(quanta, largest, error)


def _in_order(values: Floats, shape: NirShape, order: NDArray[np.int64]) -> Floats:
    """One value a neuron, in our order."""
    whole = np.broadcast_to(values.reshape(()) if values.size == 1 else values, shape)
    return whole.reshape(-1)[order]


def by_channel(values: NDArray[Any], channels: int) -> NDArray[Any]:
    """One value a channel where that says it all."""
    rows = values.reshape(-1, channels)
    return rows[0] if (rows == rows[:1]).all() else values


def _form(graph: Described, chain: Chain, unit: Floats) -> Form:
    plain = [one for one in graph.operations(chain) if one.delay is None]
    return form(plain, graph.shapes[chain.source], graph.shapes[chain.target], unit, chain.name)


def _projections(
    graph: Described, chain: Chain, made: Form, weight: Floats, quanta: Floats, step: int
) -> list[Projection]:
    """A chain's projection, or one for each delay of its source neurons; see ``_projection``."""
    delays = _delays(graph, chain, step)
    if delays.ndim == 0:
        return [_projection(graph, chain, made, weight, quanta, step, int(delays))]
    size, ours = len(delays), our_shape(graph.shapes[chain.target], chain.name)
    numbers = np.arange(weight.size, dtype=np.int32).reshape(weight.shape)
    before = our_shape(graph.shapes[chain.source], chain.name)
    source, target, number = made.build(numbers).edges(before, ours)
    order = np.lexsort((target, source))
    source, target, number = source[order], target[order], number[order]
    found = []
    for place, ticks in enumerate(np.unique(delays[source])):
        mine = delays[source] == ticks
        # Each spike is one message to one of them; a bias comes once.
        part = Form(
            "sparse",
            weight.reshape(-1)[number[mine]],
            target[mine],
            partial(Sparse.from_edges, source[mine], target[mine], source_neurons=size, shape=ours),
            None if place else made.bias,
        )
        found.append(_projection(graph, chain, part, part.weight, quanta, step, int(ticks)))
    return found


def _projection(
    graph: Described, chain: Chain, made: Form, weight: Floats, quanta: Floats, step: int, delay: int
) -> Projection:
    """``weight`` in quanta, ``quanta`` per unit of each target neuron, both before rounding."""
    weight = _snapped(weight)
    node, target = _names_it(graph, chain), chain.target
    kept = {} if node is None else kept_in(graph.flat.nodes[node], f"node {node!r}")
    few = made.kind in ("identity", "sum_pool", "average_pool") and not kept.get("per_channel")
    if few and (weight == weight[0]).all():
        weight = weight[:1]
    channels = our_shape(graph.shapes[target], chain.name)[2]
    bias = None if made.bias is None else by_channel(_snapped(made.bias * quanta), channels)
    if bias is None and kept.get("zero_bias"):
        bias = np.zeros(channels)
    whole = rounded(weight, target)
    whole_bias = None if bias is None else rounded(bias, target)
    name = kept.get("projection", node)
    return Projection(
        f"{chain.source}_to_{target}" if name is None else name,
        chain.source,
        target,
        made.build(whole),
        whole_bias,
        delay,
        exact_weight=None if np.array_equal(whole, weight) else weight,
        exact_bias=None if bias is None or whole_bias is None or np.array_equal(whole_bias, bias) else bias,
    )


def _snapped(values: Floats) -> Floats:
    """Whole numbers that a division and a multiplication have moved by a bit or two."""
    near = np.rint(values)
    found: Floats = np.where(
        np.abs(values - near) <= 4 * np.finfo(np.float64).eps * np.abs(near), near, values
    )
    return found


def _names_it(graph: Described, chain: Chain) -> str | None:
    """The node that a chain's projection is called after: its first with weights, else its first."""
    weighted = [n for n in chain.operations if hasattr(graph.flat.nodes[n], "weight")]
    others = [n for n in chain.operations if graph.flat.kind(n) != "Delay"]
    return next(iter([*weighted, *others]), None)


def _delays(graph: Described, chain: Chain, step: int) -> NDArray[np.int64]:
    """Ticks: one for all synapses of a chain, shape (), or one for each source neuron, our order.

    The latter where a Delay of several values stands before what adds up: each spike still has one delay.
    """
    source = graph.shapes[chain.source]
    total: Any = np.zeros(prod(source))
    named, alone = False, True
    for one in graph.operations(chain):
        if one.delay is None:
            alone = alone and one.kind in ("scale", "flatten")
            continue
        named = True
        if one.delay.max() > one.delay.min() and not alone:
            raise InvalidNetwork(
                f"node {one.name!r} (Delay) has delays from {one.delay.min():g} to {one.delay.max():g} s "
                "behind what adds several signals up; a spike then has several delays, which one projection "
                "has not. Put it before, or a Delay node of one value each between parts of the layer"
            )
        total = total + (one.delay.reshape(-1) if alone else float(one.delay.max()))
    if not named and chain.source == chain.target:
        return np.array(step)
    ticks = np.rint(total * 1e12).astype(np.int64)[our_order(source)]
    for late in np.unique(ticks[ticks % step > 0])[:1]:
        warnings.warn(
            f"the delay of {chain.name}, {late / 1e12:g} s, is no whole number of steps of "
            f"{step / 1e6:g} us, which the step schedule asks for",
            NirWarning,
            stacklevel=6,
        )
    different = len(np.unique(ticks))
    if different > MOST_DELAYS:
        raise InvalidNetwork(
            f"{chain.name} has {different} different delays, each of which is a projection of its own; at "
            f"most {MOST_DELAYS}. Round them to whole steps"
        )
    return ticks if (ticks != ticks[0]).any() else ticks[0]


def _clamp(one: Cell, reset: Floats, per_volt: Floats) -> int | None:
    """The lower clamp in quanta above the reset, the same for all neurons."""
    asked = one.choices.lower_clamp
    memoryless = one.leak is not None and not np.any(one.leak)
    if asked is None or not one.fires or memoryless:
        return None
    lowest = rounded((asked - reset) * per_volt, one.name)
    if (lowest != lowest[0]).any():
        raise InvalidNetwork(
            f"node {one.name!r}: the lower clamp of {asked:g} is another part of each neuron's threshold; a "
            "population has one. Leave it out, or give all neurons one threshold"
        )
    if lowest[0] > 0:
        raise InvalidNetwork(
            f"node {one.name!r}: the lower clamp of {asked:g} is above v_reset; it is at most that"
        )
    return int(lowest[0])


def _factors(
    left: float | Floats | None, shape: NirShape, order: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    """What a step leaves, in parts of 2^30: of each neuron, of all in one number, or of nothing in none."""
    if left is None:
        return np.zeros(0, dtype=np.int64)
    values = np.asarray(left, dtype=np.float64)
    if values.ndim or values.size > 1:
        values = _in_order(values, shape, order)
    found = np.rint(LEAK_ONE * values.reshape(-1)).astype(np.int64)
    return np.minimum(found, most)


def _neuron(
    one: Cell,
    quanta: int,
    start: int,
    clamp: int | None,
    step: int,
    factors: Mapping[str, NDArray[np.int64]],
    kept: Mapping[str, Any],
) -> Any:
    own = {key: kept[key] for key in ("unit", "period") if key in kept}
    leak = {key: int(of_each.max()) for key, of_each in factors.items() if len(of_each)}
    if one.leak is not None:
        leak["leak_period"] = step
    if not one.fires:
        return Readout(**{"unit": 1 / quanta, "period": step, **leak, **own})
    given = {
        "threshold": quanta,
        "reset": one.choices.reset,
        "strict": one.choices.comparison == "greater",
        "multispike": one.choices.spikes == "many",
        "lower_clamp": clamp,
        "initial_charge": start,
        "period": step,
    }
    return IntegrateAndFire(**{**given, **leak, **own})
