"""Stubs of spiking libraries: the paths, names and numbers of their classes, without what they compute.

The suite runs without the libraries; a network of stubs is what ``from_spiking`` sees of a real one.
"""

from __future__ import annotations

import math
import sys
from collections import namedtuple
from types import ModuleType
from typing import ClassVar

import torch
from torch import nn


class Stub(nn.Module):
    """Keeps its arguments as attributes; computes nothing."""

    defaults: ClassVar[dict] = {}

    def __init__(self, *given, **named):
        super().__init__()
        values = dict(self.defaults)
        values.update(zip(values, given, strict=False))
        unknown = named.keys() - values.keys()
        assert not unknown, f"{type(self).__name__} has no {unknown}"
        for name, value in (values | named).items():
            setattr(self, name, value)
        self.settle()

    def settle(self):
        """What the constructor makes of its arguments."""

    def forward(self, *given):
        raise AssertionError("a stub computes nothing")


def stub(name, module, **defaults):
    return type(name, (Stub,), {"defaults": defaults, "__module__": module})


def stepped(base, module):
    """A layer of torch.nn that takes a step_mode."""

    class Layer(base):
        def __init__(self, *given, step_mode="s", **named):
            super().__init__(*given, **named)
            self.step_mode = step_mode

        def forward(self, *given):
            raise AssertionError("a stub computes nothing")

    Layer.__name__ = Layer.__qualname__ = base.__name__
    Layer.__module__ = module
    return Layer


def _spikingjelly():
    root = "spikingjelly.activation_based"
    of_reset = {"v_threshold": 1.0, "v_reset": 0.0, "surrogate_function": None, "detach_reset": False,
                "step_mode": "s"}  # fmt: skip
    neuron = f"{root}.neuron"
    parametric = stub("ParametricLIFNode", f"{neuron}.plif", init_tau=2.0, decay_input=True, **of_reset)

    def settle(self):
        self.w = nn.Parameter(torch.as_tensor(-math.log(self.init_tau - 1.0)))
        del self.init_tau

    parametric.settle = settle
    kinds = [
        stub("IFNode", f"{neuron}.integrate_and_fire", **of_reset),
        stub("LIFNode", f"{neuron}.lif", tau=2.0, decay_input=True, **of_reset),
        parametric,
        stub("QIFNode", f"{neuron}.nonlinear_if", tau=2.0, **of_reset),
    ]
    layers = f"{root}.layer"
    plain = [nn.Conv2d, nn.BatchNorm2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d, nn.Flatten]
    container = type("SeqToANNContainer", (nn.Sequential,), {"__module__": f"{layers}.container"})
    norm = type("ThresholdDependentBatchNorm2d", (nn.BatchNorm2d,), {"__module__": f"{layers}.bn"})
    votes = stub("VotingLayer", f"{layers}.misc", voting_size=10, step_mode="s")
    base = type("MemoryModule", (nn.Module,), {"__module__": f"{root}.base"})
    return {
        "spikingjelly": [],
        root: [],
        neuron: kinds,
        layers: [
            *(stepped(kind, f"{layers}.stateless_wrapper") for kind in plain),
            container,
            norm,
            votes,
        ],
        f"{root}.base": [base],
    }


def _snntorch():
    of_all = {
        "threshold": 1.0, "spike_grad": None, "init_hidden": False, "inhibition": False, "state_quant": False,
        "output": False, "reset_mechanism": "subtract", "graded_spikes_factor": 1.0,
    }  # fmt: skip

    def settle(self):
        numbers = ("threshold", "graded_spikes_factor", "beta", "alpha")
        for name in (one for one in numbers if one in vars(self)):
            value = torch.as_tensor(vars(self).pop(name))
            self.register_buffer(name, value)

    def settle_lapicque(self):
        settle(self)
        self.register_buffer("time_step", torch.as_tensor(1))
        self.register_buffer("R", torch.as_tensor(1))
        self.register_buffer("C", self.time_step / (self.R * torch.log(1 / self.beta)))

    own = "snntorch._neurons"
    leaky = stub("Leaky", f"{own}.leaky", beta=None, reset_delay=True, **of_all)
    synaptic = stub("Synaptic", f"{own}.synaptic", alpha=None, beta=None, reset_delay=True, **of_all)
    lapicque = stub("Lapicque", f"{own}.lapicque", beta=None, **of_all)
    leaky.settle = synaptic.settle = settle
    lapicque.settle = settle_lapicque
    return {"snntorch": [leaky, synaptic, lapicque, stub("RLeaky", f"{own}.rleaky", beta=None, **of_all)]}


