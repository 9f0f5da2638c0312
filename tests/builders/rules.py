"""Exit rules of a user's own."""

from typing import ClassVar

from eventsnn.decide import ExitRule


class Never(ExitRule):
    name: ClassVar[str] = "never"

    def confidence(self, readout, scale):
        return 0.0


class Lead(ExitRule):
    """The lead of the best over the second, saturating: no shipped rule orders checks like it."""

    name: ClassVar[str] = "lead"
    code: ClassVar[int] = 1  # of a kernel that is not its own

    def confidence(self, readout, scale):
        second, first = sorted(readout)[-2:]
        lead = (first - second) * scale
        return lead / (1 + lead)
