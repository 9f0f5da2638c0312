"""Stubs of spiking libraries: the paths, names and numbers of their classes, without what they compute.

The suite runs without the libraries; a network of stubs is what ``from_spiking`` sees of a real one.
"""

from __future__ import annotations

import math
import sys
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
    base = type("MemoryModule", (nn.Module,), {"__module__": f"{root}.base"})
    return {
        "spikingjelly": [],
        root: [],
        neuron: kinds,
        layers: [*(stepped(kind, f"{layers}.stateless_wrapper") for kind in plain), container],
        f"{root}.base": [base],
    }


STUBS = {"spikingjelly": _spikingjelly}


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
