"""Analog input: values held from the start, as the integers they give each target (see ``Stimulus``)."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.request import check_currents, takes_current
from eventsnn.engine.rounding import round_half_away
from eventsnn.engine.stimulus import Stimulus
from eventsnn.errors import InvalidEvents
from eventsnn.network import Input, MaxGate, Network
from eventsnn.network.neurons import CHARGE_LIMIT


class AnalogInput:
    """The weighted sums of analog values, for every population that the input projects to."""

    def __init__(self, network: Network, step: int) -> None:
        self.network, self.step = network, step
        neuron = network.populations[network.input].neuron
        assert isinstance(neuron, Input)
        self.scale = neuron.analog_scale
        self._known: dict[str, list[NDArray[np.int64]]] = {}
        self._targets = sorted({p.target for p in network.outgoing(network.input)})

    def quanta(self, stimulus: Stimulus) -> dict[str, NDArray[np.int64]]:
        """Quanta of each neuron by population: per period, or at time 0; empty without analog values.

        Raises
        ------
        InvalidEvents
            A sum leaves 32 bits, or the values feed max gates.
        InvalidRequest
            A population cannot take the current (``check_currents``).
        """
        if stimulus.analog is None:
            return {}
        return {name: self._quanta(name, stimulus.analog) for name in self._targets}

    @cached_property
    def multiplications(self) -> dict[str, int]:
        """Synapses from the input, by target population."""
        counts = dict.fromkeys(self._targets, 0)
        for projection in self.network.outgoing(self.network.input):
            counts[projection.target] += self.network.synapses(projection)
        return counts

    def _quanta(self, name: str, values: NDArray) -> NDArray[np.int64]:
        population = self.network.populations[name]
        if isinstance(population.neuron, MaxGate):
            raise InvalidEvents(
                f"analog values cannot feed the max gates {name!r}; give the input as events, or take the "
                "maximum before"
            )
        # Python integers where int64 could wrap: exact whatever the weights and values.
        source, target, weight = self._edges(name)
        most = int(np.abs(values).max(initial=0)) * int(np.abs(weight).max(initial=0)) * len(source)
        kind = np.int64 if most < 2**62 else np.dtype(object)
        total = np.zeros(population.size, dtype=kind)
        np.add.at(total, target, weight.astype(kind) * values[source].astype(kind))
        quanta = [int(round_half_away(value, self.scale)) for value in total]
        bias = self.network.bias(name)
        for j, value in enumerate(quanta):
            if abs(value + int(bias[j])) > CHARGE_LIMIT:
                raise InvalidEvents(
                    f"the analog values give neuron {j} of population {name!r} {value} quanta, which with "
                    "its bias leave the 32-bit range; use a smaller threshold or a larger analog_scale"
                )
        found = np.array(quanta, dtype=np.int64)
        if takes_current(population):
            check_currents(population, bias + found, self.step)
        return found

    def _edges(self, name: str) -> list[NDArray[np.int64]]:
        """Every synapse from the input into a population: source, target, weight; computed once."""
        if name not in self._known:
            parts = [
                self.network.edges(projection)
                for projection in self.network.incoming(name)
                if projection.source == self.network.input
            ]
            self._known[name] = [np.concatenate(c).astype(np.int64) for c in zip(*parts, strict=True)]
        return self._known[name]
