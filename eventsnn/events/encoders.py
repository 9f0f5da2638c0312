"""Images as input: analog values, charges at time 0, Poisson and Bernoulli spike trains.

An activation x of an image becomes, with the activation ``unit`` that one spike stands for
(``Input.unit`` of the network):

- ``analog``: a value held at the input; no spikes;
- ``charge``: one spike at time 0 with the payload x / unit, rounded, halves away from zero;
- ``poisson``: spikes of a Poisson process of |x| times the largest rate, each of the sign of x;
- ``bernoulli``: at each timestep a spike of the sign of x, or none, with the probability |x| times
  the largest rate times the step.

Random draws are keyed by (seed, sample), whoever draws them and in whatever order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import EventLimitReached, InvalidEvents, InvalidRequest
from eventsnn.events.draws import exponential, keyed_generator
from eventsnn.events.images import LARGEST_VALUE, image_values
from eventsnn.events.inputs import AnalogImage, SpikeTrain, picoseconds, sorted_train

ENCODINGS = ("analog", "poisson", "bernoulli", "charge")
RANDOM = ("poisson", "bernoulli")
PICOSECONDS_PER_SECOND = 10**12
# Spikes are drawn in blocks of this many; the draws of a longer train begin with those of a shorter one.
BLOCK = 4096
DRAWS_AT_ONCE = 2**20
# Input spikes of one sample that are drawn at most; they are held in memory, some 50 bytes each.
LARGEST_DRAW = 2**24
LARGEST_PAYLOAD = 2**31 - 1
# With an input unit from here on, rounding takes most of an image of 0 to 1; below, only what is dark.
COARSE_UNIT = 0.5


@dataclass(frozen=True)
class Encoding:
    """How images become input.

    Attributes
    ----------
    kind
        One of ``ENCODINGS``.
    duration_us
        How long the input lasts, microseconds; needed by Poisson and Bernoulli spikes.
    max_rate_hz
        Spikes per second at an activation of 1; Poisson needs it, for Bernoulli None is one a timestep.

    Raises
    ------
    InvalidRequest
        Settings that are unknown, out of range, missing, or of another encoding.
    """

    kind: str
    duration_us: float | None = None
    max_rate_hz: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in ENCODINGS:
            raise InvalidRequest(f"input {self.kind!r} is not known; allowed are {', '.join(ENCODINGS)}")
        if self.duration_us is not None:
            picoseconds(self.duration_us, "duration_us")
        elif self.kind in RANDOM:
            raise InvalidRequest(f"{self.kind} input needs a duration: give duration_us (--duration-us)")
        rate = self.max_rate_hz
        if rate is None:
            if self.kind == "poisson":
                raise InvalidRequest("poisson input needs a rate: give max_rate_hz (--max-rate-hz)")
        elif self.kind not in RANDOM:
            raise InvalidRequest(f"{self.kind} input draws no spikes and has no rate; leave max_rate_hz out")
        elif isinstance(rate, bool) or not (math.isfinite(rate) and 0 < rate <= PICOSECONDS_PER_SECOND):
            raise InvalidRequest(f"max_rate_hz is {rate}; allowed are numbers above 0, up to 1e12")

    @property
    def duration_ps(self) -> int | None:
        """The duration in picoseconds."""
        return None if self.duration_us is None else picoseconds(self.duration_us, "duration_us")

    @property
    def largest(self) -> float:
        """The largest magnitude an image may have: 1 where it is a share of the largest rate."""
        return 1.0 if self.kind in RANDOM else LARGEST_VALUE


def encode(
    image: NDArray[Any],
    encoding: Encoding,
    unit: float = 1.0,
    step_ps: int = 0,
    seed: int = 0,
    sample: int = 0,
    where: str = "image",
    most: int = LARGEST_DRAW,
) -> SpikeTrain | AnalogImage:
    """An image as input; a dark one may become a spike train without spikes.

    Parameters
    ----------
    image
        Shape (y, x, channel), of the input population's size; see ``image_values``.
    encoding
        How.
    unit
        Activation that one spike stands for, for charges.
    step_ps
        Timestep of Bernoulli spikes, picoseconds.
    seed, sample
        Key of the random draws, integers from 0 to 2^64 - 1.
    where
        What a message calls the image.
    most
        Spikes that may be drawn.

    Raises
    ------
    InvalidEvents
        Values the encoding cannot take.
    InvalidRequest
        No timestep for Bernoulli spikes, or a rate above one spike a step.
    EventLimitReached
        More spikes than ``most`` or ``LARGEST_DRAW``; they are not drawn.
    """
    values = image_values(image, where, encoding.largest)
    duration = encoding.duration_ps
    if encoding.kind == "analog":
        return AnalogImage(values, duration)
    flat = values.reshape(-1)
    if encoding.kind == "charge":
        return _charges(flat, unit, duration, where)
    assert duration is not None
    rate = None if encoding.max_rate_hz is None else float(encoding.max_rate_hz)
    generator = keyed_generator(seed, sample, f"{encoding.kind} input")
    shares = np.abs(flat)
    if rate is not None and encoding.kind == "poisson":
        _refuse_many(float(shares.sum()) * rate * duration / PICOSECONDS_PER_SECOND, most, encoding, where)
        time, neuron = _poisson(shares, duration, rate, generator)
    else:
        highest = highest_probability(rate, step_ps)
        _refuse_many(float(shares.sum()) * highest * -(-duration // step_ps), most, encoding, where)
        # At a rate, a step that the end cuts short holds fewer spikes.
        cut = 1.0 if rate is None else ((duration - 1) % step_ps + 1) / step_ps
        time, neuron = _bernoulli(shares * highest, duration, step_ps, generator, cut)
    signs = np.where(flat < 0, -1, 1)[neuron] if (flat < 0).any() else None
    return sorted_train(time, neuron, signs, duration)


def _charges(values: NDArray[np.float64], unit: float, duration: int | None, where: str) -> SpikeTrain:
    payload = np.copysign(np.floor(np.abs(values / unit) + 0.5), values)
    if np.abs(payload).max(initial=0) > LARGEST_PAYLOAD:
        raise InvalidEvents(f"{where}: a charge of {np.abs(payload).max():g} input units leaves 32 bits")
    neuron = np.flatnonzero(payload)
    if not len(neuron) and values.any() and unit >= COARSE_UNIT:
        raise InvalidEvents(
            f"{where}: no value reaches half of {unit:g}, the activation of one input spike, so there are no "
            "charges; use a network with a smaller input unit, or analog input"
        )
    return SpikeTrain(np.zeros(len(neuron), np.int64), neuron, payload[neuron].astype(np.int64), duration)


def _poisson(
    shares: NDArray[np.float64], duration: int, rate_hz: float, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times and neurons of independent Poisson processes.

    Drawn as one process of the summed rate whose spikes fall on the neurons in proportion to their
    rates, which is the same.
    """
    cumulative = np.cumsum(shares)
    nothing = np.zeros(0, np.int64)
    total = float(cumulative[-1]) if len(cumulative) else 0.0
    if total == 0.0:
        return nothing, nothing
    mean = PICOSECONDS_PER_SECOND / (rate_hz * total)
    last = int(np.flatnonzero(shares)[-1])
    times, neurons, reached = [nothing], [nothing], 0.0
    while reached < duration:
        time = reached + np.cumsum(exponential(generator, BLOCK)) * mean
        # A product with the total may round up to it.
        neuron = np.minimum(np.searchsorted(cumulative, generator.random(BLOCK) * total, "right"), last)
        inside = time < duration
        times.append(time[inside].astype(np.int64))
        neurons.append(neuron[inside])
        reached = float(time[-1])
    return np.concatenate(times), np.concatenate(neurons)


