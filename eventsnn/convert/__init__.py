"""From a trained network to a spiking one.

``convert`` takes a trained model and returns a ``Network``; ``layer_check`` compares the two layer by
layer, ``compare`` decision by decision as well; ``quantised_activations`` evaluates the integer network
without running it; ``load_model`` reads a PyTorch, ONNX or Keras file without executing anything in it;
``definition`` builds well-known models, whose weights ``load_trained`` reads; ``QCFS`` is the activation to
train with; ``from_spiking`` reads networks of PyTorch's spiking libraries as they are.

Names load on first use, so importing this package imports neither PyTorch nor a compiler.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eventsnn.errors import MissingExtra

if TYPE_CHECKING:
    from eventsnn.convert.check import Comparison as Comparison
    from eventsnn.convert.check import compare as compare
    from eventsnn.convert.check import layer_check as layer_check
    from eventsnn.convert.converter import convert as convert
    from eventsnn.convert.definitions import definition as definition
    from eventsnn.convert.definitions.trained import load_trained as load_trained
    from eventsnn.convert.layer_sums import LayerCheck as LayerCheck
    from eventsnn.convert.loading import load_model as load_model
    from eventsnn.convert.qcfs import QCFS as QCFS
    from eventsnn.convert.quantised import quantised_activations as quantised_activations
    from eventsnn.convert.spiking.reader import from_spiking as from_spiking

_HOME = {
    "convert": "converter",
    "layer_check": "check",
    "compare": "check",
    "Comparison": "check",
    "LayerCheck": "layer_sums",
    "quantised_activations": "quantised",
    "load_model": "loading",
    "QCFS": "qcfs",
    "definition": "definitions",
    "load_trained": "definitions.trained",
    "from_spiking": "spiking.reader",
}

__all__ = [
    "QCFS",
    "Comparison",
    "LayerCheck",
    "compare",
    "convert",
    "definition",
    "from_spiking",
    "layer_check",
    "load_model",
    "load_trained",
    "quantised_activations",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra(
            f"eventsnn.convert.{name} needs PyTorch, which is not installed; "
            "install it with: pip install 'eventsnn[torch]'"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


class _CallableRoom(ModuleType):
    """Lets ``eventsnn.convert(model, ...)`` mean the function although this package has its name."""

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return self.convert(*arguments, **settings)


sys.modules[__name__].__class__ = _CallableRoom
