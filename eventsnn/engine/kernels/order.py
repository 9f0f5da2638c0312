"""Law 2: which of two things that are due comes first."""

from eventsnn.compilation import inlined


@inlined
def comes_before(time_a, order_a, neuron_a, key_a, time_b, order_b, neuron_b, key_b):
    """Whether a comes before b: by tick, rank with class and place, neuron, spike of it and destination.

    Neurons are compared apart because seeded ties may give several of them one place.
    """
    if time_a != time_b:
        return time_a < time_b
    if order_a != order_b:
        return order_a < order_b
    if neuron_a != neuron_b:
        return neuron_a < neuron_b
    return key_a < key_b
