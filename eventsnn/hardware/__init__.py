"""The accelerator: its description, where a network sits on it, and what each action costs."""

from eventsnn.hardware.architecture import Architecture, load_architecture, preset_names
from eventsnn.hardware.mapping import INPUT_PORT, Mapping, Part, map_network
from eventsnn.hardware.timing import Timing

__all__ = [
    "INPUT_PORT",
    "Architecture",
    "Mapping",
    "Part",
    "Timing",
    "load_architecture",
    "map_network",
    "preset_names",
]
