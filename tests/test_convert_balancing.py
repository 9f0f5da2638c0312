"""Local threshold balancing of rate neurons, against its definition value by value."""

import numpy as np
import pytest
from builders.layers import image, layer
from builders.rates import lowered
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.convert.balancing import Balanced
from eventsnn.convert.graph.layers import Branch
from eventsnn.convert.graph.operations import ReLU
from eventsnn.convert.settings import Settings
from eventsnn.errors import EventsnnError


def by_definition(values):
    theta = 0.0
    for _ in range(1000):
        theta = min(values.max(), theta + 2 * np.maximum(0, values - theta).mean())
    return theta


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["exponential", "uniform", "sparse"]), st.integers(1, 4))
def test_the_ceiling_is_that_of_the_definition_in_any_parts(seed, kind, parts):
    rng = np.random.default_rng(seed)
    values = {
        "exponential": lambda: rng.exponential(2.0, 400),
        "uniform": lambda: rng.uniform(0, 5, 400),
        "sparse": lambda: rng.exponential(1.0, 400) * (rng.random(400) < 0.2),
    }[kind]()
    values[0] += 0.1  # one is above 0
    search = Balanced(float(values.max()), values.size)
    for part in np.array_split(rng.permutation(values), parts):
        search.add(part)
    assert search.best() == pytest.approx(by_definition(values), rel=2e-4)


@pytest.mark.parametrize("scales", ["layer", "channel"])
def test_lambda_is_balanced_over_all_values_zeros_too(scales):
    rng = np.random.default_rng(0)
    shape = (2, 6, 7)
    factor = np.array([1.0, 3.0]).reshape(2, 1, 1)
    layers = [image(shape), layer("a", ReLU(), shape, Branch("x", None, None, factor))]
    images = rng.normal(0, 1, (9, *shape))
    network = lowered(layers, images, input="analog", scale_rule="balanced", scales=scales)
    values = np.maximum(0, images * factor)
    parts = [values] if scales == "layer" else [values[:, 0], values[:, 1]]
    wanted = [by_definition(part.ravel()) / 15 for part in parts]
    np.testing.assert_allclose(network.populations["a"].neuron.unit, wanted, rtol=2e-4)
    told = network.metadata["conversion"]
    assert told["scale_rule"] == "balanced"
    assert "percentile" not in told


def test_what_balancing_has_no_use_for_is_refused():
    with pytest.raises(EventsnnError, match="scale_rule is 'largest'; allowed are"):
        Settings(neuron="rate", scale_rule="largest")
    for name, value in (("count_zeros", True), ("percentile", 100)):
        with pytest.raises(EventsnnError, match=f"{name} is of percentiles"):
            Settings(neuron="rate", scale_rule="balanced", **{name: value})
    with pytest.raises(EventsnnError, match="signed neurons have no scale_rule"):
        Settings(scale_rule="balanced")
