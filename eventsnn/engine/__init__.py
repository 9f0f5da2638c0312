"""The simulators: one contract, a readable reference engine and the compiled one users run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsnn.engine.contract import (
    Engine,
    History,
    RunOptions,
    SampleRun,
    SpikeList,
    Stimulus,
    Trace,
    stimulus_from_events,
)
from eventsnn.errors import InvalidRequest

if TYPE_CHECKING:
    from eventsnn.hardware import Mapping
    from eventsnn.network import Network

ENGINES = ("compiled", "reference")
# Floating point, in steps, to compare with tensor frameworks: outside the laws.
COMPARISON_ENGINES = ("float32", "float64")


def make_engine(
    name: str, network: Network, mapping: Mapping | None = None, options: RunOptions | None = None
) -> Engine:
    """The engine of a name; only what it needs is imported. ``twin`` is the SimPy twin, for tests.

    Raises
    ------
    InvalidRequest
        No such engine.
    """
    if name == "compiled":
        from eventsnn.engine.compiled import CompiledEngine

        return CompiledEngine(network, mapping, options)
    if name == "reference":
        from eventsnn.engine.reference import ReferenceEngine

        return ReferenceEngine(network, mapping, options)
    if name == "twin":
        if (options or RunOptions()).schedule == "step":
            from eventsnn.engine.twin.steps import StepTwinEngine

            return StepTwinEngine(network, mapping, options)
        from eventsnn.engine.twin.events import TwinEngine

        return TwinEngine(network, mapping, options)
    if name in COMPARISON_ENGINES:
        from eventsnn.engine.floating.engine import FloatEngine

        return FloatEngine(network, mapping, options, name)
    allowed = ", ".join((*ENGINES, *COMPARISON_ENGINES))
    raise InvalidRequest(f"engine {name!r} is not known; allowed are {allowed}")


__all__ = [
    "COMPARISON_ENGINES",
    "ENGINES",
    "Engine",
    "History",
    "RunOptions",
    "SampleRun",
    "SpikeList",
    "Stimulus",
    "Trace",
    "make_engine",
    "stimulus_from_events",
]
