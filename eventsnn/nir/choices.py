"""What NIR leaves open: reset, comparison, spikes a step, lower clamp, how time is stepped.

The command line shows it: beside the standard library nothing is imported before it is needed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from eventsnn.errors import InvalidFile, InvalidRequest, NirWarning
from eventsnn.options import option, options_of

LONGEST_STEP_US = 2**31 / 1e6
USUAL_STEP_US = 1000.0
"""Of graphs in which nothing depends on the length of a step."""


@dataclass(frozen=True)
class Choices:
    """What a user may say of a NIR graph; what is None is taken from the file's metadata, else NIR's own.

    NIR's neurons reset to ``v_reset`` (hard), fire strictly above the threshold, once. Other libraries
    subtract, or fire at the threshold, and write files that do not say so.
    """

    reset: str | None = option(
        None,
        "a spike sets the voltage to v_reset (hard, NIR's own), or takes off the threshold (soft).",
        allowed=("hard", "soft"),
    )
    comparison: str | None = option(
        None,
        "neurons fire when greater than the threshold (NIR's own), or greater-or-equal.",
        allowed=("greater", "greater-or-equal"),
    )
    spikes: str | None = option(
        None,
        "spikes of a neuron at one test: one, or as many thresholds as it holds (soft reset).",
        allowed=("one", "many"),
    )
    lower_clamp: float | None = option(
        None, "the lowest voltage of spiking neurons, at most v_reset; none unless given."
    )
    integration: str | None = option(
        None,
        "time constants act by exponential (input held over a step, exact) or euler steps.",
        allowed=("exponential", "euler"),
    )
    step_us: float | None = option(
        None, "a timestep, up to 2147 us; needed with time constants, delays, biases.", unit="us"
    )
    threshold: int | None = option(None, "quanta per threshold; chosen so that weights fit unless given.")

    def __post_init__(self) -> None:
        from eventsnn.arguments import number, shown, whole

        for name, one in options_of(Choices).items():
            value = getattr(self, name)
            if one.allowed and value is not None and value not in one.allowed:
                raise InvalidRequest(f"{name} is {shown(value)}; allowed are {', '.join(one.allowed)}")
        if self.step_us is not None:
            step = number(self.step_us, "step_us", InvalidRequest)
            if not 1e-6 <= step <= LONGEST_STEP_US:
                raise InvalidRequest(
                    f"step_us is {step:g}; a timestep has 10^-6 to {LONGEST_STEP_US:g} microseconds"
                )
            object.__setattr__(self, "step_us", float(step))
        if self.lower_clamp is not None:
            clamp = float(number(self.lower_clamp, "lower_clamp", InvalidRequest))
            object.__setattr__(self, "lower_clamp", clamp)
        if self.threshold is not None:
            object.__setattr__(
                self, "threshold", whole(self.threshold, "threshold", InvalidRequest, 1, 2**20)
            )

    @property
    def step(self) -> int | None:
        """Ticks of a timestep."""
        return None if self.step_us is None else max(1, round(self.step_us * 1e6))


NIRS_OWN = {"reset": "hard", "comparison": "greater", "spikes": "one", "integration": "exponential"}
"""What NIR says, and where it says nothing (integration) the exact solution for an input held over a step."""

SAID_BY_OTHERS = {
    "reset": {"subtract": "soft", "soft": "soft", "zero": "hard", "hard": "hard", "set": "hard"},
    "comparison": {
        ">": "greater",
        "greater": "greater",
        ">=": "greater-or-equal",
        "greater-or-equal": "greater-or-equal",
    },
    "spikes": {"one": "one", "single": "one", "many": "many", "multi": "many"},
    "integration": {"euler": "euler", "exponential": "exponential"},
}


def said_in(metadata: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a graph's or node's metadata says of the choices, in our words.

    Raises
    ------
    InvalidFile
        A choice in words that are not known.
    """
    from eventsnn.arguments import number, shown

    found: dict[str, Any] = {}
    for name, words in SAID_BY_OTHERS.items():
        if name not in metadata:
            continue
        word = metadata[name]
        word = word.decode("utf-8", "replace") if isinstance(word, bytes) else word
        if not isinstance(word, str) or word not in words:
            raise InvalidFile(
                f"{where} says {name} is {shown(word)} in its metadata; known are {', '.join(words)}"
            )
        found[name] = words[word]
    for name in ("lower_clamp", "step_us"):
        if name in metadata:
            found[name] = float(number(metadata[name], f"{name} in the metadata of {where}", InvalidFile))
            if not math.isfinite(found[name]):
                raise InvalidFile(f"{name} in the metadata of {where} is not finite")
    return found


def settled(asked: Choices, said: Mapping[str, Any], where: str) -> Choices:
    """What was asked for, then what the file says, then NIR's own; a contradiction is warned of."""
    values: dict[str, Any] = {}
    for item in fields(Choices):
        value, own = getattr(asked, item.name), said.get(item.name)
        if value is not None and own is not None and value != own:
            warnings.warn(
                f"{where} says {item.name} is {own}, and {value} was asked for: {value} it is",
                NirWarning,
                stacklevel=4,
            )
        chosen = own if value is None else value
        values[item.name] = NIRS_OWN.get(item.name) if chosen is None else chosen
    found = Choices(**values)
    if found.spikes == "many" and found.reset != "soft":
        raise InvalidRequest(
            f"{where}: many spikes at one test need the soft reset, and the reset is {found.reset}; give "
            "reset='soft' (--reset soft), or leave spikes out"
        )
    return found
