"""What all tests stand on.

The same random weights in every run: drawn anew, now and then a layer would never be active. And interrupts
that reach the processes which tests start: a run in the background would leave them ignored.
"""

import signal
import sys

import pytest

pytest.register_assert_rewrite("builders", "oracles")


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item):
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(1)
