"""Random draws that depend on what they are for, never on who drew before.

Each generator is a Philox counter keyed by (seed, sample, purpose): any worker, in any order, gets
the same numbers for the same sample. There is no global state.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest


def keyed_generator(seed: int, sample: int, purpose: str) -> np.random.Generator:
    """Return the generator that belongs to one purpose of one sample.

    Parameters
    ----------
    seed, sample
        Integers from 0 to 2^64 - 1; they are the two words of the Philox key.
    purpose
        A name for what is drawn; its hash is the highest word of the counter, so that the streams
        of two purposes are 2^192 draws apart unless the hashes are equal.

    Raises
    ------
    InvalidRequest
        If ``seed`` or ``sample`` is not such an integer.
    """
    for name, value in (("seed", seed), ("sample", sample)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**64:
            raise InvalidRequest(f"{name} must be an integer from 0 to 2^64 - 1, found {value!r}")
    word = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    key = np.array([seed, sample], np.uint64)
    counter = np.array([0, 0, 0, word], np.uint64)
    return np.random.Generator(np.random.Philox(counter=counter, key=key))


LN_2 = 0.6931471805599453
SQUARE_ROOT_OF_HALF = 0.7071067811865476


def exponential(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw ``count`` exponential waiting times of mean 1, the same on every machine.

    They are -ln(1 - u). A library's logarithm may differ in its last bit from one processor to the
    next; this one is made of single IEEE operations: ln(m 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)),
    m from sqrt(1/2) to sqrt(2).
    """
    mantissa, exponent = np.frexp(1.0 - generator.random(count))
    small = mantissa < SQUARE_ROOT_OF_HALF
    mantissa = np.where(small, 2.0 * mantissa, mantissa)
    exponent = exponent - small
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    series = np.zeros(count)
    for power in range(21, 0, -2):  # the next term is below 2^-62 of the first
        series = series * square + 1.0 / power
    return -(exponent * LN_2 + 2.0 * (ratio * series))
