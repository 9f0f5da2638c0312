"""A conversion as tables and sentences, and as a self-contained page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from eventsnn.convert.check import BEST
from eventsnn.convert.diagnosis import Diagnosis
from eventsnn.convert.layer_sums import LayerCheck, Part
from eventsnn.output import HTML, replaced_whole
from eventsnn.report import plots
from eventsnn.report.page import rendered, require_extra
from eventsnn.report.si import NO_VALUE, SPACE, percent, si
from eventsnn.report.tables import Cell, Table
from eventsnn.version import __version__

EXTRA_COLUMNS = ("mean activation", "largest", "silent", "scale")
"""Of the table of layers: what a narrow terminal does without."""

MANY = 1000
"""Labelled samples from which on a hundredth of a percent is told."""


def write_conversion(told: Diagnosis, path: str | os.PathLike[str]) -> None:
    """Write the page; the file needs nothing from elsewhere.

    Raises
    ------
    MissingExtra
        jinja2 or matplotlib is not installed.
    """
    require_extra()
    checks = told.found.layers
    page = rendered(
        "conversion.html.j2",
        version=__version__,
        title=f"{Path(told.model).name} as a spiking network",
        network=Path(told.output).name,
        samples=len(told.labels),
        what=told.what,
        headline=headline(told),
        sentences=[decisions(told), *work(told)],
        correlations=plots.correlation_bars(
            [check.correlation for check in checks], [check.name for check in checks], "correlations"
        ),
        layers=layers(told),
        histograms=[_histogram(check, number) for number, check in enumerate(checks)],
        parts=parts(told),
        settings=_settings(told),
    )
    with replaced_whole(Path(path), HTML) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(page)


def layers(told: Diagnosis) -> Table:
    """A row for each population: how far it is from the original's values."""
    header = [
        *("population", "neuron", "mean activation", "mean difference", "largest", "correlation"),
        *("saturated", "silent", "scale"),
    ]
    rows = [
        [
            check.name,
            check.neuron,
            f"{check.mean_activation:.4g}",
            f"{check.mean_difference:.4g}",
            f"{check.largest_difference:.4g}",
            f"{check.correlation:.4f}",
            percent(check.saturated),
            percent(check.silent),
            check.scale_text or NO_VALUE,
        ]
        for check in told.found.layers
    ]
    return _table(header, rows)


def parts(told: Diagnosis) -> Table:
    """A row for each population: which of the original's nodes it stands for; last, what is in none."""
    rows = [[check.name, _named(check.folded)] for check in told.found.layers]
    if told.found.ignored:
        rows.append(["left out", f"{_named(told.found.ignored)}, on which no decision depends"])
    return _table(["population", "stands for the original's"], rows)


def sentences(told: Diagnosis) -> list[str]:
    """What a reader wants to know first, a line each."""
    found = [decisions(told)]
    if told.accuracy is not None:
        of_model, of_network = _shares(told, told.accuracy)
        found.append(
            f"accuracy: original {of_model}, network {of_network} ({told.labelled} labelled {told.what})"
        )
    if told.top is not None:
        of_model, of_network = _shares(told, told.top)
        found.append(f"top-{BEST} accuracy: original {of_model}, network {of_network}")
    return found + work(told)


def decisions(told: Diagnosis) -> str:
    """How often both decide alike."""
    return f"decisions agree with the original's: {percent(told.found.agreement)}"


