"""Analog input: values held from the start, as the integers they give each target (see ``Stimulus``)."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.request import check_currents, takes_current
from eventsnn.engine.rounding import round_half_away
from eventsnn.engine.stimulus import Stimulus
from eventsnn.errors import InvalidEvents
from eventsnn.network import Network
from eventsnn.network.neurons import CHARGE_LIMIT


class AnalogInput:
    """The weighted sums of analog values, for every population that the input projects to."""

    def __init__(self, network: Network, step: int) -> None:
        self.network, self.step = network, step
        neuron: Any = network.populations[network.input].neuron
        self.scale = neuron.analog_scale
        self._known: dict[str, tuple[Any, int]] = {}
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
        return {name: self._quanta(name, stimulus) for name in self._targets}

    @cached_property
    def multiplications(self) -> dict[str, int]:
        """Synapses from the input, by target population."""
        counts = dict.fromkeys(self._targets, 0)
        for projection in self.network.outgoing(self.network.input):
            counts[projection.target] += self.network.synapses(projection)
        return counts

    def _quanta(self, name: str, stimulus: Stimulus) -> NDArray[np.int64]:
        population = self.network.populations[name]
        if not population.neuron.holds_charge:
            raise InvalidEvents(
                f"analog values cannot feed the max gates {name!r}; give the input as events, or take the "
                "maximum before"
            )
        factor, divisor = 1, self.scale
        if takes_current(population) and stimulus.analog_time is not None:
            factor, divisor = population.neuron.current_period, self.scale * stimulus.analog_time
            common = math.gcd(factor, divisor)
            factor, divisor = factor // common, divisor // common
        quanta = round_half_away(self._sums(name, stimulus.analog, factor, divisor), divisor)
        bias = self.network.bias(name)
        beyond = np.abs(quanta + bias) > CHARGE_LIMIT
        if beyond.any():
            j = int(np.argmax(beyond))
            raise InvalidEvents(
                f"the analog values give neuron {j} of population {name!r} {quanta[j]} quanta, which with "
                "its bias leave the 32-bit range; use a smaller threshold or a larger analog_scale"
            )
        found: NDArray[np.int64] = quanta.astype(np.int64)
        if takes_current(population):
            check_currents(population, bias + found, self.step)
        return found

    def _sums(self, name: str, values: Any, factor: int, divisor: int) -> NDArray[Any]:
        """Weighted sums times a factor, exact; such that twice one plus the divisor stays in its type."""
        matrix, largest = self._synapses(name)
        most = max(int(values.max(initial=0)), -int(values.min(initial=0))) * largest * factor
        if 2 * most + 2 * divisor < 2**62:
            sums: NDArray[Any] = matrix @ values.astype(np.int64) * factor
            return sums
        # Python integers where int64 could wrap: exact whatever the weights and values.
        total = np.zeros(matrix.shape[0], dtype=object)
        edges = matrix.tocoo()
        np.add.at(total, edges.row, edges.data.astype(object) * values[edges.col].astype(object))
        return total * factor

    def _synapses(self, name: str) -> tuple[Any, int]:
        """The weights from the input into a population, and the largest sum of magnitudes of a target.

        Shape (targets, sources), int64; made once.
        """
        if name not in self._known:
            from scipy.sparse import coo_matrix

            parts = [
                self.network.edges(projection)
                for projection in self.network.incoming(name)
                if projection.source == self.network.input
            ]
            source, target, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
            shape = (
                self.network.populations[name].size,
                self.network.populations[self.network.input].size,
            )
            matrix = coo_matrix((weight.astype(np.int64), (target, source)), shape=shape).tocsr()
            self._known[name] = matrix, int(abs(matrix).sum(axis=1).max())
        return self._known[name]
