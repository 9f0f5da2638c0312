"""Both engines give the same run, bit for bit, whatever the network, input and options."""

import pytest
from builders.cases import FEATURES
from builders.draws import SEEDS
from builders.floors import asserts_at_least
from builders.runs import compare
from hypothesis import given, settings


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("feature", FEATURES)
@asserts_at_least(31)
@given(SEEDS)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_engines_give_the_same_run(feature, stepped, seed):
    compare(seed, feature, stepped)


@pytest.mark.parametrize("feature", ["seeded", "leak", "gate", "rate_gate", "softmax", "cycle"])
@asserts_at_least(7)
@given(SEEDS)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_engines_give_the_same_run_on_an_accelerator(feature, seed):
    compare(seed, feature, False, mapped=True)
