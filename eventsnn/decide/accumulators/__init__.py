"""What a score looks at: accumulators, one file a kind."""

from eventsnn.decide.accumulators.base import Accumulating, Accumulator
from eventsnn.decide.accumulators.leaky import Leaky
from eventsnn.decide.accumulators.mean import Mean, Rate
from eventsnn.decide.accumulators.readout import Charge, Counts, Readout
from eventsnn.decide.accumulators.total import Sum

ACCUMULATORS: dict[str, type[Accumulator]] = {
    kind.name: kind for kind in (Readout, Charge, Counts, Sum, Mean, Rate, Leaky)
}
"""Accumulators by name."""

__all__ = [
    "ACCUMULATORS",
    "Accumulating",
    "Accumulator",
    "Charge",
    "Counts",
    "Leaky",
    "Mean",
    "Rate",
    "Readout",
    "Sum",
]