def highest_probability(rate_hz: float | None, step_ps: int) -> float:
    """The probability of a Bernoulli spike per timestep at an activation of 1; without a rate it is 1.

    Raises
    ------
    InvalidRequest
        No timestep, or more than one spike in each.
    """
    if step_ps <= 0:
        raise InvalidRequest("bernoulli input needs the length of a timestep: give step_us (--step-us)")
    highest = 1.0 if rate_hz is None else float(rate_hz) * step_ps / PICOSECONDS_PER_SECOND
    if highest > 1.0 + 1e-9:  # a rate of 1 / step may round up
        raise InvalidRequest(
            f"max_rate_hz {rate_hz:g} makes {highest:g} spikes per timestep of {step_ps / 1e6:g} "
            "microseconds; bernoulli input has at most one"
        )
    return highest


def _bernoulli(
    probability: NDArray[np.float64], duration: int, step: int, generator: np.random.Generator, cut: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times and neurons of one draw per neuron and timestep; spikes stand at the start of their step.

    In the last step the probability is the share ``cut`` of that in the others.
    """
    neurons, steps = len(probability), -(-duration // step)
    times, fired = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    block = max(1, DRAWS_AT_ONCE // max(1, neurons))
    for first in range(0, steps, block):
        drawn = generator.random((min(block, steps - first), neurons))
        fires = drawn < probability
        if first + len(drawn) == steps:
            fires[-1] = drawn[-1] < probability * cut
        at, neuron = np.nonzero(fires)
        times.append((first + at) * step)
        fired.append(neuron)
    return np.concatenate(times), np.concatenate(fired)


def _refuse_many(expected: float, most: int, encoding: Encoding, where: str) -> None:
    """Refuse before drawing what would not fit; a draw is within six deviations of what is expected."""
    if expected - 6 * math.sqrt(expected) <= min(most, LARGEST_DRAW):
        return
    bound = f"max_events (--max-events) is {most}"
    if most > LARGEST_DRAW:
        bound = f"at most {LARGEST_DRAW} are drawn for a sample"
    raise EventLimitReached(
        f"{where}: {encoding.duration_us:g} microseconds of {encoding.kind} input are about {expected:.3g} "
        f"spikes, and {bound}; use a shorter duration or a lower rate"
    )
