"""What an option says of single layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventsnn.convert.graph.layers import Layer
from eventsnn.convert.lowering.names import population_names
from eventsnn.errors import InvalidRequest


def asked_of_layers(
    option: str,
    given: int | tuple[int, ...] | Mapping[str, int] | None,
    layers: Sequence[Layer],
    choosing: Sequence[Layer],
) -> dict[str, int | None]:
    """What an option asks for, by layer: one number for all, a list along the network, or some by name.

    Raises
    ------
    InvalidRequest
        A list of another length than that of the layers that can be chosen for, or an unknown name.
    """
    if given is None or isinstance(given, int):
        return dict.fromkeys((layer.name for layer in layers), given)
    found: dict[str, int | None] = dict.fromkeys((layer.name for layer in layers), None)
    known = ", ".join(repr(layer.path) for layer in choosing)
    if isinstance(given, tuple):
        if len(given) != len(choosing):
            raise InvalidRequest(
                f"{option} lists {len(given)} numbers for {len(choosing)} layers of neurons: {known}; give "
                "one each, one for all, or a mapping from some of their names"
            )
        return found | {layer.name: n for layer, n in zip(choosing, given, strict=True)}
    population = population_names(layers)
    for name, number in given.items():
        named = [n for n in choosing if name in (n.name, n.path, population[n.name])]
        if not named:
            raise InvalidRequest(f"{option} names the layer {name!r}; layers of neurons are {known}")
        found |= {layer.name: number for layer in named}
    return found
