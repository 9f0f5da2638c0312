"""Importers: one file each, from a framework's trained network to a conversion graph."""
