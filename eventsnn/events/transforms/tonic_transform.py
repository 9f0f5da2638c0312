"""Transforms of the package tonic on structured events.

What they promise is theirs: some look ahead, such as those that drop a share of all events.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar

from eventsnn.arguments import nearest
from eventsnn.errors import EventsnnError, InvalidEvents, InvalidRequest
from eventsnn.events.stream import Events, named_events
from eventsnn.events.tonic_package import draws_of_numpy, import_tonic
from eventsnn.events.transforms.base import Transform


@dataclass(frozen=True)
class TonicTransform(Transform):
    """A transform of tonic's by its class and parameters, or an object of it.

    Parameters
    ----------
    name
        Of the class in ``tonic.transforms``.
    parameters
        Names and values; a ``sensor_size`` that the class asks for is that of the events it is given.
    made
        The object, instead.
    """

    kind: ClassVar[str] = "tonic"
    in_parts: ClassVar[bool] = False
    name: str
    parameters: tuple[tuple[str, Any], ...] = ()
    made: Any = None
    said: str = ""

    def __post_init__(self) -> None:
        if self.made is not None:
            # Some write into themselves, and say another thing then.
            object.__setattr__(self, "made", copy.deepcopy(self.made))
            object.__setattr__(self, "said", repr(self.made))
            return
        transforms = import_tonic().transforms
        known = [n for n, kind in vars(transforms).items() if isinstance(kind, type) and callable(kind)]
        known = [n for n in known if n[0].isupper() and "__call__" in vars(getattr(transforms, n))]
        if self.name not in known:
            raise InvalidRequest(
                f"there is no transform tonic.{self.name}{nearest(self.name, known)}; there are "
                f"{', '.join(sorted(known))}"
            )
        accepted = signature(getattr(transforms, self.name)).parameters
        given = dict(self.parameters)
        needed = {n for n, p in accepted.items() if p.default is p.empty and n != "sensor_size"}
        if not given.keys() <= accepted.keys() or not needed <= given.keys():
            raise InvalidRequest(
                f"the transform tonic.{self.name} takes {', '.join(accepted) or 'nothing'}, and needs "
                f"{', '.join(sorted(needed)) or 'none of them'}; found {', '.join(given) or 'nothing'}"
            )

    def _object(self, height: int, width: int) -> Any:
        if self.made is not None:
            return copy.deepcopy(self.made)
        kind = getattr(import_tonic().transforms, self.name)
        given = dict(self.parameters)
        if "sensor_size" in signature(kind).parameters:
            given.setdefault("sensor_size", (width, height, 2))
        return kind(**given)

    def sensor(self, height: int, width: int) -> tuple[int, int]:
        return sensor_after(self._object(height, width), height, width)

    def apply(self, events: Events, height: int, width: int, index: int) -> Events:
        try:
            with draws_of_numpy(index, "tonic transform"):
                found = self._object(height, width)(events.copy())
        except EventsnnError:
            raise
        except Exception as error:  # whatever a foreign transform fails at
            raise InvalidEvents(f"the transform {self} fails: {type(error).__name__}: {error}") from error
        return named_events(found, *self.sensor(height, width), f"the transform {self}")

    def __str__(self) -> str:
        values = ",".join(f"{name}={_written(value)}" for name, value in self.parameters)
        return f"tonic.{self.said}" if self.said else f"tonic.{self.name}:{values}".rstrip(":")


def _written(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def sensor_after(made: Any, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the sensor after an object of tonic's transforms, a chain of them too."""
    for part in getattr(made, "transforms", [made]):
        if change := _SENSORS.get(type(part).__name__):
            height, width = change(part, height, width)
    return height, width


def _cropped(made: Any, height: int, width: int) -> tuple[int, int]:
    size = made.size if hasattr(made, "size") else made.target_size
    columns, rows = (size, size) if isinstance(size, int) else size[:2]
    return rows, columns


def _downsampled(made: Any, height: int, width: int) -> tuple[int, int]:
    if getattr(made, "target_size", None) is not None:
        return _cropped(made, height, width)
    factor = made.spatial_factor
    across, down = (factor, factor) if isinstance(factor, int | float) else factor
    return math.floor((height - 1) * down) + 1, math.floor((width - 1) * across) + 1


_SENSORS = {
    "CenterCrop": _cropped,
    "RandomCrop": _cropped,
    "EventDownsampling": _cropped,
    "Downsample": _downsampled,
}
"""Transforms after which the sensor is another."""
