"""Networks of spiking libraries: equal to what the libraries compute, spike for spike."""

from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from spiking_libraries import make_fixtures, stubs
from spiking_libraries.networks import NETWORKS, STEPS, network
from spiking_libraries.runs import counts_as_events, image_as_current, of_ours
from torch import nn

import eventsnn
from eventsnn.engine.compiled import CompiledEngine
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.errors import InvalidNetwork, InvalidRequest, UnsupportedLayer

FOLDER = Path(make_fixtures.__file__).parent
STEP = 10**9
INSTALLED = {library: find_spec(library) is not None for library in NETWORKS}


@pytest.fixture(autouse=True, scope="module")
def libraries():
    put = stubs.install([library for library, there in INSTALLED.items() if not there])
    yield
    stubs.remove(put)


@pytest.fixture(scope="module")
def recorded():
    return {library: dict(np.load(FOLDER / f"{library}.npz")) for library in NETWORKS}


def population_of(path, network):
    """The population of the neurons at a path."""
    (found,) = [name for name in network.order if name == path or name.endswith(f"_{path}")]
    return found


def ours(library, seed, what):
    """Our spikes, our run and the network."""
    model, _, shape, frames, image = network(library, seed)
    made = eventsnn.from_spiking(model, shape, input=what)
    if what == "events":
        stimulus = counts_as_events(frames, STEP)
    else:
        stimulus = image_as_current(image, made, STEPS, STEP)
    return *of_ours(made, stimulus, STEPS), made


CASES = [(library, seed) for library in NETWORKS for seed in make_fixtures.SEEDS]


@pytest.mark.parametrize("what", ["events", "analog"])
@pytest.mark.parametrize("library", NETWORKS)
def test_every_spike_of_every_step_is_the_librarys(library, what, recorded):
    spikes = tests = 0
    for seed in make_fixtures.SEEDS:
        found, run, made = ours(library, seed, what)
        begin = f"{seed}/{what}/"
        of_seed = {
            name.removeprefix(begin): v for name, v in recorded[library].items() if name.startswith(begin)
        }
        result = of_seed.pop("result")
        for path, wanted in of_seed.items():
            got = found[population_of(path, made)]
            assert np.array_equal(got, wanted), f"{library} {seed} {path}: {(got != wanted).sum()} differ"
            spikes += int(wanted.sum())
            tests += wanted.size
        out = made.populations[made.output].neuron
        if out.only_read:
            charge = run.exact_charge[made.output] * out.unit
            assert np.allclose(charge, result.sum(axis=0), rtol=0, atol=1e-9)
    assert spikes > 1000
    assert tests > 10_000


@pytest.mark.parametrize(("library", "seed"), CASES[:: len(make_fixtures.SEEDS) // 2])
def test_integers_are_near_and_both_integer_engines_agree(library, seed):
    model, _, shape, frames, _ = network(library, seed)
    made = eventsnn.from_spiking(model, shape)
    stimulus = counts_as_events(frames, STEP)
    exact, _ = of_ours(made, stimulus, STEPS)
    rounded, run = of_ours(made, stimulus, STEPS, ReferenceEngine)
    total = sum(float(rows.sum()) for rows in exact.values())
    assert sum(float(np.abs(exact[name] - rounded[name]).sum()) for name in exact) < 0.03 * total
    _, again = of_ours(made, stimulus, STEPS, CompiledEngine)
    assert run.digest == again.digest


@pytest.mark.parametrize("library", NETWORKS)
def test_fixtures_are_what_the_installed_library_computes(library, recorded):
    if not INSTALLED[library]:
        pytest.skip(
            f"{library} is not installed; fixtures say what version {recorded[library]['version']} did"
        )
    if metadata.version(library) != str(recorded[library]["version"]):
        pytest.skip(f"{library} {metadata.version(library)} is installed, fixtures are of another version")
    for seed in make_fixtures.SEEDS:
        for name, value in make_fixtures.library_spikes(library, seed).items():
            assert np.array_equal(recorded[library][f"{seed}/{name}"], value) or name.endswith("result")


# -- faces ------------------------------------------------------------------------------------------------


def small(**more):
    """Two layers of stubs."""
    neuron = import_module("spikingjelly.activation_based.neuron")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), neuron.LIFNode(tau=2.0, v_reset=None, **more), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.mul_(4)
    return model


def test_equations_by_hand():
    """tau 2, decay_input: v + (x - v) / 2 >= 1 fires and loses 1; weight 3, and 0.5 in each step."""
    neuron = import_module("spikingjelly.activation_based.neuron")
    model = nn.Sequential(nn.Linear(1, 2), neuron.LIFNode(tau=2.0, v_reset=None))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0], [0.0]]))
        model[0].bias.copy_(torch.tensor([0.5, 0.5]))
    made = eventsnn.from_spiking(model)
    spikes, run = of_ours(made, counts_as_events(np.array([[1.0], [0.0], [1.0]]), STEP), 3)
    # 1.75 fires, 0.75 left; 0.625; 2.0625 fires, 1.0625 left. The other: 0.25, 0.375, 0.4375.
    assert spikes[made.output][:, 0].tolist() == [1, 0, 1]
    assert run.exact_charge[made.output] / made.populations[made.output].neuron.threshold == pytest.approx(
        [1.0625, 0.4375]
    )


