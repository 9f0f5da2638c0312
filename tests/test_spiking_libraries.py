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
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app
from eventsnn.engine.compiled import CompiledEngine
from eventsnn.engine.reference import ReferenceEngine
from eventsnn.errors import InvalidNetwork, InvalidRequest, UnsupportedLayer

# Of the real libraries.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature"),
]
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
    if not any("synapse" in population.neuron.features for population in made):
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
    assert made.contract.step_us == 500


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
    with pytest.raises(UnsupportedLayer, match="the model is a spikingjelly IFNode alone"):
        eventsnn.from_spiking(neuron.IFNode(), (3,))
    same = neuron.IFNode()
    with pytest.raises(UnsupportedLayer, match="calls its neurons several times"):
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
        ({"input_mean": "a"}, "normalisation"),
        ({"input_std": 0}, "above 0"),
        ({"input_range": (1, 0)}, "the lowest and the highest"),
        ({"duration_us": 5}, "no whole number of steps"),
        ({"duration_us": 1500}, "no whole number of steps"),
        ({"duration_us": 2000, "input": "events"}, "leave it out, or input"),
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


# -- what each library has of its own ---------------------------------------------------------------------


def refused_by(model, message, kind=UnsupportedLayer):
    with pytest.raises(kind, match=message):
        eventsnn.from_spiking(nn.Sequential(nn.Linear(3, 2), model))


def test_snntorch_by_hand():
    """The reset comes a step later, 0.5 v + x - S: the leak acts before the threshold is gone."""
    snn = import_module("snntorch")
    model = nn.Sequential(nn.Linear(1, 2, bias=False), snn.Leaky(beta=0.5, init_hidden=True))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.5], [1.0]]))
    made = eventsnn.from_spiking(model)
    neuron = made.populations[made.output].neuron
    # 1.5 fires; 0.75 - 1 + 1.5 = 1.25 fires; 0.625 - 1 + 1.5 = 1.125 fires; 0.5625 - 1 = -0.4375.
    # The other: 1 does not fire (above only); 1.5; 0.75 - 1 + 1 = 0.75; 0.375.
    spikes, run = of_ours(made, counts_as_events(np.array([[1.0], [1.0], [1.0], [0.0]]), STEP), 4)
    assert spikes[made.output].T.tolist() == [[1, 1, 1, 0], [0, 1, 0, 0]]
    assert run.exact_charge[made.output] / neuron.threshold == pytest.approx([-0.4375, 0.375])


def test_what_snntorch_does_else_is_refused():
    snn = import_module("snntorch")
    refused_by(snn.Leaky(beta=0.5, init_hidden=True, reset_delay=False), "reset_delay=False and reset_mech")
    refused_by(snn.Lapicque(beta=0.5, init_hidden=True, reset_mechanism="zero"), "also loses what arrives")
    refused_by(snn.Synaptic(alpha=0.5, beta=0.5, init_hidden=True), "a reset that comes a step later")
    refused_by(snn.Leaky(beta=0.5, init_hidden=True, inhibition=True), "one neuron of a layer")
    refused_by(snn.Leaky(beta=0.5, init_hidden=True, graded_spikes_factor=2.0), "multiplies its spikes by 2")
    refused_by(snn.Leaky(beta=torch.tensor([0.5, 0.6]), init_hidden=True), r"beta from 0\.5 to 0\.6")
    more = {"linear_features": 2} if INSTALLED["snntorch"] else {}
    refused_by(snn.RLeaky(beta=0.5, **more), "is a RLeaky of snntorch")


def test_what_sinabs_does_else_is_refused():
    layers, activation = import_module("sinabs.layers"), import_module("sinabs.activation")
    reset, single = activation.MembraneReset(), {"spike_fn": activation.SingleSpike, "batch_size": 1}
    refused_by(
        layers.IAFSqueeze(batch_size=1, spike_fn=activation.MultiSpike, reset_fn=reset),
        "several spikes at once",
    )
    if not INSTALLED["sinabs"]:
        refused_by(
            layers.IAFSqueeze(reset_fn=activation.MembraneReset(0.5), **single), r"MembraneReset of 0\.5"
        )
    less = activation.MembraneSubtract(0.5)
    refused_by(layers.IAFSqueeze(reset_fn=less, min_v_mem=-1.0, **single), r"takes 0\.5 off")
    refused_by(layers.IAFSqueeze(min_v_mem=0.5, **single), "lowest voltage")
    refused_by(layers.ALIF(tau_mem=2.0, tau_adapt=2.0) if INSTALLED["sinabs"] else layers.ALIF(), "is a ALIF")


