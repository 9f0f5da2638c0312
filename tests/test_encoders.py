"""Images as input: exact values, the laws of the draws, what is refused."""

import numpy as np
import pytest

from eventsnn.errors import EventLimitReached, InvalidEvents, InvalidFile, InvalidRequest
from eventsnn.events import Encoding, encode, image_set, open_dataset, spike_train
from eventsnn.events.draws import exponential, keyed_generator

SECOND = 10**12
MILLISECOND = 10**9
# Of 0.5 and -1 at 100 Hz, seed 7, sample 3.
GOLDEN_TIMES = [19390629226, 24030082414, 26380958343, 27283000179]
GOLDEN_NEURONS = [2, 2, 2, 2]


def poisson(image, seconds=1.0, rate=100.0, **key):
    return encode(np.asarray(image), Encoding("poisson", seconds * 1e6, rate), **key)


def test_waiting_times_are_minus_the_logarithm_of_uniform_numbers():
    waits = exponential(keyed_generator(1, 2, "test"), 100_000)
    uniform = keyed_generator(1, 2, "test").random(100_000)
    np.testing.assert_allclose(waits, -np.log1p(-uniform), rtol=1e-15)


def test_poisson_spikes_are_the_same_on_every_machine():
    train = poisson(np.array([[[0.5, 0.0, -1.0]]]), 0.03, seed=7, sample=3)
    assert train.time_ps.tolist() == GOLDEN_TIMES
    assert train.neuron.tolist() == GOLDEN_NEURONS
    assert train.payload.tolist() == [-1 if n == 2 else 1 for n in GOLDEN_NEURONS]
    assert train.duration_ps == 30 * MILLISECOND


def test_poisson_spikes_of_each_pixel_are_a_poisson_process():
    """Means, variances and the distribution of the waiting times, over 400 keyed samples of one second."""
    image = np.array([[[0.25], [0.0], [1.0]]])
    counts, waits = [], []
    for sample in range(400):
        train = poisson(image, 1.0, 40.0, seed=1, sample=sample)
        assert (np.diff(train.time_ps) >= 0).all()
        assert train.payload is None
        counts.append(np.bincount(train.neuron, minlength=3))
        waits.append(np.diff(train.time_ps[train.neuron == 2]))
    counts, waits = np.array(counts), np.sort(np.concatenate(waits)) / SECOND * 40.0
    assert (counts[:, 1] == 0).all()
    for column, mean in ((0, 10.0), (2, 40.0)):
        assert abs(counts[:, column].mean() - mean) < 4 * np.sqrt(mean / 400)
        assert abs(counts[:, column].var() / mean - 1) < 0.3
    assert abs(np.corrcoef(counts[:, 0], counts[:, 2])[0, 1]) < 0.2
    # Waits that end inside a second are a little short; Kolmogorov's distance stays small.
    assert np.abs(1 - np.exp(-waits) - np.arange(len(waits)) / len(waits)).max() < 0.03


def test_a_longer_poisson_train_begins_with_the_shorter_one():
    image = np.linspace(0, 1, 64).reshape(8, 8, 1)
    short, long = (poisson(image, seconds, 1000.0, sample=5) for seconds in (0.5, 1.5))
    n = len(short)
    assert n > 10_000
    np.testing.assert_array_equal(long.time_ps[:n], short.time_ps)
    np.testing.assert_array_equal(long.neuron[:n], short.neuron)
    assert long.time_ps[n] >= SECOND // 2


