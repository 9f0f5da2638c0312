"""What is simulated: populations of neurons, the projections between them, and their file."""

from eventsnn.network.file import load_network, save_network
from eventsnn.network.graph import Network
from eventsnn.network.neurons import Input, Neuron, Population, Rate, Readout, Signed
from eventsnn.network.projections import (
    AveragePool,
    Axis,
    Box,
    Conv2d,
    Dense,
    Identity,
    Projection,
    Synapses,
)

__all__ = [
    "AveragePool",
    "Axis",
    "Box",
    "Conv2d",
    "Dense",
    "Identity",
    "Input",
    "Network",
    "Neuron",
    "Population",
    "Projection",
    "Rate",
    "Readout",
    "Signed",
    "Synapses",
    "load_network",
    "save_network",
]