def test_what_norse_does_else_is_refused():
    norse = import_module("norse.torch")
    apart = norse.LIFParameters(v_leak=torch.tensor(0.25))
    refused_by(norse.LIFCell(apart), r"v_leak 0\.25 above v_reset")
    fast = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(2000.0))
    refused_by(norse.LIFBoxCell(fast), "a step longer than that")
    off = norse.LIFBoxParameters(reset_method=norse.reset_subtract, v_reset=torch.tensor(0.5))
    refused_by(norse.LIFBoxCell(off), "subtracts at a spike")
    refused_by(norse.IAFCell(norse.IAFParameters(method="logistic")), "whose spikes are drawn")
    made = norse.LIFRecurrentCell(2, 2) if INSTALLED["norse"] else norse.LIFRecurrentCell()
    refused_by(made, "is a LIFRecurrentCell of norse")


@pytest.mark.parametrize("library", NETWORKS)
def test_a_model_that_was_used_before_is_read_as_a_fresh_one(library):
    """States that steps left behind, with their history, stay out of the network."""
    model, _, shape, _, _ = network(library, 0)
    wanted = eventsnn.from_spiking(network(library, 0)[0], shape)
    left = torch.ones(2, requires_grad=True) * 2
    for module in model.modules():
        if hasattr(module, "_param_dict"):  # sinabs copies what its constructors make
            continue
        module.register_buffer("left_in_a_buffer", left)
        module.left, module.left_in_a_tuple = left, (left, None)
    assert eventsnn.from_spiking(model, shape).checksum == wanted.checksum
    assert left.grad_fn is not None


def test_leaky_outputs_are_read():
    """v = 0.9 v + 0.1 (2 x): 0.2, 0.18, 0.162."""
    norse = import_module("norse.torch")
    linear = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[2.0], [-1.0]]))
    made = eventsnn.from_spiking(
        norse.SequentialState(linear, norse.IAFCell(norse.IAFParameters()), nn.Identity())
    )
    assert made.output == "iafcell_1"
    read = eventsnn.from_spiking(norse.SequentialState(linear, norse.LIBoxCell(norse.LIBoxParameters())))
    _, run = of_ours(read, counts_as_events(np.array([[1.0], [0.0], [0.0]]), STEP), 3)
    charge = run.exact_charge[read.output] * read.populations[read.output].neuron.unit
    assert charge == pytest.approx([0.162, -0.081])


# -- forwards around steps --------------------------------------------------------------------------------


class Loop(nn.Module):
    """Hands states on over steps; ``what`` is done with the outputs."""

    def __init__(self, what, factor=lambda step: 1, state=True):
        super().__init__()
        snn = import_module("snntorch")
        torch.manual_seed(0)
        self.fc1, self.fc2 = nn.Linear(6, 9), nn.Linear(9, 3)
        self.lif1, self.lif2 = snn.Leaky(beta=0.8), snn.Leaky(beta=0.9)
        self.what, self.factor, self.state = what, factor, state
        with torch.no_grad():
            self.fc1.weight.mul_(3), self.fc2.weight.mul_(3)

    def forward(self, x):
        first, second = self.lif1.init_leaky(), self.lif2.init_leaky()
        found, voltages, total = [], [], 0
        for step in range(5):
            spikes, state = self.lif1(self.fc1(x * self.factor(step)), first)
            first = state if self.state else first
            spikes, second = self.lif2(self.fc2(spikes), second)
            found.append(spikes)
            voltages.append(second)
            total = total + spikes
        return {
            "stack": (torch.stack(found), torch.stack(voltages)) if self.what == "stack" else None,
            "mean": torch.stack(found).mean(0) if self.what == "mean" else None,
            "sum": total / 5 if self.what == "sum" else None,
            "first": found[0] + 2 * found[1] if self.what == "first" else None,
            "voltage": spikes + second if self.what == "voltage" else None,
        }[self.what]


@pytest.mark.parametrize("what", ["stack", "mean", "sum"])
def test_loops_over_steps_are_one_step(what):
    made = eventsnn.from_spiking(Loop(what))
    plain = Loop(what)
    plain.lif1.init_hidden = plain.lif2.init_hidden = True
    same = eventsnn.from_spiking(nn.Sequential(plain.fc1, plain.lif1, plain.fc2, plain.lif2))
    frames = np.random.default_rng(0).poisson(0.5, (STEPS, 6))
    got, _ = of_ours(made, counts_as_events(frames, STEP), STEPS)
    wanted, _ = of_ours(same, counts_as_events(frames, STEP), STEPS)
    assert got["lif2"].sum() > 0
    assert np.array_equal(got["lif1"], wanted["leaky_1"])
    assert np.array_equal(got["lif2"], wanted["leaky_3"])


