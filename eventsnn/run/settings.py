"""What a user may set about a run, checked as far as it can be without network and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eventsnn.arguments import nearest, number, shown, truth, whole
from eventsnn.decide import ExitRule, parse_rule, with_threshold
from eventsnn.decide.certificate import Certificate, is_certificate, read_certificate
from eventsnn.engine import RunOptions
from eventsnn.engine.request import step_length
from eventsnn.errors import InvalidRequest
from eventsnn.events.inputs import picoseconds
from eventsnn.hardware import Architecture, MappingFile, load_architecture, load_mapping
from eventsnn.network import Network
from eventsnn.network.contract import IMAGE_CODINGS
from eventsnn.options import Option, options_of
from eventsnn.run.options import Options

OPTIONS = options_of(Options)


@dataclass(frozen=True)
class Settings(Options):
    """Options of a run, checked, with what they name.

    Raises
    ------
    EventsnnError
        A value that is not allowed, or two that contradict each other.
    """

    architecture: Architecture | None = field(init=False)
    rule: ExitRule | None = field(init=False)
    certificate: Certificate | None = field(init=False)
    placement: MappingFile | None = field(init=False)

    def __post_init__(self) -> None:
        for option in OPTIONS.values():
            value = getattr(self, option.name)
            if value is not None or option.default is not None:
                object.__setattr__(self, option.name, checked(value, option))
        if self.ties == "seeded" and self.schedule == "step":
            raise InvalidRequest("the step schedule knows no ties; leave ties='seeded' (--ties) out")
        certificate = read_certificate(self.exit) if is_certificate(self.exit) else None
        object.__setattr__(self, "certificate", certificate)
        rule = self.exit if certificate is None else with_threshold(certificate.rule, certificate.threshold)
        object.__setattr__(self, "rule", parse_rule(rule))
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
    for name in given:
        if name not in OPTIONS:
            raise InvalidRequest(
                f"there is no setting {name!r}{nearest(name, OPTIONS)}; there are {', '.join(OPTIONS)}"
            )


def checked(value: Any, option: Option) -> Any:
    """A value of an option as a plain one, or InvalidRequest; names are left to who looks them up."""
    if option.allowed:
        if not isinstance(value, str) or value not in option.allowed:
            raise InvalidRequest(
                f"{option.name} {shown(value)} is not known; allowed are {', '.join(option.allowed)}"
            )
    elif option.kind == "bool":
        return truth(value, option.called, InvalidRequest)
    elif option.kind == "int":
        return whole(value, option.called, InvalidRequest, option.least, option.most)
    elif option.kind == "float":
        value = number(value, option.called, InvalidRequest)
        if option.unit == "us":
            picoseconds(value, option.called)
    return value
