"""Transforms of event streams: what they do by hand, no look ahead, refusals, and both faces."""

import json
import pickle

import numpy as np
import pytest
from builders.recordings import small_network, write_recordings
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app
from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events import TRANSFORMS, make_events, open_recordings, read_transform
from eventsnn.events.transforms.window import Window

HEIGHT, WIDTH = 12, 16
# One of each kind, and what becomes of the sensor.
EACH = {
    "downsample:factor=3": (4, 6),
    "crop:width=7,height=5,x=2,y=3": (5, 7),
    "polarity:to=merged": (12, 16),
    "polarity:to=split": (12, 32),
    "polarity:to=on": (12, 16),
    "polarity:to=off": (12, 16),
    "refractory:period_us=40": (12, 16),
    "background-activity:window_us=25": (12, 16),
    "drop:share=0.3,seed=5": (12, 16),
    "time-scale:factor=0.7": (12, 16),
    "window:start_us=50,duration_us=120": (12, 16),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("transforms") / "set"
    write_recordings(made, 2, 3)
    return made


def streams(seed, count):
    """Few pixels and short times, so that every filter has something to do."""
    rng = np.random.default_rng(seed)
    columns = (rng.integers(0, WIDTH, count), rng.integers(0, HEIGHT, count), rng.integers(0, 2, count))
    return make_events(np.sort(rng.integers(0, 300, count)), *columns)


def applied(text, events, index=4):
    return read_transform(text).apply(events, HEIGHT, WIDTH, index)


@pytest.mark.parametrize("text", EACH)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**30), st.integers(0, 200), st.floats(0, 1))
def test_no_transform_looks_ahead(text, seed, count, share):
    """Of a beginning it gives the beginning of what it gives of the whole, valid on its sensor."""
    events = streams(seed, count)
    cut = int(share * count)
    whole, head = applied(text, events), applied(text, events[:cut])
    assert np.array_equal(head, whole[: len(head)])
    rest = whole[len(head) :]
    scale = 0.7 if "time-scale" in text else 1
    start = 50 if "window" in text else 0
    if len(rest) and cut < count:  # what comes later was not there
        assert rest["t"][0] >= int(events["t"][cut] * scale) - start
    eventsnn.events.validate_events(whole, *read_transform(text).sensor(HEIGHT, WIDTH), text)
    assert np.array_equal(events, streams(seed, count))  # left alone


def test_every_kind_is_tested_and_says_its_sensor():
    assert {text.partition(":")[0] for text in EACH} == TRANSFORMS.keys()
    for text, sensor in EACH.items():
        made = read_transform(text)
        assert made.sensor(HEIGHT, WIDTH) == sensor
        assert read_transform(str(made)) == made == pickle.loads(pickle.dumps(made))


def columns(events):
    return [tuple(int(value) for value in event) for event in events]


def test_what_they_do_by_hand():
    events = make_events([0, 10, 20, 31, 60], [4, 5, 4, 4, 9], [3, 4, 3, 3, 9], [1, 0, 0, 1, 1])
    t, x, _, p = range(4)
    assert [e[x : p + 1] for e in columns(applied("downsample:factor=4", events))] == [
        *((1, 0, 1), (1, 1, 0), (1, 0, 0), (1, 0, 1), (2, 2, 1))
    ]
    assert columns(applied("crop:width=2,height=2,x=4,y=3", events)) == [
        *((0, 0, 0, 1), (10, 1, 1, 0), (20, 0, 0, 0), (31, 0, 0, 1))
    ]
    assert [e[p] for e in columns(applied("polarity:to=merged", events))] == [1] * 5
    assert [(e[x], e[p]) for e in columns(applied("polarity:to=split", events))] == [
        *((20, 1), (5, 1), (4, 1), (20, 1), (25, 1))
    ]
    assert [e[t] for e in columns(applied("polarity:to=on", events))] == [0, 31, 60]
    assert [e[t] for e in columns(applied("polarity:to=off", events))] == [10, 20]
    # Pixel (4, 3) at 0, 20, 31: 20 is too early after 0, 31 is not, as 20 was left out.
    assert [e[t] for e in columns(applied("refractory:period_us=31", events))] == [0, 10, 31, 60]
    assert [e[t] for e in columns(applied("refractory:period_us=11", events))] == [0, 10, 20, 31, 60]
    # The neighbour at 10 supports 20 and 31; a pixel does not support itself, nor does what comes later.
    assert [e[t] for e in columns(applied("background-activity:window_us=10", events))] == [10, 20]
    assert [e[t] for e in columns(applied("background-activity:window_us=21", events))] == [10, 20, 31]
    assert [e[t] for e in columns(applied("time-scale:factor=0.1", events))] == [0, 1, 2, 3, 6]
    assert [e[t] for e in columns(applied("time-scale:factor=2.5", events))] == [0, 25, 50, 77, 150]
    assert [e[t] for e in columns(applied("window:start_us=10,duration_us=21", events))] == [0, 10]


