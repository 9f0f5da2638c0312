"""Exit rules by name: ``margin:0.3``, ``max-probability:0.9``, ``none``."""

from __future__ import annotations

from eventsnn.decide.base import ExitRule
from eventsnn.decide.margin import Margin
from eventsnn.decide.max_probability import MaxProbability
from eventsnn.errors import InvalidExitRule

RULES: dict[str, type[ExitRule]] = {rule.name: rule for rule in (Margin, MaxProbability)}


def parse_rule(text: str | ExitRule | None) -> ExitRule | None:
    """The exit rule a text names; ``none`` or None is no rule.

    Raises
    ------
    InvalidExitRule
        Unknown name, or a threshold that is not a number from 0 to 1.
    """
    if text is None or isinstance(text, ExitRule):
        return text
    name, separator, threshold = str(text).strip().partition(":")
    if name == "none" and not separator:
        return None
    allowed = ", ".join([f"{known}:THRESHOLD" for known in sorted(RULES)] + ["none"])
    if name not in RULES or not separator:
        raise InvalidExitRule(f"exit rule {text!r} is not known; allowed are {allowed}")
    try:
        value = float(threshold)
    except ValueError as error:
        raise InvalidExitRule(
            f"exit rule {text!r}: {threshold!r} is not a number; write for example {name}:0.9"
        ) from error
    return RULES[name](value)
