"""What the report says about an accelerator: its values, and a run's energy by layer and action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.hardware import Chip, Mapping
from eventsnn.hardware.architecture import Architecture, parse_architecture
from eventsnn.hardware.energy import energy_by_action
from eventsnn.report.results import Results
from eventsnn.report.si import NO_VALUE, SPACE, percent, si
from eventsnn.report.tables import Cell, Table


@dataclass(frozen=True)
class Energy:
    """Mean energy per sample of one run, joules.

    ``joules`` has shape (layers, actions), actions that cost nothing left out; ``static`` is static
    power times latency.
    """

    layers: list[str]
    actions: list[str]
    joules: NDArray[np.float64]
    static: float

    @property
    def total(self) -> float:
        """Dynamic and static."""
        return float(self.joules.sum()) + self.static


def architecture_of(run: Results) -> Architecture | None:
    """The accelerator a run was modelled on, read back from its configuration."""
    description = run.configuration.get("architecture")
    return None if description is None else parse_architecture(description, "the architecture in the results")


def chip_of(run: Results) -> Chip | None:
    """The accelerator a run was modelled on, with its network on it."""
    architecture = architecture_of(run)
    if architecture is None:
        return None
    return Chip(Mapping.from_description(architecture, run.configuration["mapping"]))


def energy_of(run: Results) -> Energy | None:
    """Energy by layer and action; None without an accelerator."""
    chip = chip_of(run)
    if chip is None:
        return None
    costs = chip.energy(run.table.order, run.configuration["schedule"] == "step")
    counters = np.sum([sample.counters for sample in run.table.samples], axis=0)
    table = {k: v / len(run) for k, v in energy_by_action(counters, costs).items() if v.any()}
    joules = np.array(list(table.values())).reshape(len(table), len(run.table.order)).T
    static = chip.static_watts * float(run.latency_s.mean())
    return Energy(list(run.table.order), list(table), joules, static)


def shares(found: Energy) -> str:
    """How much of a run's energy is static, as a sentence."""
    dynamic = found.total - found.static
    of = f" ({percent(found.static / found.total)})" if found.total else ""
    return (
        f"Mean per sample {si(found.total, 'J')}: {si(found.static, 'J')} static{of}, which no layer "
        f"causes and the plot leaves out, and {si(dynamic, 'J')} dynamic."
    )


def energy_table(found: Energy) -> Table:
    """Layers by actions, with the static share apart."""

    def row(name: str, values: Sequence[float], total: float) -> list[Cell]:
        share = percent(total / found.total) if found.total else NO_VALUE
        return [Cell(name), Cell(si(total, "J")), Cell(share), *(Cell(si(v, "J")) for v in values)]

    none = [float("nan")] * len(found.actions)
    rows = [row(name, v.tolist(), float(v.sum())) for name, v in zip(found.layers, found.joules, strict=True)]
    rows += [
        row("dynamic, all layers", found.joules.sum(axis=0).tolist(), float(found.joules.sum())),
        row("static power × latency", none, found.static),
        row("total", none, found.total),
    ]
    header = [name.replace("_", " ") for name in found.actions]
    return Table(["Layer", "Sum", "Share", *header], rows, totals=3)


def accelerator_table(architecture: Architecture) -> Table:
    """Every value of an accelerator with how it is known and where from."""
    rows: list[list[Cell]] = []

    def walk(value: Any, place: str) -> None:
        if isinstance(value, dict) and {"value", "unit", "kind", "source"} <= value.keys():
            amount = f"{value['value']:g}{SPACE}{value['unit']}"
            rows.append([Cell(place), Cell(amount), Cell(value["kind"]), Cell(value["source"])])
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{place} {key}".strip().replace("_", " "))

    description = architecture.document()
    actions = description.pop("actions")
    walk(description, "")
    walk(actions, "")
    return Table(["Value of", "Amount", "Kind", "Source"], rows)
