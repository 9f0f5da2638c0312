"""Importers: a trained network from its framework or file as a conversion graph, and the original to run."""
