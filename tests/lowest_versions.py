"""The lowest version that pyproject.toml allows of each dependency, as constraints for pip."""

import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOWEST = re.compile(r"([A-Za-z0-9_-]+)>=([0-9.]+)")
TITLE = "# `make constraints-minimum.txt` writes this from pyproject.toml; `make test-minimum` installs it."


def constraints():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    lowest = sorted(found.groups() for one in asked if (found := LOWEST.fullmatch(one)))
    return "\n".join([TITLE, *(f"{name}=={version}" for name, version in lowest), ""])


if __name__ == "__main__":
    sys.stdout.write(constraints())
