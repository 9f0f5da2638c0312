"""Any sample as the stimulus of a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine import Stimulus, stimulus_from_events
from eventsnn.engine.request import takes_current
from eventsnn.engine.stimulus import check_stimulus
from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events import AnalogImage, Encoding, Recording, Sample, SpikeTrain, encode
from eventsnn.network import Network

# Analog values stay whole numbers in float64.
LARGEST_PARTS = 2**53


def content_of(item: Recording | Sample) -> Any:
    """What a sample holds: events, a spike train, an analog image, or an image."""
    return item.events if isinstance(item, Recording) else item.content


def is_image(content: Any) -> bool:
    """Whether a sample's content is an image that is still to be encoded."""
    return isinstance(content, np.ndarray) and content.dtype.names is None


def make_stimulus(
    item: Recording | Sample,
    network: Network,
    encoding: Encoding | None = None,
    duration_ps: int | None = None,
    step_ps: int = 0,
    seed: int = 0,
) -> Stimulus:
    """A sample as input of a network.

    Parameters
    ----------
    item : Recording or Sample
    network : Network
    encoding : Encoding or None
        Of images; other samples take none.
    duration_ps : int or None
        How long the input lasts where the sample does not say it.
    step_ps : int
        Timestep of Bernoulli spikes.
    seed : int
        Of spikes that are drawn; keyed with the sample's index.

    Raises
    ------
    InvalidEvents, InvalidRequest
        The sample is not one that this network can take.
    """
    content, where = content_of(item), item.name
    if is_image(content):
        if encoding is None:
            raise InvalidRequest(
                f"{where} is an image; say how it becomes input: input= (--input) analog, poisson, bernoulli "
                "or charge"
            )
        image = in_shape(content, network, where)
        unit = _input(network).unit
        content = encode(image, encoding, unit, step_ps, seed % 2**64, item.index % 2**64, where)
    elif encoding is not None:
        raise InvalidRequest(
            f"input {encoding.kind!r} encodes images, and {where} is none; leave input= (--input) out"
        )
    if isinstance(content, np.ndarray):
        stimulus = stimulus_from_events(content, network, where)
    elif isinstance(content, SpikeTrain):
        stimulus = Stimulus(content.time_ps, content.neuron, content.payload, None, content.duration_ps)
    else:
        nothing = np.zeros(0, dtype=np.int64)
        parts = analog_parts(content, network, where)
        stimulus = Stimulus(nothing, nothing, None, parts, content.duration_ps)
    if stimulus.duration is None:
        stimulus = replace(stimulus, duration=duration_ps)
    try:
        check_stimulus(stimulus, network)
    except InvalidEvents as error:
        raise InvalidEvents(f"{where}: {error}") from error
    if stimulus.duration is None and stimulus.end == 0:
        _require_no_currents(network, stimulus, where)
    return stimulus


def _input(network: Network) -> Any:
    return network.populations[network.input].neuron


def in_shape(image: NDArray, network: Network, where: str) -> NDArray:
    """An image in the shape of the input population (y, x, channel).

    One channel may be left out, and an image of one channel goes to or from a row of neurons (1, 1, n).

    Raises
    ------
    InvalidRequest
        Another shape.
    """
    wanted = network.populations[network.input].shape
    found = {1: (1, 1, *image.shape), 2: (*image.shape, 1)}.get(image.ndim, image.shape)
    row_major = (wanted[:2] == (1, 1) and found[-1] == 1) or (found[:2] == (1, 1) and wanted[2] == 1)
    if found == wanted or (len(found) == 3 and row_major and image.size == np.prod(wanted)):
        return image.reshape(wanted)
    hint = ""
    if len(found) == 3 and (found[1], found[2], found[0]) == wanted:
        hint = ". This one has its channels first: move them to the end"
    raise InvalidRequest(
        f"{where} has shape {tuple(image.shape)}, the network's input {wanted}, both as (y, x, channel){hint}"
    )


def analog_parts(image: AnalogImage, network: Network, where: str) -> NDArray[np.int64]:
    """The values of an analog image in parts of the input's ``analog_scale``, halves away from zero.

    Raises
    ------
    InvalidEvents
        Values that are not finite, or too large.
    """
    neuron = _input(network)
    values = in_shape(np.asarray(image.values, dtype=np.float64), network, where).reshape(-1)
    parts = np.floor(np.abs(values) * (neuron.analog_scale / neuron.unit) + 0.5)
    if not np.isfinite(parts).all() or parts.max(initial=0) > LARGEST_PARTS:
        raise InvalidEvents(f"{where} holds NaN, infinite, or too large values; remove or scale them")
    return np.where(values < 0, -parts, parts).astype(np.int64)


def _require_no_currents(network: Network, stimulus: Stimulus, where: str) -> None:
    """All input at time 0 ends there, and with it every current: no run of a network that has some."""
    for population in network:
        fed = stimulus.analog is not None or bool(network.bias(population.name).any())
        if takes_current(population) and fed:
            raise InvalidRequest(
                f"{where}: all input stands at time 0, and the currents of population {population.name!r} "
                "flow until the input ends; give duration_us (--duration-us)"
            )
