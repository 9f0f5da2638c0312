"""NIR, the Neural Intermediate Representation (Pedersen et al. 2024): networks from and to other tools.

A NIR graph is a spiking network already: it is read as it is, not converted by way of activations. What NIR
leaves open (which reset, which comparison, how many spikes a step, how time is stepped) is said by
``Choices``, and stands in the network's metadata.

Names load on first use; the package ``nir`` is imported where it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventsnn.nir.reader import from_nir as from_nir
    from eventsnn.nir.writer import to_nir as to_nir
    from eventsnn.nir.writer import write_nir as write_nir

_HOME = {"from_nir": "reader", "to_nir": "writer", "write_nir": "writer"}

__all__ = ["from_nir", "to_nir", "write_nir"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