@pytest.mark.parametrize("seed", range(3))
def test_filters_equal_their_definitions(seed):
    events = streams(seed, 400)
    last, rested, supported = {}, [], []
    for i, (t, x, y, _) in enumerate(columns(events)):
        if (x, y) not in last or t - last[x, y] >= 40:
            last[x, y] = t
            rested.append(i)
        near = [e for e in columns(events[:i]) if max(abs(e[1] - x), abs(e[2] - y)) == 1 and t - e[0] <= 25]
        supported += [i] if near else []
    assert np.array_equal(applied("refractory:period_us=40", events), events[rested])
    assert np.array_equal(applied("background-activity:window_us=25", events), events[supported])
    assert 0 < len(rested) < 400
    assert 0 < len(supported) < 400


def test_drops_are_drawn_for_seed_and_recording():
    events = make_events(*np.zeros((4, 20_000), np.int64))
    events["t"] = np.arange(20_000)
    draws = ((1, 4), (1, 5), (2, 4))
    found = [applied(f"drop:share=0.25,seed={seed}", events, index) for seed, index in draws]
    assert np.array_equal(found[0], applied("drop:share=0.25,seed=1", events, 4))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(found[one]["t"], found[other]["t"])
    for kept in found:
        assert abs(len(kept) - 15_000) < 5 * np.sqrt(20_000 * 0.25 * 0.75)


