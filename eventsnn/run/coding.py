"""How samples become the input of a network: what its file says, with what the user set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventsnn.engine.request import takes_current
from eventsnn.errors import InvalidRequest
from eventsnn.events import Encoding
from eventsnn.events.encoders import LARGEST_DRAW, RANDOM
from eventsnn.events.inputs import picoseconds
from eventsnn.network import InputContract, Network

if TYPE_CHECKING:
    from eventsnn.run.settings import Settings

# How far a given rate may be from the one that the network's input unit asks for.
RATE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Coding:
    """How samples become input, for one network.

    Attributes
    ----------
    encoding
        Of images; None if neither the user nor the network says.
    named
        Whether the user named the encoding, so that samples which take none are a contradiction.
    duration_ps
        How long the input lasts where a sample does not say it.
    step_ps
        Timestep of Bernoulli spikes, 0 for others.
    seed
        Of drawn spikes.
    origin
        ``"file"`` or ``"first-event"``; None is as each recording says.
    most
        Input spikes that may be drawn.
    contract
        What the input of a converted network means; None for others.
    stands_ps
        The time for which bias currents stand, over which an analog value acts once; None is each sample's
        own duration.
    each_period
        Whether an analog value acts once in each period of the biases instead: where the contract knows no
        time for which they stand, it is a period, in which a bias adds b.
    """

    encoding: Encoding | None = None
    named: bool = False
    duration_ps: int | None = None
    step_ps: int = 0
    seed: int = 0
    origin: str | None = None
    most: int = LARGEST_DRAW
    contract: InputContract | None = None
    stands_ps: int | None = None
    each_period: bool = False


def coding_of(settings: Settings, network: Network) -> Coding:
    """How samples become input of a network.

    Raises
    ------
    InvalidRequest
        What is set contradicts the network, or lacks something.
    """
    contract, kind = network.contract, settings.image_coding(network)
    if settings.scale_currents:
        _check_scaling(network)
    if contract is not None and settings.input is not None:
        _check_coding(settings.input, contract)
    _check_belongs(settings, kind)
    duration_us, rate = settings.duration_us, settings.max_rate_hz
    if contract is not None and kind is not None and duration_us is None:
        duration_us = contract.duration_us
    stands_us = None if contract is None or settings.scale_currents else bias_time_us(network)
    if contract is not None and contract.step_us is not None:
        stands_us = contract.step_us
    step = settings.timestep_ps(network) if kind == "bernoulli" else 0
    if contract is not None and kind in RANDOM and duration_us is not None:
        rate = _rate(kind, rate, stands_us or duration_us, network, step)
    return Coding(
        encoding=None if kind is None else Encoding(kind, duration_us, rate),
        named=settings.input is not None,
        duration_ps=None if duration_us is None else picoseconds(duration_us, "duration_us"),
        step_ps=step,
        seed=settings.seed,
        origin=settings.origin,
        most=settings.max_events,
        contract=contract,
        stands_ps=None if stands_us is None else picoseconds(stands_us, "the network's duration_us"),
        each_period=contract is not None and contract.duration_us is None and not settings.scale_currents,
    )


def bias_time_us(network: Network) -> float | None:
    """Microseconds for which the bias currents of a converted network stand; None where there are none.

    Those of a network that was trained in steps come in each, whatever the length of a sample.
    """
    if (
        network.contract is None
        or network.contract.step_us is not None
        or not any(takes_current(population) for population in network)
    ):
        return None
    return network.contract.duration_us


def has_currents(network: Network) -> bool:
    """Whether biases flow as currents."""
    return any(takes_current(p) and bool(network.bias(p.name).any()) for p in network)


def _check_scaling(network: Network) -> None:
    if not any(takes_current(population) for population in network):
        raise InvalidRequest(
            "scale_currents (--scale-currents) scales bias currents, and this network has none: its biases "
            "are charges, which stand for a sample of any length. Leave it out"
        )
    if network.contract is not None and network.contract.step_us is not None:
        raise InvalidRequest(
            "scale_currents (--scale-currents) scales bias currents to the length of a sample, and "
            "those of this "
            "network come once in each of its steps; leave it out"
        )
    if has_currents(network) and bias_time_us(network) is None:
        raise InvalidRequest(
            "scale_currents (--scale-currents) needs the duration for which the network's bias currents "
            "stand, and its file does not say it; convert the network again, or leave it out"
        )


def _check_coding(kind: str, contract: InputContract) -> None:
    meant = contract.coding
    if meant in (None, kind) or (meant in RANDOM and kind in RANDOM):
        return
    raise InvalidRequest(
        f"input {kind!r} (--input) contradicts the network, which was converted for {words(contract)}; leave "
        f"it out, or convert the network with input={kind!r}"
    )


def words(contract: InputContract) -> str:
    """What a network was converted for."""
    return "event recordings" if contract.coding == "events" else f"{contract.coding} images"


def _check_belongs(settings: Settings, kind: str | None) -> None:
    """Refuse what belongs to another coding or schedule."""
    if kind is None and settings.max_rate_hz is not None:
        raise InvalidRequest(
            "max_rate_hz (--max-rate-hz) is the rate of spikes drawn from images; use it with "
            "input='poisson' or 'bernoulli' (--input)"
        )
    if settings.step_us is not None and settings.schedule != "step" and kind != "bernoulli":
        raise InvalidRequest(
            "step_us (--step-us) is the length of a timestep, and nothing here has timesteps; use "
            "schedule='step' (--schedule step), or leave it out"
        )


def _rate(kind: str, given: float | None, stands_us: float, network: Network, step_ps: int) -> float:
    """Spikes per second at an activation of 1, so that they add up to it over the time of a bias."""
    neuron: Any = network.populations[network.input].neuron
    right = 1e6 / (stands_us * neuron.unit)
    if given is not None and abs(given / right - 1.0) > RATE_TOLERANCE:
        raise InvalidRequest(
            f"max_rate_hz {given:g} (--max-rate-hz) contradicts the network: one input spike stands for an "
            f"activation of {neuron.unit:.9g}, so over {stands_us:.9g} microseconds the rate is "
            f"{right:.9g} Hz; give that, or leave it out"
        )
    if kind == "bernoulli" and right * step_ps > 1e12 * (1.0 + 1e-9):
        least = step_ps / 1e6 / neuron.unit
        raise InvalidRequest(
            f"bernoulli input has at most one spike a timestep, and the network's input unit of "
            f"{neuron.unit:.9g} asks for {right * step_ps / 1e12:.6g} in each step of {step_ps / 1e6:.9g} "
            f"microseconds; use steps of at most {stands_us * neuron.unit:.9g} microseconds (step_us, "
            f"--step-us), or a bias time of at least {least:.9g} (duration_us, --duration-us, of signed "
            "networks and at conversion)"
        )
    return right
