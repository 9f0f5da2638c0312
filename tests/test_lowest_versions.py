"""``make test-minimum`` installs the versions that pyproject.toml promises, and each has one."""

import re
import tomllib

import pytest
from lowest_versions import ROOT, constraints


def test_the_constraints_are_those_of_pyproject():
    assert (ROOT / "constraints-minimum.txt").read_text() == constraints()


@pytest.mark.parametrize("extra", [None, "torch", "onnx", "report", "images", "tonic", "dask"])
def test_every_dependency_states_its_lowest_version(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["optional-dependencies"][extra] if extra else project["dependencies"]
    for one in asked:
        name = re.match(r"[\w-]+", one)[0]
        assert re.search(rf"^{name}==[0-9.]+$", constraints(), re.M), one
