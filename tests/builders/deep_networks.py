"""VGG-11 and ResNet-18 for images of 32 x 32 x 3: their true geometry, all weights zero."""

import numpy as np

from eventsnn.network import (
    AveragePool,
    Axis,
    Conv2d,
    Dense,
    Identity,
    Input,
    Network,
    Population,
    Projection,
    Readout,
    Signed,
)


class Layers:
    """Collects populations and projections; each method adds a layer and returns its name."""

    def __init__(self):
        self.shape = {"00_input": (32, 32, 3)}
        self.populations = [Population("00_input", (32, 32, 3), Input())]
        self.projections = []

    def add(self, neuron, *inputs):
        """A layer of its own name; ``inputs`` are (source, synapses), added up."""
        name = f"{len(self.populations):02d}_{inputs[0][1].kind}"
        self.shape[name] = inputs[0][1].target_shape(self.shape[inputs[0][0]])
        self.populations.append(Population(name, self.shape[name], neuron))
        for source, synapses in inputs:
            self.projections.append(Projection(f"{source}-{name}", source, name, synapses))
        return name

    def kernel(self, source, channels, size=3, stride=1):
        """A padded convolution's synapses."""
        axis = Axis(size, stride, size // 2, size // 2)
        shape = (size, size, self.shape[source][2], channels)
        return source, Conv2d(np.zeros(shape, dtype=np.int32), axis, axis)

    def conv(self, source, channels, stride=1):
        return self.add(Signed(2**14, 15), self.kernel(source, channels, 3, stride))

    def pool(self, source, size=2):
        return self.add(Signed(2**14, 15), (source, AveragePool([1], Axis(size, size), Axis(size, size))))

    def dense(self, source, neuron, targets):
        weight = np.zeros((int(np.prod(self.shape[source])), targets), dtype=np.int32)
        return self.add(neuron, (source, Dense(weight)))

    def network(self):
        return Network(self.populations, self.projections)


def vgg11():
    """Eight convolutions, five average pools, one dense layer; 9,225,984 weights but the pools'."""
    layers = Layers()
    last = "00_input"
    for channels in (64, None, 128, None, 256, 256, None, 512, 512, None, 512, 512, None):
        last = layers.pool(last) if channels is None else layers.conv(last, channels)
    layers.dense(last, Readout(), 10)
    return layers.network()


def resnet18():
    """A stem, eight blocks of two convolutions with skips, a global pool, one dense layer."""
    layers = Layers()
    last = layers.conv("00_input", 64)
    for channels, first_stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first_stride, 1):
            middle = layers.conv(last, channels, stride)
            same = layers.shape[last][2] == channels
            skip = (last, Identity([1])) if same else layers.kernel(last, channels, 1, stride)
            last = layers.add(Signed(2**14, 15), layers.kernel(middle, channels), skip)
    layers.dense(layers.pool(last, 4), Readout(), 10)
    return layers.network()
