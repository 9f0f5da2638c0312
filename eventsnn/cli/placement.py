"""How ``eventsnn hardware`` shows where a network lies, and how busy that will keep the accelerator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eventsnn.cli import show

if TYPE_CHECKING:
    from eventsnn.hardware import Architecture, Part


def print_use(network: Path, architecture: Architecture, mapping: str | None) -> None:
    """Every part with its use of each limit of its core."""
    from eventsnn.hardware import map_network
    from eventsnn.hardware.limits import LIMITS
    from eventsnn.hardware.placement_checks import use_of_cores
    from eventsnn.network import load_network

    loaded = load_network(network)
    placed = map_network(loaded, architecture, mapping)
    made = show.table(
        "population", "core", "rows", "channels", *(limit.replace("_", " ") for limit in LIMITS)
    )
    for part in placed.parts[loaded.input]:
        if part.core < 0:
            made.add_row(*_place(part, "input port"), *("-" for _ in LIMITS))
    for core in use_of_cores(loaded, placed):
        for part, use in core.of_part.items():
            made.add_row(*_place(part, str(core.core)), *_shares(use))
        if len(core.of_part) > 1:
            made.add_row("all on this core", str(core.core), "", "", *_shares(core.together))
    show.print_table(made, f"{network} on {architecture.name}, use of each limit")


def _place(part: Part, core: str) -> tuple[str, str, str, str]:
    return part.population, core, f"{part.y0}-{part.y1 - 1}", f"{part.c0}-{part.c1 - 1}"


def _shares(use: dict[str, tuple[int, int]]) -> list[str]:
    """Per cent of each limit; a core of 0 weights serves parts without weights."""
    from eventsnn.hardware.limits import LIMITS

    return [f"{100 * use[name][0] / max(use[name][1], 1):.1f} %" if name in use else "-" for name in LIMITS]
