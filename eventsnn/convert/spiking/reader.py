"""``from_spiking``: a torch module with a library's spiking neurons as a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from eventsnn.arguments import number, shown, whole
from eventsnn.convert.converter import require_decision
from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.importers.torch_fx import import_torch
from eventsnn.convert.normalisation import normalisation
from eventsnn.convert.spiking.fidelity import fidelity
from eventsnn.convert.spiking.lowering import Lowering
from eventsnn.convert.spiking.one_step import one_step
from eventsnn.convert.spiking.stand_ins import LIBRARIES, StandIns, has_spiking, stand_ins
from eventsnn.convert.trained import layers_of_original
from eventsnn.errors import InvalidRequest, UnsupportedLayer
from eventsnn.network import InputContract, Network
from eventsnn.provenance import started

LONGEST_STEP_US = 2**31 / 1e6
USUAL_STEP_US = 1000.0


def from_spiking(
    model: nn.Module,
    input_shape: Sequence[int] | None = None,
    *,
    step_us: float = USUAL_STEP_US,
    duration_us: float | None = None,
    input: str | None = None,
    input_range: Sequence[float] | None = None,
    input_mean: float | Sequence[float] | None = None,
    input_std: float | Sequence[float] | None = None,
    threshold: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Network:
    """Read a network of a PyTorch spiking library as it is.

    Parameters
    ----------
    model : torch.nn.Module
        With neurons of spikingjelly, snntorch, sinabs or norse, layers of ``torch.nn`` and those libraries'
        forms of them; used in evaluation mode, as a copy.
    input_shape : sequence of int, optional
        Of one sample in one step: (channels, y, x) or (features,). Not needed where a linear layer
        comes first.
    step_us : float
        Microseconds of a timestep, up to 2147: events of so long are one step's input.
    duration_us : float, optional
        How long images last in a run that does not say it: steps times ``step_us``.
    input : str, optional
        ``"analog"``: images, the same in each step; ``"events"``: counts of events in each step. Both are
        taken unless it is said.
    input_range, input_mean, input_std : optional
        How the model's input is normalised, as for ``convert``; folded into the first layer.
    threshold : int, optional
        Quanta of a threshold, for all neurons; else chosen for each layer so that its weights fit.
    metadata : mapping, optional
        Kept in the network.

    Returns
    -------
    Network
        Populations are named by the paths of the neurons' modules, the output by that of its last layer:
        a linear one is read as the running sum of what reaches it. ``metadata["spiking"]`` holds the
        library, the quanta of each threshold and how faithful each module is.

    Raises
    ------
    UnsupportedLayer
        A module or a forward that no network here computes, by its name.
    InvalidNetwork
        Numbers that cannot be, shapes that do not fit.
    InvalidRequest
        Settings out of range.
    """
    if not has_spiking(model):
        raise InvalidRequest(
            f"{shown(type(model).__name__)} has no spiking neurons of {', '.join(LIBRARIES)}; a network "
            "without spikes is converted with calibration data: eventsnn.convert(model, calibration)"
        )
    given = {"step_us": step_us, "duration_us": duration_us, "input": input, "threshold": threshold}
    step = _step(step_us)
    if duration_us is not None:
        duration_us = float(number(duration_us, "duration_us", InvalidRequest))
        ticks = round(duration_us * 1e6)
        if ticks < step or ticks % step:
            raise InvalidRequest(
                f"duration_us is {duration_us:g}, no whole number of steps of {step / 1e6:g}; give steps x "
                "step_us"
            )
        if input == "events":
            raise InvalidRequest(
                "duration_us is how long images last, and the input is events; leave it out, or input"
            )
    if input not in (None, "analog", "events"):
        raise InvalidRequest(f"input is {shown(input)}; allowed are analog (images), events, or None (both)")
    if threshold is not None:
        threshold = whole(threshold, "threshold", InvalidRequest, 1, 2**20)
    taken = started("from_spiking", {"options": {k: v for k, v in given.items() if v is not None}})
    shape = _input_shape(model, input_shape)
    replaced = stand_ins(model)
    if "" in replaced.neurons:
        raise UnsupportedLayer(
            f"the model is a {replaced.kinds['']} alone; give one with synapses, such as "
            "nn.Sequential(nn.Linear(...), "
            "neurons)"
        )
    original = import_torch(replaced.model, shape, one_step)
    _refuse_twice(replaced, original.graph.nodes)
    layers = layers_of_original(original).layers
    require_decision(layers[-1])
    _require_spikes(layers, replaced)
    low_high: Any = _several(input_range)
    mean, deviation = _several(input_mean), _several(input_std)
    if deviation is not None and min(deviation) <= 0:
        raise InvalidRequest(f"input_std is {shown(input_std)}; each deviation is above 0")
    if low_high is not None and (len(low_high) != 2 or low_high[0] >= low_high[1]):
        raise InvalidRequest(f"input_range is {shown(input_range)}; give the lowest and the highest value")
    norm = normalisation(low_high, mean, deviation, layers[0].shape[0])
    kinds = {path: kind.rpartition(" ")[2] for path, kind in replaced.kinds.items()}
    lowering = Lowering(layers, step, threshold, norm, kinds)
    populations, projections = lowering()
    told = {
        "library": sorted({kind.partition(" ")[0] for kind in replaced.kinds.values()}),
        "step_us": step / 1e6,
        "thresholds": {
            name: {"quanta": one.quanta, "largest_weight": one.largest, "rounding": one.error}
            for name, one in lowering.chosen.items()
        },
        "nodes": fidelity(original.graph, layers, replaced),
    }
    contract = InputContract(
        input, duration_us, input_range=low_high, mean=mean, deviation=deviation, step_us=step / 1e6
    )
    return Network(
        populations,
        projections,
        {**(metadata or {}), "spiking": told, "provenance": [taken()]},
        output=populations[-1].name,
        contract=contract,
    )


def _step(step_us: float) -> int:
    step = number(step_us, "step_us", InvalidRequest)
    if not 1e-6 <= step <= LONGEST_STEP_US:
        raise InvalidRequest(f"step_us is {step:g}; a timestep has 10^-6 to {LONGEST_STEP_US:g} microseconds")
    return max(1, round(float(step) * 1e6))


def _several(values: Any) -> tuple[float, ...] | None:
    """One number or several as a tuple of them."""
    if values is None:
        return None
    listed = values if isinstance(values, Sequence) or hasattr(values, "__len__") else (values,)
    return tuple(float(number(one, "a value of the input's normalisation", InvalidRequest)) for one in listed)


def _input_shape(model: nn.Module, given: Sequence[int] | None) -> tuple[int, ...]:
    if given is None:
        kinds = (nn.Conv2d, nn.Linear, nn.Flatten)
        first = next((module for module in model.modules() if isinstance(module, kinds)), None)
        if isinstance(first, nn.Linear):
            return (first.in_features,)
        raise InvalidRequest(
            "input_shape (--input-shape) is missing: the size of a sample is not known from the model; give "
            "(channels, y, x) of one step's input, as (2, 34, 34), or (features,)"
        )
    sides = tuple(whole(side, "a side of input_shape", InvalidRequest, 1) for side in given)
    if len(sides) not in (1, 3):
        raise InvalidRequest(
            f"input_shape is {shown(given)}; give (channels, y, x) or (features,) of one sample in one step"
        )
    return sides


def _refuse_twice(replaced: StandIns, nodes: Mapping[str, Any]) -> None:
    for path in replaced.neurons:
        if f"{path}#2" in nodes:
            raise UnsupportedLayer(
                f"module {path!r} ({replaced.kinds[path]}) is called several times in a step, and its "
                "neurons would mix what two places of the network send; give each place neurons of its own"
            )


def _require_spikes(layers: Sequence[Layer], replaced: StandIns) -> None:
    if replaced.neurons.keys().isdisjoint(layer.name for layer in layers):
        raise UnsupportedLayer("nothing that the model returns comes from its spiking neurons")
