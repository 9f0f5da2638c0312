"""Each example prints what stands beside it, run as a user runs it."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_example_prints_what_stands_beside_it(script, tmp_path):
    if re.search(r"^import torch$", script.read_text(), re.M) and importlib.util.find_spec("torch") is None:
        pytest.skip(f"{script.name} needs torch: install eventsnn[torch]")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == script.with_suffix(".out").read_text()


def test_every_example_is_listed_with_its_output():
    assert len(SCRIPTS) >= 2
    listed = re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text())
    assert sorted(listed) == [script.name for script in SCRIPTS]
    assert {path.stem for path in EXAMPLES.glob("*.out")} == {script.stem for script in SCRIPTS}
