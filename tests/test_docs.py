"""What the documentation says is so: the README's example runs, the counter table is the code's."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn.counting import HARDWARE_COUNTERS, MODEL_COUNTERS
from eventsnn.report.sweep import outcome_table
from eventsnn.run.demo import shipped
from eventsnn.run.sweep import sweep

ROOT = Path(__file__).resolve().parents[1]


def test_the_readme_example_runs(tmp_path):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    full, quick = (line.split() for line in done.stdout.splitlines()[:2])
    assert float(full[0]) >= 0.9
    assert float(quick[1]) < float(full[1])
    assert float(quick[2]) < float(full[2])


def test_the_readme_takes_a_model_and_events_of_ones_own(tmp_path, monkeypatch):
    """The two short examples, with a model, images and events that fit the names in them."""
    torch = pytest.importorskip("torch", reason="the example converts a PyTorch model")
    _, model, events = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    chain = [torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)]
    images = rng.random((8, 8, 8, 1))
    names = {
        "eventsnn": eventsnn,
        "model": torch.nn.Sequential(*chain).eval(),
        "training_images": torch.tensor(images.transpose(0, 3, 1, 2), dtype=torch.float32),
        "test_images": images,
    }
    monkeypatch.chdir(tmp_path)
    exec(model, names)
    with torch.no_grad():
        original = names["model"](names["training_images"]).argmax(1).numpy()
    assert (names["results"].table.column("prediction") == original).mean() >= 7 / 8
    names = {
        "eventsnn": eventsnn,
        "network": eventsnn.load(shipped("models/demo.h5")),
        "t_us": [0, 10, 25, 40],
        "x": [3, 3, 4, 5],
        "y": [7, 8, 9, 9],
        "polarity": [True, False, True, True],
        "label": 1,
    }
    exec(events, names)
    assert names["results"].table.column("input_events") == [4]


def test_the_sweep_of_the_readme_is_what_it_prints():
    """Its command, for the nominal value and two others."""
    text = (ROOT / "README.md").read_text().replace("\u00a0", " ")
    command = re.search(r"^eventsnn sweep .*?[^\\]$", text, re.M | re.S)[0]
    assert '--set "clock=10 MHz,3 MHz,1 MHz,500 kHz,300 kHz"' in command
    shown = re.findall(r"^ (?:nominal|clock) .*$", text, re.M)
    assert len(shown) == 6
    found = sweep(
        shipped("models/demo.h5"),
        f"nmnist:{shipped('datasets/demo')}",
        "event-conv-small",
        {"clock": ["1 MHz", "500 kHz"]},
        exit="margin:0.9",
    )
    for row, line in zip(outcome_table(found).rows, (shown[0], shown[3], shown[4]), strict=True):
        printed = " ".join(cell.main for cell in row[:8]).replace("\u00a0", " ")
        assert line.split() == printed.split()


def test_the_counter_table_is_the_one_in_the_code():
    text = (ROOT / "docs" / "counters.md").read_text()
    found = re.findall(r"^\| `(\w+)` \| (.+?) \|$", text, re.M)
    assert found == [*MODEL_COUNTERS.items(), *HARDWARE_COUNTERS.items()]


def test_links_of_the_documentation_exist():
    links = [
        (page, link)
        for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    ]
    assert len(links) > 10
    for page, link in links:
        assert (page.parent / link).exists(), f"{page.name}: {link}"
