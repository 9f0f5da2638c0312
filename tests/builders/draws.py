"""What the laws draw from, and how often."""

from hypothesis import settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**32 - 1)


def few(examples):
    return settings(max_examples=examples, deadline=None, derandomize=True)
