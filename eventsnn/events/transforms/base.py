"""What every transform of event streams is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar

from eventsnn.arguments import check_fields
from eventsnn.errors import InvalidRequest
from eventsnn.events.stream import Events


@dataclass(frozen=True)
class Transform(ABC):
    """One step from events to events, without frames and without a look ahead.

    What becomes of an event depends on it and on those before it in the stream, so that the transform of a
    stream's beginning is the beginning of its transform. A kind is a frozen dataclass in a file of its own
    whose fields are its parameters; as a text it is ``NAME:PARAMETER=VALUE,...``.
    """

    kind: ClassVar[str]
    in_parts: ClassVar[bool] = True
    """Whether ``begin`` gives, part by part, what ``apply`` gives of the whole."""

    def __post_init__(self) -> None:
        check_fields(self, f"{{}} of the transform {self.kind!r}", InvalidRequest)
        for item in fields(self):
            if item.type == "float":  # equal ones have one text
                object.__setattr__(self, item.name, float(getattr(self, item.name)))
        self.check()

    def check(self) -> None:
        """Raise InvalidRequest if a parameter is out of its range; their types are right."""
        return

    def sensor(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the sensor afterwards; InvalidRequest if the transform does not fit on it."""
        return height, width

    @abstractmethod
    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        """The events of a recording afterwards; those that were given stay as they are.

        Parameters
        ----------
        events
            Valid on a sensor of ``height`` rows and ``width`` columns, shape (n_events,).
        index
            Of the recording in its data set: what is drawn is drawn for it.
        """

    def begin(self, height: int, width: int, index: int) -> Callable[[Events], Events]:
        """What is called with one part of a recording after the other; parameters as of ``apply``.

        A transform that looks back remembers there what it has seen.
        """
        return lambda events: self.apply(events, height, width, index)

    def require(self, holds: bool, name: str, allowed: str) -> None:
        """Refuse the value of a parameter unless ``holds``."""
        if not holds:
            raise InvalidRequest(
                f"{name} of the transform {self.kind!r} is {getattr(self, name)!r}; allowed is {allowed}"
            )

    def __str__(self) -> str:
        said = ",".join(f"{item.name}={getattr(self, item.name)}" for item in fields(self))
        return f"{self.kind}:{said}"
