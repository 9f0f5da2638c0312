"""Published NIR files: a trained network on real N-MNIST recordings, and the single-LIF trace."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="the extra nir is not installed")

from builders.nir_runs import spikes_by_step  # noqa: E402
from oracles.nir_values import Stepped, channels_last  # noqa: E402

from eventsnn.engine import RunOptions, Stimulus, make_engine, stimulus_from_events  # noqa: E402
from eventsnn.events import open_dataset  # noqa: E402
from eventsnn.nir import from_nir  # noqa: E402

DATA = Path(os.environ.get("EVENTSNN_DATA", "/nowhere"))
pytestmark = pytest.mark.skipif(
    not (DATA / "pretrained").is_dir(), reason="EVENTSNN_DATA does not name the folder of real data"
)
BINS, TICKS = 300, 10**9
AS_PUBLISHED = {
    "zero": {"reset": "hard", "spikes": "one", "lower_clamp": None},
    "subtract": {"reset": "soft", "spikes": "one", "lower_clamp": None},
    "many": {"reset": "soft", "spikes": "many", "lower_clamp": -1.0},
}


def binned(events):
    """Events of a recording in bins of 1 ms, what is late in the last; ON is channel 1."""
    events = events.copy()
    events["t"] = np.minimum(events["t"], 1000 * BINS - 1)
    return events


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_the_published_network_spikes_on_real_recordings_as_its_equations_say(name):
    """In float64 to the spike, from the float weights; in integers almost, and to the same class."""
    choices = AS_PUBLISHED[name] | {"comparison": "greater-or-equal"}
    path = DATA / "pretrained" / "cnn_sinabs.nir"
    network = from_nir(path, **choices)
    graph = nir.read(path, type_check=False)
    recordings = open_dataset(f"nmnist:{DATA / 'nmnist' / 'NMNIST'}").evenly(4)
    steps = 30
    for recording in (recordings[1],):
        events = binned(recording.events)
        events = events[events["t"] < 1000 * steps]
        frames = np.zeros((steps, 2, 34, 34))
        np.add.at(frames, (events["t"] // 1000, events["p"].astype(int), events["y"], events["x"]), 1)
        stepped = Stepped(graph, step_us=1000, integration="exponential", **choices)
        expected = {p.name: [] for p in network if not p.neuron.is_input}
        for frame in frames:
            stepped.step(frame)
            for population, rows in expected.items():
                rows.append(channels_last(stepped.now[population]))
        stimulus = stimulus_from_events(events, network)
        stimulus = Stimulus(stimulus.time, stimulus.neuron, None, None, steps * TICKS)
        options = RunOptions(schedule="step", step=TICKS, record_spikes=True)
        found = {e: make_engine(e, network, None, options).run(stimulus) for e in ("float64", "compiled")}
        emitted = spikes_by_step(network, found["float64"], steps)
        for population, rows in expected.items():
            assert np.array_equal(emitted[population], np.array(rows)), population
            total = np.sum(rows)
            assert abs(found["compiled"].counts[population].sum() - total) <= 0.01 * total + 3
        assert sum(map(np.sum, expected.values())) > 1000


def test_the_published_network_tells_digits_apart():
    """A handful of recordings, every step of them; all 1,000 are in benchmarks/nir_nmnist.py."""
    network = from_nir(DATA / "pretrained" / "cnn_sinabs.nir", comparison="greater-or-equal")
    options = RunOptions(schedule="step", step=TICKS)
    engine = make_engine("compiled", network, None, options)
    recordings = open_dataset(f"nmnist:{DATA / 'nmnist' / 'NMNIST'}").evenly(20)
    right = 0
    for place in range(20):
        stimulus = stimulus_from_events(binned(recordings[place].events), network)
        found = engine.run(Stimulus(stimulus.time, stimulus.neuron, None, None, BINS * TICKS))
        right += found.prediction == recordings[place].label
    assert right >= 18


def lif_trace():
    """Input, voltage, spikes of 1,000 steps of 100 us, solved exactly (NIR paper)."""
    return np.loadtxt(DATA / "pretrained" / "lif_exact.csv", delimiter=",").T


def firing_steps(network, given, step, engine):
    """Steps in which a single LIF fires."""
    time = np.flatnonzero(given) * step + step // 2
    stimulus = Stimulus(time, np.zeros(len(time), dtype=np.int64), None, None, len(given) * step)
    options = RunOptions(schedule="step", step=step, record_spikes=True)
    made = make_engine(engine, network, None, options)
    run = made.run(stimulus)
    output = network.order.index(network.output)
    return run.spikes.time[run.spikes.rank == output] // step - 1


def test_the_single_lif_trace_spikes_where_it_is_published_to_spike():
    given, _, spikes = lif_trace()
    network = from_nir(DATA / "pretrained" / "lif_norse.nir", step_us=100)
    for engine in ("float64", "compiled", "reference"):
        assert np.array_equal(firing_steps(network, given, 10**8, engine), np.flatnonzero(spikes))


def read_voltages(given, step_us, held):
    """The LIF's voltage as an LI would have it up to the first spike, at each published moment.

    An LI reads what a LIF integrates; ``held``: steps over which an input is held.
    """
    single = nir.read(DATA / "pretrained" / "lif_norse.nir", type_check=False).nodes["1"]
    graph = nir.NIRGraph.from_list(
        nir.Linear(np.ones((1, 1))), nir.LI(single.tau, single.r, single.v_leak), type_check=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = from_nir(graph, step_us=step_us, threshold=2**20)
    step = round(step_us * 1e6)
    spread = np.repeat(np.asarray(given), held)
    found = []
    for stop in range(60, 461, 40):
        time = np.flatnonzero(spread[: stop * held]) * step + step // 2
        stimulus = Stimulus(time, np.zeros(len(time), dtype=np.int64), None, None, stop * held * step)
        options = RunOptions(schedule="step", step=step)
        done = make_engine("compiled", network, None, options).run(stimulus)
        found.append(done.charge[network.output][0] * network.populations[network.output].neuron.unit)
    return np.array(found)


@pytest.mark.parametrize(("step_us", "held"), [(100.0, 1), (20.0, 5)])
def test_the_single_lif_trace_is_reproduced(step_us, held):
    """Integers of 2^-20: the published voltages up to the first spike, whatever the step."""
    given, voltage, _ = lif_trace()
    assert np.allclose(read_voltages(given, step_us, held), voltage[59:460:40], rtol=0, atol=2e-5)
