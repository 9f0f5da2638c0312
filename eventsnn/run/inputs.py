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
from eventsnn.events import AnalogImage, Recording, Sample, SpikeTrain, encode
from eventsnn.events.images import image_values
from eventsnn.events.inputs import picoseconds
from eventsnn.network import InputContract, Network
from eventsnn.run.coding import Coding, words

# Analog values stay whole numbers in float64.
LARGEST_PARTS = 2**53


def content_of(item: Recording | Sample) -> Any:
    """What a sample holds: events, a spike train, an analog image, or an image."""
    return item.events if isinstance(item, Recording) else item.content


def is_image(content: Any) -> bool:
    """Whether a sample's content is an image that is still to be encoded."""
    return isinstance(content, np.ndarray) and content.dtype.names is None


def is_events(content: Any) -> bool:
    """Whether a sample's content is a structured array of events."""
    return isinstance(content, np.ndarray) and content.dtype.names is not None


def make_stimulus(item: Recording | Sample, network: Network, coding: Coding) -> Stimulus:
    """A sample as input of a network, its origin at time 0.

    Raises
    ------
    InvalidEvents, InvalidRequest
        The sample is not one that this network can take, or the coding is not of such samples.
    EventLimitReached
        Too many spikes would be drawn.
    """
    content, where = content_of(item), item.name
    if is_image(content):
        content = _encoded(item, content, network, coding)
    else:
        _check_kind(content, where, coding)
    if isinstance(content, np.ndarray):
        stimulus = stimulus_from_events(_from_origin(item, content, coding), network, where)
    elif isinstance(content, SpikeTrain):
        stimulus = Stimulus(content.time_ps, content.neuron, content.payload, None, content.duration_ps)
    else:
        nothing = np.zeros(0, dtype=np.int64)
        parts = analog_parts(content, network, where, coding.contract)
        stimulus = Stimulus(nothing, nothing, None, parts, content.duration_ps)
    if stimulus.duration is None:
        stimulus = replace(stimulus, duration=coding.duration_ps)
    dark = is_image(content_of(item)) and stimulus.analog is None and not len(stimulus.time)
    if dark and stimulus.duration is None:
        # A dark image is a sample as well: what answers then is the biases.
        stimulus = replace(stimulus, duration=_duration_of_an_instant(network, stimulus, coding, where) or 0)
    try:
        check_stimulus(stimulus, network)
    except InvalidEvents as error:
        raise InvalidEvents(f"{where}: {error}") from error
    if stimulus.duration is None and stimulus.end == 0:
        stimulus = replace(stimulus, duration=_duration_of_an_instant(network, stimulus, coding, where))
    if stimulus.analog is not None and coding.contract is not None and not coding.each_period:
        stimulus = replace(stimulus, analog_time=coding.stands_ps or stimulus.end or None)
    return stimulus


def _encoded(
    item: Recording | Sample, image: NDArray[Any], network: Network, coding: Coding
) -> SpikeTrain | AnalogImage:
    contract, where = coding.contract, item.name
    _refuse_origin(coding, where, "an image")
    if contract is not None and contract.coding == "events":
        raise InvalidRequest(
            f"{where} is an image; the network was converted for {words(contract)}. Convert it with images, "
            "or give events"
        )
    if coding.encoding is None:
        raise InvalidRequest(
            f"{where} is an image; say how it becomes input: input= (--input) analog, poisson, bernoulli "
            "or charge"
        )
    shaped = in_shape(image, network, where)
    _check_values(shaped, where, contract)
    return encode(
        shaped,
        coding.encoding,
        _input(network).unit,
        coding.step_ps,
        coding.seed % 2**64,
        item.index % 2**64,
        where,
        coding.most,
    )


def _check_kind(content: Any, where: str, coding: Coding) -> None:
    """Refuse what is no image where the network, or the user, means images, or another kind of them."""
    contract = coding.contract
    meant = None if contract is None else contract.coding
    what = {SpikeTrain: "a spike train", AnalogImage: "an analog image"}.get(type(content), "events")
    refused = {
        "events": ("an analog image",),
        "analog": ("a spike train", "events"),
        "charge": ("an analog image", "events"),
        "poisson": ("an analog image", "events"),
        "bernoulli": ("an analog image", "events"),
    }
    if contract is not None and meant is not None and what in refused[meant]:
        raise InvalidRequest(
            f"{where} holds {what}; the network was converted for {words(contract)}. Give those, or convert "
            "the network with samples of this kind"
        )
    if coding.named and coding.encoding is not None:
        raise InvalidRequest(
            f"input {coding.encoding.kind!r} encodes images, and {where} is none; leave input= (--input) out"
        )
    if what != "events":
        _refuse_origin(coding, where, what)


