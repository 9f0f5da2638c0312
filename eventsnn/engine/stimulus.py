"""The input of one sample, and how recordings become it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidEvents
from eventsnn.network import Network
from eventsnn.network.neurons import CHARGE_LIMIT

TICKS_PER_MICROSECOND = 10**6
LAST_TICK = 2**62
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Stimulus:
    """The input of one sample: spikes, analog values, or both.

    Spikes of one neuron at one tick keep their order in the list.

    Parameters
    ----------
    time : int64 array, shape (events,)
        Ticks since the sample's start, sorted by (time, neuron).
    neuron : int64 array, shape (events,)
        Index into the input population.
    payload : int64 array, shape (events,), or None
        What each spike carries, not 0 and within 32 bits; None is +1 each. A payload other than +1 and -1
        costs a multiplication per target.
    analog : int64 array, shape (input neurons,), or None
        Values held from time 0 to the end of the input, in parts of ``Input.analog_scale``. A population
        fed by the input takes ``round_half_away(sum_i w_ji x_i / analog_scale)``, the sum over all its
        projections from the input: rate neurons and outputs with a period add it to their bias (law 3),
        signed neurons and outputs without one have it as a charge at time 0, which a test of the whole
        population follows. It takes no time to arrive, whatever delay or accelerator. Computed once and
        counted as a multiplication per synapse, zero values included, at the target; not as SOPs.
    duration : int or None
        Tick at which the input ends, at least that of the last event: currents flow until then, and a run
        that nothing stops is not over before. None is the tick of the last event.
    analog_time : int or None
        Ticks over which an analog value acts on a current once: of the sum, a population with the period P
        takes the share P / analog_time, rounded once. None is once per period.
    """

    time: Int64
    neuron: Int64
    payload: Int64 | None = None
    analog: Int64 | None = None
    duration: int | None = None
    analog_time: int | None = None

    @property
    def first(self) -> int:
        """Tick of the first event; 0 when an analog value is there from the start."""
        return 0 if self.analog is not None or not len(self.time) else int(self.time[0])

    @property
    def end(self) -> int:
        """Tick at which the input ends: currents flow until then."""
        last = int(self.time[-1]) if len(self.time) else 0
        return last if self.duration is None else max(last, self.duration)


def stimulus_from_events(events: NDArray[Any], network: Network, where: str = "recording") -> Stimulus:
    """Address events as input spikes.

    Parameters
    ----------
    events : structured array with fields t (us), x, y, p
        Shape (events,), non-decreasing in t.
    network : Network
        Its input population has shape (height, width, 2), polarity ON = channel 1, or
        (height, width, 1), polarities merged.

    Raises
    ------
    InvalidEvents
        No events, events outside the input population, time going backwards or negative.
    """
    from eventsnn.events import validate_events

    height, width, channels = network.populations[network.input].shape
    if channels not in (1, 2):
        raise InvalidEvents(
            f"{where}: the network's input has {channels} channels; event streams need 2 (OFF, ON) or 1"
        )
    validate_events(events, height, width, where)
    if len(events) == 0:
        raise InvalidEvents(f"{where}: there are no events; a sample needs at least one")
    pixel = events["y"].astype(np.int64) * width + events["x"].astype(np.int64)
    neuron = pixel * 2 + events["p"].astype(np.int64) if channels == 2 else pixel
    time = events["t"].astype(np.int64) * TICKS_PER_MICROSECOND
    # Times do not decrease, so it is only within a tick that spikes may change places.
    tick = np.cumsum(np.diff(time, prepend=time[0]) > 0)
    order = np.argsort(tick * (height * width * channels) + neuron, kind="stable")
    return Stimulus(time[order], neuron[order])


def check_stimulus(stimulus: Stimulus, network: Network) -> None:
    """Refuse a stimulus that is not what ``Stimulus`` says, or not for this network.

    Raises
    ------
    InvalidEvents
    """
    time, neuron = np.asarray(stimulus.time), np.asarray(stimulus.neuron)
    size = network.populations[network.input].size
    for what, values in (("time", time), ("neuron", neuron), ("payload", stimulus.payload)):
        if values is not None and (values.shape != (time.size,) or not _whole(values)):
            raise InvalidEvents(
                f"input {what} has shape {values.shape} and dtype {values.dtype}; it needs one whole number "
                f"for each of {time.size} events"
            )
    if time.size == 0 and stimulus.analog is None and stimulus.duration is None:
        raise InvalidEvents(
            "there are neither events nor analog values, and no duration; a sample needs at least one"
        )
    if time.size:
        ascending = not (time[1:] < time[:-1]).any()
        earliest, latest = (time[0], time[-1]) if ascending else (time.min(), time.max())
        if int(earliest) < 0 or int(latest) >= LAST_TICK:
            raise InvalidEvents("input times are ticks from 0 to 2^62")
        lowest, highest = int(neuron.min()), int(neuron.max())
        if lowest < 0 or highest >= size:
            raise InvalidEvents(
                f"input neurons are {lowest} to {highest}; the population {network.input!r} has 0 to "
                f"{size - 1}"
            )
        if not ascending or ((time[1:] == time[:-1]) & (neuron[1:] < neuron[:-1])).any():
            raise InvalidEvents("input events are not sorted by (time, neuron)")
    payload = stimulus.payload
    if payload is not None and time.size:
        if bool((payload == 0).any()):
            raise InvalidEvents("an input payload is 0; leave the event out")
        if int(payload.min()) < -CHARGE_LIMIT or int(payload.max()) > CHARGE_LIMIT:
            raise InvalidEvents("an input payload leaves the 32-bit range")
    if stimulus.duration is not None and not 0 <= stimulus.duration < LAST_TICK:
        raise InvalidEvents(f"the duration is {stimulus.duration} ticks; allowed are 0 to 2^62")
    if stimulus.analog_time is not None and not 0 < stimulus.analog_time < LAST_TICK:
        raise InvalidEvents(f"analog_time is {stimulus.analog_time} ticks; allowed are 1 to 2^62")
    analog = stimulus.analog
    if analog is not None and (analog.shape != (size,) or not _whole(analog)):
        raise InvalidEvents(
            f"analog values have shape {analog.shape} and dtype {analog.dtype}; the population "
            f"{network.input!r} takes {size} whole numbers of parts of analog_scale"
        )


def _whole(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "iu"
