"""What the input of a network to be converted means: coding, duration, and the activation of one spike."""

from __future__ import annotations

from eventsnn.convert.samples import EVENTS, IMAGES, Samples
from eventsnn.convert.settings import Settings
from eventsnn.errors import InvalidRequest
from eventsnn.network.contract import DRAWN

DEFAULT_DURATION_US = 100_000.0
"""Microseconds for which an image stands, where its coding or a bias current needs a time."""

DEFAULT_RATE_HZ = 1000.0
"""Spikes per second at an activation of 1."""

CHARGE_UNIT = 1 / 255
"""Activation of one unit of charge: a step of an 8-bit image."""

AGREES = 1e-6
LARGEST_PAYLOAD = 2**31 - 1


def coding_of(samples: Samples, settings: Settings) -> str | None:
    """One of ``CODINGS``, declared or told by the calibration data; None if neither says."""
    if settings.input is not None:
        return settings.input
    if samples.kind == IMAGES:
        return "charge" if settings.neuron == "signed" else "analog"
    return samples.kind


def duration_of(samples: Samples, settings: Settings, coding: str | None) -> float | None:
    """Microseconds that a sample lasts, and a bias current stands for."""
    if settings.duration_us is not None:
        return float(settings.duration_us)
    if samples.duration_us:
        return samples.duration_us
    if coding in DRAWN or (coding not in (None, EVENTS) and settings.neuron == "rate"):
        return DEFAULT_DURATION_US
    return None


def unit_of(settings: Settings, coding: str | None, duration_us: float | None) -> float:
    """The activation of one input spike.

    Raises
    ------
    InvalidRequest
        ``input_scale`` and ``max_rate_hz`` contradict each other.
    """
    given = None if settings.input_scale is None else float(settings.input_scale)
    if coding not in DRAWN:
        return given if given is not None else CHARGE_UNIT if coding == "charge" else 1.0
    assert duration_us is not None
    rate = settings.max_rate_hz
    if given is None:
        return 1e6 / (float(DEFAULT_RATE_HZ if rate is None else rate) * duration_us)
    right = 1e6 / (given * duration_us)
    if rate is not None and abs(rate / right - 1) > AGREES:
        raise InvalidRequest(
            f"over {duration_us:g} us, spikes of input_scale {given:g} each add up to an activation of 1 at "
            f"{right:.9g} per second, and max_rate_hz is {rate:g}; leave one of the two out"
        )
    return given


def check_range(coding: str | None, lowest: float, highest: float, unit: float) -> None:
    """Refuse calibration images that no run of this coding could present.

    Raises
    ------
    InvalidRequest
    """
    largest = max(highest, -lowest)
    if coding in DRAWN and largest > 1:
        raise InvalidRequest(
            f"the calibration images have values from {lowest:g} to {highest:g}; {coding} input draws spikes "
            "with the share that a value is of 1, so images go from 0 to 1 (or -1 to 1). Give them before "
            "normalisation, with input_mean and input_std, or use input 'analog' or 'charge'"
        )
    if coding == "charge" and largest / unit > LARGEST_PAYLOAD:
        raise InvalidRequest(
            f"a calibration value of {largest:g} is {largest / unit:.3g} units of charge of {unit:g}, beyond "
            "32 bits; use a larger input_scale"
        )
