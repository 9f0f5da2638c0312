"""``eventsnn curve -o curve.svg``: what stopping early costs and saves, on one sheet."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.decide import with_threshold
from eventsnn.errors import InvalidRequest, MissingExtra
from eventsnn.output import replaced_whole
from eventsnn.report.si import prefix_of
from eventsnn.results.curves import pareto, wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEGINNINGS = {".svg": b"<?xml", ".png": b"\x89PNG"}
AXES = {
    "latency_s": ("time to decision", "s"),
    "synaptic_operations": ("synaptic operations", "SOP"),
    "energy_j": ("energy", "J"),
}
# Told apart with colour-blind eyes: Okabe and Ito's, the yellow left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))
WIDE, MANY_DECADES = 4.0, 1000.0
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "eventsnn",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.parse_math": False,
}


def write_curve_plot(
    path: str | os.PathLike[str],
    curves: Mapping[str, NDArray[Any]],
    samples: int,
    stop_times: Mapping[str, tuple[float, NDArray[np.float64]]],
    title: str,
) -> None:
    """Draw accuracy against each cost, 95 % bands (Wilson), the front of all rules, and who still runs when.

    Parameters
    ----------
    path : path
        ``.svg`` or ``.png``.
    curves : mapping to structured arrays
        By rule, of ``eventsnn.results.curves.CURVE_DTYPE``.
    samples : int
        Over which they are means.
    stop_times : mapping to pairs
        By rule: a threshold, and the seconds at which each sample is decided at it.
    title : str

    Raises
    ------
    InvalidRequest
        Nothing can be drawn (no labels, and no time passes), or the path cannot be written.
    MissingExtra
        Matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("a plot needs matplotlib: pip install 'eventsnn[report]'") from error
    ending = Path(path).suffix.lower()
    drawn = [name for name in AXES if not any(np.isnan(c[name]).any() for c in curves.values())]
    if any(np.isnan(c["accuracy"]).any() for c in curves.values()):
        drawn = []
    timed = {rule: pair for rule, pair in stop_times.items() if not np.isnan(pair[1]).any()}
    if not drawn and not timed:
        raise InvalidRequest("nothing can be drawn: these samples have no labels, and no time passes in them")
    panels = len(drawn) + bool(timed)
    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        rows = (panels + 1) // 2
        figure = Figure(figsize=(9.6 if panels > 1 else 5.4, 3.3 * rows + 0.9), layout="constrained")
        axes = figure.subplots(rows, min(panels, 2), squeeze=False).reshape(-1)
        for place, name in zip(axes, drawn, strict=False):
            _accuracy(place, curves, name, samples)
        if timed:
            _survival(axes[len(drawn)], timed)
        for empty in axes[panels:]:
            empty.set_visible(False)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
        figure.suptitle(title, fontsize=10)
        with replaced_whole(path, BEGINNINGS[ending]) as aside:
            metadata = dict.fromkeys(("Date", "Creator", "Format", "Type")) if ending == ".svg" else None
            figure.savefig(aside, format=ending[1:], dpi=150, metadata=metadata)


def _accuracy(axes: Axes, curves: Mapping[str, NDArray[Any]], name: str, samples: int) -> None:
    quantity, unit = AXES[name]
    scale, prefix = prefix_of(max(float(curve[name].max()) for curve in curves.values()))
    for number, (rule, curve) in enumerate(curves.items()):
        order = np.argsort(curve[name], kind="stable")
        x, accuracy = curve[name][order] / scale, curve["accuracy"][order]
        low, high = wilson_interval(accuracy, samples)
        colour, style = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
        axes.fill_between(x, 100 * low, 100 * high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, 100 * accuracy, color=colour, linestyle=style, label=rule)
    if len(curves) > 1:
        cost = np.concatenate([curve[name] for curve in curves.values()])
        accuracy = np.concatenate([curve["accuracy"] for curve in curves.values()])
        front = np.flatnonzero(pareto(cost, accuracy))
        front = front[np.argsort(cost[front], kind="stable")]
        axes.plot(
            cost[front] / scale, 100 * accuracy[front], color="#444444", linewidth=0.8,
            drawstyle="steps-post", marker=".", markersize=3, label="front of all rules",
        )  # fmt: skip
    _spread(axes, np.concatenate([curve[name] for curve in curves.values()]) / scale)
    axes.set_xlabel(f"mean {quantity} ({prefix}{unit})")
    axes.set_ylabel("accuracy (%)")


def _spread(axes: Axes, costs: NDArray[np.float64]) -> None:
    """A logarithmic axis where costs differ much: what is saved is at its low end."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if costs.min() <= 0 or costs.max() < WIDE * costs.min():
        return
    axes.set_xscale("log")
    few = costs.max() < MANY_DECADES * costs.min()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _survival(axes: Axes, stop_times: Mapping[str, tuple[float, NDArray[np.float64]]]) -> None:
    scale, prefix = prefix_of(max(float(times.max()) for _, times in stop_times.values()))
    for number, (rule, (threshold, times)) in enumerate(stop_times.items()):
        x = np.concatenate([[0.0], np.sort(times)]) / scale
        y = 100 * (1 - np.arange(len(times) + 1) / len(times))
        colour, style = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
        label = with_threshold(rule, float(f"{threshold:.4g}"))
        axes.step(x, y, where="post", color=colour, linestyle=style, label=label)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    axes.set_xlabel(f"time since the first event ({prefix}s)")
    axes.set_ylabel("samples not yet decided (%)")
    axes.legend(fontsize=8, title="cheapest within a point", title_fontsize=8, handlelength=3)
