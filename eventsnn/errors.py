"""Every error a user can meet: one base class, each also deriving from the builtin it specialises.

A message says what was found, where, what is allowed and what to do. The command line prints the
message alone and exits with code 2.
"""


class EventsnnError(Exception):
    """Base of all errors raised on purpose by eventsnn."""


class InvalidEvents(EventsnnError, ValueError):
    """An event stream or recording that cannot be replayed as it is."""


class InvalidFile(EventsnnError, ValueError):
    """A file that is truncated, of another format, or damaged."""


class MissingFile(EventsnnError, FileNotFoundError):
    """A file that is not there."""


class InvalidNetwork(EventsnnError, ValueError):
    """A network whose parts do not fit together or whose numbers are not allowed."""


class UnsupportedLayer(EventsnnError, TypeError):
    """A layer of a trained model that has no faithful conversion."""


class InvalidHardware(EventsnnError, ValueError):
    """An architecture description that is incomplete or contradictory."""


class InvalidMapping(EventsnnError, ValueError):
    """A placement that names what is not there, or does not place every neuron exactly once."""


class DoesNotFit(EventsnnError, ValueError):
    """A network that exceeds a limit of the accelerator it is mapped to.

    ``details`` names what its message tells, where there is one of it: ``population``, ``core``, ``limit``,
    ``need``, ``has``.
    """

    def __init__(self, message: str, details: dict[str, str | int] | None = None) -> None:
        super().__init__(message)
        self.details = details or {}


class InvalidExitRule(EventsnnError, ValueError):
    """An exit rule that is unknown or whose threshold is out of range."""


class InvalidRequest(EventsnnError, ValueError):
    """A request whose settings contradict each other or the data at hand."""


class NotYetSupported(EventsnnError, NotImplementedError):
    """A documented setting that this version does not offer yet."""


class ChargeOverflow(EventsnnError, OverflowError):
    """A charge that would leave the 32-bit range; the run is stopped before it wraps."""


class EventLimitReached(EventsnnError, RuntimeError):
    """A sample that exceeded ``max_events`` deliveries."""


class Deadlock(EventsnnError, RuntimeError):
    """Cores of an accelerator that wait for room at one another for ever."""


class MissingExtra(EventsnnError, ImportError):
    """An optional dependency that is needed for what was asked and is not installed."""


class CannotWrite(EventsnnError, OSError):
    """An output file for which there is no room."""


class WorkerLost(EventsnnError, RuntimeError):
    """A worker process that ended before its sample was done."""


class EventsnnWarning(UserWarning):
    """Base of all warnings given by eventsnn; the command line prints each once, in one line."""


class RecordingWarning(EventsnnWarning):
    """A recording of which a few events had to be left out; how many, and which, is said."""


class CalibrationWarning(EventsnnWarning):
    """Samples far from the length that the network's bias currents were calibrated for."""


class UnreadableSamples(EventsnnWarning):
    """A run left out samples that cannot be read; ``Results.failures`` says which, and why."""


class NirWarning(EventsnnWarning):
    """Something in a NIR graph was read in the only way that makes sense of it; what, and how, is said."""


class UnfinishedRun(EventsnnWarning):
    """Results were asked for whose run has not ended; those so far are given."""
