"""The options of reading data on a command line."""

from __future__ import annotations

from eventsnn.run.reading import Reading

__all__ = ["Reading"]
