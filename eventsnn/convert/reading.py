"""How a model reads its input: what calibration data need to know before its samples have a shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """What is known of a model's input.

    Attributes
    ----------
    takes : callable
        Whether samples of a shape, (channels, height, width) or (features,), can be read.
    channels : int or None
        Of an image, where a convolution comes first.
    """

    takes: Callable[[Shape], bool]
    channels: int | None = None

    def rows(self, image: Shape) -> bool:
        """Whether images of shape (channels, height, width) are read as rows of features."""
        return self.channels is None and not self.takes(image) and self.takes((prod(image),))
