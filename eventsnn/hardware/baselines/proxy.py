"""The operation proxy that many papers print as energy."""

from __future__ import annotations

# Tenths of picojoules: 32-bit floating-point multiply (3.7 pJ) and add (0.9 pJ), 45 nm, Horowitz 2014.
_MAC = 46
_AC = 9
_PER_JOULE = 10**13


def energy_proxy(ac: float, mac: float) -> float:
    """Joules at 0.9 pJ per accumulate and 4.6 pJ per multiply-accumulate.

    Horowitz, ISSCC 2014, as used throughout the literature (PMC10242054, table 3). It leaves out memory,
    communication and static power, so it is no energy of any machine: use it to compare with papers only.

    >>> energy_proxy(100_000_000, 140_000_000)
    0.000734
    """
    return (_AC * ac + _MAC * mac) / _PER_JOULE
