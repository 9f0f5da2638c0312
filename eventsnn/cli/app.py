"""``eventsnn``: how a command starts, and how it ends, whatever ends it.

Nothing is imported here but the standard library, so that an interrupt finds its handler from the first
moment on.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from types import FrameType
from typing import Any, TextIO

MISTAKE = 2
# As shells say it of a process that a signal ended.
BY_SIGNAL = 128
READER_GONE = BY_SIGNAL + 13

_stopped_by: list[int] = []


def main() -> None:
    """Entry point: a user's mistake is one message on standard error and exit code 2."""
    _open_closed_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        # A process that was started to ignore them (nohup, a job in the background) goes on doing so.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    sys.unraisablehook = _stop_again
    code = _run()
    if _stopped_by and code:
        code = BY_SIGNAL + _stopped_by[0]
        _say("stopped")
    sys.exit(_flushed(code))


def _run() -> Any:
    """The exit code of the command."""
    output = sys.stdout
    try:
        from eventsnn.cli.commands import app
        from eventsnn.errors import EventsnnError, EventsnnWarning

        _print_warnings(EventsnnWarning)
        try:
            app()
        except (EventsnnError, FileNotFoundError) as error:
            if not _stopped_by:
                _say(str(error))
            return MISTAKE
    except SystemExit as stop:
        # Typer puts something else in the place of a standard output that nobody reads any more.
        return READER_GONE if sys.stdout is not output else stop.code
    except OSError as error:
        # Files are named by whoever writes them; what has no name is a stream.
        full = "standard output" if error.errno == errno.ENOSPC else None
        where = error.filename or full
        _say(f"{where}: {error.strerror}" if where else error.strerror or str(error))
        return MISTAKE
    except BaseException:
        # An interrupt may come back as whatever it met.
        if not _stopped_by:
            raise
        return BY_SIGNAL
    return 0


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"eventsnn: {text}\n")
    except OSError:
        # Nobody listens.
        return


def _open_closed_streams() -> None:
    """Standard streams that were closed (``>&-``) lead nowhere, and no file gets their numbers."""
    for number, name, flags in (
        (0, "stdin", os.O_RDONLY),
        (1, "stdout", os.O_WRONLY),
        (2, "stderr", os.O_WRONLY),
    ):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, flags)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        # It stays open as long as the process.
        setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # Names of files need not be text.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _stop(number: int, frame: FrameType | None) -> None:
    """An interrupt is an exception, once; a second one, or one during imports, ends the process at once.

    Imports do not take exceptions at any place, and have nothing to lose.
    """
    if _stopped_by or _is_importing(frame):
        os.write(2, b"eventsnn: stopped\n")
        os._exit(BY_SIGNAL + number)
    _stopped_by.append(number)
    raise KeyboardInterrupt


def _stop_again(lost: Any) -> None:
    """An interrupt that met what takes no exception (the callback of a weak reference) comes once more."""
    if not (_stopped_by and isinstance(lost.exc_value, KeyboardInterrupt)):
        sys.__unraisablehook__(lost)
        return
    import threading

    # Not from here, where it would be lost again.
    threading.Timer(0.01, os.kill, (os.getpid(), _stopped_by.pop())).start()


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _print_warnings(ours: type[Warning]) -> None:
    """Warnings of ours are one line each, once; others as Python prints them."""
    python, said = warnings.showwarning, set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, ours):
            python(message, category, filename, lineno, file, line)
        elif str(message) not in said:
            said.add(str(message))
            _say(f"warning: {message}")

    warnings.simplefilter("always", ours)
    warnings.showwarning = show


def _flushed(code: Any) -> Any:
    """Write out what is still held; the exit code, unless that fails."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try again, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            return code or READER_GONE
        _say(f"standard output: {error.strerror}")
        return code or MISTAKE
    return code
