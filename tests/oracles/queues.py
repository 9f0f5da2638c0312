"""Queues looked at from outside."""


def swept(jobs):
    """The time integral of the number present, from arrivals and finishes."""
    changes = sorted([(t, 1) for t in jobs["arrival"].tolist()] + [(t, -1) for t in jobs["finish"].tolist()])
    total = present = last = 0
    for time, change in changes:
        total += present * (time - last)
        present, last = present + change, time
    assert present == 0
    return total
