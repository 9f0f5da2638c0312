"""An option, written once: a dataclass field that says its type, default, help text, allowed values and unit.

Settings check what was given against it, the command line makes a flag of it (``cli/options.py``), and tests
compare the signatures of ``simulate`` and ``convert`` with it. Here and where options are defined only the
standard library is imported, so that a command shows its help at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Option:
    """What a field that was made by ``option`` says.

    Attributes
    ----------
    kind
        The first alternative of the field's annotation, as ``"float"``: what the command line reads.
    typed
        The default on the command line.
    called
        What messages call it.
    """

    name: str
    kind: str
    default: Any
    help: str
    allowed: tuple[str, ...]
    least: int | None
    most: int | None
    unit: str
    typed: Any
    called: str

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return f"--{self.name.replace('_', '-')}"


def option(
    default: Any,
    help: str,
    *,
    allowed: tuple[str, ...] = (),
    least: int | None = None,
    most: int | None = None,
    unit: str = "",
    typed: Any = None,
    called: str | None = None,
) -> Any:
    """A field of a dataclass of options; ``typed`` and ``called`` where they differ from default and name."""
    said = {"help": help, "allowed": allowed, "least": least, "most": most, "unit": unit}
    return field(default=default, metadata={**said, "typed": typed, "called": called})


def options_of(owner: type[Any]) -> dict[str, Option]:
    """The options that a dataclass defines or inherits, by name; its other fields are none."""
    found = {}
    for item in fields(owner):
        if "help" in item.metadata:
            said = dict(item.metadata)
            said["typed"] = item.default if said["typed"] is None else said["typed"]
            said["called"] = said["called"] or item.name
            kind = str(item.type).partition(" | ")[0].partition("[")[0]
            found[item.name] = Option(item.name, kind, item.default, **said)
    return found
