"""The report: one self-contained HTML page about one run or several side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from eventsnn import arguments
from eventsnn.arguments import shown, text
from eventsnn.decide import RULES
from eventsnn.errors import InvalidRequest, MissingExtra
from eventsnn.hardware.actions import ACTION_OF_COUNTER
from eventsnn.hardware.baselines import Baseline, baseline_names, load_baseline
from eventsnn.output import HTML, replaced_whole
from eventsnn.report import energy, plots, savings, sections
from eventsnn.report.baselines import section, values_table
from eventsnn.report.comparison import comparison_table
from eventsnn.report.cores import core_table
from eventsnn.report.intervals import share_interval
from eventsnn.report.rule_curves import Curve, curves_of, stopped_means
from eventsnn.report.subject import subject
from eventsnn.results.comparison import compare
from eventsnn.results.results import Results, distribution

# A field of a curve, its name on the page, its unit.
COSTS = (
    ("latency_s", "latency", "s"),
    ("synaptic_operations", "synaptic operations", "SOP"),
    ("energy_j", "energy", "J"),
)


def write_report(
    results: Results | Sequence[Results],
    path: str | os.PathLike[str],
    title: str | None = None,
    baselines: Sequence[str | os.PathLike[str] | Baseline] | None = None,
) -> None:
    """Write the page: numbers, curves, distributions, energy, baselines, accelerator, configuration.

    The file needs nothing from elsewhere, and the same results give the same bytes.

    Parameters
    ----------
    results : Results or sequence of Results
        Runs to set side by side, such as one with an exit rule and one without.
    path : path
        The HTML file; replaced once the new one is whole.
    title : str, optional
        Its heading; None names the network, the data and the accelerator.
    baselines : sequence of str, path or baseline, optional
        What energy is compared with, presets' names or files; None is every preset.

    Raises
    ------
    MissingExtra
        jinja2 or matplotlib is not installed.
    InvalidRequest
        No results, or ``path`` cannot be written.
    InvalidHardware
        A baseline is not valid.
    """
    runs = [results] if isinstance(results, Results) else results
    if not isinstance(runs, Sequence) or not all(isinstance(run, Results) for run in runs):
        raise InvalidRequest(f"results are {shown(results)}; give Results, or a list of them")
    path = arguments.path(path, "report", InvalidRequest)
    title = None if title is None else text(title, "title", InvalidRequest)
    if not runs:
        raise InvalidRequest("a report of zero runs is empty; give at least one results file")
    page = render(runs, title, baselines)
    with replaced_whole(path, HTML) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(page)


def render(
    runs: Sequence[Results],
    title: str | None = None,
    baselines: Sequence[str | os.PathLike[str] | Baseline] | None = None,
) -> str:
    """The page as text; see ``write_report``."""
    require_extra()
    about = subject([run.configuration for run in runs])
    kicker = "Event-driven simulation" if title is None else about
    return rendered("template.html.j2", title=title or about, kicker=kicker, **_contents(runs, baselines))


def require_extra() -> None:
    """Refuse to make a page without what it takes.

    Raises
    ------
    MissingExtra
        jinja2 or matplotlib is not installed.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"the report page needs jinja2 and matplotlib ({error}); install eventsnn[report]: "
            "pip install 'eventsnn[report]'"
        ) from error


