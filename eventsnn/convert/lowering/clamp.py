"""The voltage clamp: until when each layer is held.

B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), section 2.2.7: biases act before any spike
arrives, so a layer waits until those before it have settled.
"""

from __future__ import annotations

from collections.abc import Sequence

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.graph.operations import Input, MaxPool
from eventsnn.errors import InvalidRequest


def clamp_times(
    given: tuple[float, ...] | None, layers: Sequence[Layer], duration_us: float | None
) -> dict[str, float]:
    """Microseconds until which each layer with charges is held, by its name.

    One number is the time for each layer before it, along the longest way from the input; several are the
    layers' own times, from the first on. Gates of max-pools hold no charge and are never held.

    Raises
    ------
    InvalidRequest
        Not as many times as layers, or one that the samples do not reach.
    """
    charged = [layer for layer in layers if not isinstance(layer.operation, Input | MaxPool)]
    if given is None:
        return dict.fromkeys((layer.name for layer in charged), 0.0)
    if len(given) == 1:
        depth: dict[str, int] = {}
        for layer in layers:
            before = max((depth[branch.source] for branch in layer.branches), default=0)
            depth[layer.name] = before + (layer in charged)
        found = {layer.name: given[0] * (depth[layer.name] - 1) for layer in charged}
    elif len(given) == len(charged):
        found = {layer.name: time for layer, time in zip(charged, given, strict=True)}
    else:
        known = ", ".join(repr(layer.path) for layer in charged)
        raise InvalidRequest(
            f"voltage_clamp_us lists {len(given)} times for {len(charged)} layers: {known}; give one each, "
            "or one number, the time for each layer before it"
        )
    last = max(found.values())
    if duration_us is None or last >= duration_us:
        held = "is not known from this data" if duration_us is None else f"is {duration_us:g} us"
        raise InvalidRequest(
            f"voltage_clamp_us holds a layer until {last:g} us, and the duration of a sample {held}; give "
            "shorter times, or a longer duration_us"
        )
    return found
