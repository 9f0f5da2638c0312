"""Bias currents and the length of samples: what is far from what they were calibrated for, and scaling it.

Over the time for which biases stand each adds its b. A sample of another length takes them to another
proportion with its input, unless its currents are scaled to its own length.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine import Engine, SampleRun, Stimulus
from eventsnn.engine.request import takes_current
from eventsnn.engine.rounding import round_half_away
from eventsnn.errors import CalibrationWarning, InvalidRequest
from eventsnn.network import Network
from eventsnn.network.neurons import CHARGE_LIMIT

# A sample this much longer or shorter than calibrated is said; law: "more than 20 %".
TOLERATED = Fraction(1, 5)


def strain(calibrated_ps: int, stimulus: Stimulus, where: str) -> str:
    """What to say of a sample whose length is far from the calibrated one; empty where it is near."""
    if abs(stimulus.end - calibrated_ps) <= TOLERATED * calibrated_ps:
        return ""
    return (
        f"{where} is {stimulus.end / 1e6:.6g} microseconds long, and the network's bias currents stand for "
        f"{calibrated_ps / 1e6:.6g}: more than 20 % apart, which it was not calibrated for. Use "
        "scale_currents=True (--scale-currents) to scale the currents to each sample, or convert the network "
        "for this duration; other samples may be as far off"
    )


def warn_of(strained: str) -> None:
    """Give the warning of ``strain``, where there is one."""
    if strained:
        warnings.warn(strained, CalibrationWarning, stacklevel=3)


def scaled_network(network: Network, calibrated_ps: int, own_ps: int) -> Network:
    """A network whose bias currents add in ``own_ps`` what they add in ``calibrated_ps``.

    Each neuron's summed bias is multiplied by the two times' ratio and rounded once, halves away from zero.

    Raises
    ------
    InvalidRequest
        A current leaves 32 bits.
    """
    populations, moved = [], set()
    for population in network:
        bias = network.bias(population.name)
        if not takes_current(population) or not bias.any():
            populations.append(population)
            continue
        scaled = _scaled(bias, calibrated_ps, own_ps)
        if int(np.abs(scaled).max()) > CHARGE_LIMIT:
            raise InvalidRequest(
                f"a sample of {own_ps / 1e6:.6g} microseconds would scale the currents of population "
                f"{population.name!r} beyond 32 bits; give duration_us (--duration-us)"
            )
        populations.append(replace(population, bias=scaled.astype(np.int32)))
        moved.add(population.name)
    projections = [
        replace(p, bias=None, exact_bias=None) if p.target in moved else p
        for p in network.projections.values()
    ]
    return Network(populations, projections, network.metadata)


def _scaled(bias: NDArray[np.int64], calibrated_ps: int, own_ps: int) -> NDArray[np.object_]:
    ratio = Fraction(calibrated_ps, own_ps)
    found: NDArray[np.object_] = round_half_away(bias.astype(object) * ratio.numerator, ratio.denominator)
    return found


class ScaledEngine(Engine):
    """An engine whose samples run on a network with currents scaled to their length.

    An engine is made for each new length and kept until another comes: images share one, recordings need
    one each.
    """

    def __init__(self, make: Callable[[Network], Engine], network: Network, calibrated_ps: int) -> None:
        self._make, self._calibrated_ps = make, calibrated_ps
        self._engine, self._length_ps = make(network), calibrated_ps
        self.network, self.mapping = network, self._engine.mapping
        self.options, self.step = self._engine.options, self._engine.step

    def _fitting(self, stimulus: Stimulus) -> Engine:
        # Nothing flows in a sample without length.
        length = stimulus.end or self._calibrated_ps
        if length != self._length_ps:
            scaled = scaled_network(self.network, self._calibrated_ps, length)
            self._engine, self._length_ps = self._make(scaled), length
        return self._engine

    def check(self, stimulus: Stimulus) -> None:
        """See ``Engine.check``."""
        self._fitting(stimulus).check(stimulus)

    def run(self, stimulus: Stimulus, index: int = 0) -> SampleRun:
        """See ``Engine.run``."""
        return self._fitting(stimulus).run(stimulus, index)
