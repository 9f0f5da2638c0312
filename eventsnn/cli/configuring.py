"""``--config run.toml``: the options of a command from a file, which the command line overrides.

Keys are the long names of options (``max_rate_hz`` or ``max-rate-hz``) and of arguments (``network``). At the
top of the file they are of the command that is called; in a table of a command's name (``[run]``,
``[hardware.show]``) they are of that command alone, so that one file serves several.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

import typer

FILE, AXES = "eventsnn.file", "eventsnn.axes"
"""Where a command's context has the file, and the values of options that were given as lists."""


def configurable(
    command: Callable[..., None], name: str, commands: set[str], axes: bool = False
) -> Callable[..., None]:
    """A command that takes ``--config``, too.

    Parameters
    ----------
    command
        With the signature that typer reads.
    name
        What it is called, as ``hardware check``.
    commands
        What all are called.
    axes
        Whether any option may have a list of values.
    """

    own = list(signature(command, eval_str=True).parameters.values())
    kinds = {one.name: kind_of(one.annotation) for one in own}

    def read(context: typer.Context, path: Path | None) -> None:
        if path is not None:
            given = given_of(read_toml(path), name, commands, path)
            found, lists = checked(given, context, kinds, path, axes)
            context.default_map = found
            context.meta[FILE], context.meta[AXES] = path, lists

    option = Parameter(
        "config",
        Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            Path | None,
            typer.Option(
                "--config",
                metavar="FILE.toml",
                is_eager=True,
                callback=read,
                help="Options from a file; those given here override them.",
            ),
        ],
    )

    @wraps(command)
    def configured(config: Path | None = None, **given: Any) -> None:
        del config
        command(**given)

    parameters = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in own]
    # What typer reads in place of the command's own.
    configured.__signature__ = Signature([*parameters, option])  # type: ignore[attr-defined]
    configured.__annotations__ = {}
    return configured


def kind_of(annotation: Any) -> tuple[type[Any], bool]:
    """What one value of a parameter is, whether it takes several: str, True of ``list[str] | None``."""
    if get_origin(annotation) is Annotated:
        return kind_of(get_args(annotation)[0])
    if isinstance(annotation, UnionType):
        return kind_of(next(one for one in get_args(annotation) if one is not type(None)))
    if get_origin(annotation) is list:
        return get_args(annotation)[0], True
    return annotation, False


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a mapping.

    Raises
    ------
    MissingFile
        There is no such file.
    InvalidFile
        It is none.
    """
    import tomllib

    from eventsnn.errors import InvalidFile, MissingFile

    if not path.is_file():
        raise MissingFile(f"there is no file {path}; give a TOML file of options")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFile(f"{path} is no TOML: {error}") from error


def given_of(document: dict[str, Any], command: str, commands: set[str], path: Path) -> dict[str, Any]:
    """What a file says for a command: keys at its top, and over them those of the command's own table."""
    found = {key: value for key, value in document.items() if not isinstance(value, dict)}
    for table, value in document.items():
        if isinstance(value, dict):
            _require_known(table, {name.split()[0] for name in commands}, "command", path)
    own: Any = document
    for part in command.split():
        own = own.get(part) if isinstance(own, dict) else None
    return found | (own if isinstance(own, dict) else {})


def checked(
    given: dict[str, Any],
    context: typer.Context,
    kinds: dict[str, tuple[type[Any], bool]],
    path: Path,
    axes: bool,
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Defaults by parameter name, and the lists among them; each checked for its kind.

    Raises
    ------
    InvalidFile
        A key that is no option, or a value of another kind.
    """
    from eventsnn.errors import InvalidFile

    parameters = {
        name: one for one in context.command.params for name in _names(one) if name not in ("config", "help")
    }
    found: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {}
    for key, value in given.items():
        name = key.replace("_", "-")
        _require_known(name, set(parameters), "option", path)
        parameter: Any = parameters[name]
        kind, several = kinds[parameter.name]
        where = f"{path}: {key}"
        if parameter.name in found:
            raise InvalidFile(f"{where} is there twice, by two of its names; leave one")
        if several:
            values = value if isinstance(value, list) else [value]
            found[parameter.name] = [_plain(one, kind, where) for one in values]
        elif isinstance(value, list) and axes:
            if not value:
                raise InvalidFile(f"{where} is an empty list; give at least one value")
            lists[parameter.name] = [_plain(one, kind, where) for one in value]
            found[parameter.name] = lists[parameter.name][0]
        else:
            found[parameter.name] = _plain(value, kind, where)
    return found, lists


def _names(parameter: Any) -> list[str]:
    """The long names of an option without their dashes, or an argument's name."""
    long = [name for name in parameter.opts if name.startswith("--")]
    return [str(name).lstrip("-").replace("_", "-") for name in long or [parameter.name]]


def _require_known(name: str, known: set[str], what: str, path: Path) -> None:
    from eventsnn.arguments import nearest
    from eventsnn.errors import InvalidFile

    if name not in known:
        raise InvalidFile(
            f"{path}: there is no {what} {name!r}{nearest(name, sorted(known))}; there are "
            f"{', '.join(sorted(known))}"
        )


def _plain(value: Any, kind: type[Any], where: str) -> Any:
    """A value as the command line would have it, if it is of the option's kind."""
    from eventsnn.arguments import shown
    from eventsnn.errors import InvalidFile

    number = isinstance(value, int | float) and not isinstance(value, bool)
    wanted = {
        bool: (isinstance(value, bool), "true or false"),
        int: (number and float(value).is_integer(), "a whole number"),
        float: (number, "a number"),
    }
    fits, what = wanted.get(kind, (isinstance(value, str) or number, "a text"))
    if (
        kind not in wanted
        and isinstance(value, list)
        and value
        and all(type(one) in (int, float) for one in value)
    ):
        return ",".join(map(str, value))
    if not fits:
        raise InvalidFile(f"{where} is {shown(value)}; give {what}")
    return value if kind in wanted else str(value)
