"""The accelerator: its description, where a network sits on it, and what each action costs."""

from eventsnn.hardware.architecture import Architecture, load_architecture, preset_names
from eventsnn.hardware.chip import Chip, CoreCosts
from eventsnn.hardware.mapping import INPUT_PORT, Mapping, Part, map_network

__all__ = [
    "INPUT_PORT",
    "Architecture",
    "Chip",
    "CoreCosts",
    "Mapping",
    "Part",
    "load_architecture",
    "map_network",
    "preset_names",
]
