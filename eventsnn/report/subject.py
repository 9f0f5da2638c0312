"""What a page is about: which network ran on which data and accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Configuration = dict[str, Any]


def subject(configurations: Sequence[Configuration]) -> str:
    """The networks, data and accelerators of runs, each named once, for a heading."""

    def named(name: Any) -> str:
        return " and ".join(dict.fromkeys(name(configuration) for configuration in configurations))

    return f"{named(network_name)} on {named(data_name)}, {named(accelerator_name)}"


def network_name(configuration: Configuration) -> str:
    """The network's file; of one from memory or in results of earlier versions, its checksum."""
    path = configuration.get("network_path")
    return f"network {str(configuration.get('network'))[:8]}" if path is None else Path(path).name


def data_name(configuration: Configuration) -> str:
    """The data set as a command line names it, or how many samples of memory; the split, if one was taken."""
    data, path = configuration.get("data") or {}, configuration.get("data_path")
    if path is None:
        return f"{data.get('samples')} samples in memory"
    split = data.get("split")
    return f"{data.get('kind')}:{Path(path).name}" + ("" if split in (None, "all") else f" {split}")


def accelerator_name(configuration: Configuration) -> str:
    """The accelerator, or that there was none."""
    hardware = configuration.get("hardware")
    return "no accelerator" if hardware is None else f"accelerator {hardware}"
