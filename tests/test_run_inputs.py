"""Schedules and inputs through ``simulate``: what reaches the engine, repeats, is kept and refused."""

import json
import re

import h5py
import numpy as np
import pytest
from builders.recordings import random_events, small_network

import eventsnn
from eventsnn.counting import COLUMN
from eventsnn.engine import RunOptions, Stimulus, make_engine, stimulus_from_events
from eventsnn.errors import EventsnnError, InvalidEvents, InvalidRequest
from eventsnn.events import (
    AnalogImage,
    Encoding,
    ImageSet,
    Recording,
    Sample,
    encode,
    image_set,
    make_events,
    spike_train,
)
from eventsnn.network import Dense, Input, Network, Population, Projection, Rate, Readout, Signed
from eventsnn.results.results import Results

MILLISECOND = 10**9
NOTHING = np.zeros(0, dtype=np.int64)
IMAGES = np.random.default_rng(8).integers(0, 256, (6, 4, 3, 1)).astype(np.uint8)
LABELS = np.array([0, 1, 2, 3, 0, 1])


def network(kind="rate", unit=1.0, period=MILLISECOND):
    """4 x 3 pixels to 5 neurons to 4 classes."""
    rng = np.random.default_rng(1)
    hidden = Rate(50, period=period) if kind == "rate" else Signed(50, 6)
    return Network(
        [
            Population("in", (4, 3, 1), Input(unit=unit, analog_scale=100)),
            Population("hidden", (1, 1, 5), hidden),
            Population("out", (1, 1, 4), Readout(period=period if kind == "rate" else 0)),
        ],
        [
            Projection("1", "in", "hidden", Dense(rng.integers(-15, 30, (12, 5))), rng.integers(0, 9, 5)),
            Projection("2", "hidden", "out", Dense(rng.integers(-9, 10, (5, 4)))),
        ],
    )


def digests(results):
    return [sample.digest for sample in results.table.samples]


def direct(stimuli, net, engine="compiled", **options):
    simulator = make_engine(engine, net, None, RunOptions(**options))
    return [simulator.run(stimulus, index).digest for index, stimulus in enumerate(stimuli)]


def spikes(train):
    return Stimulus(train.time_ps, train.neuron, train.payload, None, train.duration_ps)


@pytest.mark.parametrize("schedule", ["event", "step"])
@pytest.mark.parametrize("kind", ["poisson", "bernoulli"])
def test_images_become_the_spikes_of_their_encoding(kind, schedule):
    rate = 500 if kind == "poisson" else None
    found = eventsnn.simulate(
        network(), IMAGES, input=kind, duration_us=20_000, max_rate_hz=rate, schedule=schedule, seed=-3
    )
    encoding = Encoding(kind, 20_000, rate)
    trains = [
        spikes(encode(image, encoding, step_ps=MILLISECOND, seed=2**64 - 3, sample=index))
        for index, image in enumerate(IMAGES)
    ]
    assert digests(found) == direct(trains, network(), schedule=schedule, seed=-3)
    assert len(set(digests(found))) == len(IMAGES)


