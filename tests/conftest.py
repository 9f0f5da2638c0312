"""The same random weights in every run: drawn anew, now and then a layer would never be active."""

import sys


def pytest_runtest_setup(item):
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(1)
