"""Exit rules by name: ``margin:0.3``, ``max-probability:0.9``, ``none``; and rules of one's own."""

from __future__ import annotations

from typing import Any

from eventsnn.decide.base import ExitRule, checked_threshold
from eventsnn.decide.margin import Margin
from eventsnn.decide.max_probability import MaxProbability
from eventsnn.errors import InvalidExitRule

RULES: dict[str, type[ExitRule]] = {rule.name: rule for rule in (Margin, MaxProbability)}


def _says(rule: ExitRule, known: type[ExitRule]) -> bool:
    """Whether a rule stops where one of ``RULES`` does, at equal thresholds."""
    own = (getattr(method, "__func__", None) for method in (rule.confidence, rule.start))
    return tuple(own) == (known.confidence, known.start)


def kernel_of(rule: ExitRule) -> int | None:
    """The code of the kernel that computes a rule's confidence; None where only the rule itself can say."""
    for known in RULES.values():
        if _says(rule, known):
            return known.code
    return None


def check_rule(rule: Any) -> ExitRule:
    """An exit rule that every engine can obey.

    Raises
    ------
    InvalidExitRule
        Not an ``ExitRule``, a threshold that is no number from 0 to 1, or the name of another rule.
    """
    if isinstance(rule, type) and issubclass(rule, ExitRule):
        raise InvalidExitRule(
            f"exit rule is the class {rule.__name__}; give one with its threshold: {rule.__name__}(0.9)"
        )
    if not isinstance(rule, ExitRule):
        raise InvalidExitRule(
            f"exit rule {rule!r} is not known; allowed are {_allowed()}, or an object of your own subclass "
            "of ExitRule"
        )
    checked_threshold(rule)
    name, where = rule.name, f"exit rule {type(rule).__name__}"
    if not isinstance(name, str) or not name or ":" in name:
        raise InvalidExitRule(f"{where} is named {name!r}; a name is text without a colon")
    if name == "none" or (name in RULES and not _says(rule, RULES[name])):
        raise InvalidExitRule(
            f"{where} is named {name!r}, which says something else; results would pass for those of another "
            "rule. Give it a name of its own, or leave it out to be called as its class"
        )
    return rule


def parse_rule(text: str | ExitRule | None) -> ExitRule | None:
    """The exit rule a text names; ``none`` or None is no rule.

    Raises
    ------
    InvalidExitRule
        Unknown name, or a threshold that is not a number from 0 to 1.
    """
    if text is None:
        return None
    if not isinstance(text, str):
        return check_rule(text)
    name, separator, threshold = text.strip().partition(":")
    if name == "none" and not separator:
        return None
    if name not in RULES or not separator:
        raise InvalidExitRule(f"exit rule {text!r} is not known; allowed are {_allowed()}")
    try:
        value = float(threshold)
    except ValueError as error:
        raise InvalidExitRule(
            f"exit rule {text!r}: {threshold!r} is not a number; write for example {name}:0.9"
        ) from error
    return RULES[name](value)


def _allowed() -> str:
    return ", ".join([f"{known}:THRESHOLD" for known in sorted(RULES)] + ["none", "CERTIFICATE.json"])
