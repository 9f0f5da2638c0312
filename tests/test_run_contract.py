"""Runs of networks that say what their input means: proportion of input and bias, rates, refusals."""

import subprocess
import sys

import numpy as np
import pytest
from builders.recordings import random_events

import eventsnn
from eventsnn.counting import COLUMN
from eventsnn.engine import Stimulus, make_engine
from eventsnn.engine.analog import AnalogInput
from eventsnn.errors import (
    CalibrationWarning,
    EventLimitReached,
    EventsnnError,
    InvalidEvents,
    InvalidRequest,
)
from eventsnn.events import AnalogImage, spike_train
from eventsnn.network import (
    Dense,
    Input,
    InputContract,
    Network,
    Population,
    Projection,
    Rate,
    Readout,
    Signed,
)

MS = 10**9
CALIBRATED_US = 100_000.0
WAYS = [
    ("event", "compiled"),
    ("event", "reference"),
    ("step", "compiled"),
    ("step", "reference"),
    ("step", "float64"),
    ("step", "float32"),
]
ONE = np.ones((1, 1, 1, 1))


def rate_network(coding="analog", unit=1.0, scale=2**20, period=MS, bias=1000, other=None, **contract):
    """y = x and y = 1, each its own population: 100,000 quanta in 100 ms, a threshold of 1,000.

    The input's weight is of one input spike, of ``unit``; the bias is 1,000 quanta a millisecond.
    """
    weight = round(100_000 * unit)
    of_input = other or period
    return Network(
        [
            Population("in", (1, 1, 1), Input(unit=unit, analog_scale=scale)),
            Population("x", (1, 1, 1), Rate(1000, period=of_input)),
            Population("b", (1, 1, 1), Rate(1000, period=period), bias=np.array([bias])),
            Population("out", (1, 1, 2), Readout(period=period)),
        ],
        [
            Projection("1", "in", "x", Dense(np.array([[weight]]))),
            Projection("2", "x", "out", Dense(np.array([[1, 0]]))),
            Projection("3", "b", "out", Dense(np.array([[0, 1]]))),
        ],
        contract=InputContract(coding, CALIBRATED_US, **contract),
    )


def signed_network(coding="charge", unit=1 / 255, **contract):
    """Two signed neurons of weights 3 and -2 a spike, and a bias of 5 on the second."""
    return Network(
        [
            Population("in", (1, 1, 1), Input(unit=unit, analog_scale=2**20)),
            Population("h", (1, 1, 2), Signed(2, 1000)),
            Population("out", (1, 1, 2), Readout()),
        ],
        [
            Projection("1", "in", "h", Dense(np.array([[3, -2]])), np.array([0, 5])),
            Projection("2", "h", "out", Dense(np.eye(2, dtype=int))),
        ],
        contract=InputContract(coding, **contract),
    )


def fired(results, *names):
    order = results.table.order
    counters = results.table.samples[0].counters
    return [int(counters[order.index(name), COLUMN["spikes_positive"]]) for name in names]


@pytest.mark.filterwarnings("ignore::eventsnn.errors.CalibrationWarning")
@pytest.mark.parametrize(("schedule", "engine"), WAYS)
@pytest.mark.parametrize("duration_ms", [1, 4, 100])
def test_input_and_bias_are_one_to_one_for_every_duration(duration_ms, schedule, engine):
    """x = w = b = 1 over 100 ms is 100 thresholds each: one a millisecond, from the input and the bias."""
    found = eventsnn.simulate(
        rate_network(), ONE, duration_us=1000 * duration_ms, schedule=schedule, engine=engine
    )
    assert fired(found, "x", "b") == [duration_ms, duration_ms]


@pytest.mark.parametrize(("schedule", "engine"), WAYS)
@pytest.mark.parametrize("duration_ms", [10, 50, 400])
def test_scaled_currents_give_each_sample_the_whole_input_and_bias(duration_ms, schedule, engine):
    found = eventsnn.simulate(
        rate_network(),
        ONE,
        duration_us=1000 * duration_ms,
        schedule=schedule,
        engine=engine,
        scale_currents=True,
    )
    assert fired(found, "x", "b") == [100, 100]


