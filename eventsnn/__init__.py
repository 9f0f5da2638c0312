"""eventsnn: event-driven simulation of spiking networks converted from trained ones.

``load``, ``convert``, ``simulate`` and the names below are imported when they are first used, so that
``import eventsnn`` loads nothing but the standard library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from eventsnn.version import __version__ as __version__

if TYPE_CHECKING:
    from eventsnn.convert import convert as convert
    from eventsnn.engine import stimulus_from_events as stimulus_from_events
    from eventsnn.errors import EventsnnError as EventsnnError
    from eventsnn.events import open_dataset as open_dataset
    from eventsnn.hardware import load_architecture as load_architecture
    from eventsnn.network import Network as Network
    from eventsnn.network import load_network as load
    from eventsnn.results.results import Results as Results
    from eventsnn.run.simulate import simulate as simulate

# Public name -> (module, name in it).
_PUBLIC = {
    "EventsnnError": ("eventsnn.errors", "EventsnnError"),
    "Network": ("eventsnn.network", "Network"),
    "Results": ("eventsnn.results.results", "Results"),
    "convert": ("eventsnn.convert", "convert"),
    "load": ("eventsnn.network", "load_network"),
    "load_architecture": ("eventsnn.hardware", "load_architecture"),
    "open_dataset": ("eventsnn.events", "open_dataset"),
    "simulate": ("eventsnn.run.simulate", "simulate"),
    "stimulus_from_events": ("eventsnn.engine", "stimulus_from_events"),
}

__all__ = [
    "EventsnnError",
    "Network",
    "Results",
    "__version__",
    "convert",
    "load",
    "load_architecture",
    "open_dataset",
    "simulate",
    "stimulus_from_events",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'eventsnn' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value: Any = importlib.import_module(module)
    # The room ``eventsnn.convert`` is itself callable: storing its function would hide the room.
    if name != "convert":
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
