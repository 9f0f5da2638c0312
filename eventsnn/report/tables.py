"""Tables of text, before anyone decides how they look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A value and, in smaller type below it, what is worth knowing about it."""

    main: str
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row names it. ``totals`` rows at the end are set apart."""

    header: list[str]
    rows: list[list[Cell]]
    totals: int = 0
