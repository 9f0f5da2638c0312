"""Streams: validity, counts and reductions."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events import (
    EVENT_DTYPE,
    MAX_TIME_US,
    downsample_addresses,
    event_counts,
    make_events,
    take_fraction,
    validate_events,
)


def ramp(n):
    return make_events(np.arange(n), np.arange(n) % 34, np.zeros(n, int), np.arange(n) % 2)


def test_make_events_has_the_fixed_fields():
    events = make_events([0, 5], [1, 2], [3, 4], [True, 0])
    assert events.dtype == EVENT_DTYPE
    assert events.tolist() == [(0, 1, 3, True), (5, 2, 4, False)]


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (([0, 1], [0], [0], [0]), "one length"),
        (([[0]], [[0]], [[0]], [[0]]), "one-dimensional"),
        (([0.5], [0], [0], [0]), "field t has type float64"),
        (([0], [0], [0], [2]), "event 0 has polarity 2; p is 0"),
        (([0, 1], [0, 40000], [0, 0], [0, 0]), "event 1 has x = 40000"),
    ],
)
def test_make_events_refuses_what_does_not_fit(columns, match):
    with pytest.raises(InvalidEvents, match=match):
        make_events(*columns)


@pytest.mark.parametrize(
    ("events", "match"),
    [
        (make_events([0, 7, 6, 8], [0] * 4, [0] * 4, [0] * 4), "goes back at event 2, from 7 us to 6 us"),
        (make_events([-1, 0], [0] * 2, [0] * 2, [0] * 2), "event 0 has t = -1"),
        (make_events([0, MAX_TIME_US], [0] * 2, [0] * 2, [0] * 2), "event 1 has t = .* must be below"),
        (make_events([0, 1], [0, 34], [0, 0], [0, 0]), "event 1 lies at x = 34, y = 0"),
        (make_events([0, 1], [0, 0], [0, -1], [0, 0]), "event 1 lies at x = 0, y = -1"),
        (np.zeros(3, [("t", "i8"), ("x", "i2"), ("y", "i2")]), "fields t, x, y and p"),
        (np.zeros(3, [("t", "f8"), ("x", "i2"), ("y", "i2"), ("p", "?")]), "field t has type float64"),
        (np.zeros((2, 2), EVENT_DTYPE), "found shape"),
    ],
)
def test_validate_names_the_first_bad_event(events, match):
    with pytest.raises(InvalidEvents, match="a.bin: .*" + match):
        validate_events(events, 34, 34, "a.bin")


def test_validate_sees_a_step_back_in_unsigned_times():
    events = np.zeros(2, [("t", "u8"), ("x", "i2"), ("y", "i2"), ("p", "?")])
    events["t"] = [9, 8]
    with pytest.raises(InvalidEvents, match="event 1, from 9 us to 8 us"):
        validate_events(events, 1, 1, "a")


def test_the_largest_time_fits_in_picoseconds():
    assert (MAX_TIME_US - 1) * 10**6 < 2**62


def test_counts_put_off_first():
    events = make_events([0, 1, 2, 3], [1, 1, 0, 1], [0, 0, 2, 0], [1, 1, 1, 0])
    counts = event_counts(events, 3, 2)
    assert counts.dtype == np.int64
    assert counts.shape == (2, 3, 2)
    assert counts[1, 0, 1] == 2
    assert counts[1, 2, 0] == 1
    assert counts[0, 0, 1] == 1
    assert counts.sum() == 4


@pytest.mark.parametrize(
    ("n", "fraction", "kept"), [(100, 0.29, 29), (10, 0.05, 1), (10, 1, 10), (7, 0.5, 3), (0, 0.5, 0)]
)
def test_fraction_keeps_the_first_share(n, fraction, kept):
    assert take_fraction(ramp(n), fraction).tolist() == ramp(n)[:kept].tolist()


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(InvalidRequest, match=r"in \(0, 1\]"):
        take_fraction(ramp(3), fraction)


@given(st.integers(1, 9))
def test_downsampling_sums_the_counts_of_blocks(factor):
    rng = np.random.Generator(np.random.Philox(5))
    events = make_events(
        np.arange(200), rng.integers(0, 34, 200), rng.integers(0, 34, 200), rng.integers(0, 2, 200)
    )
    small = downsample_addresses(events, factor)
    size = -(-34 // factor)
    padded = np.zeros((2, size * factor, size * factor), np.int64)
    padded[:, :34, :34] = event_counts(events, 34, 34)
    blocks = padded.reshape(2, size, factor, size, factor).sum((2, 4))
    assert np.array_equal(event_counts(small, size, size), blocks)
    assert np.array_equal(small["t"], events["t"])


@pytest.mark.parametrize("factor", [0, -2, 1.5, True, 40000])
def test_downsampling_factor_out_of_range(factor):
    with pytest.raises(InvalidRequest, match="factor must be an integer"):
        downsample_addresses(ramp(3), factor)
