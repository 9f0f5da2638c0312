"""The architecture of a model whose file holds its parameters alone: a function that builds it.

``FILE.py:CALLABLE`` is a file of the user's own. It is run as Python runs any program, and only because the
user named it; nothing in a file of parameters can name one. A name without a colon is a definition that
eventsnn brings along.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from eventsnn.convert.definitions import DEFINITIONS
from eventsnn.convert.definitions import definition as definition_of_ours
from eventsnn.errors import InvalidRequest, MissingFile

_MODULE = "eventsnn_definition"


def built(definition: str) -> nn.Module:
    """The module that a definition builds, its parameters as it draws them.

    Parameters
    ----------
    definition : str
        ``FILE.py:CALLABLE``, of something that is called without arguments and returns a torch.nn.Module (a
        function, or the module's class), or one of ``DEFINITIONS``.

    Raises
    ------
    MissingFile
        There is no such file.
    InvalidRequest
        No such definition; the file or the callable raises; no module comes back.
    """
    if definition in DEFINITIONS:
        return _called(definition, partial(definition_of_ours, definition))
    file, colon, name = definition.rpartition(":")
    if not colon or not file or not name.isidentifier():
        known = ", ".join(sorted(DEFINITIONS))
        raise InvalidRequest(
            f"definition {definition!r} is none of eventsnn's ({known}) and no FILE.py:CALLABLE; give a "
            "Python file and the function in it that builds the model, as net.py:build"
        )
    path = Path(file)
    if not path.is_file():
        raise MissingFile(f"definition {definition!r}: there is no file {file}")
    if path.suffix != ".py":
        raise InvalidRequest(f"definition {definition!r}: {file} is no Python file (.py)")
    with _as_program(definition, path) as module:
        found = getattr(module, name, None)
        if not callable(found):
            here = [key for key, value in vars(module).items() if _is_own(module, key, value)]
            raise InvalidRequest(
                f"definition {definition!r}: {file} has no callable {name!r}; it has "
                f"{', '.join(here) or 'none'}"
            )
        return _called(definition, found)


def _is_own(module: ModuleType, name: str, value: Any) -> bool:
    return (
        callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


@contextmanager
def _as_program(definition: str, path: Path) -> Iterator[ModuleType]:
    """A file's module; what lies beside the file can be imported, as by a program that is started there."""
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, known = list(sys.path), sys.modules.get(_MODULE)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[_MODULE] = module
    try:
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise _raised(definition, error, path) from error
        yield module
    finally:
        sys.path[:] = before
        if known is None:
            del sys.modules[_MODULE]
        else:
            sys.modules[_MODULE] = known


def _called(definition: str, build: Any) -> nn.Module:
    try:
        found = build()
    except (Exception, SystemExit) as error:
        raise _raised(definition, error) from error
    if not isinstance(found, nn.Module):
        raise InvalidRequest(
            f"definition {definition!r} returned a {type(found).__name__}; it has to return a "
            "torch.nn.Module when it is called without arguments"
        )
    return found


def _raised(definition: str, error: BaseException, path: Path | None = None) -> InvalidRequest:
    """The error of a definition, with the line of its own file where it came up."""
    file = (Path(definition.rpartition(":")[0]) if path is None else path).resolve()
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if Path(frame.filename).resolve() == file]
    line = getattr(error, "lineno", None) or (places[-1].lineno if places else None)
    where = f" at line {line}" if line else ""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return InvalidRequest(
        f"definition {definition!r} raised {said}{where}; it has to give the model when it is called without "
        "arguments"
    )
