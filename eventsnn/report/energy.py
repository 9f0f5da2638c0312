"""What the report says about an accelerator: its values, and a run's energy by layer and action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Chip, Mapping
from eventsnn.hardware.architecture import SCHEMA, Architecture, parse_architecture
from eventsnn.hardware.energy import EnergyModel, energy_by_action
from eventsnn.hardware.quantities import ATTOJOULES_PER_JOULE, ENDS
from eventsnn.hardware.values import stated_values
from eventsnn.report.si import NO_VALUE, SPACE, percent, si
from eventsnn.report.tables import Cell, Table
from eventsnn.results.results import Results


@dataclass(frozen=True)
class Energy:
    """Mean energy per sample of one run, joules.

    ``joules`` has shape (layers, actions), actions that cost nothing left out; ``static`` is static
    power times latency. ``layer_ends`` (layers, 2) and ``static_ends`` are the layers' sums and the static
    share with every energy and power at the low and the high end of its band.
    """

    layers: list[str]
    actions: list[str]
    joules: NDArray[np.float64]
    static: float
    layer_ends: NDArray[np.float64]
    static_ends: tuple[float, float]

    @property
    def total(self) -> float:
        """Dynamic and static."""
        return float(self.joules.sum()) + self.static

    @property
    def ends(self) -> tuple[float, float]:
        """The total at either end."""
        low, high = self.layer_ends.sum(axis=0)
        return float(low) + self.static_ends[0], float(high) + self.static_ends[1]


def architecture_of(run: Results) -> Architecture | None:
    """The accelerator a run was modelled on, read back from its configuration; None without one.

    Raises
    ------
    InvalidRequest
        An earlier version described it in another form.
    """
    description = run.configuration.get("architecture")
    if description is None:
        return None
    if description.get("schema") != SCHEMA:
        raise InvalidRequest(
            f"these results are of eventsnn {run.configuration.get('version')} and describe the accelerator "
            f"{description.get('name')!r} in schema {description.get('schema')}, not in {SCHEMA}, so their "
            "energy cannot be broken down here: run again, or use 'eventsnn curve' and 'inspect', which "
            "still read them"
        )
    return parse_architecture(description, "the architecture in the results")


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
    model = EnergyModel.of(chip, run.table.order, run.configuration["schedule"] == "step")
    costs, latency = model.tables["nominal"], float(run.latency_s.mean())
    counters = np.sum([sample.counters for sample in run.table.samples], axis=0)
    table = {k: v / len(run) for k, v in energy_by_action(counters, costs).items() if v.any()}
    joules = np.array(list(table.values())).reshape(len(table), len(run.table.order)).T
    # In floating point: all samples' attojoules together may leave 64 bits.
    by_layer = [(counters * model.tables[end].astype(np.float64)).sum(axis=1) for end in ENDS]
    return Energy(
        list(run.table.order),
        list(table),
        joules,
        model.static_watts["nominal"] * latency,
        np.stack(by_layer, axis=1) / (ATTOJOULES_PER_JOULE * len(run)),
        (model.static_watts["low"] * latency, model.static_watts["high"] * latency),
    )


def shares(found: Energy) -> str:
    """How much of a run's energy is static, as a sentence."""
    dynamic = found.total - found.static
    of = f" ({percent(found.static / found.total)})" if found.total else ""
    return (
        f"Mean per sample {si(found.total, 'J')}: {si(found.static, 'J')} static{of}, which no layer "
        f"causes, and {si(dynamic, 'J')} dynamic. {_interval_sentence(found)}"
    )


def _interval_sentence(found: Energy) -> str:
    between = between_text(*found.ends)
    if not between:
        return "No value that was needed states a band, so there is no interval."
    return f"With every energy and power at either end of its band: {between}."


def between_text(low: float, high: float) -> str:
    """An interval; nothing if it has no width."""
    return "" if low == high else f"{si(low, 'J')} to {si(high, 'J')}"


def energy_table(found: Energy) -> Table:
    """Layers by actions, with the static share apart."""

    def row(name: str, values: Sequence[float], total: float, ends: Sequence[float]) -> list[Cell]:
        share = percent(total / found.total) if found.total else NO_VALUE
        sum_ = Cell(si(total, "J"), between_text(*ends))
        return [Cell(name), sum_, Cell(share), *(Cell(si(v, "J")) for v in values)]

    none = [float("nan")] * len(found.actions)
    dynamic, all_ends = found.joules.sum(axis=0), found.layer_ends.sum(axis=0)
    rows = [
        row(name, values.tolist(), float(values.sum()), ends.tolist())
        for name, values, ends in zip(found.layers, found.joules, found.layer_ends, strict=True)
    ]
    rows += [
        row("dynamic, all layers", dynamic.tolist(), float(dynamic.sum()), all_ends.tolist()),
        row("static power × latency", none, found.static, found.static_ends),
        row("total", none, found.total, found.ends),
    ]
    header = [name.replace("_", " ") for name in found.actions]
    return Table(["Layer", "Sum", "Share", *header], rows, totals=3)


def accelerator_table(architecture: Architecture) -> Table:
    """Every value of an accelerator with how it is known and where from."""
    rows = []
    if architecture.corner is not None:
        factors = architecture.corners[architecture.corner]
        words = f"times × {factors.time:g}, energies × {factors.energy:g}"
        words += f", static power × {factors.static_power:g}"
        row = (f"corner {architecture.corner}", words, "factors on these values", factors.source)
        rows.append([Cell(text) for text in row])
    for place, value in stated_values(architecture):
        amount = f"{value.value:g}{SPACE}{value.unit}"
        band = value.band
        within = "" if band is None else f"{band[0]:g} to {band[1]:g}{SPACE}{value.unit}"
        words = place.removeprefix("actions.").replace(".", " ").replace("_", " ")
        known = Cell(value.kind, value.origin or "")
        rows.append([Cell(words), Cell(amount, within), known, Cell(value.source)])
    return Table(["Value of", "Amount", "Kind", "Source"], rows)