def test_twice_the_rate_halves_the_times():
    image = np.array([[[0.5]]])
    slow, fast = poisson(image, 2.0, 50.0), poisson(image, 1.0, 100.0)
    np.testing.assert_array_equal(slow.time_ps // 2, fast.time_ps)


def test_draws_belong_to_seed_and_sample():
    image = np.full((2, 2, 1), 0.5)
    for kind in ("poisson", "bernoulli"):
        encoding = Encoding(kind, 1e6, 100.0)
        one, same, seed, sample = (
            encode(image, encoding, step_ps=MILLISECOND, seed=s, sample=i).time_ps.tolist()
            for s, i in ((1, 2), (1, 2), (2, 2), (1, 3))
        )
        assert one == same
        assert one != seed
        assert one != sample


def test_bernoulli_spikes_are_one_draw_per_pixel_and_step():
    image = np.array([[[1.0, 0.0, -0.5, 0.25]]])
    encoding = Encoding("bernoulli", 3500)
    train = encode(image, encoding, step_ps=MILLISECOND, seed=4, sample=9)
    draws = keyed_generator(4, 9, "bernoulli input").random((4, 4))
    step, neuron = np.nonzero(draws < np.abs(image[0, 0]))
    assert train.time_ps.tolist() == (step * MILLISECOND).tolist()
    assert train.neuron.tolist() == neuron.tolist()
    assert (train.neuron == 0).sum() == 4
    assert train.payload.tolist() == [-1 if n == 2 else 1 for n in neuron]
    slow = encode(image, Encoding("bernoulli", 1e6, 100.0), step_ps=MILLISECOND)
    assert 60 <= (slow.neuron == 0).sum() <= 140  # 1,000 steps of probability 0.1


def test_charges_are_rounded_halves_away_from_zero():
    image = np.array([[[0.25, -0.25, 0.0, 0.2, 1.0, -0.74]]])
    train = encode(image, Encoding("charge"), unit=0.5)
    assert train.neuron.tolist() == [0, 1, 4, 5]
    assert train.payload.tolist() == [1, -1, 2, -1]
    assert train.time_ps.tolist() == [0, 0, 0, 0]
    assert train.duration_ps is None
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert encode(pixels, Encoding("charge"), unit=1 / 255).payload.tolist() == list(range(1, 256))


def test_analog_images_keep_their_values():
    pixels = np.array([[[0, 51, 255]]], dtype=np.uint8)
    image = encode(pixels, Encoding("analog", 2.5))
    assert image.values.tolist() == [[[0.0, 0.2, 1.0]]]
    assert image.duration_ps == 2_500_000
    assert encode(np.array([[[-2.5, 3.0]]]), Encoding("analog")).values.tolist() == [[[-2.5, 3.0]]]
    assert encode(np.array([[[True, False]]]), Encoding("analog")).values.tolist() == [[[1.0, 0.0]]]


def test_spike_trains_are_sorted_and_keep_their_order_at_one_time():
    train = spike_train([2.5, 0, 2.5, 1e-6], [1, 5, 0, 3], [1, 2, -3, 4], duration_us=3)
    assert train.time_ps.tolist() == [0, 1, 2_500_000, 2_500_000]
    assert train.neuron.tolist() == [5, 3, 0, 1]
    assert train.payload.tolist() == [2, 4, -3, 1]
    assert train.duration_ps == 3_000_000
    assert spike_train([4, 4], [0, 0], [7, 8]).payload.tolist() == [7, 8]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([1, 2], [0]), r"shapes .*'neuron': \(1,\)"),
        (([[1]], [[0]]), "shapes"),
        (([-1], [0]), "times are -1 to -1 microseconds; allowed are 0 to"),
        (([float("nan")], [0]), "times are nan"),
        (([1], [0.5]), "neuron has dtype float64; it holds whole numbers"),
        (([1], [0], [0.5]), "payload has dtype float64"),
        ((["a"], [0]), "time_us has dtype <U1; it holds numbers"),
    ],
)
def test_bad_spike_trains_are_refused(columns, message):
    with pytest.raises(InvalidEvents, match=message):
        spike_train(*columns)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("frames",), "input 'frames' is not known; allowed are analog, poisson, bernoulli, charge"),
        (("poisson", None, 10), r"poisson input needs a duration: .*--duration-us"),
        (("bernoulli",), "bernoulli input needs a duration"),
        (("poisson", 1000), r"poisson input needs a rate: .*--max-rate-hz"),
        (("analog", 1000, 10), "analog input draws no spikes and has no rate"),
        (("poisson", 1000, 0), "max_rate_hz is 0; allowed are numbers above 0"),
        (("poisson", 1000, float("nan")), "max_rate_hz is nan"),
        (("analog", -1), "duration_us is -1 microseconds; allowed are 1e-6"),
        (("analog", float("inf")), "duration_us is inf"),
        (("analog", "long"), "duration_us is 'long'; it is a number"),
    ],
)
def test_bad_encodings_are_refused(settings, message):
    with pytest.raises(InvalidRequest, match=message):
        Encoding(*settings)


