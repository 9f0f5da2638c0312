"""The forward of a model as a list of calls: traced symbolically, without changes in place.

``torch.fx`` follows the forward with stand-ins for tensors. Parameters are no stand-ins here: what a
forward computes from them alone (standardised weights, learned scales) becomes constants.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from eventsnn.convert.importers.torch_evaluate import Float64Mode, run, without_values
from eventsnn.convert.importers.torch_names import cut
from eventsnn.convert.importers.torch_rewrite import rewrite
from eventsnn.convert.qcfs import QCFS
from eventsnn.convert.spiking.neurons import Neurons
from eventsnn.errors import UnsupportedLayer


class _Known:
    """Numbers that depend on shapes alone are numbers while the forward is followed."""

    tracer: Any

    def __len__(self) -> int:
        return int(self.tracer.known(self, len))

    def __index__(self) -> int:
        return int(self.tracer.known(self, int))

    def __int__(self) -> int:
        return int(self.tracer.known(self, int))

    def __float__(self) -> float:
        return float(self.tracer.known(self, float))


class _Proxy(_Known, fx.Proxy):
    def __getattr__(self, name: str) -> Any:
        return _Attribute(self, name)


class _Attribute(_Known, fx.proxy.Attribute):
    pass


class _Root(nn.Module):
    """Calls the model with one argument, as convert does: other arguments keep their defaults."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any) -> Any:
        return self.model(x)


class _Tracer(fx.Tracer):
    """Stops at PyTorch's own modules and at ours; looks into everything else."""

    def __init__(self, batches: Sequence[Tensor]) -> None:
        super().__init__()
        self.batches = batches
        self.returned: dict[fx.Node, tuple[str, str]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module becomes one call."""
        return type(m) in (QCFS, Neurons) or super().is_leaf_module(m, module_qualified_name)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Parameters themselves."""
        return attr_val

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """A stand-in that knows its shape."""
        return _Proxy(node, self)

    def known(self, proxy: fx.Proxy, kind: Callable[[Any], Any]) -> Any:
        """What a stand-in is, for what depends on shapes alone.

        Raises
        ------
        TraceError
            It depends on values.
        ValueError
            It depends on the number of samples.
        """
        node = proxy.node  # an attribute's is made when it is asked for
        if not without_values(self.graph)[node]:
            raise fx.proxy.TraceError("the path of the forward depends on the values of tensors")
        found: list[Any] = []
        for samples in self.batches:
            run(self.root, self.graph, samples.clone(), [node], lambda _, given: found.append(given))
        if len({kind(given) for given in found}) > 1:
            raise ValueError("the path of the forward depends on the number of samples")
        return kind(found[0])

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Branches by shapes are taken."""
        return bool(self.known(obj, bool))

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """Over the axes of a shape."""
        shape: Any = obj
        return iter([shape[place] for place in range(len(shape))])

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Notes what a module that is looked into returns."""
        result = super().call_module(m, forward, args, kwargs)
        path = self.path_of_module(m)
        if isinstance(result, fx.Proxy) and not self.is_leaf_module(m, path):
            self.returned.setdefault(result.node, (cut(path), type(m).__name__))
        return result


def traced(
    model: nn.Module, batches: Sequence[Tensor]
) -> tuple[fx.GraphModule, dict[fx.Node, tuple[str, str]]]:
    """The forward of a model with one input, and who returns what: paths and classes of modules.

    ``batches``: samples in batches of several sizes, for branches that depend on shapes. Nothing in the calls
    changes a tensor in place, and casts between floating-point types are casts to float64.

    Raises
    ------
    UnsupportedLayer
        Several inputs, a forward that cannot be followed, a change in place whose reach is not plain.
    """
    _refuse_several_inputs(model)
    tracer, root = _Tracer(batches), _Root(model)
    try:
        with torch.no_grad(), Float64Mode():
            graph = tracer.trace(root)
    except Exception as error:  # whatever the user's forward raises when it meets a traced value
        raise UnsupportedLayer(
            f"the forward of {type(model).__name__} cannot be followed: {error}. A forward to convert does "
            "the same for every input: remove branches and loops that depend on values, and write the rest "
            "with torch's modules and functions"
        ) from error
    rewrite(graph, root)
    return fx.GraphModule(root, graph), tracer.returned


def _refuse_several_inputs(model: nn.Module) -> None:
    needed = [
        parameter.name
        for parameter in inspect.signature(model.forward).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) > 1:
        raise UnsupportedLayer(
            f"the forward of {type(model).__name__} takes {len(needed)} inputs ({', '.join(needed)}); a "
            "model to convert takes one"
        )