@pytest.mark.parametrize(
    "loop",
    [
        lambda: Loop("mean", factor=lambda step: step + 1),
        lambda: Loop("mean", state=False),
        lambda: Loop("first"),
        lambda: Loop("voltage"),
    ],
)
def test_other_loops_are_refused(loop):
    with pytest.raises(UnsupportedLayer, match=r"calls its neurons several times|loops over steps"):
        eventsnn.from_spiking(loop())


class Direct(nn.Module):
    """An image in each step, the mean over steps."""

    def __init__(self, repeated, read):
        super().__init__()
        neuron = import_module("spikingjelly.activation_based.neuron")
        layer = import_module("spikingjelly.activation_based.layer")
        torch.manual_seed(0)
        self.inner = nn.Sequential(
            layer.Flatten(step_mode="m"), layer.Linear(8, 5, step_mode="m"), neuron.IFNode(step_mode="m")
        )
        self.repeated, self.read = repeated, read

    def forward(self, x):
        return self.read(self.inner(self.repeated(x)))


@pytest.mark.parametrize(
    ("repeated", "read"),
    [
        (lambda x: x.unsqueeze(0).repeat(4, 1, 1, 1, 1), lambda y: y.mean(0)),
        (lambda x: x.unsqueeze(0).expand(4, -1, -1, -1, -1), lambda y: y.sum(dim=0)),
        (lambda x: x.repeat(4, 1, 1, 1, 1), lambda y: torch.mean(y, 0)),
        (lambda x: torch.stack([x] * 4), lambda y: y.mean(dim=0)),
        (lambda x: x.transpose(0, 1), lambda y: y.mean(0)),
        (lambda x: x.permute(1, 0, 2, 3, 4), lambda y: y),
    ],
)
def test_axes_of_time_are_taken_out(repeated, read):
    made = eventsnn.from_spiking(Direct(repeated, read), (2, 2, 2))
    same = eventsnn.from_spiking(Direct(lambda x: x, lambda y: y).inner, (2, 2, 2))
    image = np.random.default_rng(0).integers(0, 256, (2, 2, 2))
    got, _ = of_ours(made, image_as_current(image, made, STEPS, STEP), STEPS)
    wanted, _ = of_ours(same, image_as_current(image, same, STEPS, STEP), STEPS)
    assert wanted[same.output].sum() > 0
    assert np.array_equal(got[made.output], wanted[same.output])


# -- the command line -------------------------------------------------------------------------------------

DEFINITION = """
from spikingjelly.activation_based import neuron
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(1, 2, 3), neuron.LIFNode(tau=2.0), nn.Flatten(), nn.Linear(32, 3))
"""


def test_the_command_line_reads_parameters_with_their_definition(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    neuron = import_module("spikingjelly.activation_based.neuron")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), neuron.LIFNode(tau=2.0), nn.Flatten(), nn.Linear(32, 3))
    torch.save(model.state_dict(), tmp_path / "state.pt")
    (tmp_path / "net.py").write_text(DEFINITION)
    given = ["convert", "state.pt", "--definition", "net.py:build", "-o", "n.h5", "--input-shape", "1,6,6"]
    more = ["--step-us", "500", "--input", "analog", "--input-mean", "0.5"]
    done = CliRunner().invoke(app, given + more)
    assert done.exit_code == 0, done.exception
    assert "spikingjelly LIFNode" in done.stdout
    made = eventsnn.load(tmp_path / "n.h5")
    again = eventsnn.from_spiking(model, (1, 6, 6), step_us=500, input="analog", input_mean=0.5)
    assert list(made.order) == list(again.order)
    assert all(
        np.array_equal(one.synapses.weight, other.synapses.weight)
        for one, other in zip(made.projections.values(), again.projections.values(), strict=True)
    )
    refused = CliRunner().invoke(app, [*given, "--levels", "15"]).exception
    assert isinstance(refused, InvalidRequest)
    assert "--levels is not for models with spiking neurons" in str(refused)


# -- runs -------------------------------------------------------------------------------------------------


