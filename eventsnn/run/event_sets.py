"""Making files of event recordings: by several processes, going on after a kill, each the same however."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from eventsnn.arguments import whole
from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.events.event_file import open_event_file
from eventsnn.events.event_parts import part_path, part_says, parts_of
from eventsnn.events.event_writing import put_together
from eventsnn.run.chunks import Runner
from eventsnn.run.workers import run_in_processes

Progress = Callable[[int, int], None]
SHOWN = 5  # names in a message


def is_made(output: str | os.PathLike[str], job: dict[str, Any]) -> bool:
    """Whether a file of this job is there.

    Raises
    ------
    InvalidRequest
        One that was made in another way is there.
    InvalidFile
        One that is damaged, or of another kind.
    """
    if not Path(output).exists():
        return False
    if Path(output).is_dir():
        raise InvalidRequest(f"{output} is a folder; give the name of a file (.h5)")
    if open_event_file(output).attributes["source"] != json.dumps(job, sort_keys=True):
        raise InvalidRequest(
            f"{output} is there and was made in another way; choose another name, or remove it"
        )
    return True


def fill_event_file(
    output: str | os.PathLike[str],
    job: dict[str, Any],
    count: int,
    make_runner: Callable[[Path], Runner[str | None]],
    attributes: dict[str, Any],
    class_names: tuple[str, ...],
    workers: int,
    progress: Progress | None,
    again: bool = False,
) -> None:
    """Make what is missing of a file's recordings, then the file.

    Parameters
    ----------
    job
        What tells this file from others, as JSON values; kept as the file's ``source``.
    make_runner
        Picklable; given the folder of parts, returns what writes the part of a position and returns None, or
        what is wrong with it.
    attributes
        Of the file, see ``EventFile``.
    again
        Run those that are done, too: the runner knows whether they are still right.

    Raises
    ------
    InvalidRequest
        The file, or its folder of parts, is there and was made in another way.
    InvalidFile
        Something is wrong with some recordings; the others are done.
    """
    if is_made(output, job):
        return
    with parts_of(output, job) as folder:
        waiting = [k for k in range(count) if again or part_says(part_path(folder, k)) is None]
        problems = run_all(functools.partial(make_runner, folder), waiting, workers, count, progress)
        if problems:
            raise InvalidFile(
                f"{len(problems)} of {count} recordings cannot be prepared, the others are: "
                f"{' | '.join(problems[:SHOWN])}{' | ...' if len(problems) > SHOWN else ''}. Replace or "
                "remove these; the same command then goes on"
            )
        source = json.dumps(job, sort_keys=True)
        put_together(output, folder, count, attributes | {"source": source}, class_names)


def run_all(
    make_runner: Callable[[], Runner[str | None]],
    positions: list[int],
    workers: int,
    total: int,
    progress: Progress | None,
) -> list[str]:
    """Run them; what was wrong, in no order."""
    workers = whole(workers, "workers", InvalidRequest, least=1)
    done, problems = total - len(positions), []
    for problem in _outcomes(make_runner, positions, min(workers, len(positions))):
        done += 1
        if problem is not None:
            problems.append(problem)
        if progress is not None:
            progress(done, total)
    return sorted(problems)


def _outcomes(
    make_runner: Callable[[], Runner[str | None]], positions: list[int], workers: int
) -> Iterable[str | None]:
    if workers <= 1:
        return map(make_runner(), positions) if positions else ()
    return run_in_processes(make_runner, positions, workers)
