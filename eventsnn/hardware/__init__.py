"""The accelerator: its description, where a network sits on it, and what each action costs."""

from eventsnn.hardware.architecture import Architecture, load_architecture, preset_names
from eventsnn.hardware.chip import Chip, CoreCosts
from eventsnn.hardware.mapping.file import MappingFile, load_mapping
from eventsnn.hardware.mapping.parts import INPUT_PORT, Mapping, Part
from eventsnn.hardware.mapping.placement import map_network

__all__ = [
    "INPUT_PORT",
    "Architecture",
    "Chip",
    "CoreCosts",
    "Mapping",
    "MappingFile",
    "Part",
    "load_architecture",
    "load_mapping",
    "map_network",
    "preset_names",
]
