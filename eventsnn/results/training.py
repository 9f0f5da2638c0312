"""Samples that trained the network: what a threshold or a figure says on them it says of no others."""

from __future__ import annotations

from collections import Counter

from eventsnn.errors import InvalidRequest
from eventsnn.results.table import ResultTable


def require_untrained(table: ResultTable, why: str) -> None:
    """Refuse samples that trained the network, where its file names its training data.

    Raises
    ------
    InvalidRequest
    """
    told = trained_text(table)
    if told:
        raise InvalidRequest(f"{told}: {why}; take samples that did not")


def trained_text(table: ResultTable) -> str:
    """How many samples trained the network, and of which data they are; empty where none did."""
    if not table.trained:
        return ""
    data = ", ".join(f"{name} ({count})" for name, count in Counter(table.trained.values()).most_common())
    count = len(table.trained)
    total = max(count, len(table.contents), len(table.samples))
    return f"{count} of the {total} samples trained this network, as its file says: {data}"
