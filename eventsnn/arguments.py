"""Checks of what a user hands over: whole numbers, numbers, truth values, names, paths.

One rule everywhere. A whole number may come as any integer type or as a float without a fraction (``4.0``),
and becomes an ``int``; a number may be any integer or float that is finite; NumPy's scalars become Python's.
A truth value is neither, and is asked for as such: ``True`` or ``False``, not 1 or "yes". Text is no number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from eventsnn.errors import EventsnnError

Failure = type[EventsnnError]


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's."""
    single = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return value.item() if single else value


def shown(value: Any) -> str:
    """A value as a message quotes it, cut where it is long."""
    try:
        text = repr(_plain(value))
    except Exception:  # a foreign object may fail at anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def whole(value: Any, what: str, error: Failure, least: int | None = None, most: int | None = None) -> int:
    """A whole number as an int, or ``error``."""
    found = _plain(value)
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int):
        raise error(f"{what} is {shown(value)}; it must be a whole number{_limits(least, most)}")
    if (least is not None and found < least) or (most is not None and found > most):
        raise error(f"{what} is {shown(found)}; it must be a whole number{_limits(least, most)}")
    return int(found)


def _limits(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return "" if least is None else f", at least {least}"


def number(value: Any, what: str, error: Failure) -> float:
    """A finite number as Python's int or float, or ``error``."""
    found = _plain(value)
    if isinstance(found, bool) or not isinstance(found, int | float) or not np.isfinite(float(found)):
        raise error(f"{what} is {shown(value)}; it must be a finite number")
    return found


def truth(value: Any, what: str, error: Failure) -> bool:
    """True or False, or ``error``."""
    found = _plain(value)
    if not isinstance(found, bool):
        raise error(f"{what} is {shown(value)}; it must be True or False")
    return found


def text(value: Any, what: str, error: Failure) -> str:
    """A text, or ``error``."""
    if not isinstance(value, str):
        raise error(f"{what} is {shown(value)}; it must be a text")
    return str(value)


def path(value: Any, what: str, error: Failure) -> str:
    """The path of a file as text, or ``error``: neither empty nor with a zero byte."""
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(found, str) or not found or "\0" in found:
        raise error(f"{what} is {shown(value)}, which is no path; give the path of a file")
    return found


def _numbers(value: Any, what: str, error: Failure) -> Any:
    """A tuple of finite numbers; a single one may stand by itself."""
    if not isinstance(value, list | tuple | np.ndarray) or getattr(value, "ndim", 1) == 0:
        return number(value, what, error)
    if not len(value):
        raise error(f"{what} is empty; it holds one number, or one per channel")
    return tuple(number(item, f"a value of {what}", error) for item in value)


def _whole_or_none(value: Any, what: str, error: Failure) -> int | None:
    return None if value is None else whole(value, what, error)


# By the annotation of a field.
_CHECKS: dict[str, Callable[[Any, str, Failure], Any]] = {
    "int": whole,
    "int | None": _whole_or_none,
    "float": number,
    "tuple[float, ...]": _numbers,
    "bool": truth,
    "str": text,
}


def check_fields(owner: Any, what: str, error: Failure) -> None:
    """Check every field of a frozen dataclass by its annotation, and put the plain value in its place.

    ``what`` says what a field is, with ``{}`` for its name.
    """
    for item in fields(owner):
        value = _CHECKS[str(item.type)](getattr(owner, item.name), what.format(item.name), error)
        object.__setattr__(owner, item.name, value)


def nearest(name: Any, known: Iterable[str]) -> str:
    """`` (did you mean ...?)`` with the known name that looks most like one that is not, or nothing."""
    found = get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def registered(kinds: dict[str, type[Any]], cls: Any, base: type[Any], error: Failure) -> None:
    """Enter a kind by its name, or ``error``: it is a frozen dataclass derived from ``base``."""
    if not (isinstance(cls, type) and issubclass(cls, base) and is_dataclass(cls)):
        raise error(f"{shown(cls)} is no kind: give a frozen dataclass derived from {base.__name__}")
    name = text(getattr(cls, "kind", None), f"kind of {cls.__name__}", error)
    if kinds.setdefault(name, cls) is not cls:
        raise error(f"{cls.__name__} has the kind {name!r}, which is {kinds[name].__name__}'s; give its own")