@pytest.mark.parametrize(
    ("image", "kind", "message"),
    [
        ([[[np.nan]]], "analog", "image holds NaN"),
        ([[[1.5]]], "poisson", "values from 1.5 to 1.5; allowed here are -1 to 1"),
        ([[[255.0]]], "analog", r"allowed here are -16 to 16. Give uint8 \(0 to 255\), or scale"),
        (np.array([[[3]]]), "analog", "has dtype int64; images are uint8"),
        ([[[0.4]]], "charge", "no value reaches half of 1, the activation of one input spike"),
    ],
)
def test_bad_images_are_refused(image, kind, message):
    rate = 100 if kind == "poisson" else None
    with pytest.raises(InvalidEvents, match=message):
        encode(np.asarray(image), Encoding(kind, 1000, rate))


def test_bernoulli_needs_steps_and_at_most_one_spike_in_each():
    image = np.ones((1, 1, 1))
    with pytest.raises(InvalidRequest, match=r"needs the length of a timestep: give step_us"):
        encode(image, Encoding("bernoulli", 1000))
    with pytest.raises(InvalidRequest, match="2000 makes 2 spikes per timestep of 1000 microseconds"):
        encode(image, Encoding("bernoulli", 1000, 2000), step_ps=MILLISECOND)


def images(n, offset=0):
    return (np.arange(n * 6).reshape(n, 2, 3) + offset).astype(np.uint8)


def test_image_files_with_and_without_splits(tmp_path):
    np.savez(tmp_path / "whole.npz", x=images(3)[..., np.newaxis], y=np.array([2, 0, 1]))
    whole = open_dataset(f"images:{tmp_path}/whole.npz")
    assert (len(whole), whole.height, whole.width, whole.labels.tolist()) == (3, 2, 3, [2, 0, 1])
    np.testing.assert_array_equal(whole[1].content[..., 0], images(3)[1])
    assert (whole[1].label, whole[1].index, whole[1].name) == (0, 1, "image 1")
    assert [s.index for s in whole.evenly(2)] == [0, 1]
    assert [s.index for s in whole[1:]] == [1, 2]
    for names in (("train_x", "train_y", "test_x", "test_y"), ("x_train", "y_train", "x_test", "y_test")):
        arrays = (images(4), np.arange(4), images(2, 100), np.array([7, 8]))
        np.savez(tmp_path / "split.npz", **dict(zip(names, arrays, strict=True)))
        test = open_dataset(f"images:{tmp_path}/split.npz", "test")
        assert ([s.index for s in test], test.labels.tolist()) == ([4, 5], [7, 8])
        assert test[0].content[0, 0, 0] == 100
        assert len(open_dataset(f"images:{tmp_path}/split.npz", "train")) == 4
        both = open_dataset(f"images:{tmp_path}/split.npz")
        assert both.labels.tolist() == [0, 1, 2, 3, 7, 8]
    np.savez(tmp_path / "bare.npz", images=np.zeros((2, 5)))
    bare = open_dataset(f"images:{tmp_path}/bare.npz")
    assert (bare.images.shape, bare.labels.tolist(), bare[0].label) == ((2, 1, 1, 5), [-1, -1], None)


