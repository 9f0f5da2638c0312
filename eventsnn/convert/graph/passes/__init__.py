"""Passes: a graph to a graph that computes the same, with fewer kinds of places to look at."""
