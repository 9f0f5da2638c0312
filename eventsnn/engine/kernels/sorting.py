"""Putting a tick's spikes in the order of law 2: by neuron, each neuron's in the order of emission."""

from eventsnn.compilation import inner


@inner
def ascending(words, start, stop):
    """Whether spike words already stand by neuron."""
    for i in range(start + 1, stop):
        if words[i] >> 32 < words[i - 1] >> 32:
            return False
    return True


@inner
def sort_by_neuron(words, start, stop, scratch):
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
    # Merge runs of doubling width, back and forth between words and scratch.
    width = 1
    inside = True
    while width < length:
        for low in range(0, length, 2 * width):
            middle, high = min(low + width, length), min(low + 2 * width, length)
            i, j = low, middle
            for k in range(low, high):
                if inside:
                    left = i < middle and (j >= high or words[start + i] >> 32 <= words[start + j] >> 32)
                    scratch[k] = words[start + i] if left else words[start + j]
                else:
                    left = i < middle and (j >= high or scratch[i] >> 32 <= scratch[j] >> 32)
                    words[start + k] = scratch[i] if left else scratch[j]
                if left:
                    i += 1
                else:
                    j += 1
        inside = not inside
        width *= 2
    if not inside:
        for k in range(length):
            words[start + k] = scratch[k]