def rendered(template: str, **contents: Any) -> str:
    """A template of this folder, filled."""
    import jinja2

    folder = resources.files("eventsnn.report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**contents)


def _contents(
    runs: Sequence[Results], baselines: Sequence[str | os.PathLike[str] | Baseline] | None
) -> dict[str, Any]:
    labels = sections.run_labels(runs)
    curves = curves_of(runs, labels)
    full = [sections.reference_of(run, runs) for run in runs]
    found_energies = [(label, energy.energy_of(run)) for run, label in zip(runs, labels, strict=True)]
    energies = [(label, found) for label, found in found_energies if found is not None]
    by_core = {label: core_table(run) for run, label in zip(runs, labels, strict=True)}
    energy_plots = energies_drawn([found for _, found in energies])
    chosen = [load_baseline(item) for item in (baseline_names() if baselines is None else baselines)]
    compared = [(label, section(run, None, chosen)) for run, label in zip(runs, labels, strict=True)]
    return {
        "version": runs[0].configuration.get("version"),
        "notes": sections.notes(runs, labels),
        "headline": sections.headline(runs, labels),
        "has_full_run": any(sections.is_full(run) for run in runs),
        "comparison": None if len(runs) < 2 else comparison_table(compare(runs), labels),
        "trade_off_plots": _trade_off_plots(runs, labels, curves),
        "operating": savings.operating_table({c.label: (c.rows, runs[c.run]) for c in curves}),
        "curve_tables": [(c.label, sections.curve_table(c.rows, len(runs[c.run]))) for c in curves],
        "distribution_plots": _distribution_plots(runs, labels, curves),
        "spreads": [(label, savings.spreads(run)) for run, label in zip(runs, labels, strict=True)],
        "energy_delays": savings.energy_delays(runs, labels, full),
        "oracle_shares": savings.oracle_shares(stopped_means(runs, labels, curves)),
        "history_plots": _history_plots(runs, labels),
        "per_class": [(label, sections.per_class(run)) for run, label in zip(runs, labels, strict=True)],
        "energy": [
            (label, energy.shares(found), energy.energy_table(found), drawn, by_core[label])
            for (label, found), drawn in zip(energies, energy_plots, strict=True)
        ],
        "baselines": [(label, found) for label, found in compared if found is not None],
        "baseline_values": [(item.name, item.description, values_table(item)) for item in chosen],
        "layer_plots": _layer_plots(runs, labels),
        "layers": [(label, sections.layers(run)) for run, label in zip(runs, labels, strict=True)],
        "accelerators": _accelerators(runs),
        "configuration": sections.configuration(runs, labels),
    }


def _trade_off_plots(runs: Sequence[Results], labels: Sequence[str], curves: Sequence[Curve]) -> list[str]:
    """A plot for each cost that is known, when samples have labels.

    A run keeps its colour of the other plots; curves have the colours after the runs'.
    """
    rules = sorted(RULES)
    found = []
    for field, name, unit in COSTS:
        lines = []
        for number, curve in enumerate(curves):
            costs, accuracy = curve.rows[field], curve.rows["accuracy"]
            if np.isnan([costs, accuracy]).any():
                continue
            style = rules.index(curve.rule) + number // plots.SERIES
            band = share_interval(accuracy, len(runs[curve.run]))
            lines.append(plots.Line(curve.label, costs, accuracy, len(runs) + number, style, band))
        points = []
        for i, (run, label) in enumerate(zip(runs, labels, strict=True)):
            cost = distribution(run.latency_s if field == "latency_s" else run.table.column(field))
            if cost is not None and run.accuracy is not None:
                points.append(plots.Point(label, cost["mean"], run.accuracy, i, sections.is_full(run)))
        if lines:
            found.append(plots.trade_off_plot(lines, points, name, unit, f"trade-{field}"))
    return found


def _distribution_plots(runs: Sequence[Results], labels: Sequence[str], curves: Sequence[Curve]) -> list[str]:
    """Operations of samples, and when they are decided: in the runs, and by each rule where it costs little.

    A line has the colour that its run or curve has in the trade-off plots.
    """
    operations = [run.table.column("synaptic_operations") for run in runs]
    found = [plots.histogram(operations, labels, "synaptic operations", "SOP", "operations")]
    timed, names, colours = [run.latency_s for run in runs], list(labels), list(range(len(runs)))
    for number, curve in enumerate(curves):
        if curve.cheap is not None:
            timed.append(curve.cheap[1])
            names.append(curve.cheap_label)
            colours.append(len(runs) + number)
    if any(not np.isnan(latencies).any() for latencies in timed):
        found.append(plots.survival(timed, names, colours, "latency", "s", "latency"))
    return found


def _history_plots(runs: Sequence[Results], labels: Sequence[str]) -> list[str]:
    """Operations and spikes over time, of the runs that kept their history."""
    found = []
    for column, quantity in (("Operations", "synaptic operations"), ("Spikes", "spikes")):
        counters, unit = sections.LAYER_COLUMNS[column]
        lines = []
        for i, (run, label) in enumerate(zip(runs, labels, strict=True)):
            history = sections.mean_history(run, *counters)
            if history is not None:
                lines.append(plots.Line(label, *history, i, i))
        if lines:
            found.append(plots.over_time(lines, quantity, unit, f"history-{column.lower()}"))
    return found


def energies_drawn(runs: Sequence[energy.Energy]) -> list[list[str]]:
    """The plots of each run's energy by layer and action; an action has the same colour in all.

    With static power there are two: the whole energy, and the dynamic one alone, which static energy dwarfs.
    """
    used = {action for run in runs for action in run.actions}
    actions = [action for action in dict.fromkeys(ACTION_OF_COUNTER.values()) if action in used]
    found = []
    for i, run in enumerate(runs):
        what = (run.joules, run.layers, run.actions, [actions.index(a) for a in run.actions])
        drawn = [plots.energy_bars(*what, f"energy-{i}", run.static)]
        if run.static:
            drawn.append(plots.energy_bars(*what, f"energy-{i}-dynamic"))
        found.append(drawn)
    return found


def _layer_plots(runs: Sequence[Results], labels: Sequence[str]) -> list[str]:
    """Spikes and operations by layer; runs of the same layers share a plot."""
    found = []
    orders = dict.fromkeys(run.table.order for run in runs)
    for number, order in enumerate(orders):
        chosen = [(run, label) for run, label in zip(runs, labels, strict=True) if run.table.order == order]
        names = [label for _, label in chosen]
        for column, quantity in (("Spikes", "spikes"), ("Operations", "synaptic operations")):
            counters, unit = sections.LAYER_COLUMNS[column]
            if column == "Spikes":
                counters = ("input_events", *counters)
            values = [sections.layer_means(run, *counters) for run, _ in chosen]
            prefix = f"layers-{number}-{column.lower()}"
            found.append(plots.layer_bars(values, order, names, quantity, unit, prefix))
    return found


def _accelerators(runs: Sequence[Results]) -> list[dict[str, Any]]:
    """Each accelerator that occurs, once."""
    found: list[dict[str, Any]] = []
    for run in runs:
        architecture = energy.architecture_of(run)
        if architecture is None or any(known["architecture"] == architecture for known in found):
            continue
        table = energy.accelerator_table(architecture)
        kinds = [row[2].main for row in table.rows]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
        found.append({"architecture": architecture, "table": table, "kinds": counts})
    return found
