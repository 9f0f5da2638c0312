"""Engines in floating point, in steps, to compare with tensor frameworks."""
