"""Shipped accelerators as documents, with changes."""

from eventsnn.hardware import load_architecture


def preset(**changes):
    """The small preset as a document, with some places changed: ``core__neurons__value=4``."""
    data = load_architecture("event-conv-small").document()
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = data
        for name in parents:
            place = place[name]
        place[last] = value
    return data
