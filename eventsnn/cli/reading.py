"""How a data set is read, as options of a command."""

from __future__ import annotations

from eventsnn.run.reading import OF_FILES, Reading

__all__ = ["OF_FILES", "Reading"]
