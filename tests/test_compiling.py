"""A first run of a kind says that kernels are compiled, on standard error, once."""

import os

import pytest

from eventsnn.cli.show import COMPILING, progress_bar
from eventsnn.compilation import said_when_compiling

pytestmark = pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")


def compiled(module):
    """A function that is compiled at its first call, as if it stood in a module."""
    from numba import njit

    def twice(value):
        return 2 * value

    twice.__module__ = module
    return njit(twice)


def test_it_is_said_once_and_of_our_kernels_alone():
    said = []
    with said_when_compiling(lambda: said.append(True)):
        assert compiled("elsewhere.kernels")(2) == 4
        assert said == []
        ours = compiled("eventsnn.engine.kernels.loop")
        assert ours(2) == 4
        assert said == [True]
        ours(2.0)  # compiled again, for another type
        assert said == [True]
    assert compiled("eventsnn.engine.kernels.heap")(2) == 4
    assert said == [True]


def test_a_command_says_it_on_standard_error(capsys):
    with progress_bar("simulating") as progress:
        progress(0, 1)
        compiled("eventsnn.engine.kernels.loop")(3)
    assert capsys.readouterr() == ("", COMPILING + "\n")
    with progress_bar("simulating"):
        pass
    assert capsys.readouterr() == ("", "")
