"""VGG networks: convolutions of 3 x 3 in stages, a pool behind each stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from eventsnn.convert.definitions.parts import activation, pool, pooled, whole, wholes
from eventsnn.errors import InvalidRequest

Stages = tuple[tuple[int, ...], ...]
VGG7: Stages = ((128, 128), (256, 256), (512, 512))
VGG11: Stages = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG16: Stages = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)


class VGG(nn.Module):
    """``features`` and ``classifier``, numbered as torchvision's: its files load.

    Parameters
    ----------
    stages : tuple of tuple of int
        Channels of each convolution.
    hidden : sequence of int
        Neurons of the hidden dense layers.
    """

    def __init__(
        self, stages: Stages, hidden: Sequence[int], channels: int, classes: int, size: int,
        batch_norm: bool, pool_kind: str, dropout: float, levels: int | None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not 0 <= dropout < 1:
            raise InvalidRequest(f"dropout is {dropout!r}; allowed are 0 up to below 1")
        features: list[nn.Module] = []
        source = whole("channels", channels)
        for stage in stages:
            for width in stage:
                features.append(nn.Conv2d(source, width, 3, padding=1))
                if batch_norm:
                    features.append(nn.BatchNorm2d(width))
                features.append(activation(levels))
                source = width
            features.append(pool(pool_kind))
        self.features = nn.Sequential(*features)
        source *= pooled(size, len(stages)) ** 2
        classifier: list[nn.Module] = []
        for width in wholes("hidden", hidden):
            classifier += [nn.Linear(source, width), activation(levels), nn.Dropout(dropout)]
            source = width
        classifier.append(nn.Linear(source, whole("classes", classes)))
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of images."""
        scores: torch.Tensor = self.classifier(self.features(x).flatten(1))
        return scores


def vgg7(
    channels: int = 3, classes: int = 10, size: int = 32, width: int = 128, hidden: Sequence[int] = (1024,),
    batch_norm: bool = True, pool_kind: str = "max", dropout: float = 0.0, levels: int | None = None,
) -> VGG:  # fmt: skip
    """VGG-7: (2 x 128C3)-P2-(2 x 256C3)-P2-(2 x 512C3)-P2-1024-classes.

    Parameters
    ----------
    width : int
        Channels of the first stage; the others have twice and four times as many.

    References
    ----------
    F. Li, B. Liu, "Ternary weight networks", arXiv:1605.04711, section 3.
    """
    first = whole("width", width)
    stages = tuple((first * factor,) * 2 for factor in (1, 2, 4))
    return VGG(stages, hidden, channels, classes, size, batch_norm, pool_kind, dropout, levels)


def vgg11(
    channels: int = 3, classes: int = 10, size: int = 32, hidden: Sequence[int] = (),
    batch_norm: bool = True, pool_kind: str = "max", dropout: float = 0.5, levels: int | None = None,
) -> VGG:  # fmt: skip
    """VGG-11, configuration A; as ``vgg16``."""
    return VGG(VGG11, hidden, channels, classes, size, batch_norm, pool_kind, dropout, levels)


def vgg16(
    channels: int = 3, classes: int = 10, size: int = 32, hidden: Sequence[int] = (),
    batch_norm: bool = True, pool_kind: str = "max", dropout: float = 0.5, levels: int | None = None,
) -> VGG:  # fmt: skip
    """VGG-16, configuration D. The defaults are the form for CIFAR; ImageNet's is the published one.

    For ImageNet give ``size=224, classes=1000, hidden=(4096, 4096), batch_norm=False``: 138,357,544
    parameters, called as torchvision's.

    References
    ----------
    K. Simonyan, A. Zisserman, ICLR 2015, arXiv:1409.1556, table 1.
    """
    return VGG(VGG16, hidden, channels, classes, size, batch_norm, pool_kind, dropout, levels)
