"""Exit checks on integer readouts, compiled. Arrays and scalars only."""

import math

from eventsnn.compilation import kernel

RULE_NONE = 0
RULE_MAX_PROBABILITY = 1
RULE_MARGIN = 2
RULE_OWN = 3
"""Asked in Python: the kernels stop at each check for it."""


@kernel
def confidence(readout, scale, rule):
    """How sure a readout is, 0 to 1: largest softmax probability, or its lead over the second.

    The sum runs in index order so that every engine and every later look at the trace round alike.
    """
    best = readout[0]
    for i in range(1, len(readout)):
        if readout[i] > best:
            best = readout[i]
    total = 0.0
    second = 0.0
    seen_best = False
    for i in range(len(readout)):
        term = math.exp((readout[i] - best) * scale)
        total += term
        if readout[i] == best and not seen_best:
            seen_best = True
        elif term > second:
            second = term
    if rule == RULE_MARGIN:
        return 1.0 / total - second / total
    return 1.0 / total


@kernel
def winner(readout):
    """Index of the largest value, ties lowest; -1 (undecided) when all are zero."""
    best = 0
    silent = True
    for i in range(len(readout)):
        if readout[i] != 0:
            silent = False
        if readout[i] > readout[best]:
            best = i
    return -1 if silent else best
