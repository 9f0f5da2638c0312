"""What a run's energy is compared with: GPUs, an int8 digital accelerator, the literature's proxy."""

from eventsnn.hardware.baselines.digital import DigitalBaseline, DigitalEnergy
from eventsnn.hardware.baselines.energies import BaselineEnergy
from eventsnn.hardware.baselines.files import Baseline, baseline_names, load_baseline, parse_baseline
from eventsnn.hardware.baselines.gpu import GpuBaseline, Measurement, OperatingPoint, Roofline
from eventsnn.hardware.baselines.proxy import energy_proxy
from eventsnn.hardware.baselines.work import LayerWork, Work, work_of

__all__ = [
    "Baseline",
    "BaselineEnergy",
    "DigitalBaseline",
    "DigitalEnergy",
    "GpuBaseline",
    "LayerWork",
    "Measurement",
    "OperatingPoint",
    "Roofline",
    "Work",
    "baseline_names",
    "energy_proxy",
    "load_baseline",
    "parse_baseline",
    "work_of",
]
