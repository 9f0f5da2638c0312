"""What a rule says at all checks of a recorded trace in one call, by the kernel that stops runs."""

from eventsnn.compilation import kernel
from eventsnn.decide.kernels import CHOSEN, DUE, FORCED, consider


@kernel
def replay(readout, time, events, scale, parts, numbers, state, confidence, chosen, due):
    """Follow a rule through a trace, of shapes (checks, classes) and (checks,), until its longest time.

    ``confidence``, ``chosen`` and ``due`` become what ``kernels.consider`` says at each check, and in
    ``state[FORCED]`` stands whether the last one looked at stops the run whatever the threshold. ``due[n]``
    counts the checks up to ``n``.
    """
    seen = 0
    for n in range(len(readout)):
        confidence[n] = consider(readout[n], scale, time[n], events[n], parts, numbers, state)
        chosen[n] = int(state[CHOSEN])
        if state[DUE] > 0:
            seen += 1
        due[n] = seen
        if state[FORCED] > 0:
            return
