"""Exponential and logarithm from tables: within what they say of the true values, compiled or not."""

import math
from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from eventsnn.decide.tables import LEAST, exponential, logarithm


def true(value, function):
    with localcontext() as context:
        context.prec = 50
        return getattr(Decimal(value), function)()


@settings(max_examples=300, deadline=None)
@given(st.floats(LEAST, 0))
def test_exponential_is_within_two_units_in_the_last_place(x):
    found, exact = Decimal(float(exponential(x))), true(x, "exp")
    assert abs(found - exact) <= 2 * Decimal(math.ulp(float(exact)))


@settings(max_examples=300, deadline=None)
@given(st.floats(1, 1e6) | st.floats(1, 1.01))
def test_logarithm_is_within_its_bound(x):
    exact = true(x, "ln")
    assert abs(Decimal(float(logarithm(x))) - exact) <= Decimal("1e-15") * max(1, exact / 5)


def test_ends():
    assert (exponential(0.0), logarithm(1.0)) == (1.0, pytest.approx(0, abs=1e-17))
    assert exponential(np.nextafter(LEAST, -np.inf)) == 0.0 < exponential(LEAST) < 1e-300


def test_it_only_ever_grows():
    x = -np.sort(np.random.default_rng(1).exponential(3, 4000))
    values = [exponential(v) for v in x]
    assert all(a >= b for a, b in pairwise(values))


def test_compiled_and_not_are_bit_for_bit_the_same():
    fast = [njit(function) for function in (exponential, logarithm)]
    draws = np.random.default_rng(2).exponential(20, 3000)
    assert [fast[0](-x) for x in draws] == [exponential(-x) for x in draws]
    assert [fast[1](1 + x) for x in draws] == [logarithm(1 + x) for x in draws]