REFUSED = {
    "downsmaple:factor=2": "no transform 'downsmaple'; did you mean 'downsample'",
    "rotate:by=1": "time-scale, window, tonic.NAME",
    "downsample": "factor is missing",
    "downsample:factor=two": "factor is 'two'; it is a whole number",
    "downsample:factor=0": "factor must be an integer from 1",
    "downsample:2": "'2' is no parameter of 'downsample' with its value; write downsample:factor=VALUE",
    "downsample:factor=2,factor=3": "factor is given twice",
    "drop:shar=0.1": "did you mean 'share'",
    "drop:share=1": "share of the transform 'drop' is 1.0; allowed is a probability",
    "drop:share=nan": "must be a finite number",
    "drop:share=0.1,seed=-1": "seed of the transform 'drop' is -1",
    "crop:width=0,height=4": "width of the transform 'crop' is 0",
    "crop:width=4,height=4,x=-1": "x of the transform 'crop' is -1",
    "polarity:to=both": "allowed is one of merged, split, on, off",
    "refractory:period_us=0": "period_us of the transform 'refractory' is 0",
    "background-activity:window_us=-1": "window_us of the transform 'background-activity' is -1",
    "time-scale:factor=0": "factor of the transform 'time-scale' is 0.0",
    "time-scale:factor=0.12345678": "fraction of whole numbers up to 1000000",
    "window:duration_us=0": "duration_us of the transform 'window' is 0",
    "window:duration_us=5,start_us=-1": "start_us of the transform 'window' is -1",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_allowed_is_refused_by_name(text):
    with pytest.raises(InvalidRequest) as refused:
        read_transform(text)
    assert REFUSED[text] in str(refused.value)


def test_what_does_not_fit_is_refused(folder):
    found = open_recordings(f"nmnist:{folder}")
    with pytest.raises(
        InvalidRequest, match=r"reaches to column 34 and row 3; the sensor has columns 0 to 33"
    ):
        found.transformed("crop:x=30,width=5,height=4")
    # The sensor is the one at that place of the chain.
    with pytest.raises(InvalidRequest, match=r"rows 0 to 16"):
        found.transformed("downsample:factor=2", "crop:width=17,height=18")
    with pytest.raises(InvalidRequest, match="makes a sensor of 65536 columns"):
        read_transform("polarity:to=split").sensor(4, 2**15)
    with pytest.raises(InvalidRequest, match="a transform is 5; give a text"):
        found.transformed(5)
    late = make_events([2**41], [0], [0], [0])
    with pytest.raises(InvalidEvents, match="give a smaller factor"):
        applied("time-scale:factor=1000", late)


def test_sets_transform_in_the_order_given(folder):
    found = open_recordings(f"nmnist:{folder}")
    steps = ("crop:x=2,y=4,width=30,height=20", "downsample:factor=3", Window(1500))
    made = found.transformed(*steps)
    assert (found.height, made.height, made.width) == (34, 7, 10)
    expected = found[1].events
    for step, (height, width) in zip(steps, ((34, 34), (20, 30), (7, 10)), strict=True):
        expected = read_transform(step).apply(expected, height, width, 1)
    assert np.array_equal(made[1].events, expected)
    assert np.array_equal(pickle.loads(pickle.dumps(made))[1].events, expected)
    assert len(expected)
    assert (made[1].name, made[1].label, made[1].origin) == (found[1].name, found[1].label, "file")
    assert found.downsampled(1) is found
    assert np.array_equal(found.downsampled(3)[0].events, found.transformed("downsample:factor=3")[0].events)


def test_results_say_their_transforms_and_others_are_another_run(folder, tmp_path):
    data = open_recordings(f"nmnist:{folder}")
    network, steps = small_network(), ("drop:share=0.5,seed=3", "refractory:period_us=100")
    found = eventsnn.simulate(network, data.transformed(*steps), output=tmp_path / "r.h5")
    assert found.configuration["data"]["transforms"] == [*steps]
    by_hand = [
        (data.transformed(*steps)[k].events, data[k].label, k) for k in range(len(data))
    ]  # the same events, without the set
    again = [eventsnn.events.Recording(e, label, k, str(k), "file") for e, label, k in by_hand]
    assert eventsnn.simulate(network, again).digest == found.digest
    for others in (steps[:1], steps[::-1], ("drop:share=0.5,seed=4", steps[1]), ()):
        with pytest.raises(InvalidRequest, match="another run"):
            eventsnn.simulate(network, data.transformed(*others), output=tmp_path / "r.h5")
    assert (
        eventsnn.simulate(network, data.transformed(*steps), output=tmp_path / "r.h5").digest == found.digest
    )


def test_the_command_line_transforms_as_python_does(folder, tmp_path):
    small_network().save(tmp_path / "net.h5")
    steps = ("drop:share=0.5,seed=3", "refractory:period_us=100")
    flags = [word for step in steps for word in ("--transform", step)]

    def command(*arguments):
        return CliRunner().invoke(app, list(map(str, arguments)))

    start = ("run", tmp_path / "net.h5", "--data", f"nmnist:{folder}")
    done = command(*start, *flags, "--json", "-o", tmp_path / "r.h5")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    data = open_recordings(f"nmnist:{folder}").transformed(*steps)
    assert found["digest"] == eventsnn.simulate(small_network(), data).digest
    assert found["configuration"]["data"]["transforms"] == [*steps]
    assert "another run" in str(command(*start, *flags[:2], "-o", tmp_path / "r.h5").exception)
    wrong = command(*start, "--transform", "crop:width=10,height=10").exception
    assert "recordings are 10 x 10 pixels, the network's input is 34 x 34" in str(wrong)
    images = command("run", tmp_path / "net.h5", "--data", "images:a.npz", *flags).exception
    assert isinstance(images, InvalidRequest)
    shown = command("inspect", f"nmnist:{folder}/0", "--transform", "downsample:factor=2", "--json")
    assert json.loads(shown.stdout)["sensor"] == "17 x 17 pixels"
