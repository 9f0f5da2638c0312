"""Draw the README's picture from the demo's results: make demo && .venv/bin/python docs/demo_curve.py

Takes the demo's folder (default: here) and the file to write (default: demo-curve.svg beside this script).
"""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from eventsnn import Results
from eventsnn.report import plots
from eventsnn.report.intervals import share_interval

SVG = "{http://www.w3.org/2000/svg}"
# The page's colours on light ground: a picture that stands alone knows no style sheet.
COLOURS = {
    "ink": "#1d2429",
    "grid": "#d9dfe3",
    "series-0": "#1769aa",
    "series-1": "#d9480f",
    "series-2": "#2b8a3e",
}
WIDTH = 620


def drawn(full: Results, stopped: Results) -> str:
    """Accuracy against mean latency, a dot for each threshold, as an SVG that stands alone."""
    curve = full.curve("margin")
    band = share_interval(curve["accuracy"], len(full))
    line = plots.Line("every threshold, from the full run", curve["latency_s"], curve["accuracy"], 2, 0, band)
    points = [
        plots.Point(f"a run with exit {stopped.configuration['exit']}", *_mean(stopped), 0, False),
        plots.Point("the full run", *_mean(full), 1, True),
    ]
    text = plots.trade_off_plot([line], points, "latency", "s", "curve")
    root = ElementTree.fromstring(re.sub(r"var\(--([a-z0-9-]+)\)", lambda found: COLOURS[found[1]], text))
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    root.attrib.update({"width": str(WIDTH), "height": str(round(WIDTH * height / width))})
    sizes = {"x": str(left), "y": str(top), "width": str(width), "height": str(height)}
    root.insert(0, ElementTree.Element(f"{SVG}rect", {**sizes, "fill": "#ffffff"}))
    numbers = "; ".join(f"{1e3 * row['latency_s']:.1f} ms {100 * row['accuracy']:.1f} %" for row in curve)
    said = ElementTree.Element(f"{SVG}desc")
    said.text = numbers
    root.insert(0, said)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _mean(run: Results) -> tuple[float, float]:
    return float(np.mean(run.latency_s)), float(run.correct.mean())


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).with_name("demo-curve.svg")
    runs = (Results.load(folder / name) for name in ("results-full.h5", "results.h5"))
    target.write_text(drawn(*runs), encoding="utf-8", newline="\n")
