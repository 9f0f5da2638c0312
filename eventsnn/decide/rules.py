"""Exit rules by their text: ``margin:0.3,patience=3``, ``none``; and rules of one's own."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from eventsnn.arguments import nearest, shown
from eventsnn.decide.accumulators import Readout
from eventsnn.decide.as_parts import KINDS, as_combination, own_parts
from eventsnn.decide.base import ExitRule, checked_threshold
from eventsnn.decide.combination import Combination
from eventsnn.decide.margin import Margin
from eventsnn.decide.max_probability import MaxProbability
from eventsnn.decide.memories import NoMemory
from eventsnn.decide.parts import Part
from eventsnn.decide.schedules import EachOutputEvent
from eventsnn.decide.scores import SCORES
from eventsnn.errors import InvalidExitRule

RULES: dict[str, type[ExitRule]] = {rule.name: rule for rule in (Margin, MaxProbability)}
"""Rules that are a threshold alone, by name."""
ORACLES = ("first-correct", "stays-correct")
"""What a curve can show and no run can follow: they know the label."""
BOUNDS = ("after-us", "until-us", "reject")


def kernel_of(rule: ExitRule) -> int | None:
    """The code of the kernel that computes a rule's score; None where only the rule itself can say."""
    found = as_combination(rule)
    return None if found is None else found.score.code


def _says(rule: ExitRule, name: str) -> bool:
    """Whether a rule does what the text of its name does."""
    found = as_combination(rule)
    return found is not None and found.name == name


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
            f"exit rule {rule!r} is not known; allowed are {allowed()}, or an object of your own subclass "
            "of ExitRule"
        )
    checked_threshold(rule)
    name, where = rule.name, f"exit rule {type(rule).__name__}"
    if not isinstance(name, str) or not name or ":" in name:
        raise InvalidExitRule(f"{where} is named {name!r}; a name is text without a colon")
    if _misnamed(rule, name):
        raise InvalidExitRule(
            f"{where} is named {name!r}, which says something else; results would pass for those of another "
            "rule. Give it a name of its own, or leave it out to be called as its class"
        )
    return rule


def _misnamed(rule: ExitRule, name: str) -> bool:
    """Whether a rule, or a part of it, is called as something that it is not."""
    head = name.partition(",")[0]
    if head in ("none", *ORACLES):
        return True
    if type(rule) is Combination:
        return any(part.name in KINDS[kind] for kind, part in own_parts(rule))
    return head in SCORES and not _says(rule, name)


def parse_rule(text: str | ExitRule | None) -> ExitRule | None:
    """The exit rule a text names; ``none`` or None is no rule.

    Raises
    ------
    InvalidExitRule
        Unknown name or parameter, parts that do not go together, a threshold that is not a number from 0 to
        1.
    """
    if text is None:
        return None
    if not isinstance(text, str):
        return check_rule(text)
    head, *rest = (piece.strip() for piece in text.strip().split(","))
    if head == "none" and not rest:
        return None
    name, separator, threshold = head.partition(":")
    _require_known(name, text)
    if not separator:
        raise InvalidExitRule(f"exit rule {text!r} has no threshold; write for example {name}:0.9")
    return _made(name, _value("threshold", threshold, text), rest, text)


def parse_kind(text: str | ExitRule) -> ExitRule:
    """A rule to be asked at any threshold: its text without one, or the rule as it is.

    Raises
    ------
    InvalidExitRule
        As ``parse_rule``, and if there is a threshold in the text.
    """
    if not isinstance(text, str):
        return check_rule(text)
    name, *rest = (piece.strip() for piece in text.strip().split(","))
    if ":" in name and name.partition(":")[0] in SCORES:
        raise InvalidExitRule(
            f"exit rule {text!r} has a threshold, and here every one is asked; leave out "
            f"{name[name.index(':') :]!r}"
        )
    _require_known(name, text)
    return _made(name, 0.0, rest, text)


def _require_known(name: str, text: str) -> None:
    if name in ORACLES:
        raise InvalidExitRule(
            f"exit rule {name!r} is an oracle: it knows the label, so no run can follow it; 'eventsnn curve "
            f"--rule {name}' shows what it would save"
        )
    if name not in SCORES:
        raise InvalidExitRule(
            f"exit rule {text!r} is not known{nearest(name, SCORES)}; allowed are {allowed()}"
        )