@pytest.mark.parametrize("schedule", ["event", "step"])
def test_analog_images_become_parts_of_the_scale(schedule):
    """Parts of 100 of each unit of 0.5: pixel p is round(p / 255 / 0.5 x 100)."""
    net = network(unit=0.5)
    stimuli = [
        Stimulus(NOTHING, NOTHING, None, (image.reshape(-1) * 400 + 255) // 510, 30 * MILLISECOND)
        for image in IMAGES.astype(np.int64)
    ]
    found = eventsnn.simulate(net, IMAGES, input="analog", duration_us=30_000, schedule=schedule)
    assert digests(found) == direct(stimuli, net, schedule=schedule)
    given = [AnalogImage(image / 255, 30 * MILLISECOND) for image in IMAGES]
    assert digests(eventsnn.simulate(net, given, schedule=schedule)) == digests(found)
    signs = [AnalogImage(np.full((4, 3), -0.0025), 30 * MILLISECOND)]
    signed = Stimulus(NOTHING, NOTHING, None, np.full(12, -1), 30 * MILLISECOND)
    assert digests(eventsnn.simulate(net, signs)) == direct([signed], net)


def test_charges_and_analog_values_bring_signed_networks_to_the_same_counts():
    """Pixels as payloads over a unit of 1 / 255: neither needs a duration, and both sums are exact."""
    net = network("signed", unit=1 / 255)
    small = IMAGES // 32
    found = {
        kind: eventsnn.simulate(net, small, input=kind, engine="reference") for kind in ("charge", "analog")
    }
    decided = {kind: results.table.column("prediction").tolist() for kind, results in found.items()}
    assert decided["charge"] == decided["analog"]
    total = found["charge"].table.column("input_events")
    assert total.tolist() == [np.count_nonzero(image) for image in small]
    assert digests(eventsnn.simulate(net, small, input="charge")) == digests(found["charge"])


def test_spike_trains_beside_event_arrays():
    net = small_network()
    events = random_events(np.random.default_rng(3))
    train = spike_train([7, 2.5], [11, 5], [2, -1], duration_us=9)
    found = eventsnn.simulate(net, [(events, 4), (train, 2), train])
    stimulus = Stimulus(
        np.array([2_500_000, 7_000_000]), np.array([5, 11]), np.array([-1, 2]), None, 9_000_000
    )
    moved = events.copy()
    moved["t"] -= events["t"][0]
    expected = direct([stimulus_from_events(moved, net), stimulus, stimulus], net)
    assert digests(found) == expected
    assert found.table.column("label").tolist() == [4, 2, -1]


@pytest.mark.parametrize("latest", [1, 40, 10**12])
def test_events_of_one_time_go_by_neuron(latest):
    rng = np.random.default_rng(latest)
    times, x, y = np.sort(rng.integers(0, latest, 500)), rng.integers(0, 34, 500), rng.integers(0, 34, 500)
    p = rng.integers(0, 2, 500)
    columns = zip(times, x, y, p, strict=True)
    found = stimulus_from_events(make_events(times, x, y, p), small_network())
    expected = sorted((int(t) * 10**6, int((row * 34 + column) * 2 + on)) for t, column, row, on in columns)
    assert list(zip(found.time.tolist(), found.neuron.tolist(), strict=True)) == expected


def test_a_duration_is_for_samples_that_have_none():
    """Biases go on flowing until 20 ms; a train's own duration holds."""
    own, other = spike_train([1000], [0], duration_us=5000), spike_train([1000], [0])
    found = eventsnn.simulate(network(), [own, other], duration_us=20_000)
    assert found.table.column("decision_time_ps").tolist() == [5 * MILLISECOND, 20 * MILLISECOND]
    late = eventsnn.simulate(network(), [spike_train([30_000], [0])], duration_us=20_000)
    assert late.table.column("decision_time_ps").tolist() == [30 * MILLISECOND]


@pytest.mark.parametrize("kind", ["poisson", "bernoulli"])
def test_workers_and_subsets_draw_the_same_spikes(kind, tmp_path):
    np.savez(tmp_path / "set.npz", x=IMAGES, y=LABELS)
    data = f"images:{tmp_path}/set.npz"
    rate = 300 if kind == "poisson" else None
    drawn = {"input": kind, "duration_us": 10_000, "max_rate_hz": rate, "seed": 5}
    one = eventsnn.simulate(network(), data, **drawn)
    assert one.accuracy is not None
    for workers in (2, 3):
        many = eventsnn.simulate(network(), data, workers=workers, **drawn)
        assert (many.digest, many.configuration) == (one.digest, one.configuration)
    half = eventsnn.simulate(network(), data, samples=3, **drawn)
    assert half.table.column("index").tolist() == [0, 2, 4]
    assert digests(half) == digests(one)[::2]
    assert eventsnn.simulate(network(), data, **{**drawn, "seed": 6}).digest != one.digest


def test_every_setting_belongs_to_the_run(tmp_path):
    path = tmp_path / "r.h5"
    given = {"input": "poisson", "duration_us": 5000, "max_rate_hz": 900, "history_us": 1000}
    found = eventsnn.simulate(network(), IMAGES, schedule="step", step_us=1000, output=path, **given)
    kept = found.configuration
    assert {
        key: kept[key]
        for key in ("schedule", "step_ps", "ties", "history_ps", "input", "duration_ps", "max_rate_hz")
    } == {
        "schedule": "step",
        "step_ps": MILLISECOND,
        "ties": "ordered",
        "history_ps": MILLISECOND,
        "input": "poisson",
        "duration_ps": 5 * MILLISECOND,
        "max_rate_hz": 900,
    }
    # The period of the network's neurons is the timestep, said or not.
    assert eventsnn.simulate(network(), IMAGES, schedule="step", output=path, **given).digest == found.digest
    for change in ({"max_rate_hz": 901}, {"duration_us": 5001}, {"history_us": 999}, {"seed": 1}):
        with pytest.raises(InvalidRequest, match="holds the results of another run"):
            eventsnn.simulate(network(), IMAGES, schedule="step", output=path, **{**given, **change})
    with pytest.raises(InvalidRequest, match=r"another run .*schedule: 'step' there, 'event' now"):
        eventsnn.simulate(network(), IMAGES, output=path, **given)
    with pytest.raises(InvalidRequest, match="another run"):
        eventsnn.simulate(network(), IMAGES[::-1], schedule="step", output=path, **given)


def test_seeded_ties_reach_the_engine():
    trains = [spike_train(np.zeros(12), np.arange(12), np.tile([1, -1], 6), duration_us=3000)]
    found = eventsnn.simulate(network(), trains, ties="seeded", seed=4, engine="reference")
    assert digests(found) == direct([spikes(trains[0])], network(), "reference", ties="seeded", seed=4)
    assert found.configuration["ties"] == "seeded"


def test_history_is_kept_in_the_file(tmp_path):
    path = tmp_path / "r.h5"
    settings = {"input": "analog", "duration_us": 10_000}

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eventsnn.simulate(network(), IMAGES, history_us=4000, output=path, progress=stop, **settings)
    found = eventsnn.simulate(network(), IMAGES, history_us=4000, output=path, **settings)
    plain = eventsnn.simulate(network(), IMAGES, **settings)
    assert found.digest == plain.digest
    for results in (found, Results.load(path)):
        for sample in results.table.samples:
            history = results.history(sample.index)
            assert history.time_ps.tolist() == [4 * MILLISECOND, 8 * MILLISECOND, 12 * MILLISECOND]
            np.testing.assert_array_equal(history.counters[-1], sample.counters)
            updates = history.counters[:, 1, COLUMN["current_updates"]]
            assert (updates[0] > 0, updates[0] * 10) == (True, updates[-1] * 4)
            assert history.readout.shape == (3, 4)
    with h5py.File(path) as file:
        assert file["history/counters"].shape == (18, 3, len(COLUMN))
        assert file["history/start"][...].tolist() == [0, 3, 6, 9, 12, 15, 18]
    with pytest.raises(InvalidRequest, match=r"kept no history of its counters; .*--history-us"):
        plain.history(0)
    with pytest.raises(InvalidRequest, match="no sample here has the index 6; there are 6, from 0 to 5"):
        found.history(6)


def test_one_channel_may_be_left_out():
    settings = {"input": "analog", "duration_us": 5000}
    wanted = eventsnn.simulate(network(), IMAGES, **settings).digest
    assert eventsnn.simulate(network(), IMAGES[..., 0], **settings).digest == wanted
    assert eventsnn.simulate(network(), IMAGES.reshape(6, 12), **settings).digest == wanted
    assert eventsnn.simulate(network(), list(IMAGES[..., 0]), **settings).digest == wanted
    labelled = eventsnn.simulate(network(), [(image, 1) for image in IMAGES], **settings)
    assert labelled.digest == wanted
    assert labelled.table.column("label").tolist() == [1] * 6
    made = [Sample(image, 2, 10 + i, "x") for i, image in enumerate(IMAGES)]
    assert eventsnn.simulate(network(), made, **settings).table.column("index").tolist() == list(
        range(10, 16)
    )


EVENTS = [random_events(np.random.default_rng(1))]
TRAIN = [spike_train([1], [0])]


@pytest.mark.parametrize(
    ("data", "settings", "error", "message"),
    [
        (IMAGES, {}, InvalidRequest, r"image 0 is an image; say how .*--input"),
        (IMAGES, {"input": "analog"}, InvalidRequest, r"currents of population 'hidden' .*--duration-us"),
        (IMAGES, {"input": "charge"}, InvalidRequest, r"currents of population 'hidden' .*--duration-us"),
        (IMAGES, {"input": "poisson", "duration_us": 10}, InvalidRequest, "needs a rate"),
        (IMAGES, {"input": "poisson", "max_rate_hz": 10}, InvalidRequest, "needs a duration"),
        (IMAGES, {"input": "sound"}, InvalidRequest, "input 'sound' is not known"),
        (IMAGES, {"max_rate_hz": 10}, InvalidRequest, "use it with input='poisson' or 'bernoulli'"),
        (
            IMAGES[:, :2],
            {"input": "analog", "duration_us": 9},
            InvalidRequest,
            r"shape \(2, 3, 1\), the .*\(4, 3, 1\)",
        ),
        (IMAGES - 300.0, {"input": "analog"}, InvalidEvents, "values from -296 to -48"),
        (IMAGES / 100, {"input": "bernoulli", "duration_us": 9}, InvalidEvents, "allowed here are -1 to 1"),
        (TRAIN, {"input": "analog"}, InvalidRequest, "input 'analog' encodes images, and sample 0 is none"),
        (EVENTS, {"input": "charge"}, InvalidRequest, "encodes images, and sample 0 is none"),
        ([spike_train([1], [12])], {}, InvalidEvents, "sample 0: input neurons are 12 to 12"),
        ([spike_train([], [])], {}, InvalidEvents, "sample 0: there are neither events nor analog values"),
        ([spike_train([1], [1], [0])], {}, InvalidEvents, "sample 0: an input payload is 0"),
        ([AnalogImage(np.full((4, 3), np.nan))], {}, InvalidEvents, "sample 0 holds NaN"),
        ([AnalogImage(np.zeros((3, 4)))], {}, InvalidRequest, r"shape \(3, 4\)"),
        (["dog"], {}, InvalidRequest, "sample 0 is a str; a sample is a structured event array"),
        (TRAIN, {"step_us": 5}, InvalidRequest, r"nothing here has timesteps; .*--schedule step"),
        (
            TRAIN,
            {"schedule": "step", "step_us": 0},
            InvalidRequest,
            "step_us is 0 microseconds; allowed are 1e-6",
        ),
        (
            TRAIN,
            {"schedule": "step", "step_us": 7},
            InvalidRequest,
            "'hidden' has biases per 1000000000 ticks",
        ),
        (TRAIN, {"schedule": "step", "ties": "seeded"}, InvalidRequest, "the step schedule knows no ties"),
        (
            TRAIN,
            {"ties": "random"},
            InvalidRequest,
            "ties 'random' is not known; allowed are ordered, seeded",
        ),
        (TRAIN, {"schedule": "steps"}, InvalidRequest, "'steps' is not known; allowed are event, step"),
        (TRAIN, {"history_us": -1}, InvalidRequest, "history_us is -1 microseconds"),
        (
            TRAIN,
            {"schedule": "step", "hardware": "event-conv-small"},
            InvalidRequest,
            "has no timesteps",
        ),
    ],
)
def test_wrong_inputs_are_refused_before_anything_is_run(data, settings, error, message, tmp_path):
    with pytest.raises(error, match=message):
        eventsnn.simulate(network(), data, output=tmp_path / "r.h5", **settings)
    assert list(tmp_path.iterdir()) == []


def test_channels_first_are_told():
    first = np.zeros((1, 3, 8, 9))
    net = Network(
        [Population("in", (8, 9, 3), Input()), Population("out", (1, 1, 2), Readout())],
        [Projection("p", "in", "out", Dense(np.ones((216, 2), int)))],
    )
    with pytest.raises(InvalidRequest, match="channels first: move them to the end"):
        eventsnn.simulate(net, first, input="analog")


def test_bernoulli_without_a_timestep_is_refused():
    with pytest.raises(InvalidRequest, match=re.escape("give step_us (--step-us)")):
        eventsnn.simulate(network("signed"), IMAGES, input="bernoulli", duration_us=1000)
    found = eventsnn.simulate(network("signed"), IMAGES, input="bernoulli", duration_us=1000, step_us=100)
    assert found.configuration["step_ps"] == 100 * 10**6


def test_what_an_engine_lacks_is_told_before_workers_start():
    with pytest.raises(EventsnnError, match="step"):
        eventsnn.simulate(network(), TRAIN * 2, workers=2, engine="float64")
    compared = eventsnn.simulate(
        network(), IMAGES, engine="float64", schedule="step", input="analog", duration_us=9000
    )
    assert len(compared) == len(IMAGES)


def test_configurations_are_json():
    found = eventsnn.simulate(network(), [AnalogImage(np.ones((4, 3)), MILLISECOND), *TRAIN])
    assert json.loads(json.dumps(found.configuration)) == found.configuration


@pytest.mark.parametrize("kind", [Recording, Sample])
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("label", [1.5, float("nan"), "1", b"1", True, -1, -7, [0, 1], np.array([1, 2]), 2**40]),
        ("index", [1.5, "a", None, -1, True, 2**70]),
        ("name", [None, 3]),
        ("content", [None, [1], "x", 5, {"t": [0]}]),
        ("origin", ["File", "first_event", None, 3]),
    ],
)
def test_what_a_sample_brings_is_checked_like_what_it_is_given(kind, field, values):
    events = make_events([1, 5], [0, 0], [0, 0], [True, True])
    for value in values:
        given = {"label": 0, "index": 0, "name": "r", "content": events} | {field: value}
        if kind is Recording:
            given["events"] = given.pop("content")
        elif field == "origin":
            continue
        with pytest.raises(InvalidRequest, match="sample 0"):
            eventsnn.simulate(small_network(), [kind(**given)])
    for label in (1.0, np.int8(1), np.array(1)):
        brought = Recording(events, label, 0, "r") if kind is Recording else Sample(events, label, 0, "r")
        found = eventsnn.simulate(small_network(), [brought])
        assert found.table.column("label").tolist() == [1]


@pytest.mark.parametrize(
    "columns",
    [
        {"labels": np.array([0, 1.5])},
        {"labels": [0, 1]},
        {"labels": np.zeros(3, int)},
        {"indices": np.array([0.0, 1.0])},
        {"images": [[[[1.0]]]]},
        {"images": np.ones((2, 1))},
    ],
    ids=str,
)
def test_an_image_set_holds_arrays_of_one_length(columns):
    whole = {"images": np.ones((2, 1, 1, 1)), "labels": np.arange(2), "indices": np.arange(2)}
    with pytest.raises(InvalidEvents, match="of an ImageSet are no"):
        ImageSet(**(whole | columns))


def test_labels_beyond_any_class_are_refused():
    """2^63 would be taken for a negative number, and for no label."""
    with pytest.raises(InvalidEvents, match="a label is 9223372036854775808"):
        image_set(np.ones((2, 1, 1, 1)), np.array([0, 2**63], np.uint64))
