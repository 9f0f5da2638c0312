"""Max-pool gates: what they keep of each source neuron, and whom they let pass."""

from __future__ import annotations

import numpy as np

from eventsnn.engine.reference.state import Neurons
from eventsnn.engine.rounding import leaked
from eventsnn.network import Network, Population

ESTIMATE_ONE = 2**30  # a spike's weight at t <= period, finite impulse
ESTIMATE_SPIKE = 2**20  # a spike's weight, exponential


class Gates(Neurons):
    """The gates of one population: for each, a value per source neuron of its window.

    ``exact``: the signed sum received. Other filters: the estimate of the source's rate. Each gate holds its
    own, which is what every copy of a spike brought to the gate's part of the population.
    """

    def __init__(self, network: Network, population: Population, end: int) -> None:
        nothing = np.zeros(population.size, dtype=np.int64)
        super().__init__(population, end, nothing, nothing)
        (projection,) = network.incoming(population.name)
        self.lowest = network.lowest_count(population.name)
        given = network.populations[projection.source].initial_count
        self.window: list[dict[int, int]] = [{} for _ in range(population.size)]
        source, target, _ = network.edges(projection)
        for place in np.argsort(source, kind="stable"):
            i = int(source[place])
            self.window[int(target[place])][i] = 0 if given is None else int(given[i])
        self.decays = [0] * population.size

    @property
    def exact(self) -> bool:
        """Whether gates are tested for the change of their maximum, not asked at each spike."""
        return self.rule == "exact_gate"

    def receive(self, j: int, i: int, payload: int, time: int) -> None:
        """A spike of source i reaches gate j."""
        model = self.model
        if self.exact or model.filter == "average":
            self.window[j][i] += payload
        elif model.filter == "finite_impulse":
            self.window[j][i] += payload * (ESTIMATE_ONE * model.period // max(time, model.period))
        else:
            self._decay(j, time)
            self.window[j][i] += payload * ESTIMATE_SPIKE

    def _decay(self, j: int, time: int) -> None:
        """Estimates of a gate at a tick: one factor at each multiple of the period up to it."""
        due = time // self.model.period
        while self.decays[j] < due:
            self.decays[j] += 1
            before = list(self.window[j].values())
            for i, estimate in self.window[j].items():
                self.window[j][i] = leaked(estimate, self.model.factor)
            if before == list(self.window[j].values()):
                self.decays[j] = due

    def winner(self, j: int) -> int:
        """The source with the largest estimate, ties to the lowest index."""
        return max(self.window[j], key=lambda i: (self.window[j][i], -i))

    def compares(self, j: int) -> int:
        """Comparisons that one look at a gate's window takes."""
        return len(self.window[j]) - 1

    def payload_asked(self, j: int, settled: bool) -> int:
        """The change of an exact gate's maximum since its last test."""
        del settled  # gates have no hysteresis
        payload = max(self.lowest, *self.window[j].values()) - self.count[j]
        self.count[j] += payload
        return payload
