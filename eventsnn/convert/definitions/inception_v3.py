"""Inception-v3 for images of 299 x 299, its parts named as torchvision's, no auxiliary classifier."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from eventsnn.convert.definitions.parts import whole
from eventsnn.errors import InvalidRequest

LEAST_SIZE = 75
"""Pixels: a smaller image is gone before the last module."""


class BasicConv2d(nn.Module):
    """A convolution without a bias, batch norm, ReLU."""

    def __init__(self, source: int, target: int, kernel: Any, stride: int = 1, padding: Any = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(source, target, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(target, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Activations, 0 or more."""
        return functional.relu(self.bn(self.conv(x)))


def _average(x: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(x, 3, 1, 1)


class InceptionA(nn.Module):
    """1 x 1; 5 x 5; twice 3 x 3; average pool (figure 5)."""

    def __init__(self, source: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(source, 64, 1)
        self.branch5x5_1 = BasicConv2d(source, 48, 1)
        self.branch5x5_2 = BasicConv2d(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(source, 64, 1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, 3, padding=1)
        self.branch_pool = BasicConv2d(source, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The branches' channels, one after another."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(_average(x))], 1)


class InceptionB(nn.Module):
    """Halves the size: 3 x 3; twice 3 x 3; max-pool (figure 10)."""

    def __init__(self, source: int) -> None:
        super().__init__()
        self.branch3x3 = BasicConv2d(source, 384, 3, 2)
        self.branch3x3dbl_1 = BasicConv2d(source, 64, 1)
        self.branch3x3dbl_2 = BasicConv2d(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = BasicConv2d(96, 96, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The branches' channels, one after another."""
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), three, functional.max_pool2d(x, 3, 2)], 1)


class InceptionC(nn.Module):
    """1 x 1; 1 x 7 and 7 x 1; twice both; average pool (figure 6)."""

    def __init__(self, source: int, width: int) -> None:
        super().__init__()
        row: dict[str, Any] = {"kernel": (1, 7), "padding": (0, 3)}
        column: dict[str, Any] = {"kernel": (7, 1), "padding": (3, 0)}
        self.branch1x1 = BasicConv2d(source, 192, 1)
        self.branch7x7_1 = BasicConv2d(source, width, 1)
        self.branch7x7_2 = BasicConv2d(width, width, **row)
        self.branch7x7_3 = BasicConv2d(width, 192, **column)
        self.branch7x7dbl_1 = BasicConv2d(source, width, 1)
        self.branch7x7dbl_2 = BasicConv2d(width, width, **column)
        self.branch7x7dbl_3 = BasicConv2d(width, width, **row)
        self.branch7x7dbl_4 = BasicConv2d(width, width, **column)
        self.branch7x7dbl_5 = BasicConv2d(width, 192, **row)
        self.branch_pool = BasicConv2d(source, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The branches' channels, one after another."""
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(_average(x))], 1)


class InceptionD(nn.Module):
    """Halves the size: 3 x 3; 1 x 7, 7 x 1 and 3 x 3; max-pool."""

    def __init__(self, source: int) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv2d(source, 192, 1)
        self.branch3x3_2 = BasicConv2d(192, 320, 3, 2)
        self.branch7x7x3_1 = BasicConv2d(source, 192, 1)
        self.branch7x7x3_2 = BasicConv2d(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = BasicConv2d(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = BasicConv2d(192, 192, 3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The branches' channels, one after another."""
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        three = self.branch3x3_2(self.branch3x3_1(x))
        return torch.cat([three, self.branch7x7x3_4(seven), functional.max_pool2d(x, 3, 2)], 1)


class InceptionE(nn.Module):
    """1 x 1; 1 x 3 beside 3 x 1, behind 1 x 1 and behind 3 x 3; average pool (figure 7)."""

    def __init__(self, source: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv2d(source, 320, 1)
        self.branch3x3_1 = BasicConv2d(source, 384, 1)
        self.branch3x3_2a = BasicConv2d(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = BasicConv2d(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = BasicConv2d(source, 448, 1)
        self.branch3x3dbl_2 = BasicConv2d(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = BasicConv2d(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = BasicConv2d(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = BasicConv2d(source, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The branches' channels, one after another."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(three),
                self.branch3x3_2b(three),
                self.branch3x3dbl_3a(double),
                self.branch3x3dbl_3b(double),
                self.branch_pool(_average(x)),
            ],
            1,
        )


class InceptionV3(nn.Module):
    """See ``inception_v3``."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv2d(whole("channels", channels), 32, 3, 2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, 3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, 1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, 3)
        self.Mixed_5b = InceptionA(192, 32)
        self.Mixed_5c = InceptionA(256, 64)
        self.Mixed_5d = InceptionA(288, 64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, 128)
        self.Mixed_6c = InceptionC(768, 160)
        self.Mixed_6d = InceptionC(768, 160)
        self.Mixed_6e = InceptionC(768, 192)
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.fc = nn.Linear(2048, whole("classes", classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of images."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(functional.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(functional.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        scores: torch.Tensor = self.fc(x.mean((2, 3)))
        return scores


def inception_v3(channels: int = 3, classes: int = 1000, size: int = 299) -> InceptionV3:
    """Inception-v3: 23,834,568 parameters with the defaults, called as torchvision's.

    The auxiliary classifier, which only training uses, is left out: of a file of torchvision's leave the
    parameters out that begin with ``AuxLogits``.

    Parameters
    ----------
    size : int
        Pixels of an image's side, at least 75; the parameters do not depend on it.

    References
    ----------
    C. Szegedy et al., CVPR 2016, arXiv:1512.00567, table 1.
    """
    if whole("size", size) < LEAST_SIZE:
        raise InvalidRequest(f"size is {size}; Inception-v3 needs at least {LEAST_SIZE} pixels")
    return InceptionV3(channels, classes)
