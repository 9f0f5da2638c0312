"""Random draws that depend on what they are for, never on who drew before.

Each generator is a Philox counter keyed by (seed, sample, purpose): any worker, in any order, gets
the same numbers for the same sample. There is no global state.
"""

import hashlib

import numpy as np

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
