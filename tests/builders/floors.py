"""Laws that count the examples which reached their assertions: one that asserts nothing does not pass."""

import functools

_counts = []


class TooFewAsserted(AssertionError):
    """A law passed, but hardly any of its examples had anything to assert."""


def asserting():
    """Called where an example begins to assert what its law says."""
    if _counts:
        _counts[-1] += 1


def asserted():
    """How many examples of the law that runs have asserted by now; 0 for one without a floor."""
    return _counts[-1] if _counts else 0


def asserts_at_least(floor):
    """The law around a hypothesis test fails when fewer of its examples called ``asserting``.

    Stands above ``given``; with ``parametrize`` above it each case has to reach the floor.
    """

    def decorate(law):
        @functools.wraps(law)
        def counted(*arguments, **named):
            _counts.append(0)
            try:
                law(*arguments, **named)
            finally:
                reached = _counts.pop()
            if reached < floor:
                raise TooFewAsserted(f"{law.__name__}: {reached} examples asserted, below {floor}")

        counted.floor = floor
        return counted

    return decorate
