"""VGGSNN, the network that spiking networks are compared by on CIFAR10-DVS."""

from __future__ import annotations

from torch import nn

from eventsnn.convert.definitions.parts import activation, pool, pooled, whole

STAGES = ((64, 128), (256, 256), (512, 512), (512, 512))


def vggsnn(
    channels: int = 2, classes: int = 10, size: int = 48, batch_norm: bool = True, pool_kind: str = "average",
    levels: int | None = None,
) -> nn.Sequential:  # fmt: skip
    """64C3-128C3-P2-256C3-256C3-P2-512C3-512C3-P2-512C3-512C3-P2-classes; 9,263,232 weights.

    Parameters
    ----------
    levels : int, optional
        QCFS of so many levels in place of ReLU, which stands for the original's LIF neurons.

    References
    ----------
    S. Deng et al., "Temporal efficient training of spiking neural network via gradient re-weighting", ICLR
    2022, arXiv:2202.11946, appendix.
    """
    layers: list[nn.Module] = []
    source = whole("channels", channels)
    for stage in STAGES:
        for width in stage:
            layers.append(nn.Conv2d(source, width, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(activation(levels))
            source = width
        layers.append(pool(pool_kind))
    inputs = source * pooled(size, len(STAGES)) ** 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs, whole("classes", classes)))