@pytest.mark.parametrize(
    ("arrays", "split", "error", "message"),
    [
        ({"a": np.zeros(3)}, None, InvalidFile, "holds a; images are arrays x and y"),
        ({"x": images(2)}, "test", InvalidRequest, "has no splits; leave the split 'test' out"),
        ({"test_x": images(2)}, "train", InvalidRequest, "has no split 'train'; it holds test_x"),
        ({"x": np.zeros(3)}, None, InvalidEvents, r"have shape \(3,\); allowed are"),
        ({"x": np.zeros((2, 0, 3))}, None, InvalidEvents, "have shape"),
        ({"x": images(2), "y": np.arange(3)}, None, InvalidEvents, "one whole number for each of 2"),
        ({"x": images(2), "y": np.zeros(2)}, None, InvalidEvents, "dtype float64; give one whole number"),
        ({"x": images(2), "y": np.array([0, -3])}, None, InvalidEvents, "a label is -3"),
        ({"x": np.full((2, 1, 1), np.inf)}, None, InvalidEvents, "holds NaN or infinite"),
        ({"x": np.full((2, 1, 1), 200.0)}, None, InvalidEvents, "values from 200 to 200"),
        ({"x": np.zeros((2, 1, 1), int)}, None, InvalidEvents, "has dtype int64"),
        ({"train_x": images(2), "test_x": np.zeros((1, 2, 3))}, None, InvalidFile, "differ in shape or type"),
    ],
)
def test_bad_image_files_are_refused(tmp_path, arrays, split, error, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(error, match=message):
        open_dataset(f"images:{tmp_path}/x.npz", split)


def test_files_that_hold_no_images_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no images")
    with pytest.raises(InvalidFile, match=r"cannot be read as a NumPy \.npz file"):
        open_dataset(f"images:{tmp_path}/text.npz")
    np.savez(tmp_path / "whole.npz", x=np.random.default_rng(0).random((4, 8, 8)))
    data = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InvalidFile, match="cannot be read"):
        open_dataset(f"images:{tmp_path}/cut.npz")
    np.save(tmp_path / "one.npy", images(2))
    with pytest.raises(InvalidFile, match="is one array"):
        open_dataset(f"images:{tmp_path}/one.npy")
    with pytest.raises(InvalidFile, match="cannot be read"):
        open_dataset(f"images:{tmp_path}")


def test_image_sets_of_arrays():
    made = image_set(images(5), np.arange(5))
    with pytest.raises(InvalidRequest, match=r"6 samples asked of .*allowed are 1 to 5"):
        made.evenly(6)
    with pytest.raises(InvalidEvents, match="allowed here are -1 to 1"):
        image_set(np.full((1, 1, 1), 1.5)).check(1.0)


@pytest.mark.parametrize("kind", ["poisson", "bernoulli", "charge"])
def test_dark_images_are_trains_without_spikes(kind):
    rate = None if kind == "charge" else 100
    dark = encode(np.zeros((2, 2, 1)), Encoding(kind, 1000, rate), step_ps=MILLISECOND)
    assert (len(dark), dark.payload is None or len(dark.payload) == 0) == (0, True)
    assert dark.duration_ps == 1000 * 10**6


def test_values_below_half_a_fine_unit_are_dark():
    assert len(encode(np.full((1, 1, 1), 0.001), Encoding("charge"), unit=1 / 255)) == 0


@pytest.mark.parametrize("kind", ["poisson", "bernoulli"])
def test_too_many_spikes_are_refused_before_they_are_drawn(kind, monkeypatch):
    """100 pixels at 1000 Hz over 1e7 us: a million spikes."""
    monkeypatch.setattr("eventsnn.events.encoders.keyed_generator", lambda *_: None)
    image = np.ones((10, 10, 1))
    with pytest.raises(EventLimitReached, match=r"image: 1e\+07 microseconds .* 1e\+06 spikes.*max_events"):
        encode(image, Encoding(kind, 1e7, 1000.0), step_ps=MILLISECOND, most=990_000)
    with pytest.raises(EventLimitReached, match=r"at most 16777216 are drawn"):
        encode(image, Encoding(kind, 1e9, 1000.0), step_ps=MILLISECOND, most=10**9)


def test_bernoulli_draws_in_blocks_are_those_of_single_steps(monkeypatch):
    image = np.random.default_rng(1).random((3, 5, 1))
    whole = encode(image, Encoding("bernoulli", 50_000, 400.0), step_ps=MILLISECOND, seed=5)
    monkeypatch.setattr("eventsnn.events.encoders.DRAWS_AT_ONCE", 15)
    single = encode(image, Encoding("bernoulli", 50_000, 400.0), step_ps=MILLISECOND, seed=5)
    assert whole.time_ps.tolist() == single.time_ps.tolist()
    assert whole.neuron.tolist() == single.neuron.tolist()