def _refuse_origin(coding: Coding, where: str, what: str) -> None:
    if coding.origin is not None:
        raise InvalidRequest(
            f"origin (--origin) is the time zero of recordings, and {where} is {what}, which starts at 0; "
            "leave it out"
        )


def origin_of(item: Recording | Sample, coding: Coding) -> str:
    """What a recording's time zero is: as set, else as its kind of data says."""
    return coding.origin or (item.origin if isinstance(item, Recording) else "first-event")


def _from_origin(item: Recording | Sample, events: NDArray[Any], coding: Coding) -> NDArray[Any]:
    """Events with their origin at time 0; what is damaged stays so, for the message."""
    time = events["t"] if "t" in (events.dtype.names or ()) and events.ndim == 1 else np.zeros(0)
    if origin_of(item, coding) == "file" or not len(time) or time.dtype.kind not in "iu":
        return events
    first = time[0]
    if first <= 0 or bool((time[1:] < time[:-1]).any()):
        return events
    moved = events.copy()
    moved["t"] = time - first
    return moved


def _input(network: Network) -> Any:
    return network.populations[network.input].neuron


def in_shape(image: NDArray[Any], network: Network, where: str) -> NDArray[Any]:
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


def _check_values(values: NDArray[Any], where: str, contract: InputContract | None) -> None:
    """Refuse images that a network was not converted for: normalised or not, where it was the other."""
    if contract is None or contract.coding == "events":
        return
    if contract.step_us is not None and not contract.folded:
        return  # nothing was calibrated, and the model takes what it is given
    if contract.lowest < 0 and values.dtype in (np.uint8, np.bool_):
        raise InvalidRequest(
            f"{where} has dtype {values.dtype}, which stands for 0 to 1; the network was converted for "
            f"images that had been normalised, with values down to {contract.lowest:g}. Give floats "
            "normalised the same way, or convert the network with input_mean and input_std (--input-mean, "
            "--input-std)"
        )
    if values.dtype.kind != "f" or not values.size:
        return
    lowest = float(values.min())
    # NaN is not below 0, and is refused by its name elsewhere.
    if not lowest < 0 or not (contract.folded or contract.lowest >= 0):
        return
    reason = "was converted for images without"
    if contract.folded:
        reason = "normalises images itself and takes them as they are before, without"
    raise InvalidEvents(f"{where} has values down to {lowest:g}; the network {reason} negative values")


def analog_parts(
    image: AnalogImage, network: Network, where: str, contract: InputContract | None = None
) -> NDArray[np.int64]:
    """The values of an analog image in parts of the input's ``analog_scale``, halves away from zero.

    Values are read as those of any image (``image_values``), but whole numbers other than uint8 are taken as
    they are.

    Raises
    ------
    InvalidEvents
        Values that are no numbers, not finite, or too large.
    """
    neuron = _input(network)
    given = np.asarray(image.values)
    if given.dtype.kind in "iu" and given.dtype != np.uint8:
        given = given.astype(np.float64)
    shaped = in_shape(given, network, where)
    _check_values(shaped, where, contract)
    values = image_values(shaped, where).reshape(-1)
    parts = np.floor(np.abs(values) * (neuron.analog_scale / neuron.unit) + 0.5)
    if not np.isfinite(parts).all() or parts.max(initial=0) > LARGEST_PARTS:
        raise InvalidEvents(f"{where} holds NaN, infinite, or too large values; remove or scale them")
    return np.where(values < 0, -parts, parts).astype(np.int64)


def _duration_of_an_instant(network: Network, stimulus: Stimulus, coding: Coding, where: str) -> int | None:
    """How long a sample lasts whose input all stands at time 0; None: until it is quiet.

    Currents flow until the input ends. What is one instant says nothing of its length, so that it lasts as
    long as the biases of a converted network stand; of others nobody knows.
    """
    for population in network:
        fed = stimulus.analog is not None or bool(network.bias(population.name).any())
        if not (takes_current(population) and fed):
            continue
        if coding.contract is not None and coding.contract.duration_us is not None:
            return picoseconds(coding.contract.duration_us, "the network's duration_us")
        raise InvalidRequest(
            f"{where}: all input stands at time 0, and the currents of population {population.name!r} "
            "flow until the input ends; give duration_us (--duration-us)"
        )
    return None