def _sinabs():
    class Value:
        def __init__(self, value=None):
            self.subtract_value = self.reset_value = self.max_num_spikes_per_bin = value

    kinds = [
        type(name, (Value,), {"__module__": "sinabs.activation"})
        for name in ("MembraneSubtract", "MembraneReset", "MaxSpike")
    ]
    kinds += [type(name, (), {"__module__": "sinabs.activation"}) for name in ("MultiSpike", "SingleSpike")]
    of_all = {
        "tau_syn": None, "spike_threshold": torch.tensor(1.0), "spike_fn": kinds[3], "reset_fn": kinds[0](),
        "min_v_mem": None, "train_alphas": False, "batch_size": None,
    }  # fmt: skip

    def settle(self):
        for name in ("tau_mem", "tau_syn", "spike_threshold", "min_v_mem"):
            value = vars(self).pop(name, None)
            kept = None if value is None else nn.Parameter(torch.as_tensor(value), requires_grad=False)
            setattr(self, name, kept)

    made = [
        stub("IAFSqueeze", "sinabs.layers.iaf", norm_input=False, **of_all),
        stub("LIFSqueeze", "sinabs.layers.lif", tau_mem=None, norm_input=True, **of_all),
        stub("ExpLeak", "sinabs.layers.exp_leak", tau_mem=None, norm_input=False, **of_all),
        stub("ALIF", "sinabs.layers.alif", tau_mem=None, **of_all),
    ]
    for kind in made:
        kind.settle = settle
    return {"sinabs": [], "sinabs.layers": made, "sinabs.activation": kinds}


def _norse():
    one, none = torch.as_tensor(1.0), torch.as_tensor(0.0)

    def reset_value(*given):
        raise AssertionError("a stub computes nothing")

    def reset_subtract(*given):
        raise AssertionError("a stub computes nothing")

    def parameters(name, **values):
        found = namedtuple(name, values, defaults=values.values())
        found.__module__ = "norse.torch.functional"
        return found

    of_all = {"v_th": one, "v_reset": none, "method": "super"}
    leaky = {"tau_mem_inv": torch.as_tensor(100.0), "v_leak": none}
    synaptic = {"tau_syn_inv": torch.as_tensor(200.0)}
    kinds = [
        stub(name, f"norse.torch.module.{home}", p=None, dt=0.001)
        for name, home in (
            ("IAFCell", "iaf"), ("LIFBoxCell", "lif_box"), ("LIFCell", "lif"), ("LIBoxCell", "li_box"),
            ("LICell", "li"), ("LIFRecurrentCell", "lif"),
        )
    ]  # fmt: skip

    class SequentialState(nn.Sequential):
        return_hidden = False

        def forward(self, *given):
            raise AssertionError("a stub computes nothing")

    SequentialState.__module__ = "norse.torch.module.sequential"
    made = [
        parameters("IAFParameters", **of_all),
        parameters("LIFBoxParameters", **leaky, **of_all, reset_method=reset_value),
        parameters("LIFParameters", **synaptic, **leaky, **of_all),
        parameters("LIBoxParameters", **leaky),
        parameters("LIParameters", **synaptic, **leaky),
    ]
    return {"norse": [], "norse.torch": [*kinds, *made, SequentialState, reset_value, reset_subtract]}


STUBS = {"spikingjelly": _spikingjelly, "snntorch": _snntorch, "sinabs": _sinabs, "norse": _norse}


def install(libraries):
    """Put stubs in the place of libraries; the names of what was put."""
    put = []
    for library in libraries:
        for name, kinds in STUBS[library]().items():
            module = ModuleType(name)
            for kind in kinds:
                setattr(module, kind.__name__, kind)
            sys.modules[name] = module
            put.append(name)
            parent, _, own = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], own, module)
    return put


def remove(put):
    """Take stubs away again."""
    for name in put:
        sys.modules.pop(name, None)
