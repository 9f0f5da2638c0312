"""What the input of a converted network means, kept in its file: a run takes it from there.

For every coding and duration the input and the biases keep their proportion: over the time for which a
bias stands, an input of activation x adds w x and a bias adds b. Where biases are currents that time is
``duration_us``; where they are charges at time 0 it is the sample, whatever its length.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from eventsnn.errors import InvalidNetwork

CODINGS = ("events", "analog", "charge", "poisson", "bernoulli")
IMAGE_CODINGS = CODINGS[1:]
DRAWN = ("poisson", "bernoulli")


@dataclass(frozen=True)
class InputContract:
    """What a network was converted for.

    Attributes
    ----------
    coding
        One of ``CODINGS``; None where the calibration data did not say, so that events and images, whose
        activations are of one scale, are both taken.
    duration_us
        Microseconds: the length of a calibrated sample, and the time for which a bias current stands.
        None if it is not known: an image then acts once in each period of the biases.
    lowest, highest
        The range of the calibrated images (or of event counts times the input unit).
    input_range
        The range that the *model* reads images in, as (0, 255); None is (0, 1), images as they are. Folded
        into the first layer.
    mean, deviation
        Per channel, what the model's images are normalised by, after ``input_range``; None is not at all.
        Folded into the first layer: images are given before it.
    step_us
        Microseconds of a step, of networks that were trained in steps: images come anew in each, as biases
        do, however long a sample lasts; ``duration_us`` is then its usual length. None of others.
    """

    coding: str | None = None
    duration_us: float | None = None
    lowest: float = 0.0
    highest: float = 1.0
    input_range: tuple[float, float] | None = None
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    step_us: float | None = None

    def __post_init__(self) -> None:
        if self.coding is not None and self.coding not in CODINGS:
            raise InvalidNetwork(
                f"input coding {self.coding!r} is not known; allowed are {', '.join(CODINGS)}"
            )
        for name in ("duration_us", "step_us"):
            value = getattr(self, name)
            if value is not None and not (_number(value) and value > 0):
                raise InvalidNetwork(f"input {name} is {value!r}; it is a number above 0")
        for name in ("input_range", "mean", "deviation"):
            values = getattr(self, name)
            if values is None:
                continue
            if not isinstance(values, list | tuple) or not values or not all(map(_number, values)):
                raise InvalidNetwork(f"input {name} is {values!r}; it holds numbers")
            object.__setattr__(self, name, tuple(float(value) for value in values))
        if not (_number(self.lowest) and _number(self.highest) and self.lowest <= self.highest):
            raise InvalidNetwork(
                f"input values go from {self.lowest!r} to {self.highest!r}; give two numbers"
            )
        if self.input_range is not None and (
            len(self.input_range) != 2 or self.input_range[0] >= self.input_range[1]
        ):
            raise InvalidNetwork(f"input_range is {self.input_range}; give the lowest and the highest value")
        if self.deviation is not None and min(self.deviation) <= 0:
            raise InvalidNetwork(f"input deviation is {self.deviation}; each is above 0")

    @property
    def folded(self) -> bool:
        """Whether a normalisation stands in the first layer, so that images come as they were before it."""
        return any(value is not None for value in (self.input_range, self.mean, self.deviation))

    def document(self) -> dict[str, Any]:
        """The contract as JSON values."""
        found = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    @classmethod
    def of(cls, document: Any) -> InputContract:
        """The contract of a file.

        Raises
        ------
        InvalidNetwork
            Unknown names or values that are not allowed.
        """
        known = {item.name for item in fields(cls)}
        if not isinstance(document, dict) or not set(document) <= known:
            raise InvalidNetwork(f"the input contract is {document!r}; it has {', '.join(sorted(known))}")
        return cls(**document)


def _number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
