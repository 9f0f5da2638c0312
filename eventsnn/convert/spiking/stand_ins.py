"""A model whose spiking modules, and layers that step, are replaced by what a single step of them computes.

Classes are known by the package that they come from and by their name: no library is imported. A class of a
library that no file here describes is refused by name, and so is one that derives from a library's, since it
may compute something else.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from eventsnn.convert.importers.torch_prepare import float64_copy
from eventsnn.convert.spiking import norse, sinabs, snntorch, spikingjelly
from eventsnn.convert.spiking.base import Described, Module
from eventsnn.convert.spiking.neurons import Neurons
from eventsnn.errors import UnsupportedLayer

LIBRARIES: dict[str, Any] = {one.ROOT: one for one in (spikingjelly, snntorch, sinabs, norse)}
"""By package: modules with NEURONS (by class, what describes it), LAYERS (by class, what computes the same in
each step: the name of a class of ``torch.nn`` that it derives from, or a function of the module) and
STATELESS (what a user's own class may derive from) and MODELS (the package of the library's own models)."""


@dataclass
class StandIns:
    """What was replaced.

    Attributes
    ----------
    model : torch.nn.Module
        A copy, float64, in evaluation mode, that computes a first step from rest.
    neurons : dict of str to Described
        By path.
    kinds : dict of str to str
        Class of each, by path, as ``spikingjelly LIFNode``.
    done : dict of Module to Module
        What each module was replaced by.
    """

    model: nn.Module
    neurons: dict[str, Described] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    done: dict[nn.Module, nn.Module] = field(default_factory=dict, repr=False)


def root_of(kind: type) -> str:
    """The package that a class comes from."""
    return kind.__module__.partition(".")[0]


def has_spiking(model: Any) -> bool:
    """Whether a module, of whatever kind, holds what has a state in a library that is known."""
    return isinstance(model, nn.Module) and any(
        root_of(kind) in LIBRARIES and not _is_plain(kind)
        for module in model.modules()
        for kind in type(module).__mro__
    )


def _is_model(kind: type) -> bool:
    """Whether a library's class is a model of its collection."""
    models = LIBRARIES[root_of(kind)].MODELS
    return bool(models) and kind.__module__.startswith(models)


def _is_plain(kind: type) -> bool:
    """Whether a library's class is a layer, or keeps no state."""
    library = LIBRARIES[root_of(kind)]
    return kind.__name__ in (*library.LAYERS, *library.STATELESS) or _is_model(kind)


def stand_ins(model: nn.Module) -> StandIns:
    """A copy of a model in which everything that steps stands for one step.

    Raises
    ------
    UnsupportedLayer
        A module of a library that has no description, or one derived from it; names it.
    InvalidNetwork
        Numbers of a module that cannot be.
    """
    found = StandIns(float64_copy(model))
    found.model = _replaced(found, found.model, "")
    return found


def _replaced(found: StandIns, module: nn.Module, path: str) -> nn.Module:
    kind, root = type(module), root_of(type(module))
    if root not in LIBRARIES or _is_model(kind):
        _refuse_derived(module, path)
        _inside(found, module, path)
        _in_single_steps(module)
        return module
    library, name = LIBRARIES[root], kind.__name__
    if name in library.NEURONS:
        described: Described = library.NEURONS[name](Module(module, path))
        found.neurons[path], found.kinds[path] = described, f"{root} {name}"
        return Neurons(described.operation, described.gives_state)
    if name in library.LAYERS:
        rule = library.LAYERS[name]
        if not isinstance(rule, str):
            return _replaced(found, rule(module), path)
        module.__class__ = getattr(nn, rule)
        module.step_mode = "s"  # type: ignore[assignment]
        _inside(found, module, path)
        return module
    known = ", ".join([*library.NEURONS, *library.LAYERS])
    raise UnsupportedLayer(
        f"module {path or name!r} is a {name} of {root}, which no neurons or synapses here have. Of {root} "
        f"are read: {known}, and the layers of torch.nn. Replace it, and train again"
    )


def _in_single_steps(module: nn.Module) -> None:
    """Forwards that ask how they step are to take the way of single steps."""
    if hasattr(module, "step_mode"):
        with suppress(ValueError):  # one that has no such way
            module.step_mode = "s"  # type: ignore[assignment]


def _inside(found: StandIns, module: nn.Module, path: str) -> None:
    for name, child in list(module._modules.items()):
        if child is None:
            continue
        if child not in found.done:  # one that stands in two places stays one
            found.done[child] = _replaced(found, child, f"{path}.{name}" if path else name)
        setattr(module, name, found.done[child])


def _refuse_derived(module: nn.Module, path: str) -> None:
    for kind in type(module).__mro__:
        root = root_of(kind)
        if root in LIBRARIES and not _is_model(kind) and kind.__name__ not in LIBRARIES[root].STATELESS:
            raise UnsupportedLayer(
                f"module {path or type(module).__name__!r} is a {type(module).__name__}, which derives from "
                f"{kind.__name__} of {root} and may compute something else: use that class itself, or "
                "derive from torch.nn.Module"
            )
