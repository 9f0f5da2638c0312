"""Confidences of all checks of a recorded trace in one call, by the kernel that stops runs."""

from eventsnn.compilation import kernel
from eventsnn.decide.kernels import confidence


@kernel
def confidences(readout, scale, rule, found):
    """``found[i]`` becomes the confidence of ``readout[i]``, shapes (checks,) and (checks, classes)."""
    for i in range(len(readout)):
        found[i] = confidence(readout[i], scale, rule)
