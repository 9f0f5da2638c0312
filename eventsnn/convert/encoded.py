"""What a run would feed a network for images, without time: counts, charges, or parts of analog values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events import Encoding, SpikeTrain, encode
from eventsnn.network import Network
from eventsnn.network.contract import DRAWN

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Encoded:
    """The input of several samples, each summed over time.

    Attributes
    ----------
    counts : int64 array, shape (samples, input neurons)
        Spikes times payload of each input neuron; parts of ``analog_scale`` of analog values.
    analog : bool
    """

    counts: Int64
    analog: bool = False


def encoded_counts(network: Network, values: Float64, indices: Int64, seed: int = 0) -> Encoded:
    """The summed input of samples, as the network's contract says.

    Parameters
    ----------
    network : Network
    values : float64 array, shape (samples, y, x, channel)
        Image values, or event counts times the input's unit.
    indices : int64 array, shape (samples,)
        Of the samples in their data set; with ``seed`` the key of spikes that are drawn. Bernoulli spikes
        are drawn at steps of one over the rate.
    seed : int

    Raises
    ------
    InvalidRequest
        Values that events cannot give, or that spikes cannot be drawn for.
    """
    neuron: Any = network.populations[network.input].neuron
    coding = None if network.contract is None else network.contract.coding
    flat = values.reshape(len(values), -1)
    if coding == "charge":
        return Encoded(np.copysign(np.floor(np.abs(flat / neuron.unit) + 0.5), flat).astype(np.int64))
    if coding == "analog":
        parts = np.floor(np.abs(flat) * (neuron.analog_scale / neuron.unit) + 0.5)
        return Encoded(np.copysign(parts, flat).astype(np.int64), True)
    if coding in DRAWN:
        trains = [drawn(network, v, int(i), seed) for v, i in zip(values, indices, strict=True)]
        return Encoded(np.stack([_summed(train, flat.shape[1]) for train in trains]))
    counts = flat / neuron.unit
    whole = np.rint(counts)
    if np.abs(counts - whole).max(initial=0.0) > 1e-6 * max(1.0, float(whole.max(initial=0.0))):
        raise InvalidRequest(
            f"the samples are no whole multiples of the network's input scale {neuron.unit:.6g}, so no "
            "events give them; use event counts times the input scale, or convert with "
            "input='analog' or 'charge'"
        )
    return Encoded(whole.astype(np.int64))


def drawn(network: Network, image: Float64, index: int, seed: int = 0) -> SpikeTrain | None:
    """The spikes that a run draws for an image; None if it draws none.

    Raises
    ------
    InvalidRequest
        Values beyond 1.
    """
    contract = network.contract
    neuron: Any = network.populations[network.input].neuron
    assert contract is not None
    assert contract.coding is not None
    assert contract.duration_us is not None
    if float(np.abs(image).max(initial=0.0)) > 1:
        raise InvalidRequest(
            f"sample {index} reaches {np.abs(image).max():g}; {contract.coding} input takes images from "
            "0 to 1 (or -1 to 1)"
        )
    rate = 1e6 / (neuron.unit * contract.duration_us)
    encoding = Encoding(contract.coding, contract.duration_us, rate)
    try:
        found = encode(image, encoding, neuron.unit, round(1e12 / rate), seed, index % 2**64)
    except InvalidEvents:  # the values are checked: no spike was drawn
        return None
    assert isinstance(found, SpikeTrain)
    return found


def _summed(train: SpikeTrain | None, neurons: int) -> Int64:
    total = np.zeros(neurons, dtype=np.int64)
    if train is not None:
        np.add.at(total, train.neuron, 1 if train.payload is None else train.payload)
    return total
