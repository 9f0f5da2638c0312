"""eventsnn: event-driven simulation of spiking networks converted from trained ones.

``load``, ``convert``, ``simulate`` and the names below are imported when they are first used, so that
``import eventsnn`` loads nothing but the standard library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from eventsnn.version import __version__ as __version__

if TYPE_CHECKING:
    from eventsnn.calibration import calibrate as calibrate
    from eventsnn.calibration import calibrate_sets as calibrate_sets
    from eventsnn.convert import convert as convert
    from eventsnn.convert import from_spiking as from_spiking
    from eventsnn.decide import ExitRule as ExitRule
    from eventsnn.decide import Margin as Margin
    from eventsnn.decide import MaxProbability as MaxProbability
    from eventsnn.engine import stimulus_from_events as stimulus_from_events
    from eventsnn.errors import EventsnnError as EventsnnError
    from eventsnn.events import AnalogImage as AnalogImage
    from eventsnn.events import Recording as Recording
    from eventsnn.events import SpikeTrain as SpikeTrain
    from eventsnn.events import image_set as image_set
    from eventsnn.events import make_events as make_events
    from eventsnn.events import open_dataset as open_dataset
    from eventsnn.events import read_aedat as read_aedat
    from eventsnn.events import read_chunks as read_chunks
    from eventsnn.events import read_events as read_events
    from eventsnn.events import read_nmnist as read_nmnist
    from eventsnn.events import spike_train as spike_train
    from eventsnn.events import write_events as write_events
    from eventsnn.hardware import Architecture as Architecture
    from eventsnn.hardware import load_architecture as load_architecture
    from eventsnn.hardware import map_network as map_network
    from eventsnn.network import AveragePool as AveragePool
    from eventsnn.network import Axis as Axis
    from eventsnn.network import Conv2d as Conv2d
    from eventsnn.network import Dense as Dense
    from eventsnn.network import Identity as Identity
    from eventsnn.network import Input as Input
    from eventsnn.network import InputContract as InputContract
    from eventsnn.network import IntegrateAndFire as IntegrateAndFire
    from eventsnn.network import MaxGate as MaxGate
    from eventsnn.network import MaxPool as MaxPool
    from eventsnn.network import Network as Network
    from eventsnn.network import Population as Population
    from eventsnn.network import Projection as Projection
    from eventsnn.network import Readout as Readout
    from eventsnn.network import Signed as Signed
    from eventsnn.network import Softmax as Softmax
    from eventsnn.network import Sparse as Sparse
    from eventsnn.network import SumPool as SumPool
    from eventsnn.network import Upsample as Upsample
    from eventsnn.network import conv1d as conv1d
    from eventsnn.network import load_network as load
    from eventsnn.nir.reader import from_nir as from_nir
    from eventsnn.report.page import write_report as write_report
    from eventsnn.results.results import Results as Results
    from eventsnn.run.countings import countings as countings
    from eventsnn.run.profile import profile_samples as profile
    from eventsnn.run.simulate import simulate as simulate
    from eventsnn.run.stream import stream as stream
    from eventsnn.run.suggest import suggest_mapping as suggest_mapping
    from eventsnn.run.sweep import sweep as sweep

# Public name -> (module, name in it).
_PUBLIC = {
    "AnalogImage": ("eventsnn.events", "AnalogImage"),
    "Architecture": ("eventsnn.hardware", "Architecture"),
    "AveragePool": ("eventsnn.network", "AveragePool"),
    "Axis": ("eventsnn.network", "Axis"),
    "Conv2d": ("eventsnn.network", "Conv2d"),
    "Dense": ("eventsnn.network", "Dense"),
    "EventsnnError": ("eventsnn.errors", "EventsnnError"),
    "ExitRule": ("eventsnn.decide", "ExitRule"),
    "Identity": ("eventsnn.network", "Identity"),
    "Input": ("eventsnn.network", "Input"),
    "InputContract": ("eventsnn.network", "InputContract"),
    "Margin": ("eventsnn.decide", "Margin"),
    "MaxGate": ("eventsnn.network", "MaxGate"),
    "MaxPool": ("eventsnn.network", "MaxPool"),
    "MaxProbability": ("eventsnn.decide", "MaxProbability"),
    "Network": ("eventsnn.network", "Network"),
    "Population": ("eventsnn.network", "Population"),
    "Projection": ("eventsnn.network", "Projection"),
    "FirstSpike": ("eventsnn.network", "FirstSpike"),
    "IntegrateAndFire": ("eventsnn.network", "IntegrateAndFire"),
    "Readout": ("eventsnn.network", "Readout"),
    "Recording": ("eventsnn.events", "Recording"),
    "Results": ("eventsnn.results.results", "Results"),
    "Signed": ("eventsnn.network", "Signed"),
    "Softmax": ("eventsnn.network", "Softmax"),
    "Sparse": ("eventsnn.network", "Sparse"),
    "SpikeTrain": ("eventsnn.events", "SpikeTrain"),
    "SumPool": ("eventsnn.network", "SumPool"),
    "Upsample": ("eventsnn.network", "Upsample"),
    "conv1d": ("eventsnn.network", "conv1d"),
    "calibrate": ("eventsnn.calibration", "calibrate"),
    "calibrate_sets": ("eventsnn.calibration", "calibrate_sets"),
    "convert": ("eventsnn.convert", "convert"),
    "countings": ("eventsnn.run.countings", "countings"),
    "from_nir": ("eventsnn.nir.reader", "from_nir"),
    "from_spiking": ("eventsnn.convert", "from_spiking"),
    "image_set": ("eventsnn.events", "image_set"),
    "load": ("eventsnn.network", "load_network"),
    "load_architecture": ("eventsnn.hardware", "load_architecture"),
    "make_events": ("eventsnn.events", "make_events"),
    "map_network": ("eventsnn.hardware", "map_network"),
    "open_dataset": ("eventsnn.events", "open_dataset"),
    "profile": ("eventsnn.run.profile", "profile_samples"),
    "read_aedat": ("eventsnn.events", "read_aedat"),
    "read_chunks": ("eventsnn.events", "read_chunks"),
    "read_events": ("eventsnn.events", "read_events"),
    "read_nmnist": ("eventsnn.events", "read_nmnist"),
    "simulate": ("eventsnn.run.simulate", "simulate"),
    "spike_train": ("eventsnn.events", "spike_train"),
    "stimulus_from_events": ("eventsnn.engine", "stimulus_from_events"),
    "stream": ("eventsnn.run.stream", "stream"),
    "suggest_mapping": ("eventsnn.run.suggest", "suggest_mapping"),
    "sweep": ("eventsnn.run.sweep", "sweep"),
    "write_events": ("eventsnn.events", "write_events"),
    "write_report": ("eventsnn.report.page", "write_report"),
}

__all__ = [
    "AnalogImage",
    "Architecture",
    "AveragePool",
    "Axis",
    "Conv2d",
    "Dense",
    "EventsnnError",
    "ExitRule",
    "FirstSpike",
    "Identity",
    "Input",
    "InputContract",
    "IntegrateAndFire",
    "Margin",
    "MaxGate",
    "MaxPool",
    "MaxProbability",
    "Network",
    "Population",
    "Projection",
    "Readout",
    "Recording",
    "Results",
    "Signed",
    "Softmax",
    "Sparse",
    "SpikeTrain",
    "SumPool",
    "Upsample",
    "__version__",
    "calibrate",
    "calibrate_sets",
    "conv1d",
    "convert",
    "countings",
    "from_nir",
    "from_spiking",
    "image_set",
    "load",
    "load_architecture",
    "make_events",
    "map_network",
    "open_dataset",
    "profile",
    "read_aedat",
    "read_chunks",
    "read_events",
    "read_nmnist",
    "simulate",
    "spike_train",
    "stimulus_from_events",
    "stream",
    "suggest_mapping",
    "sweep",
    "write_events",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'eventsnn' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value: Any = importlib.import_module(module)
    # The room ``eventsnn.convert`` is itself callable: storing its function would hide the room.
    if name != "convert":
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
