"""I2E events: right by hand, as the plain rule has it, and as often as was published."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from eventsnn.errors import InvalidRequest, MissingExtra
from eventsnn.events.i2e import encode_i2e, event_rate, intensity_changes, largest_colour
from eventsnn.events.stream import validate_events

pytest.importorskip("PIL", reason="pillow is not installed")

needs_data = pytest.mark.skipif(
    "EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA is not set: no real data"
)


def test_an_edge_by_hand():
    """Dark left half, bright right half, as large as the sensor: only movements across the edge are seen."""
    image = np.zeros((4, 4), np.uint8)
    image[:, 2:] = 200
    events = encode_i2e(image, size=4, step_us=10)
    validate_events(events, 4, 4, "I2E")
    # Two columns on for movements over two columns, one for those over one, none for up.
    assert [int((events["t"] == 10 * step).sum()) for step in range(8)] == [8, 8, 4, 4, 4, 0, 4, 4]
    # From lower right to left: V falls in columns 1 and 2; from the middle to the right it rises in column 1.
    first, fifth = events[events["t"] == 0], events[events["t"] == 40]
    assert (set(first["x"].tolist()), first["p"].any()) == ({1, 2}, False)
    assert (set(fifth["x"].tolist()), fifth["p"].all()) == ({1}, True)
    assert event_rate(events, 4) == len(events) / 256


def plain_events(image, ratio):
    """The rule, pixel by pixel, on a picture as large as the sensor; places as numbers 1 to 9, row by row."""
    value = image.max(-1).astype(int)
    size = len(value)
    needed = ratio * (value.max() - value.min())
    rows = []
    for step, (start, end) in enumerate([(9, 4), (4, 3), (3, 8), (8, 1), (5, 6), (5, 2), (5, 3), (5, 1)]):
        for y, x in np.ndindex(size, size):
            seen = []
            for place in (start, end):
                row, column = y + (place - 1) // 3 - 1, x + (place - 1) % 3 - 1
                seen.append(value[min(max(row, 0), size - 1), min(max(column, 0), size - 1)])
            if abs(seen[1] - seen[0]) > needed:
                rows.append((step * 1000, x, y, seen[1] > seen[0]))
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_the_plain_rule_gives_the_same(seed):
    image = np.random.default_rng(seed).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    assert encode_i2e(image, size=9, ratio=0.3).tolist() == plain_events(image, 0.3)


def test_a_change_of_just_so_much_gives_none_and_a_plain_picture_neither():
    image = np.zeros((4, 4), np.uint8)
    image[:, 1:] = [100, 200, 200]
    assert not (np.abs(intensity_changes(image, 4)[4]) > 100).any()
    assert not (encode_i2e(image, size=4, ratio=0.5)["t"] == 4000).any()
    assert (encode_i2e(image, size=4, ratio=0.49)["t"] == 4000).any()
    assert not len(encode_i2e(np.full((5, 5, 3), 77, np.uint8)))


def test_colours_are_scaled_before_the_largest_is_taken():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert np.array_equal(largest_colour(image, 8), image.max(-1))
    from PIL import Image

    scaled = [Image.fromarray(image[..., c]).resize((20, 20), Image.Resampling.BICUBIC) for c in range(3)]
    assert np.array_equal(largest_colour(image, 20), np.max([np.asarray(part) for part in scaled], axis=0))


@pytest.mark.parametrize(
    ("image", "settings", "match"),
    [
        (np.zeros((4, 4)), {}, "uint8 picture"),
        (np.zeros((4, 4, 4), np.uint8), {}, r"\(4, 4, 4\)"),
        (np.zeros((0, 4), np.uint8), {}, r"\(0, 4\)"),
        (np.zeros((4, 4), np.uint8), {"size": 1}, "from 2 to"),
        (np.zeros((4, 4), np.uint8), {"ratio": 0}, "above 0 and below 1"),
        (np.zeros((4, 4), np.uint8), {"ratio": float("nan")}, "finite number"),
        (np.zeros((4, 4), np.uint8), {"step_us": 0}, "from 1 to"),
    ],
)
def test_refusals(image, settings, match):
    with pytest.raises(InvalidRequest, match=match):
        encode_i2e(image, **settings)


def test_without_pillow_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"eventsnn\[images\]"):
        encode_i2e(np.zeros((4, 4), np.uint8))


@needs_data
def test_mnist_has_the_published_event_rate():
    """9.56 %; 600 pictures have a standard error of about 0.1 points."""
    images = np.load(Path(os.environ["EVENTSNN_DATA"]) / "mnist/mnist.npz")["train_x"][::100]
    rate = np.mean([event_rate(encode_i2e(image, size=32, ratio=0.1), 32) for image in images])
    assert rate == pytest.approx(0.0956, abs=0.003)


@needs_data
def test_cifar10_has_the_published_event_rate():
    """5.86 %; 400 pictures have a standard error of about 0.12 points."""
    stored = np.load(Path(os.environ["EVENTSNN_DATA"]) / "cifar10/cifar10_lossless.npz")
    residue = stored["test_resid"][:, ::25]
    c = np.cumsum(np.cumsum(residue, -1, dtype=np.uint8), -2, dtype=np.uint8)
    images = np.stack([c[1] + c[0], c[0], c[2] + c[0]], -1)
    rate = np.mean([event_rate(encode_i2e(image), 128) for image in images])
    assert rate == pytest.approx(0.0586, abs=0.004)
