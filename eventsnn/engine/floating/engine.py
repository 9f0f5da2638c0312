"""The engines ``float32`` and ``float64``: the step schedule in floating point, for comparison only.

They compute what a tensor framework computes: layer by layer, a whole population at a time, charges and
weights as floats. They stand outside the laws. Where every number stays an integer below 2^24 (float32) or
2^53 (float64) and nothing leaks, spikes, counters and charges equal the integer engines'; above that, and
with leaks (``V x leak_factor / 2^30`` without rounding), they agree by tolerance. Charges may leave 32 bits.
Where a projection keeps its weights as they were before rounding (``exact_weight``), these are summed, and
what they make of analog values is not rounded either. A float run's digest names its dtype and is never equal
to an integer run's.
"""

from __future__ import annotations

from collections.abc import Mapping as Table
from typing import Any, ClassVar

import numpy as np

from eventsnn.engine.analog import AnalogInput
from eventsnn.engine.contract import Engine, RunOptions
from eventsnn.engine.floating.steps import FloatRun, FloatSample
from eventsnn.engine.floating.sums import FloatSums
from eventsnn.engine.stimulus import Stimulus
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Mapping
from eventsnn.network import Network, Population
from eventsnn.network.neurons import LEAK_ONE

DTYPES = ("float32", "float64")


class FloatEngine(Engine):
    """Steps a network in floating point; a comparison, not an engine of record.

    Parameters
    ----------
    network : Network
    mapping : None
        There is no accelerator in floating point.
    options : RunOptions
        With ``schedule="step"``. ``ties`` make no difference in steps.
    dtype : str
        ``float32`` or ``float64``.
    leaks : mapping of float or array of shape (neurons,), optional
        What a step's leak leaves of the charge, by population, instead of ``leak_factor / 2^30``: the exact
        exponential ``exp(-step / tau)``, which the network file holds to 2^-31 only.

    Raises
    ------
    InvalidRequest
        The event schedule, an accelerator, an unknown dtype or population.
    NotYetSupported
        Max gates, softmax outputs, the history of counters.
    """

    supports: ClassVar[frozenset[str]] = frozenset(
        {
            "step",
            "refractory",
            "leak",
            "source",
            "cycle",
            "output",
            "seeded",
            "payload",
            "analog",
            "duration",
            "start",
            "test_period",
            "synapse",
        }
    )

    def __init__(
        self,
        network: Network,
        mapping: Mapping | None = None,
        options: RunOptions | None = None,
        dtype: str = "float64",
        leaks: Table[str, Any] | None = None,
    ) -> None:
        if dtype not in DTYPES:
            raise InvalidRequest(f"dtype {dtype!r} is not known; allowed are {', '.join(DTYPES)}")
        if mapping is not None or (options or RunOptions()).schedule != "step":
            lacking = "event schedule" if mapping is None else "accelerator"
            raise InvalidRequest(
                f"engine {dtype!r} computes whole timesteps, to compare with tensor frameworks; it has no "
                f"{lacking}. Use schedule='step' without hardware, or engine='compiled'"
            )
        super().__init__(network, mapping, options)
        self.dtype = dtype
        self.leaks: dict[str, Any] = {
            p.name: self._kept(p, "leak_factor") for p in network if p.neuron.leak_period
        }
        self.synapses = {
            p.name: self._kept(p, "synapse_factor") for p in network if "synapse" in p.neuron.features
        }
        unknown = sorted(set(leaks or {}) - set(self.leaks))
        if unknown:
            raise InvalidRequest(
                f"leaks are given for {', '.join(unknown)}; populations that leak are "
                f"{', '.join(sorted(self.leaks)) or 'none'}"
            )
        self.leaks |= {
            name: left if isinstance(left, float | int) else np.asarray(left, dtype=dtype)
            for name, left in (leaks or {}).items()
        }
        self.analog = AnalogInput(network, self.step)
        self.incoming = [
            [FloatSums(network, p, self.step, dtype) for p in network.incoming(name)]
            for name in network.order
        ]
        self.outgoing = [
            [(p.delay // self.step, network.fan_out(p)) for p in network.outgoing(name)]
            for name in network.order
        ]

    def _kept(self, population: Population, name: str) -> Any:
        """What a step leaves: one value, or where neurons have their own one each, in the engine's dtype."""
        if getattr(population, f"{name}s") is None:
            return getattr(population.neuron.ruled, name) / LEAK_ONE
        return (population.factors(name) / LEAK_ONE).astype(self.dtype)

    def run(self, stimulus: Stimulus, index: int = 0) -> FloatRun:
        """Simulate one sample; see ``Engine.run``. Charges may leave 32 bits, nothing overflows."""
        self.check(stimulus)
        return FloatSample(self, stimulus, index).run()
