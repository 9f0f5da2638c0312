"""Exit rules on integer readouts, compiled. Arrays and scalars only.

What a ``Combination`` says at a check, part by part as the classes of ``accumulators``, ``scores``,
``memories`` and ``schedules`` say it, with the same operations in the same order: the same bits.
"""

from eventsnn.compilation import inner
from eventsnn.decide import tables

RULE_NONE = 0
RULE_PARTS = 1
RULE_OWN = 2
"""Asked in Python: the kernels stop at each check for it."""

NOT_SURE = -1.0
UNDECIDED = -1
REJECTED = -2
# Places in ``parts`` (int64): codes, then whole numbers; the given times stand last.
SCORE, ACCUMULATOR, MEMORY, SCHEDULE, PATIENCE, EVERY, AFTER, UNTIL, MORE, OF_TIME, PER_TIME, TIMES = range(
    12
)
# Places in ``numbers`` (float64); what a score has for each of the given times stands last.
TEMPERATURE, OF, KEEP, REJECT, LIMIT, AT_TIMES = range(6)
# Places in ``state`` (float64), one per sample, zeros at its start but LAST; then two values a class, then
# the last scores.
DUE, NUMBER, PASSED, LED, HELD, FORCED, LAST, CHOSEN, VALUES = range(9)
ALWAYS = -(2**62)
"""For AFTER, where there is no least time."""
NEVER = 2**62
"""For UNTIL, where there is no longest time."""

MAX_PROBABILITY, MARGIN, ENTROPY, LEAD, CHECKPOINT_LEAD, COUNT, COUNT_LEAD, FIRST_SPIKE, FIXED_TIME = range(
    1, 10
)
PREDICTION_SET = 10
READOUT, SUM, MEAN, RATE, LEAKY = range(5)
NO_MEMORY, PATIENT, PROBABILITY_RATIO = range(3)
EACH, EVERY_EVENTS, GIVEN_TIMES = range(3)

exponential = inner(tables.exponential)
logarithm = inner(tables.logarithm)


@inner
def state_size(classes, patience):
    """Numbers in the state of a rule."""
    return VALUES + 2 * classes + patience


@inner
def winner(readout):
    """Index of the largest value, ties lowest; -1 (undecided) when all are zero."""
    best = 0
    silent = True
    for i in range(len(readout)):
        if readout[i] != 0:
            silent = False
        if readout[i] > readout[best]:
            best = i
    return UNDECIDED if silent else best


@inner
def _is_due(time, events, parts, state):
    """Whether the schedule and the least time make a check of this change of the readout."""
    if time < parts[AFTER]:
        return False
    if parts[SCHEDULE] == EACH:
        return True
    if parts[SCHEDULE] == EVERY_EVENTS:
        passed = events // parts[EVERY]
    else:
        passed = 0
        while TIMES + passed < len(parts) and parts[TIMES + passed] <= time:
            passed += 1
    due = passed > state[PASSED]
    state[PASSED] = float(passed)
    return due


@inner
def _accumulate(readout, time, parts, numbers, state):
    """Write the values into the state; return the place of the largest, ties lowest."""
    classes = len(readout)
    for i in range(classes):
        new = float(readout[i])
        if parts[ACCUMULATOR] == READOUT:
            value = new
        elif parts[ACCUMULATOR] == SUM:
            value = state[VALUES + i] + new
        elif parts[ACCUMULATOR] == MEAN:
            value = new / state[NUMBER]
        elif parts[ACCUMULATOR] == RATE:
            value = new / (float(max(time, parts[PER_TIME])) / float(parts[PER_TIME]))
        else:
            value = state[VALUES + i] * numbers[KEEP] + (new - state[VALUES + classes + i])
            state[VALUES + classes + i] = new
        state[VALUES + i] = value
    best = 0
    for i in range(classes):
        if state[VALUES + i] > state[VALUES + best]:
            best = i
    return best


@inner
def _second(values, best):
    """The largest value but that of the best class."""
    second = values[1] if best == 0 else values[0]
    for i in range(len(values)):
        if i != best and values[i] > second:
            second = values[i]
    return second


@inner
def _place(time, parts):
    """Which of the given times is the last that has come; 0 where none has."""
    place = 0
    while TIMES + place + 1 < len(parts) and parts[TIMES + place + 1] <= time:
        place += 1
    return place


