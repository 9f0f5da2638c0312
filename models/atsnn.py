"""Spiking networks for adaptive timesteps, in SpikingJelly's modules: a small VGG and a small ResNet.

``eventsnn convert WEIGHTS.pt --definition models/atsnn.py:vgg_cifar10 ...`` reads what ``train_atsnn.py``
trained with them. They take (steps, n, channels, y, x) and give logits of every step, (steps, n, classes).
Neurons leak half their charge a step, fire at 1 and subtract it: no number here is lost in binary fractions.
"""

from __future__ import annotations

import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import nn

VGG = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1))
"""Channels and stride of each convolution. Strides take the place of pools, which would pass every spike on
to a finer grid."""
RESNET = ((64, 2), (128, 2), (256, 2))
"""Channels and stride of each block."""


def fire() -> nn.Module:
    """Leaky integrate-and-fire neurons; a spike's gradient is an arctangent's (Fang et al. 2021)."""
    return neuron.LIFNode(
        tau=2.0,
        decay_input=False,
        v_reset=None,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
        step_mode="m",
    )


def normed(source: int, target: int, kernel: int, stride: int) -> nn.Sequential:
    """A convolution without bias and its batch norm."""
    return nn.Sequential(
        layer.Conv2d(source, target, kernel, stride, kernel // 2, bias=False, step_mode="m"),
        layer.BatchNorm2d(target, step_mode="m"),
    )


def vgg(channels: int, classes: int) -> nn.Sequential:
    """Seven convolutions on 32 x 32 pixels and a linear readout of the last 4 x 4."""
    layers: list[nn.Module] = []
    for width, stride in VGG:
        layers += [normed(channels, width, 3, stride), fire()]
        channels = width
    return nn.Sequential(
        *layers, layer.Flatten(step_mode="m"), layer.Linear(channels * 16, classes, step_mode="m")
    )


class Block(nn.Module):
    """Two convolutions and the shortcut past them, added as currents before the neurons fire."""

    def __init__(self, source: int, target: int, stride: int) -> None:
        super().__init__()
        self.first, self.first_fire = normed(source, target, 3, stride), fire()
        self.second, self.shortcut = normed(target, target, 3, 1), normed(source, target, 1, stride)
        self.fire = fire()

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Spikes of every step, of spikes."""
        inner = self.second(self.first_fire(self.first(spikes)))
        return self.fire(inner + self.shortcut(spikes))


def resnet(channels: int, classes: int) -> nn.Sequential:
    """A convolution, three blocks, and a linear readout of the last 4 x 4."""
    layers: list[nn.Module] = [normed(channels, 32, 3, 1), fire()]
    source = 32
    for width, stride in RESNET:
        layers.append(Block(source, width, stride))
        source = width
    return nn.Sequential(
        *layers, layer.Flatten(step_mode="m"), layer.Linear(source * 16, classes, step_mode="m")
    )


def vgg_cifar10() -> nn.Module:
    """Pictures, 0 to 1, of 10 classes."""
    return vgg(3, 10)


def vgg_cifar100() -> nn.Module:
    """Pictures, 0 to 1, of 100 classes."""
    return vgg(3, 100)


def vgg_cifar10_dvs() -> nn.Module:
    """Event counts of 32 x 32 cells, OFF and ON, of 10 classes."""
    return vgg(2, 10)


def resnet_cifar10() -> nn.Module:
    """Pictures, 0 to 1, of 10 classes."""
    return resnet(3, 10)
