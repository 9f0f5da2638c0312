"""The report in a browser, at a desk and on a phone: nothing is fetched, nothing sticks out."""

import html
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from builders.recordings import random_events, small_network

import eventsnn
from eventsnn.report.page import write_report

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((found for found in map(shutil.which, NAMES) if found), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no headless Chromium here ({', '.join(NAMES)})")

# Told to the frame around the page, which has the width of a screen.
MEASURE = """<script>addEventListener("load", () => {
  const inside = [...document.querySelectorAll("body *")].filter(e => !e.closest(".wide, svg"));
  const out = inside.filter(e => e.getBoundingClientRect().right > innerWidth + 0.5);
  parent.postMessage({
    width: innerWidth, page: document.documentElement.scrollWidth,
    out: out.map(e => e.outerHTML.slice(0, 80)),
    boxes: document.querySelectorAll(".wide").length,
    scrolled: [...document.querySelectorAll(".wide")].filter(e => e.scrollWidth > e.clientWidth).length,
    fetched: performance.getEntriesByType("resource").map(e => e.name),
    plots: [...document.querySelectorAll("figure svg")].map(e => e.getBoundingClientRect().height),
    headings: [...document.querySelectorAll("h2, h3")].map(e => e.textContent),
  }, "*");
})</script></body>"""
FRAME = """<!DOCTYPE html><body>
<iframe src="page.html" style="border:0;width:{width}px;height:900px"></iframe>
<pre id="told"></pre><script>onmessage = e => {{
  document.getElementById("told").textContent = JSON.stringify(e.data) }}</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rng = np.random.default_rng(8)
    data = [(random_events(rng, 70), number % 10) for number in range(16)]
    folder = tmp_path_factory.mktemp("browser")
    full = eventsnn.simulate(small_network(), data, hardware="event-conv-small")
    stopped = eventsnn.simulate(small_network(), data, hardware="event-conv-small", exit="margin:0.02")
    other = eventsnn.simulate(small_network(), data[:5])
    write_report([full, stopped, other], folder / "page.html")
    file = folder / "page.html"
    file.write_text(file.read_text(encoding="utf-8").replace("</body>", MEASURE), encoding="utf-8")
    return folder


def measured(folder, width):
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(width=width))
    # A browser started by root has no sandbox.
    command = [
        *(BROWSER, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        *(f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000", "--virtual-time-budget=5000"),
        *("--dump-dom", frame.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.S)
    assert told, done.stderr[-2000:]
    if not told[1]:
        pytest.fail(f"the page said nothing: {done.stderr[-2000:]}")
    return json.loads(html.unescape(told[1]))


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_screen_and_tables_scroll_in_their_boxes(page, width):
    found = measured(page, width)
    assert found["width"] == width
    assert found["page"] <= width
    assert found["out"] == []
    assert found["fetched"] == []
    assert found["boxes"] > 10
    assert (found["scrolled"] > 0) == (width == 390)
    assert min(found["plots"]) > 100
    assert {"Comparison", "Error against operations", "Energy × delay"} < set(found["headings"])
    assert "What stopping could save at best" in found["headings"]
