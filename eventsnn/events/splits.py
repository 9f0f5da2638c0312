"""Splits by name, for data sets that come without one: CIFAR10-DVS has none, papers use several.

A name is a rule and a part, ``first100:train``. The rule alone names its test part.

- ``first100``: numbers 0 to 99 of each class are test (Duan et al., "Temporal effective batch normalization
  in spiking neural networks", NeurIPS 2022, and others).
- ``last100``: numbers 900 to 999 of each class are test.
- ``seeded:N``: a tenth of each class, rounded down, is test, drawn by seed N.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eventsnn.errors import InvalidRequest
from eventsnn.events.draws import keyed_generator
from eventsnn.events.recordings import RecordingFile

PARTS = ("test", "train")
NAMES = "first100, last100 or seeded:N, each with :train or :test behind it (test unless said)"
_TENTH = 10
# Of the numbers in file names, in each class.
_TEST_NUMBERS = {"first100": range(100), "last100": range(900, 1000)}


@dataclass(frozen=True)
class NamedSplit:
    """A rule and which of its parts; ``str`` gives its whole name."""

    rule: str
    part: str
    seed: int | None = None

    def __str__(self) -> str:
        seed = "" if self.seed is None else f":{self.seed}"
        return f"{self.rule}{seed}:{self.part}"

    def of(self, files: Sequence[RecordingFile], what: str) -> list[RecordingFile]:
        """The recordings of this part, in the order of all.

        Raises
        ------
        InvalidRequest
            The rule cannot be applied: a recording without a class or number, or too few in a class.
        """
        classes: dict[int, list[RecordingFile]] = {}
        for file in files:
            if file.label is None:
                raise InvalidRequest(f"{what}: {file.name} has no class; {self.rule} splits each class")
            classes.setdefault(file.label, []).append(file)
        test: set[int] = set()
        for label, members in classes.items():
            chosen = (
                self._tenth(members, label, what) if self.seed is not None else self._hundred(members, what)
            )
            if not 0 < len(chosen) < len(members):
                raise InvalidRequest(
                    f"{what}: {self.rule} puts {len(chosen)} of the {len(members)} recordings of class "
                    f"{label} into test; it needs more recordings (CIFAR10-DVS has 1,000 a class)"
                )
            test |= chosen
        return [file for file in files if (file.index in test) == (self.part == "test")]

    def _hundred(self, members: list[RecordingFile], what: str) -> set[int]:
        numbers = {file.index: _number(file, what) for file in members}
        if len(set(numbers.values())) != len(numbers):
            raise InvalidRequest(
                f"{what}: two recordings of one class have one number, so that {self.rule} says nothing; "
                f"use seeded:N"
            )
        return {index for index, number in numbers.items() if number in _TEST_NUMBERS[self.rule]}

    def _tenth(self, members: list[RecordingFile], label: int, what: str) -> set[int]:
        # By number, not by text, so that a part of the name's way of writing changes nothing.
        ordered = sorted(members, key=lambda file: (len(file.name), file.name))
        assert self.seed is not None
        keys = keyed_generator(self.seed, label, "nine to one split").random(len(ordered))
        return {ordered[k].index for k in np.argsort(keys, kind="stable")[: len(ordered) // _TENTH]}


def _number(file: RecordingFile, what: str) -> int:
    found = re.search(r"_(\d+)(\.[a-z0-9]+)?$", file.name)
    if found is None:
        raise InvalidRequest(
            f"{what}: {file.name} has no number at its end (cifar10_<class>_<number>.aedat), which this "
            "split goes by; use seeded:N"
        )
    return int(found[1])


def require_no_own(own: bool, what: str, split: str) -> None:
    """Refuse a name where a set has splits of its own, which it would mix.

    Of an emulated set these are the pictures', and a network may have been trained on those of ``train``.

    Raises
    ------
    InvalidRequest
    """
    if own:
        raise InvalidRequest(
            f"{what} has splits of its own, train and test, which {split!r} would mix; use these"
        )


def named_split(text: str) -> NamedSplit | None:
    """The split of a name; None if it is no such name.

    Raises
    ------
    InvalidRequest
        A seed that is none.
    """
    rule, *rest = text.split(":")
    if rule not in ("seeded", *_TEST_NUMBERS):
        return None
    seed: int | None = None
    if rule == "seeded":
        if not rest or not re.fullmatch("[0-9]{1,19}", rest[0]):
            raise InvalidRequest(f"the split {text!r} has no seed; write seeded:N, such as seeded:0")
        seed = int(rest.pop(0))
    part = rest[0] if rest else "test"
    if len(rest) > 1 or part not in PARTS:
        raise InvalidRequest(f"unknown split {text!r}; allowed are {NAMES}")
    return NamedSplit(rule, part, seed)