def _made(name: str, threshold: float, rest: list[str], text: str) -> ExitRule:
    """The rule of a score's name, a threshold and ``key=value`` pieces."""
    given = _pairs(rest, text)
    chosen = {"score": name, "accumulator": Readout.name, "memory": NoMemory.name}
    chosen["schedule"] = EachOutputEvent.name
    if "accumulator" in given:
        chosen["accumulator"] = _named("accumulator", given.pop("accumulator"), text)
    for kind in ("memory", "schedule"):
        asked = [key for key in given if key in KINDS[kind]]
        if "schedule" in given and kind == "schedule":
            asked.append(_named(kind, given.pop("schedule"), text))
        if len(asked) > 1:
            raise InvalidExitRule(
                f"exit rule {text!r} has {' and '.join(asked)}, each a {kind} of its own; give one of them"
            )
        chosen[kind] = asked[0] if asked else chosen[kind]
    bounds: dict[str, Any] = {
        key.replace("-", "_"): _value(key, given.pop(key), text) for key in BOUNDS if key in given
    }
    parts: dict[str, Any] = {}
    for kind, kinds in KINDS.items():
        found = kinds[chosen[kind]]
        parts[kind] = _part(found, given, text)
    if given:
        key = next(iter(given))
        raise InvalidExitRule(f"exit rule {text!r}: {_foreign(key, list(chosen.values()))}")
    made = Combination(threshold, **parts, **bounds)
    return RULES[made.name](threshold) if made.name in RULES else made


def _pairs(pieces: list[str], text: str) -> dict[str, str]:
    """Pieces ``key=value`` as a dictionary of known keys."""
    found: dict[str, str] = {}
    for piece in pieces:
        key, separator, value = (part.strip() for part in piece.partition("="))
        if key not in KEYS:
            raise InvalidExitRule(
                f"exit rule {text!r}: there is no parameter {key!r}{nearest(key, KEYS)}; there are "
                f"{', '.join(KEYS)}"
            )
        if not separator or not value or key in found:
            what = "is given twice" if key in found else "has no value"
            raise InvalidExitRule(f"exit rule {text!r}: {key} {what}; write it once, as {key}=VALUE")
        found[key] = value
    return found


def _named(kind: str, name: str, text: str) -> str:
    """The name of a part that has one."""
    allowed = [n for n, part in KINDS[kind].items() if kind != "schedule" or not _keys(part)]
    if name not in allowed:
        raise InvalidExitRule(
            f"exit rule {text!r}: {kind} {name!r} is not known{nearest(name, allowed)}; allowed are "
            f"{', '.join(allowed)}"
        )
    return name


def _keys(part: type[Part]) -> list[str]:
    """The keys of a part's parameters."""
    return [item.name.replace("_", "-") for item in fields(part)]


def _part(part: type[Part], given: dict[str, str], text: str) -> Any:
    """A part with its parameters, which are taken from what is given."""
    values: dict[str, Any] = {}
    for key in _keys(part):
        if key in given:
            pieces = [_value(key, piece, text) for piece in given.pop(key).split(";")]
            several = any(item.type == "tuple[float, ...]" for item in fields(part) if _key(item.name) == key)
            if len(pieces) > 1 and not several:
                raise InvalidExitRule(f"exit rule {text!r}: {key} is one number, not {len(pieces)}")
            values[key.replace("-", "_")] = tuple(pieces) if several else pieces[0]
    return part(**values)


def _key(name: str) -> str:
    return name.replace("_", "-")


def _foreign(key: str, chosen: list[str]) -> str:
    """What a parameter belongs to, if not to the parts of the rule."""
    owners = [name for kinds in KINDS.values() for name, part in kinds.items() if key in _keys(part)]
    return (
        f"{key} is a parameter of {', '.join(owners)}; this rule has {', '.join(chosen)}. Leave it out, or "
        "choose one of those"
    )


def _value(key: str, value: str, text: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InvalidExitRule(
            f"exit rule {text!r}: {key} {shown(value)} is not a number; write for example "
            f"{'margin:0.9' if key == 'threshold' else f'{key}=1'}"
        ) from error


def allowed() -> str:
    """What a rule's text may be."""
    return ", ".join([f"{known}:THRESHOLD" for known in SCORES] + ["none", "CERTIFICATE.json"])


KEYS: tuple[str, ...] = tuple(
    dict.fromkeys(
        ["accumulator", "schedule"]
        + [key for kinds in KINDS.values() for part in kinds.values() for key in _keys(part)]
        + list(BOUNDS)
    )
)
"""Every key that a rule's text may have."""
