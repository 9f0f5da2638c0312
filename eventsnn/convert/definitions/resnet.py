"""Residual networks: ResNet-18 for ImageNet or CIFAR, ResNet-20 for CIFAR."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from eventsnn.convert.definitions.parts import activation, whole
from eventsnn.errors import InvalidRequest


class PaddedShortcut(nn.Module):
    """Option A: every second pixel, zero channels on both sides; no weights."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.each_side = planes // 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Half the pixels a side, twice the channels."""
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.each_side, self.each_side))


class PaddedBlock(nn.Module):
    """Two convolutions of 3 x 3 beside a shortcut without weights."""

    def __init__(self, before: int, planes: int, stride: int, levels: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu1 = activation(levels)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential() if stride == 1 else PaddedShortcut(planes)
        self.relu2 = activation(levels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's sum, rectified."""
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        total: torch.Tensor = self.relu2(residual + self.shortcut(x))
        return total


class ResNet20(nn.Module):
    """Three stages of three blocks of 16, 32 and 64 channels; see ``resnet20``."""

    def __init__(self, channels: int, classes: int, levels: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(whole("channels", channels), 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = activation(levels)
        self.layer1 = nn.Sequential(*(PaddedBlock(16, 16, 1, levels) for _ in range(3)))
        self.layer2 = self._stage(16, levels)
        self.layer3 = self._stage(32, levels)
        self.linear = nn.Linear(64, whole("classes", classes))

    @staticmethod
    def _stage(before: int, levels: int | None) -> nn.Sequential:
        planes = 2 * before
        rest = (PaddedBlock(planes, planes, 1, levels) for _ in range(2))
        return nn.Sequential(PaddedBlock(before, planes, 2, levels), *rest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of images."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        scores: torch.Tensor = self.linear(x.mean((2, 3)))
        return scores


def resnet20(channels: int = 3, classes: int = 10, levels: int | None = None) -> ResNet20:
    """ResNet-20 for CIFAR with shortcuts of option A; 269,722 parameters with the defaults.

    Parameters and buffers are called as in Y. Idelbayev's pytorch_resnet_cifar10, whose files load once
    ``module.`` is taken off the names.

    Parameters
    ----------
    levels : int, optional
        QCFS of so many levels in place of ReLU.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, CVPR 2016, arXiv:1512.03385, section 4.2.
    """
    return ResNet20(channels, classes, levels)


class ProjectedBlock(nn.Module):
    """Two convolutions of 3 x 3 beside a shortcut that is a convolution of 1 x 1 where shapes change."""

    def __init__(self, before: int, planes: int, stride: int, levels: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu1 = activation(levels)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = nn.Sequential()
        if stride != 1 or before != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )
        self.relu2 = activation(levels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's sum, rectified."""
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        total: torch.Tensor = self.relu2(residual + self.downsample(x))
        return total


class ResNet18(nn.Module):
    """Four stages of two blocks; see ``resnet18``."""

    def __init__(self, channels: int, classes: int, stem: str, levels: int | None) -> None:
        super().__init__()
        if stem not in ("imagenet", "cifar"):
            raise InvalidRequest(f"stem is {stem!r}; allowed are 'imagenet' and 'cifar'")
        large = stem == "imagenet"
        kernel, stride, padding = (7, 2, 3) if large else (3, 1, 1)
        self.conv1 = nn.Conv2d(whole("channels", channels), 64, kernel, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = activation(levels)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Sequential()
        self.layer1 = self._stage(64, 64, 1, levels)
        self.layer2 = self._stage(64, 128, 2, levels)
        self.layer3 = self._stage(128, 256, 2, levels)
        self.layer4 = self._stage(256, 512, 2, levels)
        self.fc = nn.Linear(512, whole("classes", classes))

    @staticmethod
    def _stage(before: int, planes: int, stride: int, levels: int | None) -> nn.Sequential:
        return nn.Sequential(
            ProjectedBlock(before, planes, stride, levels), ProjectedBlock(planes, planes, 1, levels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of images."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        scores: torch.Tensor = self.fc(x.mean((2, 3)))
        return scores


def resnet18(
    channels: int = 3, classes: int = 10, stem: str = "cifar", levels: int | None = None
) -> ResNet18:
    """ResNet-18; 11,173,962 parameters with the defaults.

    Parameters
    ----------
    stem : str
        ``"cifar"``: a convolution of 3 x 3. ``"imagenet"``: one of 7 x 7 with stride 2 and an overlapping
        max-pool; with ``classes=1000`` the 11,689,512 parameters of torchvision, under its names.
    levels : int, optional
        QCFS of so many levels in place of ReLU.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, CVPR 2016, arXiv:1512.03385, table 1.
    """
    return ResNet18(channels, classes, stem, levels)
