"""How kernels are compiled: the only place that names Numba's options.

Kernels allocate nothing, so Numba's reference counting is off (``_nrt``): with it every call touches an
atomic counter of every array it is handed, and a run on real recordings took about twice as long.
Options are untyped in Numba's stubs, hence ``Any``.

What is compiled is said (``said_when_compiling``): a first run of a kind takes its time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import event

# What is compiled into the kernels beside their own file.
_SOURCES = (
    "compilation.py",
    "decide/kernels.py",
    "decide/tables.py",
    "engine/kernels",
    "engine/order.py",
    "engine/seeds.py",
    "engine/service.py",
    "engine/softmax_tables.py",
    "counting/counters.py",
)


@cache
def source_stamp() -> int:
    """A number that changes when any source the kernels are compiled from changes."""
    digest = hashlib.blake2b(digest_size=7)
    for name in _SOURCES:
        path = Path(__file__).parent / name
        for source in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(source.read_bytes())
    return int.from_bytes(digest.digest())


_jit: Any = njit
# Divisors are never 0: NumPy's error model leaves out the test for it before each division.
_options = {"_nrt": False, "no_cfunc_wrapper": True, "error_model": "numpy"}


def kernel(function: Callable[..., None]) -> Any:
    """Called from Python; cached on disk, compiled callees included.

    Numba's cache looks at the time stamp of the function's own file only, and fails where a class that an
    older version was compiled for is gone: so each state of the sources has its own entry, by its name.
    """
    function.__qualname__ = f"{function.__name__}-{source_stamp():x}"
    return _jit(cache=True, **_options)(function)


# Called by kernels only: no wrapper and no cache entry, which halves the time to compile.
inner = _jit(no_cpython_wrapper=True, **_options)
# A call that hands on the plan and the state moves some two hundred words; hot steps are inlined.
inlined = _jit(no_cpython_wrapper=True, forceinline=True, **_options)


class _Compiling(event.Listener):
    """Says once that kernels are compiled; what is loaded from the disk is no such event of Numba's."""

    def __init__(self, say: Callable[[], None]) -> None:
        self._say: Callable[[], None] | None = say

    def on_start(self, event: Any) -> None:
        ours = event.data["dispatcher"].py_func.__module__.startswith("eventsnn.")
        if ours and self._say is not None:
            say, self._say = self._say, None
            say()

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


@contextmanager
def said_when_compiling(say: Callable[[], None]) -> Iterator[None]:
    """Call ``say`` when the first kernel is compiled in this process meanwhile, if any is."""
    with event.install_listener("numba:compile", _Compiling(say)):
        yield
