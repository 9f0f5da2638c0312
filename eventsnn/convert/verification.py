"""Law 9 checked on a converted network: simulated samples end where the quantised network says, exactly.

A network of signed neurons is promised to end, once its input has drained, with the counts of the integer
quantised network, in any order of deliveries. Here the compiled engine runs a few samples as a run would, and
every neuron's final count (a readout's final charge) is compared with ``quantised_activations``. A network of
which one neuron deviates is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.encoded import drawn, encoded_counts
from eventsnn.convert.quantised import quantised_activations
from eventsnn.convert.samples import Samples
from eventsnn.counting import COLUMN
from eventsnn.engine import Stimulus, make_engine, stimulus_from_events
from eventsnn.engine.contract import TICKS_PER_MICROSECOND
from eventsnn.errors import InvalidNetwork
from eventsnn.network import Network
from eventsnn.network.contract import DRAWN

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

SPREAD_US = 100_000
"""Microseconds over which events are spread that come as counts alone."""


@dataclass(frozen=True)
class Verification:
    """What was run and compared; none deviates, or there would be an error.

    Attributes
    ----------
    samples : int
    neurons : int
        Of each sample: all but those of the input.
    synaptic_operations : tuple of int
        Of each sample.
    """

    samples: int
    neurons: int
    synaptic_operations: tuple[int, ...]

    def document(self) -> dict[str, int]:
        """As it stands in a network's metadata, ``conversion.verified``."""
        return {"samples": self.samples, "neurons": self.neurons, "deviating": 0}


def verify(
    network: Network, read: Samples, count: int, progress: Callable[[int, int], None] | None = None
) -> Verification:
    """Run samples, taken evenly over all, and compare every neuron's final state.

    Parameters
    ----------
    network : Network
        Signed.
    read : Samples
        With the network's unit.
    count : int
        Samples to run; all if there are fewer.
    progress : callable, optional
        Called with samples done and samples in all.

    Raises
    ------
    InvalidNetwork
        A neuron deviates.
    InvalidRequest
        A network of which the final state depends on time; samples that no input gives.
    """
    engine = make_engine("compiled", network)
    order = network.order[1:]
    places = np.arange(min(count, read.count)) * read.count // min(count, read.count)
    operations: list[int] = []
    for place in places.tolist():
        values = _image(network, read.values(place, place + 1))
        found = encoded_counts(network, values, read.indices[place : place + 1])
        expected = quantised_activations(network, found.counts, found.analog)
        index = int(read.indices[place])
        run = engine.run(_stimulus(network, read, place, values[0], found.counts[0], found.analog), index)
        for name in order:
            reached = run.charge if network.populations[name].neuron.emits == "nothing" else run.counts
            _require_equal(name, index, reached[name], expected[name][0])
        if progress is not None:
            progress(len(operations) + 1, len(places))
        operations.append(int(run.counters[:, COLUMN["synaptic_operations"]].sum()))
    neurons = sum(network.populations[name].size for name in order)
    return Verification(len(places), neurons, tuple(operations))


def with_verification(network: Network, verification: Verification) -> Network:
    """The same network, saying in its metadata that it was verified."""
    record = {**network.metadata.get("conversion", {}), "verified": verification.document()}
    if "levels_budget" in record:  # beside what was expected
        mean = float(np.mean(verification.synaptic_operations))
        record["verified"] = {**record["verified"], "mean_synaptic_operations": mean}
    metadata = {**network.metadata, "conversion": record}
    return Network(network.populations.values(), network.projections.values(), metadata)


def _image(network: Network, values: Float64) -> Float64:
    y, x, channels = network.populations[network.input].shape
    return values.reshape(-1, channels, y, x).transpose(0, 2, 3, 1)


def _stimulus(
    network: Network, read: Samples, place: int, image: Float64, counts: Int64, analog: bool
) -> Stimulus:
    """A sample as the input of a run; event counts without times are spread over some."""
    coding = None if network.contract is None else network.contract.coding
    nothing = np.zeros(0, dtype=np.int64)
    if analog:
        return Stimulus(nothing, nothing, None, counts)
    if coding in DRAWN:
        train = drawn(network, image, int(read.indices[place]))
        if train is None:
            return Stimulus(nothing, nothing, duration=0)
        return Stimulus(train.time_ps, train.neuron, train.payload, None, train.duration_ps)
    if read.events is not None:
        events = read.events(place)
        if len(events):
            return stimulus_from_events(events, network, f"sample {read.indices[place]}")
    neuron = np.flatnonzero(counts)
    if coding == "charge" or not neuron.size:
        return Stimulus(np.zeros(neuron.size, dtype=np.int64), neuron, counts[neuron], None, 0)
    each = np.repeat(neuron, counts[neuron])
    time = np.random.default_rng(place).integers(0, SPREAD_US, each.size) * TICKS_PER_MICROSECOND
    order = np.lexsort((each, time))
    return Stimulus(time[order], each[order])


def _require_equal(name: str, index: int, found: Int64, expected: Int64) -> None:
    wrong = np.flatnonzero(found != expected)
    if wrong.size:
        first = int(wrong[0])
        raise InvalidNetwork(
            f"population {name!r} deviates from the quantised network in {wrong.size} of {found.size} "
            f"neurons on sample {index}: neuron {first} ended with {int(found[first])}, and "
            f"{int(expected[first])} is right. Do not use this network, and report the model: a conversion "
            "promises that none deviates"
        )