def test_runs_give_images_anew_in_each_step():
    """By the way that users go: the same spikes as the engine gets its currents by hand."""
    made = eventsnn.from_spiking(small(), input="analog", input_mean=0.5, input_std=0.25, duration_us=6000)
    values = np.array([[51, 153, 255], [0, 200, 90]], dtype=np.uint8)
    data = eventsnn.image_set(values.reshape(2, 1, 1, 3), np.array([0, 1]))
    results = eventsnn.simulate(made, data, schedule="step", engine="float64")
    for place, spikes in enumerate(results.table.column("spikes")):
        wanted, _ = of_ours(made, image_as_current(values[place].astype(float), made, 6, STEP), 6)
        assert spikes == wanted["lifnode_1"].sum() > 0
    longer = eventsnn.simulate(made, data, schedule="step", engine="float64", duration_us=12_000)
    assert longer.table.column("spikes").sum() > results.table.column("spikes").sum()
    with pytest.raises(InvalidRequest, match="come once in each of its steps"):
        eventsnn.simulate(made, data, schedule="step", scale_currents=True)


def test_runs_take_what_the_model_takes_where_nothing_is_folded():
    made = eventsnn.from_spiking(small(), input="analog", duration_us=6000)
    values = np.array([-1.5, 0.75, 2.0])
    data = eventsnn.image_set(values.reshape(1, 1, 1, 3), np.array([0]))
    results = eventsnn.simulate(made, data, schedule="step", engine="float64")
    wanted, _ = of_ours(made, image_as_current(values * 255, made, 6, STEP), 6)
    assert results.table.column("spikes")[0] == wanted["lifnode_1"].sum() > 0


# -- more of SpikingJelly ---------------------------------------------------------------------------------


class AsksHowItSteps(nn.Module):
    """As the library's own models: one way for single steps, another for sequences."""

    def __init__(self, norm):
        super().__init__()
        neuron = import_module("spikingjelly.activation_based.neuron")
        layer = import_module("spikingjelly.activation_based.layer")
        torch.manual_seed(0)
        self.conv, self.norm = layer.Conv2d(1, 2, 3, step_mode="m"), norm
        self.neurons, self.flatten = neuron.IFNode(step_mode="m"), layer.Flatten(step_mode="m")
        self.linear, self.last = layer.Linear(32, 6, step_mode="m"), neuron.IFNode(step_mode="m")
        with torch.no_grad():
            (
                self.norm.weight.fill_(1.5),
                self.norm.running_var.fill_(0.25),
                self.linear.weight.abs_(),
                self.conv.weight.abs_(),
            )

    def forward(self, x):
        x = self.neurons(self.norm(self.conv(x)))
        if self.conv.step_mode == "m":
            raise AssertionError("a sequence")
        return self.last(self.linear(torch.flatten(x, 1)))


def test_norms_with_the_threshold_and_votes():
    layer = import_module("spikingjelly.activation_based.layer")
    if INSTALLED["spikingjelly"]:
        norm, votes = layer.ThresholdDependentBatchNorm2d(1.0, 1.0, 2), layer.VotingLayer(3, step_mode="m")
    else:
        norm, votes = layer.ThresholdDependentBatchNorm2d(2), layer.VotingLayer(3)
    plain = eventsnn.from_spiking(AsksHowItSteps(nn.BatchNorm2d(2)), (1, 6, 6))
    made = eventsnn.from_spiking(nn.Sequential(AsksHowItSteps(norm), votes), (1, 6, 6))
    frames = np.random.default_rng(0).poisson(1.0, (STEPS, 1, 6, 6))
    got, run = of_ours(made, counts_as_events(frames, STEP), STEPS)
    wanted, _ = of_ours(plain, counts_as_events(frames, STEP), STEPS)
    assert wanted["last"].sum() > 0
    assert np.array_equal(got["0.last"], wanted["last"])
    votes_of = wanted["last"].sum(axis=0).reshape(2, 3).mean(axis=1)
    assert run.exact_charge[made.output] * made.populations[made.output].neuron.unit == pytest.approx(
        votes_of
    )


def test_networks_go_through_nir():
    """Spikes and charges of a network that NIR can say are the same, digest and all."""
    pytest.importorskip("nir", minversion="1.0.8")
    made = eventsnn.from_spiking(small())
    again = eventsnn.from_nir(eventsnn.nir.to_nir(made))
    stimulus = counts_as_events(np.random.default_rng(0).poisson(1.0, (STEPS, 3)), STEP)
    (got, run), (_, same) = (of_ours(one, stimulus, STEPS, ReferenceEngine) for one in (made, again))
    assert got["lifnode_1"].sum() > 0
    assert run.digest == same.digest
