"""What the documentation says is so: the README's example runs, the counter table is the code's."""

import re
import subprocess
import sys
from pathlib import Path

from eventsnn.results import HARDWARE_COUNTERS, MODEL_COUNTERS

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


def test_the_counter_table_is_the_one_in_the_code():
    text = (ROOT / "docs" / "counters.md").read_text()
    found = re.findall(r"^\| `(\w+)` \| (.+?) \|$", text, re.M)
    assert found == [*MODEL_COUNTERS.items(), *HARDWARE_COUNTERS.items()]


def test_links_of_the_documentation_exist():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
