"""A network, and its mapping, as the arrays that kernels take; what a sample begins with and gives."""
