"""``eventsnn run --stream``: one stream of events, decided over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eventsnn.cli import show
from eventsnn.run.reading import Reading

TAKEN = ("origin", "engine", "max_events")
"""Options of a run that a stream has, too."""


def require_no_stream(given: dict[str, Any]) -> None:
    """Refuse options of a stream where none was asked for."""
    from eventsnn.errors import InvalidRequest

    for name, value in given.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            raise InvalidRequest(f"{flag} is for streams; give --stream, or leave it out")


def replay(
    network: Path,
    data: str,
    output: Path | None,
    reading: Reading,
    settings: dict[str, Any],
    workers: int,
    given: dict[str, Any],
    json_: bool,
) -> None:
    """Replay recordings as one stream and print what was decided."""
    from eventsnn.errors import InvalidRequest
    from eventsnn.options import options_of
    from eventsnn.run.options import Options
    from eventsnn.run.stream import stream

    others = [name for name, said in options_of(Options).items() if settings[name] != said.typed]
    others = [*filter(lambda name: name not in TAKEN, others), *(["workers"] if workers != 1 else [])]
    if others:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise InvalidRequest(
            "a stream (--stream) is replayed in the event schedule, by one process, with no accelerator or "
            f"exit rule; leave {flags} out"
        )
    if given["decide_every_us"] is None:
        raise InvalidRequest("a stream (--stream) is decided at regular times; give --decide-every-us")
    given = given | {"gap_us": given["gap_us"] or 0}
    with show.progress_bar("replaying") as progress:
        results = stream(
            network,
            reading.open(data),
            **given,
            **{name: settings[name] for name in TAKEN},
            samples=reading.samples,
            output=output,
            progress=progress,
        )
    if json_:
        show.print_json(results.to_dict())
        return
    from eventsnn.report.stream import summary

    title = f"{network} on the stream of {data}, split {reading.split or 'all'}"
    show.print_table(show.listing(summary(results)), title)
    show.note("decisions not kept: give -o STREAM.h5 to keep them" if output is None else f"wrote {output}")