@inner
def _score(values, best, scale, time, parts, numbers, state):
    """How sure the values are."""
    kind = parts[SCORE]
    if kind == FIRST_SPIKE:
        return min(state[NUMBER] / float(parts[MORE] + 1), 1.0)
    if kind == FIXED_TIME:
        return min(float(time) / float(parts[OF_TIME]), 1.0)
    first = values[best]
    if kind == COUNT:
        return min(max(first / numbers[OF], 0.0), 1.0)
    if kind == COUNT_LEAD:
        return min((first - _second(values, best)) / numbers[OF], 1.0)
    factor = scale / numbers[TEMPERATURE]
    if kind in (LEAD, CHECKPOINT_LEAD):
        lead = (first - _second(values, best)) * factor
        if kind == LEAD:
            return min(lead / numbers[OF], 1.0)
        least = numbers[AT_TIMES + _place(time, parts)]
        return 1.0 if lead >= least else lead / least
    total = 0.0
    second = 0.0
    weighted = 0.0
    for i in range(len(values)):
        logit = (values[i] - first) * factor
        term = exponential(logit)
        total += term
        weighted += term * logit
        if i != best and term > second:
            second = term
    if kind == PREDICTION_SET:
        least = numbers[AT_TIMES + _place(time, parts)] * total
        size = 0
        for i in range(len(values)):
            if exponential((values[i] - first) * factor) >= least:
                size += 1
        return 1.0 / max(size, 1)
    if kind == MAX_PROBABILITY:
        return 1.0 / total
    if kind == MARGIN:
        return 1.0 / total - second / total
    entropy = logarithm(total) - weighted / total
    return min(max(1.0 - entropy / logarithm(float(len(values))), 0.0), 1.0)


@inner
def _log_ratio(score, limit):
    """See ``memories.probability_ratio``."""
    larger = score if score >= 0.5 else 1.0 - score
    smaller = 1.0 - score if score >= 0.5 else score
    size = limit
    if smaller > larger * exponential(-limit):
        size = logarithm(larger / smaller)
    return size if score >= 0.5 else -size


@inner
def _remember(score, best, classes, parts, numbers, state):
    """The confidence, after the checks before."""
    if parts[MEMORY] == NO_MEMORY:
        return score
    if state[LED] != float(best + 1):
        state[HELD] = 0.0
    state[LED] = float(best + 1)
    if parts[MEMORY] == PROBABILITY_RATIO:
        state[HELD] = max(state[HELD] + _log_ratio(score, numbers[LIMIT]), 0.0)
        return 1.0 / (1.0 + exponential(-state[HELD]))
    ring = state[VALUES + 2 * classes :]
    run = int(state[HELD])
    ring[run % parts[PATIENCE]] = score
    state[HELD] = float(run + 1)
    if run + 1 < parts[PATIENCE]:
        return NOT_SURE
    least = ring[0]
    for i in range(1, parts[PATIENCE]):
        least = min(least, ring[i])
    return least


@inner
def consider(readout, scale, time, events, parts, numbers, state):
    """The confidence at a change of the readout, as ``combination.Watch`` says it.

    In the state DUE becomes whether that was a check, FORCED whether the longest time is over, CHOSEN what a
    stop here answers that is sure.
    """
    state[DUE] = state[FORCED] = 0.0
    chosen = winner(readout)
    due = _is_due(time, events, parts, state)
    if due:
        state[DUE] = 1.0
    silent = chosen < 0 or time < 0
    forced = not silent and time >= parts[UNTIL]
    state[CHOSEN] = float(chosen)
    if silent or not (due or forced):
        return NOT_SURE
    state[DUE] = 1.0
    if forced:
        state[FORCED] = 1.0
    state[NUMBER] += 1.0
    best = _accumulate(readout, time, parts, numbers, state)
    values = state[VALUES : VALUES + len(readout)]
    score = _score(values, best, scale, time, parts, numbers, state)
    state[CHOSEN] = float(best)
    state[LAST] = _remember(score, best, len(readout), parts, numbers, state)
    return state[LAST]


@inner
def unsure(prediction, numbers, state):
    """What is answered by a rule that was never sure enough: the prediction, or REJECTED."""
    return REJECTED if prediction >= 0 and state[LAST] < numbers[REJECT] else prediction
