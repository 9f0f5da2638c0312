"""Prediction sets at checkpoints, by conformal calibration with Bonferroni's correction.

J. Chen, S. Park, O. Simeone, "SpikeCP: delay-adaptive reliable spiking neural networks via conformal
prediction", IEEE JSTSP 2023, arXiv:2305.11322, section III. A set of all checkpoints covers the true class
with probability 1 - alpha, so their running intersection does, too: sets that never grow back.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import whole
from eventsnn.calibration.binomial import share
from eventsnn.errors import InvalidRequest


def rank(samples: int, alpha: float, checkpoints: int) -> int:
    """Which of the sorted calibration scores bounds a set: ceil((1 - alpha / checkpoints) (samples + 1)).

    Raises
    ------
    InvalidRequest
        Too few samples: the rank is beyond the last, and only the set of all classes would do.
    """
    samples = whole(samples, "samples", InvalidRequest, 1)
    checkpoints = whole(checkpoints, "checkpoints", InvalidRequest, 1)
    part = share(alpha, "alpha") / checkpoints
    # What is a whole number by hand must not be rounded up for the rounding of a product.
    found = math.ceil((1 - part) * (samples + 1) - 1e-9)
    if found > samples:
        needed = math.ceil(1 / part - 1 - 1e-9)
        raise InvalidRequest(
            f"{samples} samples are too few for sets that miss the class at one of {checkpoints} checkpoints "
            f"with probability {alpha:g} at most: at least {needed} are needed; give more, or fewer "
            "checkpoints"
        )
    return found


def scores(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """How little each class conforms: -log softmax over the last axis, of any shape (..., classes)."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    found: NDArray[np.float64] = np.log(np.exp(shifted).sum(axis=-1, keepdims=True)) - shifted
    return found


def bounds(logits: NDArray[np.float64], labels: NDArray[np.int64], alpha: float) -> NDArray[np.float64]:
    """The largest score that a class of the set may have, shape (checkpoints,).

    Parameters
    ----------
    logits : float64 array, shape (samples, checkpoints, classes)
        Of the calibration samples.
    labels : int64 array, shape (samples,)
    alpha : float
        How often the true class may be missing at one checkpoint or more.

    Raises
    ------
    InvalidRequest
        Too few samples.
    """
    own = np.take_along_axis(scores(logits), labels[:, None, None], axis=2)[:, :, 0]
    return bounds_of(own, alpha)


def bounds_of(own: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """``bounds`` from the scores of the true classes, shape (samples, checkpoints)."""
    return np.sort(own, axis=0)[rank(len(own), alpha, own.shape[1]) - 1]


def sets(logits: NDArray[np.float64], bound: NDArray[np.float64], nested: bool = True) -> NDArray[np.bool_]:
    """Which classes are in the set at each checkpoint, shape (samples, checkpoints, classes).

    Parameters
    ----------
    nested : bool
        A class that has left stays out (nested sets); else each checkpoint stands for itself.
    """
    inside = scores(logits) <= bound[:, None]
    return np.logical_and.accumulate(inside, axis=1) if nested else inside


def stopping_checkpoint(inside: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
    """The first checkpoint whose set has ``size`` classes or fewer, the last if none; shape (samples,)."""
    small = inside.sum(axis=2) <= size
    small[:, -1] = True
    return small.argmax(axis=1)
