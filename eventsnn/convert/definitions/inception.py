"""A small Inception: branches of several kinds side by side, their channels concatenated."""

from __future__ import annotations

import torch
from torch import nn

from eventsnn.convert.definitions.parts import activation, whole


def _unit(source: int, target: int, kernel: int, levels: int | None) -> nn.Sequential:
    """A convolution that keeps the size, batch norm, activation."""
    return nn.Sequential(
        nn.Conv2d(source, target, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(target),
        activation(levels),
    )


class Mixed(nn.Module):
    """1 x 1; 1 x 1, 3 x 3; 1 x 1, 3 x 3, 3 x 3; average pool, 1 x 1. Each gives ``width`` channels."""

    def __init__(self, source: int, width: int, levels: int | None) -> None:
        super().__init__()
        self.one = _unit(source, width, 1, levels)
        self.three = nn.Sequential(_unit(source, width, 1, levels), _unit(width, width, 3, levels))
        self.five = nn.Sequential(
            _unit(source, width, 1, levels), _unit(width, width, 3, levels), _unit(width, width, 3, levels)
        )
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), _unit(source, width, 1, levels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The four branches' channels, one after another."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], dim=1)


class SmallInception(nn.Module):
    """See ``small_inception``."""

    def __init__(self, channels: int, classes: int, width: int, levels: int | None) -> None:
        super().__init__()
        self.stem = _unit(whole("channels", channels), 2 * width, 3, levels)
        self.mixed1 = Mixed(2 * width, width, levels)
        self.pool1 = nn.MaxPool2d(3, 2, 1)
        self.mixed2 = Mixed(4 * width, 2 * width, levels)
        self.pool2 = nn.MaxPool2d(3, 2, 1)
        self.mixed3 = Mixed(8 * width, 4 * width, levels)
        self.fc = nn.Linear(16 * width, whole("classes", classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of images."""
        x = self.pool1(self.mixed1(self.stem(x)))
        x = self.mixed3(self.pool2(self.mixed2(x)))
        scores: torch.Tensor = self.fc(x.mean((2, 3)))
        return scores


def small_inception(
    channels: int = 3, classes: int = 10, width: int = 16, levels: int | None = None
) -> SmallInception:
    """Three Inception modules with overlapping max-pools between and a mean over the image at the end.

    Parameters
    ----------
    width : int
        Channels of each branch of the first module; the others have twice and four times as many.
    levels : int, optional
        QCFS of so many levels in place of ReLU.

    References
    ----------
    C. Szegedy et al., CVPR 2016, arXiv:1512.00567, figure 5 (the module with 5 x 5 as twice 3 x 3).
    """
    return SmallInception(channels, classes, whole("width", width), levels)