def test_populations_of_other_periods_take_the_same():
    """A period of 0.5 ms takes 500 quanta each."""
    found = eventsnn.simulate(rate_network(other=MS // 2), ONE)
    assert fired(found, "x", "b") == [100, 100]
    assert found.configuration["duration_ps"] == 100 * MS
    assert found.configuration["input"] == "analog"


def test_signed_networks_take_an_analog_value_once():
    """x = 1 in units of 1/255: 255 x 3 quanta at time 0, which are 382 thresholds of 2, the first of half."""
    net = signed_network("analog")
    counts = {}
    for duration in (1000, 50_000):
        found = eventsnn.simulate(net, ONE, duration_us=duration)
        counts[duration] = fired(found, "h")
    assert counts[1000] == counts[50_000] == [(1 + 255 * 3) // 2]


def slow_quanta(network, name, stimulus):
    """Target by target, in Python integers: the readable way."""
    neuron = network.populations[network.input].neuron
    total = [0] * network.populations[name].size
    for projection in network.incoming(name):
        if projection.source == network.input:
            for source, target, weight in zip(*network.edges(projection), strict=True):
                total[int(target)] += int(weight) * int(stimulus.analog[source])
    factor, divisor = 1, neuron.analog_scale
    model = network.populations[name].neuron
    if stimulus.analog_time is not None and getattr(model, "period", 0):
        factor, divisor = model.period, neuron.analog_scale * stimulus.analog_time
    return [(2 * abs(t * factor) + divisor) // (2 * divisor) * (1 if t >= 0 else -1) for t in total]


@pytest.mark.parametrize("size", [3, 10**4, 2**40, 2**53])
@pytest.mark.parametrize("time", [None, 7, 10**9 + 7, 123_456_789_012])
def test_weighted_sums_are_exact(size, time):
    rng = np.random.default_rng(size)
    weight = rng.integers(-5, 6, (12, 9))
    net = Network(
        [
            Population("in", (3, 4, 1), Input(analog_scale=1000)),
            Population("x", (1, 1, 9), Rate(10, period=2**31)),
            Population("out", (1, 1, 2), Readout(period=MS)),
        ],
        [
            Projection("1", "in", "x", Dense(weight)),
            Projection("skip", "in", "x", Dense(rng.integers(-3, 4, (12, 9)))),
            Projection("2", "x", "out", Dense(np.ones((9, 2), int))),
        ],
    )
    nothing = np.zeros(0, dtype=np.int64)
    for _ in range(5):
        values = rng.integers(-size, size + 1, 12)
        stimulus = Stimulus(nothing, nothing, None, values, MS, time)
        wanted = slow_quanta(net, "x", stimulus)
        if max(map(abs, wanted)) < 2**31:
            assert AnalogInput(net, 0).quanta(stimulus)["x"].tolist() == wanted
        else:
            with pytest.raises(InvalidEvents, match=r"give neuron \d of population 'x' .* 32-bit"):
                AnalogInput(net, 0).quanta(stimulus)


@pytest.mark.parametrize("kind", ["poisson", "bernoulli"])
@pytest.mark.parametrize("family", ["rate", "signed"])
def test_drawn_spikes_add_up_to_the_activation(kind, family):
    """A unit of 1/200: 200 spikes at an activation of 1 over the time of a bias, 2,000 Hz over 100 ms."""
    net = rate_network(kind, unit=1 / 200) if family == "rate" else signed_network(kind, 1 / 200)
    given = {"duration_us": CALIBRATED_US, "step_us": 10 if kind == "bernoulli" else None}
    found = eventsnn.simulate(net, np.ones((40, 1, 1, 1)), **given)
    assert found.configuration["max_rate_hz"] == pytest.approx(2000)
    events = found.table.column("input_events")
    assert abs(events.mean() - 200) < 4 * np.sqrt(200 / 40)
    same = eventsnn.simulate(net, np.ones((40, 1, 1, 1)), input=kind, max_rate_hz=2000.001, **given)
    assert np.array_equal(same.table.column("input_events"), events)
    with pytest.raises(InvalidRequest, match=r"max_rate_hz 1000 .*the rate is 2000 Hz"):
        eventsnn.simulate(net, ONE, max_rate_hz=1000, **given)


def test_the_rate_is_of_the_time_that_biases_stand_for():
    """Signed: the sample's own; rate neurons: the calibrated, unless currents are scaled."""
    own = {"duration_us": 50_000}
    signed = eventsnn.simulate(signed_network("poisson", 1 / 200), ONE, **own)
    assert signed.configuration["max_rate_hz"] == pytest.approx(4000)
    with pytest.warns(CalibrationWarning):
        rate = eventsnn.simulate(rate_network("poisson", 1 / 200), ONE, **own)
    assert rate.configuration["max_rate_hz"] == pytest.approx(2000)
    scaled = eventsnn.simulate(rate_network("poisson", 1 / 200), ONE, scale_currents=True, **own)
    assert scaled.configuration["max_rate_hz"] == pytest.approx(4000)


def test_two_bernoulli_spikes_a_step_are_refused():
    with pytest.raises(InvalidRequest, match=r"at most 500 microseconds .*at least 200000"):
        eventsnn.simulate(rate_network("bernoulli", 1 / 200), ONE, step_us=1000)


@pytest.mark.parametrize("schedule", ["event", "step"])
@pytest.mark.parametrize(("step_us", "steps"), [(500, 2), (400, 3), (300, 4)])
def test_a_step_that_the_end_cuts_short_holds_its_share_of_the_spikes(schedule, step_us, steps):
    """A unit of 1/2: two spikes in the millisecond, whatever it is divided into."""
    found = eventsnn.simulate(
        signed_network("bernoulli", 1 / 2),
        np.ones((1500, 1, 1, 1)),
        duration_us=1000,
        schedule=schedule,
        step_us=step_us,
    )
    probabilities = [step_us * 2 / 1000] * (steps - 1) + [(1000 - step_us * (steps - 1)) * 2 / 1000]
    deviation = np.sqrt(sum(p * (1 - p) for p in probabilities) / 1500)
    mean = found.table.column("input_events").mean()
    assert abs(mean - 2) <= 4 * deviation


@pytest.mark.parametrize("coding", ["analog", None, "hand-built"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full((1, 1, 1), 255, np.uint8), 100),
        (np.full((1, 1, 1), 51, np.uint8), 20),
        (np.ones((1, 1, 1), bool), 100),
        (np.full((1, 1, 1), 2), 200),
        (np.full((1, 1, 1), 255.0), "255"),
        (np.full((1, 1, 1), 255), "255"),
        (np.full((1, 1, 1), 1 + 1j), "complex128"),
        (np.full((1, 1, 1), "1"), "<U1"),
        (np.full((1, 1, 1), np.nan), "NaN"),
    ],
)
def test_an_analog_image_is_read_like_any_image(coding, values, expected):
    """An activation of 1 is 100 thresholds; 51 of 255 a fifth of it."""
    net = rate_network(None if coding == "hand-built" else coding)
    given = [AnalogImage(values)]
    if coding == "hand-built":
        net = Network(
            net.populations.values(),
            net.projections.values(),
            {k: v for k, v in net.metadata.items() if k != "input"},
        )
        given = [AnalogImage(values, MS)]
    if isinstance(expected, str):
        with pytest.raises(InvalidEvents, match=expected):
            eventsnn.simulate(net, given)
    else:
        assert fired(eventsnn.simulate(net, given), "x") == [expected]


def test_an_undeclared_network_takes_events_and_images():
    net = rate_network(None)
    assert fired(eventsnn.simulate(net, ONE, input="analog"), "x", "b") == [100, 100]
    train = [spike_train([0], [0], duration_us=CALIBRATED_US)]
    assert fired(eventsnn.simulate(net, train), "x", "b") == [100, 100]


IMAGE = [np.ones((1, 1, 1))]


def events(*times):
    from eventsnn.events import make_events

    return make_events(np.array(times), *(np.zeros(len(times), int),) * 2, np.ones(len(times), bool))


@pytest.mark.parametrize(
    ("coding", "data", "settings", "message"),
    [
        ("analog", [events(0, 90_000)], {}, "sample 0 holds events; .* converted for analog images"),
        ("charge", [events(0, 90_000)], {}, "sample 0 holds events; .* converted for charge images"),
        ("poisson", [events(0, 90_000)], {}, "sample 0 holds events; .* converted for poisson images"),
        ("analog", [spike_train([0], [0])], {}, "holds a spike train; .* analog images"),
        ("events", IMAGE, {}, "is an image; .* converted for event recordings"),
        ("events", IMAGE, {"input": "analog"}, "'analog' .* converted for event recordings"),
        ("events", [AnalogImage(np.ones((1, 1, 1)))], {}, "holds an analog image; .* event recordings"),
        ("analog", IMAGE, {"input": "poisson"}, "'poisson' .* contradicts .* converted for analog images"),
        ("poisson", IMAGE, {"input": "charge"}, "'charge' .* contradicts .* converted for poisson images"),
        (None, IMAGE, {}, "is an image; say how it becomes input"),
        (None, IMAGE, {"input": "analog", "origin": "file"}, "origin .* sample 0 is an image"),
        (None, [spike_train([9], [0])], {"origin": "file"}, "origin .* sample 0 is a spike train"),
        (None, [events(0, 5)], {"origin": "begin"}, "origin 'begin' is not known; allowed are file, first"),
        (None, [events(0, 5)], {"scale_currents": 1}, "scale_currents .* is 1; it must be True or False"),
        ("analog", IMAGE, {"max_rate_hz": 5}, "analog input draws no spikes"),
    ],
)
def test_what_contradicts_the_network_is_refused(coding, data, settings, message):
    with pytest.raises(InvalidRequest, match=message):
        eventsnn.simulate(rate_network(coding), data, **settings)


def test_currents_are_scaled_only_where_there_are_some():
    with pytest.raises(InvalidRequest, match="this network has none"):
        eventsnn.simulate(signed_network(), ONE, scale_currents=True)
    plain = rate_network()
    plain = Network(plain.populations.values(), plain.projections.values())
    with pytest.raises(InvalidRequest, match="its file does not say it"):
        eventsnn.simulate(plain, ONE, input="analog", duration_us=10, scale_currents=True)


@pytest.mark.parametrize("contract", [{"mean": (0.5,), "deviation": (0.5,), "lowest": -1.0}, {}])
def test_negative_images_are_refused_where_none_were_calibrated(contract):
    net = rate_network("analog", **contract)
    for data in (-ONE, [AnalogImage(-ONE[0])]):
        with pytest.raises(InvalidEvents, match=r"has values down to -1; the network .*negative"):
            eventsnn.simulate(net, data)
    allowed = rate_network("analog", lowest=-1.0)
    assert fired(eventsnn.simulate(allowed, -ONE), "x", "b") == [0, 100]


@pytest.mark.parametrize("coding", ["analog", "charge"])
@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_bytes_are_refused_where_normalised_images_were_calibrated(coding, dtype):
    """An image of 0 to 1 is another one to a model that reads -2 to 2."""
    net = rate_network(coding, lowest=-2.0, highest=2.0)
    given = [ONE.astype(dtype), [ONE[0].astype(dtype)]]
    if coding == "analog":
        given.append([AnalogImage(ONE[0].astype(dtype))])
    for data in given:
        with pytest.raises(InvalidRequest, match=r"normalised, with values down to -2.*input_mean"):
            eventsnn.simulate(net, data)
    assert fired(eventsnn.simulate(net, 2 * ONE), "x") == [200]


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("schedule", ["event", "step"])
def test_a_dark_image_is_answered_from_the_biases(engine, schedule):
    """The second neuron starts at 1 + 5 quanta: three spikes, and class 1."""
    dark = np.zeros((2, 1, 1, 1))
    step = {"step_us": 10} if schedule == "step" else {}
    for given in ({}, {"input": "charge", "duration_us": 40}):
        found = eventsnn.simulate(signed_network(), dark, engine=engine, schedule=schedule, **given, **step)
        assert found.table.column("prediction").tolist() == [1, 1]
        assert fired(found, "h") == [3]
    drawn = signed_network("poisson")
    found = eventsnn.simulate(drawn, dark, duration_us=40, engine=engine, schedule=schedule, **step)
    assert found.table.column("prediction").tolist() == [1, 1]
    rate = rate_network("poisson")
    found = eventsnn.simulate(rate, dark, engine=engine, schedule=schedule)
    assert (fired(found, "x", "b"), found.table.column("input_events").sum()) == ([0, 100], 0)


def test_more_spikes_than_events_allowed_are_not_drawn():
    with pytest.raises(EventLimitReached, match="max_events"):
        eventsnn.simulate(signed_network("poisson", 1e-6), ONE, duration_us=1e7, max_events=1000)


# -- origin and length -------------------------------------------------------------------------------


@pytest.mark.parametrize(("schedule", "engine"), [way for way in WAYS if way[1] != "float32"])
def test_when_an_event_array_starts_changes_no_spike(schedule, engine):
    """First events at 0, 5, 50, 100 ms, 60 s, and at a clock time."""
    net = rate_network("events")
    times = np.array([0, 20_000, 95_000])
    found = [
        eventsnn.simulate(net, [events(*(times + offset))], schedule=schedule, engine=engine)
        for offset in (0, 5000, 50_000, 100_000, 60_000_000)
    ]
    assert len({results.digest for results in found}) == 1
    # Of each spike's 100 thresholds and of the 95 that the bias gives in 95 ms (a step more in steps).
    assert fired(found[0], "x", "b") == [300, 95 if schedule == "event" else 96]
    with pytest.warns(CalibrationWarning, match=r"sample 0 is 195000 microseconds long.*100000"):
        stored = eventsnn.simulate(
            net, [events(*(times + 100_000))], origin="file", schedule=schedule, engine=engine
        )
    assert fired(stored, "x", "b") == [300, 195 if schedule == "event" else 196]
    assert (stored.configuration["origin"], found[0].configuration["origin"]) == ("file", "first-event")


def test_recordings_carry_their_origin():
    from eventsnn.events import Recording

    net = rate_network("events")
    late = events(10_000, 100_000)
    first, file = (Recording(late, 0, 0, "r", origin) for origin in ("first-event", "file"))
    assert fired(eventsnn.simulate(net, [first]), "b") == [90]
    assert fired(eventsnn.simulate(net, [file]), "b") == [100]
    assert fired(eventsnn.simulate(net, [file], origin="first-event"), "b") == [90]
    assert eventsnn.simulate(net, [file]).table.samples[0].first_event_ps == 10 * MS


def nmnist_network():
    grid = np.zeros((34 * 34 * 2, 1), dtype=int)
    return Network(
        [
            Population("in", (34, 34, 2), Input()),
            Population("b", (1, 1, 1), Rate(1000, period=MS)),
            Population("out", (1, 1, 10), Readout(period=MS)),
        ],
        [
            Projection("1", "in", "b", Dense(grid), np.array([1000])),
            Projection("2", "b", "out", Dense(np.ones((1, 10), int))),
        ],
        contract=InputContract("events", 3000.0),
    )


def test_nmnist_keeps_its_stored_times(tmp_path):
    from eventsnn.events import write_nmnist

    (tmp_path / "3").mkdir()
    recording = random_events(np.random.default_rng(2))
    recording["t"] = np.linspace(1000, 4000, len(recording)).astype(int)
    write_nmnist(tmp_path / "3" / "0.bin", recording)
    data = f"nmnist:{tmp_path}"
    with pytest.warns(CalibrationWarning, match="4000 microseconds"):
        stored = eventsnn.simulate(nmnist_network(), data, split="all")
    moved = eventsnn.simulate(nmnist_network(), data, split="all", origin="first-event")
    assert (fired(stored, "b"), fired(moved, "b")) == ([4], [3])
    kept = [results.configuration["origin"] for results in (stored, moved)]
    assert kept == ["file", "first-event"]


@pytest.mark.parametrize(
    ("length", "said"), [(120_000, False), (120_001, True), (80_000, False), (79_999, True)]
)
def test_a_length_far_from_the_calibrated_is_said_once(length, said):
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        eventsnn.simulate(rate_network("events"), [events(0, length)] * 3)
    found = [w for w in caught if issubclass(w.category, CalibrationWarning)]
    assert len(found) == said
    assert all("--scale-currents" in str(w.message) for w in found)


def test_several_workers_say_it_once_and_scale_alike():
    import warnings

    recordings = [events(0, length) for length in (40_000, 50_000, 100_000, 200_000)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        two = eventsnn.simulate(rate_network("events"), recordings, workers=2)
    assert sum(issubclass(w.category, CalibrationWarning) for w in caught) == 1
    scaled = [
        eventsnn.simulate(rate_network("events"), recordings, workers=n, scale_currents=True) for n in (1, 2)
    ]
    assert scaled[0].digest == scaled[1].digest != two.digest
    order = scaled[0].table.order.index("b")
    given = [int(s.counters[order, COLUMN["spikes_positive"]]) for s in scaled[0].table.samples]
    assert given == [100, 100, 100, 100]


def test_scaling_is_another_run(tmp_path):
    path, data = tmp_path / "r.h5", [events(0, 100_000)]
    eventsnn.simulate(rate_network("events"), data, output=path)
    for change in ({"scale_currents": True}, {"origin": "file"}):
        with pytest.raises(InvalidRequest, match="another run"):
            eventsnn.simulate(rate_network("events"), data, output=path, **change)


def test_scaled_biases_are_rounded_once():
    """A bias of 3 from a projection and 4 of its own, at 2/3: 4.67, not 2 + 3."""
    from eventsnn.run.currents import scaled_network

    net = Network(
        [
            Population("in", (1, 1, 1), Input()),
            Population("x", (1, 1, 1), Rate(9, period=MS), bias=np.array([4])),
            Population("out", (1, 1, 2), Readout(period=MS)),
        ],
        [
            Projection("1", "in", "x", Dense(np.array([[1]])), np.array([3])),
            Projection("2", "x", "out", Dense(np.array([[1, 1]])), np.array([-1, 2])),
        ],
    )
    scaled = scaled_network(net, 2, 3)
    assert (scaled.bias("x").tolist(), scaled.bias("out").tolist()) == ([5], [-1, 1])
    assert make_engine("reference", scaled).network is scaled
    with pytest.raises(EventsnnError, match="beyond 32 bits"):
        scaled_network(net, 10**12, 1)


def test_on_the_command_line(tmp_path):
    rate_network("poisson", unit=1 / 200).save(tmp_path / "net.h5")
    np.savez(tmp_path / "set.npz", x=np.ones((2, 1, 1, 1)), y=[0, 1])

    def run(*more):
        command = [sys.executable, "-m", "eventsnn", "run", tmp_path / "net.h5", "--data"]
        command += [f"images:{tmp_path}/set.npz", *more]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)

    plain = run("--json")
    assert (plain.returncode, '"max_rate_hz": 2000.0' in plain.stdout) == (0, True)
    assert "calibrated" not in plain.stderr
    short = run("--json", "--duration-us", "40000")
    assert (short.returncode, short.stderr.count("40000 microseconds long")) == (0, 1)
    scaled = run("--json", "--duration-us", "40000", "--scale-currents")
    assert ("microseconds long" in scaled.stderr, '"scale_currents": true' in scaled.stdout) == (False, True)
    for more, message in (
        (("--max-rate-hz", "100"), "the rate is 2000 Hz"),
        (("--input", "analog"), "converted for poisson images"),
        (("--origin", "file"), "origin (--origin)"),
    ):
        refused = run(*more)
        assert (refused.returncode, message in refused.stderr, refused.stdout) == (2, True, "")
        assert len(refused.stderr.strip().splitlines()) == 1


def test_the_sibling_commands_take_origin_and_scaled_currents(tmp_path):
    """50 ms late, 50 ms long: 100 spikes of the bias with scaled currents, half of them without."""
    from eventsnn.run.load import estimate_load
    from eventsnn.run.profile import profile_samples
    from eventsnn.run.sweep import sweep
    from eventsnn.run.trace import write_sample_timeline

    net, data = rate_network("events"), [events(50_000, 100_000)]
    chip, given = "event-conv-small", {"scale_currents": True, "origin": "first-event"}
    assert fired(eventsnn.simulate(net, data, hardware=chip, **given), "b") == [100]
    profile_samples(net, data, chip, **given)
    write_sample_timeline(net, data, chip, 0, tmp_path / "t.json", **given)
    found = {True: estimate_load(net, data, chip, **given)}
    sweep(net, data, chip, relative=[2.0], **given)
    with pytest.warns(CalibrationWarning):
        profile_samples(net, data, chip)
    with pytest.warns(CalibrationWarning):
        write_sample_timeline(net, data, chip, 0, tmp_path / "t.json")
    with pytest.warns(CalibrationWarning):
        found[False] = estimate_load(net, data, chip)
    with pytest.warns(CalibrationWarning) as said:
        sweep(net, data, chip, relative=[2.0])
    assert len(said) == 1
    messages = {key: sum(server.messages for server in value.servers) for key, value in found.items()}
    assert messages[True] > messages[False]


@pytest.mark.parametrize(("schedule", "engine"), WAYS)
@pytest.mark.parametrize("periods", [1, 4, 50])
@pytest.mark.parametrize("coding", ["analog", None])
def test_without_a_duration_input_and_bias_both_come_once_a_period(schedule, engine, periods, coding):
    """As networks have it that spiked where they come from: an image that one spike stands for is a bias."""
    made = rate_network(unit=0.01)
    network = Network(
        made.populations.values(), made.projections.values(), contract=InputContract(coding, None)
    )
    settings = {"schedule": schedule, "engine": engine, "duration_us": 1000.0 * periods}
    results = eventsnn.simulate(
        network, [(np.full((1, 1, 1), 0.01), 0)], input="analog",
        **settings | ({"step_us": 1000.0} if schedule == "step" else {}),
    )  # fmt: skip
    spikes = dict(zip(results.table.order, results.table.counter(COLUMN["spikes_positive"])[0], strict=True))
    assert spikes["x"] == spikes["b"] == periods
