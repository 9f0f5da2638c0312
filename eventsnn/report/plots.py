"""The page's plots: SVG text to stand inside HTML, the same bytes for the same numbers.

Colours are CSS variables (``--series-0`` and so on, ``--ink``, ``--grid``), so that the page decides
how a plot looks on light and dark ground; text stays text.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.report.si import prefix_of, si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = 10
# Matplotlib takes no CSS variables: these stand for them until the SVG is written.
_INK, _GRID = "#0000b1", "#0000b2"
_LINES = ("solid", (0, (4, 2)), (0, (1, 1.5)))
_WIDTH = 4.5  # inches; small, so that letters stay readable on a narrow screen
_LEGEND = 0.2  # share of a figure's height that a legend may take from the axes
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "eventsnn",
    "font.family": "sans-serif",
    "font.size": 10,
    "legend.fontsize": 9,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.03,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True)
class Line:
    """A curve; ``colour`` and ``style`` are numbers of a series and of a line style.

    ``band`` is the lowest and the highest ``y`` that may well be, drawn as a shade around it.
    """

    label: str
    x: ArrayLike
    y: ArrayLike
    colour: int
    style: int = 0
    band: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None


@dataclass(frozen=True)
class Point:
    """A single run on a plot of curves; full runs are squares, others circles."""

    label: str
    x: float
    y: float
    colour: int
    full: bool


def _colour(series: int) -> str:
    return f"#0000a{series % SERIES}"


def plain(text: str, most: int = 40) -> str:
    """A label fit for XML and a plot: printable, and cut in the middle when too long."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return shown if len(shown) <= most else f"{shown[: most // 2]}…{shown[-(most // 2 - 1) :]}"


@contextmanager
def _figure(height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure in our style, whatever the user's Matplotlib settings are."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with warnings.catch_warnings(), matplotlib.rc_context():
        # A viewer's font may well have the letters that the one used for measuring lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure, figure.add_subplot()


def _legend(figure: Figure, entries: int, columns: int = 2) -> None:
    """Who is who, below the axes; a plot of one thing needs none.

    Long names get fewer columns, and the figure grows by the lines they need.
    """
    if entries <= 1:
        return
    for used in range(min(columns, entries), 0, -1):
        legend = figure.legend(loc="outside lower center", ncols=used, handlelength=2.4)
        extent = legend.get_window_extent()
        if used == 1 or extent.width <= figure.bbox.width:
            break
        legend.remove()
    spare = _LEGEND * figure.get_figheight() * figure.dpi
    figure.set_figheight(figure.get_figheight() + max(0.0, extent.height - spare) / figure.dpi)


def _svg(figure: Figure, prefix: str, title: str) -> str:
    """The figure as an ``svg`` element whose identifiers start with ``prefix``."""
    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=nothing)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(text.getvalue())
    for size in ("width", "height"):
        root.attrib.pop(size)
    root.attrib.update({"role": "img", "aria-label": title})
    for element in root.iter():
        for child in list(element):
            # Style sheets would reach the whole page, metadata say nothing.
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                element.remove(child)
        for name, value in element.attrib.items():
            element.attrib[name] = _page_value(name, value, prefix)
    return ElementTree.tostring(root, encoding="unicode")


def _page_value(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == _LINK:
        return value.replace("#", f"#{prefix}-", 1)
    if name == "aria-label":
        return value
    value = value.replace("url(#", f"url(#{prefix}-")
    value = re.sub("#0000a([0-9])", r"var(--series-\1)", value)
    return value.replace(_INK, "var(--ink)").replace(_GRID, "var(--grid)")


def _scaled(values: ArrayLike, unit: str, most: float | None = None) -> tuple[NDArray[np.float64], str]:
    """Values in the prefixed unit that suits the largest of them, and that unit."""
    array = np.asarray(values, dtype=np.float64)
    largest = float(np.max(np.abs(array), initial=0.0)) if most is None else most
    factor, prefix = prefix_of(largest)
    return array / factor, prefix + unit


def _axis(quantity: str, unit: str) -> str:
    return f"{quantity} ({unit})" if unit else quantity


def trade_off_plot(
    lines: Sequence[Line], points: Sequence[Point], quantity: str, unit: str, prefix: str
) -> str:
    """Accuracy (shares in, percent shown) against a cost."""
    most = max(float(np.max(x)) for x in [*(line.x for line in lines), *(p.x for p in points)])
    with _figure(3.5) as (figure, axes):
        for line in lines:
            x, shown_unit = _scaled(line.x, unit, most)
            if line.band is not None:
                below, above = (100 * end for end in line.band)
                axes.fill_between(x, below, above, color=_colour(line.colour), alpha=0.15, linewidth=0)
            axes.plot(
                x,
                100 * np.asarray(line.y),
                label=plain(line.label),
                color=_colour(line.colour),
                linestyle=_LINES[line.style % len(_LINES)],
                marker=".",
                markersize=5,
            )
        for point in points:
            x, shown_unit = _scaled(point.x, unit, most)
            marker = "s" if point.full else "o"
            axes.plot(
                [x],
                [100 * point.y],
                label=plain(point.label),
                color=_colour(point.colour),
                linestyle="none",
                marker=marker,
                markersize=8,
                markerfacecolor="none",
                markeredgewidth=1.8,
                clip_on=False,
            )
        low, high = axes.get_ylim()
        spare = max(0.0, 5.0 - (high - low)) / 2  # so that a flat curve looks flat
        axes.set_ylim(max(low - spare, -2.0), min(high + spare, 102.0))
        axes.set_xlim(left=0)
        axes.set_xlabel(_axis(f"mean {quantity} per sample", shown_unit))
        axes.set_ylabel("accuracy (%)")
        _legend(figure, len(lines) + len(points))
        return _svg(figure, prefix, f"accuracy against {quantity}")


def histogram(
    values: Sequence[NDArray[Any]], labels: Sequence[str], quantity: str, unit: str, prefix: str
) -> str:
    """Samples by a quantity, a colour for each run, bins in common."""
    from matplotlib.ticker import MaxNLocator

    everything, shown_unit = _scaled(np.concatenate(values), unit)
    edges = np.histogram_bin_edges(everything, bins=min(30, max(8, len(everything) // 4)))
    most = float(np.max(np.abs(np.concatenate(values)), initial=0.0))
    with _figure(3.0) as (figure, axes):
        for i, (run, label) in enumerate(zip(values, labels, strict=True)):
            scaled, _ = _scaled(run, unit, most)
            counts, _ = np.histogram(scaled, edges)
            axes.stairs(counts, edges, fill=True, color=_colour(i), alpha=0.2)
            axes.stairs(counts, edges, color=_colour(i), linewidth=1.6, label=plain(label))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0)
        axes.set_xlabel(_axis(f"{quantity} per sample", shown_unit))
        axes.set_ylabel("samples")
        _legend(figure, len(values))
        return _svg(figure, prefix, f"samples by {quantity}")


def survival(
    values: Sequence[NDArray[Any]], labels: Sequence[str], colours: Sequence[int], quantity: str, unit: str,
    prefix: str,
) -> str:  # fmt: skip
    """The share of samples above a quantity, as not yet decided; of those that have none (NaN) no line."""
    most = float(np.nanmax(np.concatenate(values)))
    with _figure(3.0) as (figure, axes):
        for i, (run, label) in enumerate(zip(values, labels, strict=True)):
            if np.isnan(run).any():
                continue
            scaled, shown_unit = _scaled(np.sort(run), unit, most)
            x = np.concatenate([[0.0], scaled, [most / prefix_of(most)[0]]])
            y = 100 - np.concatenate([np.arange(len(run) + 1), [len(run)]]) * 100 / len(run)
            style = _LINES[i % len(_LINES)]
            axes.step(x, y, where="post", label=plain(label), color=_colour(colours[i]), linestyle=style)
        axes.set_ylim(0, 102)
        axes.set_xlim(left=0)
        axes.set_xlabel(_axis(quantity, shown_unit))
        axes.set_ylabel("not yet decided (%)")
        _legend(figure, len(values))
        return _svg(figure, prefix, f"samples not yet decided by {quantity}")


def over_time(lines: Sequence[Line], quantity: str, unit: str, prefix: str) -> str:
    """A quantity that grows with the time of the input; ``x`` in seconds."""
    most_x = max(float(np.max(line.x)) for line in lines)
    most_y = max(float(np.max(line.y)) for line in lines)
    with _figure(3.0) as (figure, axes):
        for line in lines:
            x, time_unit = _scaled(line.x, "s", most_x)
            y, shown_unit = _scaled(line.y, unit, most_y)
            style = _LINES[line.style % len(_LINES)]
            axes.plot(x, y, label=plain(line.label), color=_colour(line.colour), linestyle=style)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(_axis("time", time_unit))
        axes.set_ylabel(_axis(f"mean {quantity}", shown_unit))
        _legend(figure, len(lines))
        return _svg(figure, prefix, f"{quantity} over time")


def steps_over_time(
    lines: Sequence[Line], quantity: str, unit: str, prefix: str, names: Sequence[str] = ()
) -> str:
    """What holds from each time to the next; ``x`` in seconds, ``names`` are those of whole values of y."""
    most_x = max(float(np.max(line.x)) for line in lines)
    with _figure(3.0) as (figure, axes):
        for line in lines:
            x, time_unit = _scaled(line.x, "s", most_x)
            style = _LINES[line.style % len(_LINES)]
            axes.step(x, line.y, where="post", label=plain(line.label), color=_colour(line.colour), ls=style)
        if names:
            axes.set_yticks(range(-1, len(names)), ["none", *(plain(name) for name in names)])
        axes.set_xlim(left=0)
        axes.set_xlabel(_axis("time", time_unit))
        axes.set_ylabel(_axis(quantity, unit))
        _legend(figure, len(lines))
        return _svg(figure, prefix, f"{quantity} over time")


def layer_bars(
    values: Sequence[NDArray[Any]], layers: Sequence[str], labels: Sequence[str], quantity: str, unit: str,
    prefix: str,
) -> str:  # fmt: skip
    """A group of bars for each layer, one for each run; first layer on top."""
    most = float(np.max(np.concatenate(values), initial=0.0))
    with _figure(1.5 + len(layers) * max(0.3, 0.16 * len(values))) as (figure, axes):
        thick = 0.8 / len(values)
        for i, (run, label) in enumerate(zip(values, labels, strict=True)):
            scaled, shown_unit = _scaled(run, unit, most)
            place = np.arange(len(layers)) - 0.4 + (i + 0.5) * thick
            axes.barh(place, scaled, thick * 0.9, label=plain(label), color=_colour(i))
        _layer_axis(axes, layers)
        axes.set_xlabel(_axis(f"mean {quantity} per sample", shown_unit))
        _legend(figure, len(values))
        return _svg(figure, prefix, f"{quantity} by layer")


def energy_bars(
    joules: NDArray[Any], layers: Sequence[str], actions: Sequence[str], colours: Sequence[int], prefix: str,
    static: float = 0.0,
) -> str:  # fmt: skip
    """Energy of each layer, actions stacked; ``joules`` has shape (layers, actions).

    Static energy is caused by no layer: it has a bar of its own, below them.
    """
    most = max(float(joules.sum(axis=1).max(initial=0.0)), static)
    scaled, unit = _scaled(joules, "J", most)
    rows = [*layers, "no layer"] if static else list(layers)
    with _figure(1.7 + 0.32 * len(rows)) as (figure, axes):
        left = np.zeros(len(layers))
        for i, action in enumerate(actions):
            name = plain(action.replace("_", " "))
            axes.barh(np.arange(len(layers)), scaled[:, i], 0.7, left, label=name, color=_colour(colours[i]))
            left += scaled[:, i]
        if static:
            axes.barh(
                len(layers), _scaled(static, "J", most)[0], 0.7, label="static", hatch="////",
                facecolor="none", edgecolor=_INK, linewidth=0.8,
            )  # fmt: skip
        _layer_axis(axes, rows)
        what = "energy" if static else "dynamic energy"
        axes.set_xlabel(_axis(f"mean {what} per sample", unit))
        _legend(figure, len(actions) + bool(static), columns=4)
        return _svg(figure, prefix, f"{what} by layer and action")


def tornado(
    rows: Sequence[tuple[str, float, float]], quantity: str, unit: str, prefix: str, nominal: float = 0.0
) -> str:
    """Bars from the lowest to the highest change, (name, lowest, highest), about 0; first row on top.

    The axis spans at least a hundredth of the nominal, so that what hardly matters looks so.
    """
    low, high = min(row[1] for row in rows), max(row[2] for row in rows)
    missing = max(0.0, 0.01 * abs(nominal) - (high - low)) / 2
    spare = max(missing, 0.05 * (high - low))
    limits = low - spare, high + spare
    most = max(map(abs, limits))
    ends, shown_unit = _scaled([(low, high) for _, low, high in rows], unit, most)
    with _figure(1.1 + 0.3 * len(rows)) as (figure, axes):
        axes.barh(np.arange(len(rows)), ends[:, 0], 0.6, color=_colour(0))
        axes.barh(np.arange(len(rows)), ends[:, 1], 0.6, color=_colour(1))
        axes.axvline(0, color=_INK, linewidth=1)
        _layer_axis(axes, [name for name, _, _ in rows], 32)
        axes.tick_params(labelsize=8)
        axes.set_xlim(*_scaled(limits, unit, most)[0])
        axes.set_xlabel(_axis(f"change of {quantity}", shown_unit))
        return _svg(figure, prefix, f"{quantity} by value")


def _layer_axis(axes: Any, names: Sequence[str], most: int = 20) -> None:
    axes.set_yticks(range(len(names)), [plain(name, most) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def correlation_bars(values: Sequence[float], layers: Sequence[str], prefix: str) -> str:
    """A bar for each layer's correlation, its number at the end; first layer on top.

    The axis begins a little below the lowest, and at 0.9 at most: differences between good ones are seen.
    """
    lowest = min(0.9, *values)
    start = lowest if lowest == 0.9 else lowest - 0.1 * (1 - lowest)
    with _figure(1.1 + 0.3 * len(layers)) as (figure, axes):
        place = np.arange(len(layers))
        axes.barh(place, np.asarray(values) - start, 0.65, start, color=_colour(0))
        for number, value in enumerate(values):
            text = axes.annotate(
                f"{value:.4f}", (value, number), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
            text.set_in_layout(True)
        axes.axvline(0.95, color=_INK, linewidth=1, linestyle=_LINES[1])
        _layer_axis(axes, layers, 28)
        axes.set_xlim(start, 1.0 + 0.16 * (1 - start))
        axes.set_xlabel("correlation with the original")
        return _svg(figure, prefix, "correlation by layer")


def layer_histogram(
    edges: Sequence[float],
    counts: Sequence[int],
    scale: tuple[float, float] | None,
    name: str,
    zeros: str,
    prefix: str,
) -> str:
    """How often which value; the lowest and highest scale of the channels as lines, with a shade between.

    ``zeros`` is the share of values that are 0, in words.
    """
    with _figure(2.6) as (figure, axes):
        if counts:
            axes.stairs(counts, edges, fill=True, color=_colour(0), alpha=0.25, baseline=0.5)
            axes.stairs(counts, edges, color=_colour(0), linewidth=1.3, baseline=0.5)
        axes.set_yscale("log")
        # Not the exponents of Matplotlib, which are no plain text.
        axes.yaxis.set_major_formatter(lambda value, _: si(value).replace("\u00a0", " "))
        axes.yaxis.set_minor_formatter(lambda value, _: "")
        axes.set_ylim(bottom=0.5)
        if scale is not None:
            lowest, highest = scale
            for end in dict.fromkeys(scale):
                axes.axvline(end, color=_colour(1), linewidth=1.4, linestyle=_LINES[1])
            if lowest != highest:
                axes.axvspan(lowest, highest, color=_colour(1), alpha=0.08, linewidth=0)
        axes.set_title(plain(name, 34), fontsize=10, loc="left")
        axes.set_xlabel(f"activation ({zeros} are zero)")
        axes.set_ylabel("values")
        return _svg(figure, prefix, f"activations of {plain(name)}")
