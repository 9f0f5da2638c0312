"""What a converted network's file tells about its conversion and each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Input
from eventsnn.convert.graph.passes.equalise import Equalised
from eventsnn.convert.lowering.coded import Lowered
from eventsnn.convert.lowering.names import population_names
from eventsnn.convert.lowering.rate import spikes_of_lambda
from eventsnn.convert.settings import DEFAULT_SPIKES, ONLY_RATE, OPTIONS, Settings
from eventsnn.errors import InvalidRequest
from eventsnn.network import Population


def conversion_record(
    settings: Settings, unit: float, duration_us: float | None, samples: int, version: Mapping[str, str]
) -> dict[str, Any]:
    """What it tells about the whole conversion."""
    record: dict[str, Any] = {
        "neuron": settings.neuron,
        "input_scale": unit,
        "scales": settings.scales,
        "average_pools": settings.average_pools,
        "calibration_samples": samples,
        **version,
    }
    if settings.neuron == "rate":
        if settings.scale_rule == "percentile":
            record["percentile"] = float(settings.percentile)
        record["spikes_at_lambda"] = float(settings.spikes_at_lambda or DEFAULT_SPIKES)
        record["duration_us"] = duration_us
        asked = {name: getattr(settings, name) for name in ONLY_RATE}
        record |= {name: value for name, value in asked.items() if value != OPTIONS[name].default}
    if settings.weight_bits is not None:
        record["weight_bits"] = int(settings.weight_bits)
    if settings.bias_correction:
        record["bias_correction"] = True
    return record


def equalisation_record(found: Equalised | None, layers: Sequence[Layer]) -> dict[str, Any] | None:
    """What was equalised, and why not what was not; None where it was not asked for.

    Raises
    ------
    InvalidRequest
        Nothing could be.
    """
    if found is None:
        return None
    if not found.factors:
        reasons = [f"{path!r} {reason}" for path, reason in found.skipped.items()]
        raise InvalidRequest(
            "equalise: no layer can have its channels' weights made of one size: "
            f"{'; '.join(reasons) or 'there is no ReLU'}. Leave equalise out"
        )
    names = population_names(layers)
    return {"layers": [names[name] for name in found.factors], "skipped": found.skipped}


def layer_records(
    settings: Settings,
    layers: Sequence[Layer],
    made: Mapping[str, Lowered],
    populations: Sequence[Population],
    duration_us: float | None,
) -> list[dict[str, Any]]:
    """What the network's file tells about each layer."""
    found = []
    names, by_name = population_names(layers), {population.name: population for population in populations}
    for layer in layers:
        if isinstance(layer.operation, Input):
            continue
        lowered, population = made[layer.name], by_name[names[layer.name]]
        neuron: Any = population.neuron
        told: dict[str, Any] = {"name": population.name, "module": layer.path}
        told["activation"] = None if layer.operation is None else type(layer.operation).__name__
        units = np.atleast_1d(neuron.unit).tolist()
        if neuron.rule == "signed":
            told |= {"levels": neuron.largest_count, "theta": [u * neuron.largest_count for u in units]}
        elif neuron.rule == "rate":
            spikes = spikes_of_lambda(settings, layer)
            if neuron.test_period:
                spikes /= neuron.test_period // neuron.period
            told |= {"lambda": [u * spikes for u in units], "spikes_at_lambda": spikes}
        elif neuron.rule == "first_spike":
            assert duration_us is not None
            told["lambda"] = [u * (duration_us * 10**6 / neuron.period) for u in units]
        elif neuron.drawn:
            told["softmax"] = neuron.variant
        if lowered.coded.constant is not None:
            told["at_zero"] = lowered.coded.constant.tolist()
        if lowered.ties:
            told["ties"] = "charges half way between two levels round up, in the original to the even one"
        found.append(told)
    return found
