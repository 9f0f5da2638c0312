"""The compiled engine's kernels: arrays and scalars only, no allocation. ``loop.advance`` runs a sample."""