def test_the_network_says_what_it_was():
    made = eventsnn.from_spiking(small(), step_us=500, input="analog", input_mean=0.5, input_std=(0.25,))
    told = made.metadata["spiking"]
    assert told["library"] == ["spikingjelly"]
    assert told["step_us"] == 500
    assert told["nodes"]["1"][:2] == ["spikingjelly LIFNode", "faithful"]
    assert told["nodes"]["2"][1] == "approximate"
    assert list(made.order) == ["input", "lifnode_1", "linear_2"]
    assert made.populations["lifnode_1"].neuron.period == 500 * 10**6
    assert made.contract.coding == "analog"
    assert made.contract.mean == (0.5,)


def test_a_normalisation_is_folded_into_the_first_layer():
    plain = eventsnn.from_spiking(small())
    folded = eventsnn.from_spiking(small(), input="analog", input_mean=0.5, input_std=0.25)
    values = np.array([51, 153, 255], dtype=np.float64)
    spikes, run = of_ours(folded, image_as_current(values, folded, STEPS, STEP), STEPS)
    normalised = (values / 255 - 0.5) / 0.25
    nothing = np.zeros(0, dtype=np.int64)
    parts = np.rint(normalised * plain.populations["input"].neuron.analog_scale).astype(np.int64)
    stimulus = eventsnn.engine.stimulus.Stimulus(nothing, nothing, analog=parts, duration=STEPS * STEP)
    same, again = of_ours(plain, stimulus, STEPS)
    assert spikes["lifnode_1"].sum() > 0
    assert np.array_equal(spikes["lifnode_1"], same["lifnode_1"])
    assert np.allclose(run.exact_charge["linear_2"], again.exact_charge["linear_2"], rtol=0, atol=1)


def test_what_has_no_neurons_here_is_refused_by_name():
    neuron = import_module("spikingjelly.activation_based.neuron")
    base = import_module("spikingjelly.activation_based.base")

    class Own(neuron.LIFNode):
        pass

    class Remembers(base.MemoryModule):
        pass

    refused = [
        (
            nn.Sequential(nn.Linear(3, 4), neuron.QIFNode(), neuron.IFNode()),
            "'1' is a QIFNode of spikingjelly",
        ),
        (nn.Sequential(nn.Linear(3, 4), Own(), neuron.IFNode()), "derives from LIFNode of spikingjelly"),
        (nn.Sequential(Remembers(), neuron.IFNode()), "derives from MemoryModule"),
        (
            nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), neuron.IFNode()),
            "activation without time",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), neuron.IFNode()),
            "pool of maxima takes single spikes",
        ),
        (nn.Sequential(nn.Linear(3, 1), neuron.IFNode()), "one output"),
    ]
    for model, message in refused:
        shape = (1, 6, 6) if isinstance(model[0], nn.Conv2d) else (3,)
        with pytest.raises(UnsupportedLayer, match=message):
            eventsnn.from_spiking(model, shape)
    same = neuron.IFNode()
    with pytest.raises(UnsupportedLayer, match="called several times"):
        eventsnn.from_spiking(nn.Sequential(nn.Linear(3, 3), same, nn.Linear(3, 3), same))
    with pytest.raises(InvalidNetwork, match=r"threshold of -0\.5 above"):
        eventsnn.from_spiking(nn.Sequential(nn.Linear(3, 2), neuron.IFNode(v_threshold=0.5, v_reset=1.0)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_us": 0}, "step_us is 0"),
        ({"step_us": 3000}, "10\\^-6 to 2147"),
        ({"input": "poisson"}, "allowed are analog"),
        ({"threshold": 0}, "threshold"),
        ({"input_mean": (1.0, 2.0)}, "input_mean has 2 values"),
        ({"input_shape": (3, 3)}, "give \\(channels"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InvalidRequest, match=message):
        eventsnn.from_spiking(small(), **settings)


def test_convert_says_where_spiking_networks_are_read():
    with pytest.raises(UnsupportedLayer, match="from_spiking"):
        eventsnn.convert(small(), np.zeros((8, 3)))
    with pytest.raises(InvalidRequest, match="no spiking neurons"):
        eventsnn.from_spiking(nn.Linear(3, 2))
