"""Options that several commands take: flags made from their one definition (``eventsnn.options``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from eventsnn.options import Option, options_of
from eventsnn.run.reading import OF_FILES, Reading

NetworkFile = Annotated[Path, typer.Argument(help="Network file (.h5).")]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="KIND:PATH: nmnist, cifar10-dvs, aedat, dvs-gesture, events (any format), images, tonic.NAME.",
    ),
]
Workers = Annotated[int, typer.Option("--workers", help="Processes.")]
Dask = Annotated[
    str | None,
    typer.Option("--dask", metavar="ADDRESS", help="Run on a Dask cluster: its scheduler, or local."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]

READING = options_of(Reading).keys()
ONLY_OF_RUN = ("ties", "history_us", "max_events")
# In the help these stand behind all other options of a run.
LAST = ("samples", "seed", "fraction", "downsample", "transform", *OF_FILES, "max_events")
# What the command line reads, by the kind of an option.
TYPES = {"list": list[str], "str": str, "int": int, "float": float, "bool": bool, "tuple": str, "Levels": str}


def taking(
    options: type[Any] | None = None,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    required: Collection[str] = (),
    after: Mapping[str, Collection[str]] | None = None,
    help: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that a dataclass defines, and those of reading data.

    They stand where the function has ``settings`` and ``reading``, and reach it as these: a dict by name, and
    a ``Reading``. What is not on the command line is not in ``settings``.

    Parameters
    ----------
    options
        The dataclass, such as ``eventsnn.run.options.Options``; a command may take none.
    only, without
        Options that the command takes, or does not take; all unless said.
    required
        Those that must be given.
    after
        What stands elsewhere in the help: names, by the name that they follow.
    help
        Help texts of options that mean something narrower here.
    """
    shared = options_of(Reading) | ({} if options is None else options_of(options))
    if only is not None:
        shared = {name: shared[name] for name in only}
    for name in without:
        del shared[name]
    for name in required:
        shared[name] = replace(shared[name], typed=...)
    for name, text in (help or {}).items():
        shared[name] = replace(shared[name], help=text)
    flags = {name: parameter(option) for name, option in shared.items()}
    of_reading = [name for name in shared if name in READING]
    of_settings = [name for name in shared if name not in READING]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = signature(function, eval_str=True).parameters
        order: list[str] = []
        for name in own:
            if name not in ("settings", "reading"):
                order.append(name)
            elif flags.keys().isdisjoint(order):  # all stand at the first of the two
                order += sorted(flags, key=lambda flag: LAST.index(flag) if flag in LAST else -1)
        for place, moved in (after or {}).items():
            order = [name for name in order if name not in moved]
            start = order.index(place) + 1
            order[start:start] = moved

        @wraps(function)
        def command(**given: Any) -> None:
            if of_reading:
                given["reading"] = Reading(**{name: _held(given.pop(name)) for name in of_reading})
            if of_settings:
                given["settings"] = {name: value_of(shared[name], given.pop(name)) for name in of_settings}
            function(**given)

        parameters = [(flags.get(name) or own[name]).replace(kind=Parameter.KEYWORD_ONLY) for name in order]
        # What typer reads in place of the function's own.
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {}
        return command

    return decorate


def parameter(option: Option) -> Parameter:
    """An option as typer takes it; a default of ``...`` is none."""
    kind: Any = TYPES[option.kind]
    return Parameter(
        option.name,
        Parameter.KEYWORD_ONLY,
        default=typer.Option(option.typed, option.flag, help=option.help),
        annotation=kind | None if option.typed is None else kind,
    )


def _held(value: Any) -> Any:
    """A list as a tuple, so that options compare and stay as they are."""
    return tuple(value) if isinstance(value, list) else value


def value_of(option: Option, given: Any) -> Any:
    """What a flag was given, as Python functions take it."""
    parse = PARSERS.get(option.kind)
    return given if parse is None else parse(given, option.flag)


def shape(text: str | None, name: str) -> tuple[int, ...] | None:
    """A sample's shape, as ``3,32,32``."""
    from eventsnn.errors import InvalidRequest

    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidRequest(f"{name} is {text!r}; give channels, rows and columns, as 3,32,32") from error


def numbers(text: str | None, name: str) -> tuple[float, ...] | None:
    """A list with commas as numbers."""
    from eventsnn.errors import InvalidRequest

    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidRequest(f"{name} is {text!r}; give numbers with commas between, as 0.5,0.25") from error


def levels(text: str | None, name: str) -> int | tuple[int, ...] | dict[str, int] | None:
    """Levels as ``convert`` takes them: ``15``, ``7,15,31`` or ``conv1=31,conv2=15``."""
    from eventsnn.errors import InvalidRequest

    if text is None:
        return None
    parts = [part.rpartition("=") for part in text.split(",")]
    named = [layer.strip() for layer, equals, _ in parts if equals]
    try:
        found = tuple(int(number) for _, _, number in parts)
        if "" in named or len(set(named)) != len(named) or len(named) not in (0, len(parts)):
            raise ValueError(text)
    except ValueError as error:
        raise InvalidRequest(
            f"{name} is {text!r}; give a whole number, one for each layer as 7,15,31, or some by name as "
            "conv1=31,conv2=15"
        ) from error
    if named:
        return dict(zip(named, found, strict=True))
    return found[0] if len(found) == 1 else found


PARSERS: dict[str, Callable[[str | None, str], Any]] = {"tuple": numbers, "Levels": levels}
"""What makes of a flag's text what Python functions take, by the kind of an option."""
