"""Transforms of event streams: no frames, no look ahead; see ``base.Transform``.

A kind is one file and one entry in ``TRANSFORMS``. ``read_transform("drop:share=0.1,seed=1")`` makes one of a
text, as the command line has it (``--transform``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from typing import Any

from eventsnn.arguments import nearest, shown
from eventsnn.errors import InvalidRequest
from eventsnn.events.tonic_package import PREFIX, plain_value
from eventsnn.events.transforms.background_activity import BackgroundActivity
from eventsnn.events.transforms.base import Transform as Transform
from eventsnn.events.transforms.crop import Crop
from eventsnn.events.transforms.downsample import Downsample
from eventsnn.events.transforms.drop import Drop
from eventsnn.events.transforms.polarity import Polarity
from eventsnn.events.transforms.refractory import Refractory
from eventsnn.events.transforms.time_scale import TimeScale
from eventsnn.events.transforms.tonic_transform import TonicTransform
from eventsnn.events.transforms.window import Window

TRANSFORMS: dict[str, type[Transform]] = {
    kind.kind: kind
    for kind in (
        *(Downsample, Crop, Polarity, Refractory),
        *(BackgroundActivity, Drop, TimeScale, Window),
    )
}

_VALUES: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}


def read_transform(given: Any) -> Transform:
    """A transform of its text ``NAME:PARAMETER=VALUE,...``; one that is made already is returned.

    ``tonic.NAME:PARAMETER=VALUE,...`` is one of the package tonic, as is an object of it.

    Raises
    ------
    InvalidRequest
        No such transform or parameter, one that is missing or given twice, a value that is not allowed.
    """
    if isinstance(given, Transform):
        return given
    if callable(given) and type(given).__module__.partition(".")[0] == "tonic":
        return TonicTransform(type(given).__name__, made=given)
    if not isinstance(given, str):
        raise InvalidRequest(
            f"a transform is {shown(given)}; give a text NAME:PARAMETER=VALUE,... such as "
            "'downsample:factor=2', or a Transform"
        )
    name, _, said = given.partition(":")
    if name.startswith(PREFIX):
        return TonicTransform(name.removeprefix(PREFIX), tuple(_tonic_parameters(given, said)))
    if name not in TRANSFORMS:
        raise InvalidRequest(
            f"there is no transform {name!r}{nearest(name, TRANSFORMS)}; there are "
            f"{', '.join(TRANSFORMS)}, {PREFIX}NAME"
        )
    kind, values = TRANSFORMS[name], {}
    known = {item.name: item for item in fields(kind)}
    usage = f"write {name}:{','.join(f'{parameter}=VALUE' for parameter in known)}"
    for part in said.split(",") if said else ():
        parameter, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or parameter not in known:
            raise InvalidRequest(
                f"transform {given!r}: {part!r} is no parameter of {name!r} with its value"
                f"{nearest(parameter, known)}; {usage}"
            )
        if parameter in values:
            raise InvalidRequest(f"transform {given!r}: {parameter} is given twice; {usage}")
        values[parameter] = _value(given, parameter, value, str(known[parameter].type))
    missing = [item.name for item in known.values() if item.default is MISSING and item.name not in values]
    if missing:
        raise InvalidRequest(f"transform {given!r}: {', '.join(missing)} is missing; {usage}")
    return kind(**values)


def _tonic_parameters(given: str, said: str) -> Iterator[tuple[str, Any]]:
    for part in said.split(",") if said else ():
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidRequest(f"transform {given!r}: {part!r} is no parameter with its value, as n=5")
        yield name.strip(), plain_value(value.strip())


def _value(given: str, parameter: str, value: str, kind: str) -> Any:
    try:
        return _VALUES[kind](value)
    except ValueError as error:
        what = {"int": "a whole number", "float": "a number"}[kind]
        raise InvalidRequest(f"transform {given!r}: {parameter} is {value!r}; it is {what}") from error
