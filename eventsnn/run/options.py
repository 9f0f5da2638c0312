"""The options of a run: what ``simulate`` and its like take by name, and the command line by flag.

``Settings`` are these, checked. ``docs/extending.md`` says how to add one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventsnn.options import option

if TYPE_CHECKING:
    from eventsnn.decide import ExitRule
    from eventsnn.hardware import Architecture, MappingFile

ORIGINS = ("file", "first-event")


@dataclass(frozen=True)
class Options:
    """What a user may set about a run, in the order of the command line; ``simulate`` tells more of each."""

    hardware: str | os.PathLike[str] | Architecture | None = option(
        None, "Accelerator: a preset's name or a YAML file."
    )
    mapping: str | os.PathLike[str] | dict[str, Any] | MappingFile | None = option(
        None, "Populations to cores: layer (default), channel, area, pack, or a file."
    )
    exit: str | ExitRule | None = option(
        None,
        "margin:0.3, entropy:0.9,patience=3 (all: docs/decisions.md), none, or a certificate (.json).",
        typed="none",
    )
    schedule: str = option("event", "event or step.", allowed=("event", "step"))
    step_us: float | None = option(None, "Timestep, microseconds; else the network's period.", unit="us")
    ties: str = option(
        "ordered", "Order of simultaneous events: ordered, or seeded.", allowed=("ordered", "seeded")
    )
    input: str | None = option(
        None,
        "How images become input: analog, poisson, bernoulli or charge.",
        allowed=("analog", "poisson", "bernoulli", "charge"),
    )
    duration_us: float | None = option(None, "How long the input lasts at least, microseconds.", unit="us")
    max_rate_hz: float | None = option(
        None, "Poisson and Bernoulli input: spikes per second at an activation of 1.", unit="Hz"
    )
    origin: str | None = option(
        None,
        "Time zero of recordings: file (as stored; default of nmnist) or first-event (all others).",
        allowed=ORIGINS,
    )
    scale_currents: bool = option(
        False,
        "Scale a rate network's bias currents to each sample's length.",
        called="scale_currents (--scale-currents)",
    )
    history_us: float | None = option(None, "Keep the counters each so many microseconds.", unit="us")
    engine: str = option(
        "compiled",
        "compiled, reference, float32 or float64.",
        allowed=("compiled", "reference", "float32", "float64"),
    )
    seed: int = option(0, "Of random draws.", least=-(2**63), most=2**63 - 1)
    max_events: int = option(
        10**9,
        "Deliveries after which a sample ends with an error.",
        least=1,
        most=2**63 - 1,
        called="max_events (--max-events)",
    )
