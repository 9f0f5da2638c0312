"""The kernels as plain Python: with NUMBA_DISABLE_JIT=1 they give the reference's runs, without a warning.

Slow, so few cases, and skipped when the kernels are compiled: see ``make test``.
"""

import os

import pytest
from builders.cases import FEATURES
from builders.runs import compare

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") != "1", reason="for the kernels uncompiled: NUMBA_DISABLE_JIT=1"
)


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("feature", FEATURES)
def test_uncompiled_kernels_give_the_same_run(feature, stepped):
    assert sum(compare(seed, feature, stepped) for seed in range(300, 302))
