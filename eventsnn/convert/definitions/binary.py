"""Binary networks: weights of 1 bit, activations of two values.

The steps pass gradients straight through where their input is between -1 and 1. In training mode they are
written so that PyTorch finds that gradient; in evaluation mode, as conversion reads them, as plain steps.

M. Courbariaux, I. Hubara, D. Soudry, R. El-Yaniv, Y. Bengio, "Binarized neural networks", NIPS 2016,
arXiv:1602.02830.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from eventsnn.convert.definitions.parts import pool, pooled, whole, wholes
from eventsnn.errors import InvalidRequest


def signs(x: torch.Tensor, training: bool) -> torch.Tensor:
    """1 where ``x >= 0``, else -1; in training with the gradient of ``clip(x, -1, 1)``."""
    step = torch.where(x >= 0, 1.0, -1.0).to(x.dtype)
    if not training:
        return step
    clipped = functional.hardtanh(x)
    return clipped + (step - clipped).detach()


class Sign(nn.Module):
    """The activation 1 where ``x >= 0``, else -1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Two values, of the same shape."""
        return signs(x, self.training)


class Heaviside(nn.Module):
    """The activation 1 where ``x >= 0``, else 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Two values, of the same shape."""
        return (signs(x, self.training) + 1) / 2


class BinaryConv2d(nn.Conv2d):
    """A convolution with the signs of its weights."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution, without a bias."""
        weight = signs(self.weight, self.training)
        return functional.conv2d(x, weight, None, self.stride, self.padding)


class BinaryLinear(nn.Linear):
    """A dense layer with the signs of its weights."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product, without a bias."""
        weight = signs(self.weight, self.training)
        return functional.linear(x, weight, None)


STEPS: dict[str, type[nn.Module]] = {"sign": Sign, "heaviside": Heaviside}


def binarynet(
    channels: int = 3, classes: int = 10, size: int = 32, widths: Sequence[int] = (128, 256, 512),
    each: int = 2, hidden: Sequence[int] = (1024, 1024), step: str = "sign", pool_kind: str = "max",
) -> nn.Sequential:  # fmt: skip
    """BinaryNet: stages of binary convolutions, then dense layers; a batch norm before every step.

    With the defaults (2 x 128C3)-P2-(2 x 256C3)-P2-(2 x 512C3)-P2-1024-1024-classes, as published for
    CIFAR-10, but for the pools, which here follow the steps. All weights have 1 bit, those of the first and
    last layers too; the last is scaled by a batch norm.

    Parameters
    ----------
    widths : sequence of int
        Channels of each stage.
    each : int
        Convolutions a stage.
    hidden : sequence of int
        Neurons of the dense layers.
    step : str
        ``"sign"`` or ``"heaviside"``.
    """
    if step not in STEPS:
        raise InvalidRequest(f"step is {step!r}; allowed are {' and '.join(map(repr, STEPS))}")
    layers: list[nn.Module] = []
    source = whole("channels", channels)
    stages = wholes("widths", widths)
    for width in stages:
        for _ in range(whole("each", each)):
            convolution = BinaryConv2d(source, width, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), STEPS[step]()]
            source = width
        layers.append(pool(pool_kind))
    layers.append(nn.Flatten())
    source *= pooled(size, len(stages)) ** 2
    for width in wholes("hidden", hidden):
        layers += [BinaryLinear(source, width, bias=False), nn.BatchNorm1d(width), STEPS[step]()]
        source = width
    last = BinaryLinear(source, whole("classes", classes), bias=False)
    return nn.Sequential(*layers, last, nn.BatchNorm1d(classes))
