"""From layers to a network: the synapses of branches, scales, and the two families of neurons."""
