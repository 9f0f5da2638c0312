"""Putting a tick's spikes in the order of law 2: by neuron, each neuron's in the order of emission."""

import numpy as np

from eventsnn.compilation import inner


@inner
def ascending(words, start, stop):
    """Whether spike words already stand by neuron."""
    for i in range(start + 1, stop):
        if words[i] >> 32 < words[i - 1] >> 32:
            return False
    return True


@inner
def sort_by_neuron(words, start, stop, scratch, counts):
    """Stable sort of spike words by neuron: insertion for few, radix for many."""
    length = stop - start
    if length <= 24:
        for i in range(start + 1, stop):
            word = words[i]
            k = i
            while k > start and words[k - 1] >> 32 > word >> 32:
                words[k] = words[k - 1]
                k -= 1
            words[k] = word
        return
    # By digits of 8 bits, the lowest first.
    most = np.int64(0)
    for i in range(start, stop):
        most = max(most, words[i] >> 32)
    inside = True
    shift = 32
    while most >> (shift - 32) > 0:
        for digit in range(257):
            counts[digit] = 0
        for i in range(length):
            word = words[start + i] if inside else scratch[i]
            counts[((word >> shift) & 255) + 1] += 1
        for digit in range(256):
            counts[digit + 1] += counts[digit]
        for i in range(length):
            word = words[start + i] if inside else scratch[i]
            place = counts[(word >> shift) & 255]
            counts[(word >> shift) & 255] = place + 1
            if inside:
                scratch[place] = word
            else:
                words[start + place] = word
        inside = not inside
        shift += 8
    if not inside:
        for i in range(length):
            words[start + i] = scratch[i]
