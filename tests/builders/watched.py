"""The reference engine, watched: the largest charge each population ever held."""

from eventsnn.engine.reference import ReferenceEngine
from eventsnn.engine.reference.event import EventSample
from eventsnn.engine.reference.step import StepSample


def watched(schedule):
    """A sample of the reference engine that notes the largest |V| of each rank.

    ``swing`` is the most that could arrive at any neuron of a rank in one step, signs aside: between two of a
    step's deliveries a charge may stand that far from where the step leaves it.
    """

    class Watched(schedule):
        def __init__(self, *arguments):
            self.largest, self.swing, self.arrived = {}, {}, {}
            super().__init__(*arguments)

        def _guard(self, rank, j, charge):
            self.largest[rank] = max(self.largest.get(rank, 0), abs(charge))
            super()._guard(rank, j, charge)

        def _note_delivery(self, to, j, payload):
            super()._note_delivery(to, j, payload)
            step = (to.target, self.now)
            most = max(abs(payload * weight) for _, weight in to.edges[j])
            self.arrived[step] = self.arrived.get(step, 0) + most
            self.swing[to.target] = max(self.swing.get(to.target, 0), self.arrived[step])

        def _on_crossing(self, key, version):
            self._look(key.rank, key.neuron)
            super()._on_crossing(key, version)

        def _result(self):
            for rank, neurons in enumerate(self.neurons):
                for j in range(neurons.population.size):
                    self._look(rank, j)
            return super()._result()

        def _look(self, rank, j):
            charge = self._charge_at(self.neurons[rank], j, self.now)
            self.largest[rank] = max(self.largest.get(rank, 0), abs(charge))

    return Watched


def watched_sample(network, stimulus, options):
    """A sample ready to ``run()``; ``largest`` is by rank."""
    engine = ReferenceEngine(network, None, options)
    engine.check(stimulus)
    return watched(StepSample if engine.step else EventSample)(engine, stimulus, 0)
