"""Descriptions and counts of other tools: SANA-FE architectures in, Accelergy tables out."""
