"""Exact binomial tests and Learn-then-Test by fixed sequence.

A. N. Angelopoulos, S. Bates, E. J. Candès, M. I. Jordan, L. Lei, "Learn then Test: calibrating predictive
algorithms to achieve risk control", arXiv:2110.01052, sections 2 and 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import number, whole
from eventsnn.errors import InvalidRequest


def share(value: Any, name: str) -> float:
    """A number strictly between 0 and 1."""
    found = number(value, name, InvalidRequest)
    if not 0 < found < 1:
        raise InvalidRequest(f"{name} is {found:g}; allowed are numbers between 0 and 1, both excluded")
    return found


def p_values(errors: NDArray[Any], samples: NDArray[Any] | int, limit: float) -> NDArray[np.float64]:
    """How likely so few errors are or fewer if each sample errs with probability ``limit``.

    P(Bin(samples, limit) <= errors): a valid p-value of "the risk is above ``limit``".
    """
    from scipy.stats import binom

    found: NDArray[np.float64] = np.asarray(binom.cdf(errors, samples, limit), dtype=np.float64)
    return found


def largest_errors(samples: int, limit: float, delta: float) -> int:
    """The most errors among so many samples that still certify a risk of at most ``limit``; -1 if none does.

    Parameters
    ----------
    samples : int
    limit : float
        Of the risk.
    delta : float
        Probability that the certificate is wrong, at most.

    Raises
    ------
    InvalidRequest
        No sample, or a limit or ``delta`` that is not between 0 and 1.
    """
    samples = whole(samples, "samples", InvalidRequest, 1)
    values = p_values(np.arange(samples + 1), samples, share(limit, "limit"))
    return int((values <= share(delta, "delta")).sum()) - 1


def least_limit(samples: int, delta: float) -> float:
    """The least risk that so many samples without an error certify: 1 - delta^(1 / samples)."""
    found: float = 1.0 - delta ** (1.0 / samples)
    return found


def least_samples(limit: float, delta: float) -> int:
    """How many samples without an error certify a risk of at most ``limit``."""
    return int(np.ceil(np.log(delta) / np.log1p(-limit)))


def upper_bound(errors: int, samples: int, delta: float) -> float:
    """The risk that so many errors exclude with confidence 1 - delta (Clopper, Pearson 1934, one-sided)."""
    from scipy.stats import beta

    return 1.0 if errors >= samples else float(beta.ppf(1 - delta, errors + 1, samples - errors))


def fixed_sequence(values: NDArray[np.float64], delta: float) -> int:
    """How many hypotheses, in an order fixed before the data were seen, are rejected at level ``delta``.

    Testing stops at the first that is not: so every rejection of the sequence holds with probability
    1 - delta at once, whatever depends on what.
    """
    kept = np.flatnonzero(~(values <= delta))
    return int(kept[0]) if len(kept) else len(values)