def work(told: Diagnosis) -> list[str]:
    """What both cost, whether the network was verified, and where it goes wrong."""
    operations = told.operations
    found = [
        f"operations of the original: {operations['border_blind']:,} border-blind, "
        f"{operations['border_exact']:,} border-exact ({told.macs:,} multiply-accumulates)"
    ]
    mean = told.mean_operations
    if mean is not None:
        ratio = f", {mean / told.macs:.2f} x those multiply-accumulates" if told.macs else ""
        found.append(
            f"synaptic operations of the network: {si(mean, 'SOP')} a sample, mean of "
            f"{len(told.synaptic_operations)} simulated{ratio}"
        )
    verified = told.verified
    if verified is not None:
        found.append(verified_text(verified))
    if told.levels_budget is not None:
        found.append(_budget_text(told.levels_budget, mean))
    if told.equalised is not None:
        left = "".join(f"; not {path}, which {reason}" for path, reason in told.equalised["skipped"].items())
        found.append(f"equalised: {', '.join(told.equalised['layers'])}{left}")
    wrong = told.found.why_wrong()
    if wrong is not None:
        found.append(f"the first layer that goes wrong is {wrong[0]}: {wrong[1]}")
    return found


def verified_text(verified: dict[str, int]) -> str:
    """What a network's flag says."""
    samples = "1 sample" if verified["samples"] == 1 else f"{verified['samples']} samples"
    return (
        f"verified: {verified['neurons']:,} neurons end {samples} with the counts of the quantised network, "
        f"{verified['deviating']} deviate"
    )


def _budget_text(plan: dict[str, Any], simulated: float | None) -> str:
    """The levels that a budget chose, what they were expected to cost, and what they did."""
    levels = ", ".join(f"{name} {number}" for name, number in plan["levels"].items())
    uniform = plan["uniform"]
    ran = "" if simulated is None else f", {si(simulated, 'SOP')} as simulated"
    return (
        f"levels within {si(plan['budget_sops'], 'SOP')} a sample: {levels}; expected "
        f"{si(plan['expected_sops'], 'SOP')}{ran}; {uniform['levels']} everywhere would need "
        f"{si(uniform['expected_sops'], 'SOP')}, squared error of the scores expected "
        f"{plan['expected_loss']:.2g} instead of {uniform['expected_loss']:.2g} of their variance"
    )


def headline(told: Diagnosis) -> Table:
    """The two side by side."""
    accuracy, top = told.accuracy or (None, None), told.top or (None, None)
    rows = [["accuracy", *_shares(told, accuracy)]]
    if told.top is not None:
        rows.append([f"top-{BEST} accuracy", *_shares(told, top)])
    simulated = len(told.synaptic_operations)
    work = si(told.mean_operations, "SOP") + (f" (mean of {simulated})" if simulated else "")
    rows.append(["work a sample", f"{si(float(told.macs), 'MAC')}", work])
    return _table(["", "original", "network"], rows)


def _settings(told: Diagnosis) -> Table:
    """How the network was converted, as its file says."""
    record = told.network.metadata.get("conversion", {})
    told_apart = ("layers", "verified", "equalised", "levels_budget")
    kept = {name: value for name, value in record.items() if name not in told_apart}
    rows = [
        [name.replace("_", " "), NO_VALUE if value is None else str(value)] for name, value in kept.items()
    ]
    contract = told.network.contract
    if contract is not None:
        rows.append(["input", contract.coding or "events, or images of the same scale"])
    return _table(["setting", "value"], [*rows, ["checksum", told.network.checksum]])


def _histogram(check: LayerCheck, number: int) -> str:
    histogram = check.histogram
    assert histogram is not None
    values = histogram.zeros + sum(histogram.counts)
    zeros = percent(histogram.zeros / values)
    edges = [histogram.start + k * histogram.width for k in range(len(histogram.counts) + 1)]
    return plots.layer_histogram(edges, histogram.counts, check.scale, check.name, zeros, f"values-{number}")


def _shares(told: Diagnosis, both: tuple[float | None, float | None]) -> list[str]:
    """Accuracies in percent; of many samples with two decimals, which then mean something."""
    if told.labelled < MANY:
        return [percent(one) for one in both]
    return [NO_VALUE if one is None else f"{100 * one:.2f}{SPACE}%" for one in both]


def _named(listed: tuple[Part, ...]) -> str:
    return ", ".join(f"{part.name} ({part.origin})" if part.origin else part.name for part in listed)


def _table(header: list[str], rows: list[list[str]]) -> Table:
    return Table(header, [[Cell(text) for text in row] for row in rows])
