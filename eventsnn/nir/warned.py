"""The warning of files that are odd, but can be read."""

from eventsnn.errors import EventsnnWarning


class NirWarning(EventsnnWarning):
    """Something in a NIR graph was read in the only way that makes sense of it; what, and how, is said."""
