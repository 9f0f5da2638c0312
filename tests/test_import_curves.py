"""Curves are what their operations say, composed in any order."""

import numpy as np
import pytest

from eventsnn.convert.importers.curves import Jump, Ramp, Stairs, identity

PLACES = np.concatenate([np.linspace(-9, 9, 145), [0.0]])
ROUND = {"floor": np.floor, "half-even": np.rint}


def number(value):
    return np.array([float(value)])


def at(curve, x):
    """The curve by the words of its class."""
    if isinstance(curve, Jump):
        moved = x + curve.moved_by
        return np.where(moved < 0, curve.below, np.where(moved > 0, curve.above, curve.at))
    inner = x / curve.unit + curve.shift
    if isinstance(curve, Ramp):
        return np.clip(inner, curve.low, curve.high)
    levels = np.clip(ROUND[curve.rounding](inner), curve.lowest, curve.largest)
    return curve.scale * levels + curve.offset


def random_operation(random):
    """Quarters and halves: every place and result is exact."""
    kind = random.integers(6)
    amount = float(random.choice([0.5, 2.0, 1.0, -1.0, 4.0]))
    if kind == 0:
        return lambda c: c.scaled(number(amount)), lambda x: x * amount
    if kind == 1:
        return lambda c: c.divided(number(amount)), lambda x: x / amount
    if kind == 2:
        by = float(random.integers(-4, 5)) / 2
        return lambda c: c.moved(number(by)), lambda x: x + by
    if kind == 3:
        low = float(random.integers(-3, 2))
        high = low + float(random.integers(0, 6)) if random.integers(4) else np.inf
        return lambda c: c.clamped(number(low), number(high)), lambda x: np.clip(x, low, high)
    if kind == 4:
        rounding = ("floor", "half-even")[random.integers(2)]
        return lambda c: c.rounded(rounding), ROUND[rounding]
    return lambda c: c.decided(lambda s: 2 * s + 1), lambda x: 2 * np.sign(x) + 1


@pytest.mark.parametrize("length", [1, 2, 3, 4, 6])
def test_compositions(length):
    random, kinds = np.random.default_rng(length), set()
    for _ in range(600):
        curve, values = identity(1), PLACES
        for _ in range(length):
            change, function = random_operation(random)
            found = change(curve)
            if found is None:
                break
            curve, values = found, function(values)
            kinds.add(type(curve))
        np.testing.assert_allclose(at(curve, PLACES), values, rtol=0, atol=1e-12)
    assert kinds == {Ramp, Stairs, Jump}


def test_what_is_no_curve_of_the_three():
    ramp = identity(1)
    assert ramp.scaled(number(0)) is None
    assert ramp.scaled(np.array([1.0, -1.0])) is None
    assert ramp.scaled(number(-1)).rounded("floor") is None
    assert ramp.clamped(number(1), number(2)).decided(lambda s: s) is None
    stairs = ramp.rounded("half-even")
    assert stairs.clamped(number(0), number(2.5)) is None
    assert stairs.clamped(number(0), number(3)).clamped(number(-1), number(3.5)) is not None
    assert stairs.scaled(number(0.5)).rounded("floor") is None
    assert stairs.decided(lambda s: s) is None
    assert ramp.decided(lambda s: s).scaled(np.array([1.0, 2.0])) is None
