"""What is simulated: populations of neurons, the projections between them, and their file."""

from eventsnn.network.contract import InputContract
from eventsnn.network.file import load_network
from eventsnn.network.graph import Network
from eventsnn.network.neurons import (
    FirstSpike,
    Input,
    IntegrateAndFire,
    MaxGate,
    Neuron,
    Rate,
    Readout,
    Signed,
    Softmax,
    leak_factor_of,
    register_neurons,
)
from eventsnn.network.population import Population
from eventsnn.network.projections import Projection
from eventsnn.network.synapses import (
    AveragePool,
    Axis,
    Box,
    Conv2d,
    Dense,
    Identity,
    MaxPool,
    Sparse,
    SumPool,
    Synapses,
    Upsample,
    conv1d,
    register_synapses,
)
from eventsnn.network.writing import save_network

__all__ = [
    "AveragePool",
    "Axis",
    "Box",
    "Conv2d",
    "Dense",
    "FirstSpike",
    "Identity",
    "Input",
    "InputContract",
    "IntegrateAndFire",
    "MaxGate",
    "MaxPool",
    "Network",
    "Neuron",
    "Population",
    "Projection",
    "Rate",
    "Readout",
    "Signed",
    "Softmax",
    "Sparse",
    "SumPool",
    "Synapses",
    "Upsample",
    "conv1d",
    "leak_factor_of",
    "load_network",
    "register_neurons",
    "register_synapses",
    "save_network",
]
