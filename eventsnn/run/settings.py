"""What a user may set about a run, checked as far as it can be without network and data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from eventsnn.arguments import nearest, number, shown, truth, whole
from eventsnn.decide import ExitRule, parse_rule
from eventsnn.engine import COMPARISON_ENGINES, ENGINES, RunOptions
from eventsnn.engine.request import step_length
from eventsnn.errors import InvalidRequest
from eventsnn.events.encoders import ENCODINGS
from eventsnn.events.inputs import picoseconds
from eventsnn.hardware import Architecture, MappingFile, load_architecture, load_mapping
from eventsnn.network import Network
from eventsnn.network.contract import IMAGE_CODINGS

SCHEDULES = ("event", "step")
TIES = ("ordered", "seeded")
ORIGINS = ("file", "first-event")


@dataclass(frozen=True)
class Settings:
    """How samples are run; ``simulate`` says what each of these means.

    Raises
    ------
    EventsnnError
        A value that is not allowed, or two that contradict each other.
    """

    hardware: str | os.PathLike[str] | Architecture | None = None
    exit: str | ExitRule | None = None
    schedule: str = "event"
    engine: str = "compiled"
    seed: int = 0
    ties: str = "ordered"
    step_us: float | None = None
    history_us: float | None = None
    input: str | None = None
    duration_us: float | None = None
    max_rate_hz: float | None = None
    max_events: int = 10**9
    mapping: str | os.PathLike[str] | dict[str, Any] | MappingFile | None = None
    origin: str | None = None
    scale_currents: bool = False
    architecture: Architecture | None = field(init=False)
    rule: ExitRule | None = field(init=False)
    placement: MappingFile | None = field(init=False)

    def __post_init__(self) -> None:
        for name, allowed in (
            ("schedule", SCHEDULES),
            ("engine", (*ENGINES, *COMPARISON_ENGINES)),
            ("ties", TIES),
            ("input", (None, *ENCODINGS)),
            ("origin", (None, *ORIGINS)),
        ):
            chosen = getattr(self, name)
            if not isinstance(chosen, str | None) or chosen not in allowed:
                raise InvalidRequest(
                    f"{name} {shown(chosen)} is not known; allowed are {', '.join(filter(None, allowed))}"
                )
        truth(self.scale_currents, "scale_currents (--scale-currents)", InvalidRequest)
        seed = whole(self.seed, "seed", InvalidRequest, -(2**63), 2**63 - 1)
        object.__setattr__(self, "seed", seed)
        most = whole(self.max_events, "max_events (--max-events)", InvalidRequest, 1, 2**63 - 1)
        object.__setattr__(self, "max_events", most)
        for name in ("step_us", "history_us", "duration_us", "max_rate_hz"):
            if getattr(self, name) is None:
                continue
            object.__setattr__(self, name, number(getattr(self, name), name, InvalidRequest))
            if name != "max_rate_hz":
                picoseconds(getattr(self, name), name)
        if self.ties == "seeded" and self.schedule == "step":
            raise InvalidRequest("the step schedule knows no ties; leave ties='seeded' (--ties) out")
        object.__setattr__(self, "rule", parse_rule(self.exit))
        found = None if self.hardware is None else load_architecture(self.hardware)
        object.__setattr__(self, "architecture", found)
        if self.mapping is not None and found is None:
            raise InvalidRequest(
                "mapping (--mapping) places a network on an accelerator; give hardware (--hardware), or "
                "leave it out"
            )
        # Read once: workers place the network as this process did, whatever becomes of the file.
        placement = None if self.mapping is None else load_mapping(self.mapping)
        object.__setattr__(self, "placement", placement)

    def image_coding(self, network: Network) -> str | None:
        """How images become input: as set, else as the network was converted for; None if neither says."""
        contract = network.contract
        meant = None if contract is None or contract.coding not in IMAGE_CODINGS else contract.coding
        return self.input or meant

    def timestep_ps(self, network: Network) -> int:
        """Length of a timestep of the schedule or of Bernoulli input; 0 where there are none.

        Raises
        ------
        InvalidRequest
            It was not given, and the network does not name just one.
        """
        if self.step_us is not None:
            return picoseconds(self.step_us, "step_us")
        if self.schedule != "step" and self.image_coding(network) != "bernoulli":
            return 0
        try:
            return step_length(network)
        except InvalidRequest as error:
            raise InvalidRequest(
                "the network's neurons do not name one period that could be the timestep; give step_us "
                "(--step-us)"
            ) from error

    def options(self, network: Network) -> RunOptions:
        """What an engine is told."""
        return RunOptions(
            exit_rule=self.rule,
            seed=self.seed,
            max_events=self.max_events,
            schedule=self.schedule,
            step=self.timestep_ps(network) if self.schedule == "step" else 0,
            ties=self.ties,
            history_period=0 if self.history_us is None else picoseconds(self.history_us, "history_us"),
        )


def check_names(given: Mapping[str, Any]) -> None:
    """Refuse settings that are none, with the name that was probably meant."""
    known = [item.name for item in fields(Settings) if item.init]
    for name in given:
        if name not in known:
            raise InvalidRequest(
                f"there is no setting {name!r}{nearest(name, known)}; there are {', '.join(known)}"
            )
