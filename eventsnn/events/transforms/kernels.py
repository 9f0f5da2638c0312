"""Filters that look back at each pixel's last event: one pass over the events, compiled."""

from eventsnn.compilation import kernel


@kernel
def keep_rested(time, place, period, last, kept):
    """Mark events that lie at least ``period`` after the last one kept at their place.

    Parameters
    ----------
    time, place : int64, shape (events,)
        Non-decreasing; index into ``last``.
    last : int64, shape (places,)
        Time of the last event kept, far below 0 at the start; written.
    kept : uint8, shape (events,)
        Written.
    """
    for i in range(len(time)):
        if time[i] - last[place[i]] >= period:
            last[place[i]] = time[i]
            kept[i] = 1
        else:
            kept[i] = 0


@kernel
def keep_supported(time, x, y, window, last, kept):
    """Mark events with another at one of the eight pixels around, at most ``window`` before.

    Parameters
    ----------
    time, x, y : int64, shape (events,)
        Non-decreasing; pixels.
    last : int64, shape (height + 2, width + 2)
        Time of the last event of each pixel, with a border of one pixel; far below 0 at the start; written.
    kept : uint8, shape (events,)
        Written.
    """
    for i in range(len(time)):
        row, column = y[i] + 1, x[i] + 1
        last[row, column] = -(2**62)  # the pixel itself does not count
        newest = -(2**62)
        for r in range(row - 1, row + 2):
            for c in range(column - 1, column + 2):
                newest = max(newest, last[r, c])
        kept[i] = 1 if time[i] - newest <= window else 0
        last[row, column] = time[i]
