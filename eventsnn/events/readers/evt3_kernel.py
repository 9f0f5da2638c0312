"""The state machine of EVT 3.0, compiled: word after word, since each may depend on any before it."""

from typing import Any

from numpy.typing import NDArray

from eventsnn.compilation import kernel

ADDR_Y, ADDR_X, BASE_X, VECTOR_12, VECTOR_8, TIME_LOW, CONTINUED_4 = 0, 2, 3, 4, 5, 6, 7
TIME_HIGH, TRIGGER, OTHERS, CONTINUED_12 = 8, 10, 14, 15
MOST_OF_A_WORD = 12
# A fall of the twelve upper bits by this or more is their wrap.
HALF_OF_HIGH = 1 << 11


@kernel
def decode(
    word: NDArray[Any],
    state: NDArray[Any],
    time: NDArray[Any],
    x: NDArray[Any],
    y: NDArray[Any],
    p: NDArray[Any],
    place: NDArray[Any],
    counted: NDArray[Any],
) -> None:
    """Decode words.

    ``state``, int64, is read and written: upper bits of time without wraps, lower bits, row, base column, its
    polarity; -1 where none came yet. Events go to ``time``, ``x``, ``y``, ``p`` and ``place`` (their word),
    which hold ``MOST_OF_A_WORD`` for each word. ``counted``, int64: events, events before any time, row or
    base, triggers, words of other kinds, the place of the first word of no known kind (-1: none).
    """
    high, low, row, base, on = state[0], state[1], state[2], state[3], state[4]
    events, early, triggers, others, unknown = 0, 0, 0, 0, -1
    for here in range(len(word)):
        value = int(word[here])
        kind, value = value >> 12, value & 0xFFF
        if kind == TIME_HIGH:
            if high < 0:
                high = value
            elif (high & 0xFFF) != value:
                loops = high >> 12
                if (high & 0xFFF) - value >= HALF_OF_HIGH:
                    loops += 1
                high = loops << 12 | value
                low = 0
        elif kind == TIME_LOW:
            low = value
        elif kind == ADDR_Y:
            row = value & 0x7FF
        elif kind == ADDR_X:
            if high < 0 or row < 0:
                early += 1
            else:
                time[events], x[events], y[events] = high << 12 | low, value & 0x7FF, row
                p[events], place[events] = value >> 11, here
                events += 1
        elif kind == BASE_X:
            base, on = value & 0x7FF, value >> 11
        elif kind == VECTOR_12 or kind == VECTOR_8:
            wide = 12 if kind == VECTOR_12 else 8
            for bit in range(wide):
                if value >> bit & 1:
                    if high < 0 or row < 0 or base < 0:
                        early += 1
                    else:
                        time[events], x[events], y[events] = high << 12 | low, base + bit, row
                        p[events], place[events] = on, here
                        events += 1
            if base >= 0:
                base += wide
        elif kind == TRIGGER:
            triggers += 1
        elif kind == OTHERS or kind == CONTINUED_4 or kind == CONTINUED_12:
            others += 1
        elif unknown < 0:
            unknown = here
    state[0], state[1], state[2], state[3], state[4] = high, low, row, base, on
    counted[0], counted[1], counted[2], counted[3], counted[4] = events, early, triggers, others, unknown
