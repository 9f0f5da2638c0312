"""Random times: whatever the distribution, the mean is the action's time, and nothing takes no time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.hardware.actions import Action, Jitter
from eventsnn.hardware.distributions import time_table
from eventsnn.hardware.quantities import Quantity


def ticks(value):
    return Quantity(value=value, unit="ps", kind="assumed", source="test")


def table(mean, **jitter):
    return time_table(Action(time=ticks(mean), jitter=Jitter(**jitter)), clock_hz=0)


def assert_about(found, mean):
    """The mean within half a tick of rounding; ascending; at least a tick each."""
    assert abs(found.mean() - mean) <= 0.5
    assert (np.diff(found) >= 0).all()
    assert found[0] >= 1


@settings(deadline=None)  # the first draw imports scipy.stats
@given(
    st.sampled_from(["uniform", "normal", "lognormal", "gamma"]),
    st.integers(1, 10**6),
    st.floats(0.01, 30.0),
)
def test_a_distribution_keeps_its_mean_where_it_reaches_below_zero_too(distribution, mean, spread):
    found = table(mean, distribution=distribution, deviation=ticks(max(1.0, round(spread * mean))))
    assert_about(found, mean)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_a_distribution_that_stays_above_zero_has_its_deviation(distribution):
    found = table(10_000, distribution=distribution, deviation=ticks(2000))
    assert found.std() == pytest.approx(2000, rel=1e-3)


@given(st.integers(1, 10**6), st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any))
def test_observed_times_keep_their_mean(mean, observed):
    assert_about(table(mean, distribution="empirical", values=[ticks(v) for v in observed]), mean)


def test_observed_times_are_drawn_as_they_were_and_not_between():
    found = table(40, distribution="empirical", values=[ticks(v) for v in (100, 10, 10)])
    assert found.tolist() == [10, 10, 100]
