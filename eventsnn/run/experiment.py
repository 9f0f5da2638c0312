"""Experiments: networks x data x schedules x accelerators x exit rules x any other option, cell by cell.

Each cell is a run with a results file of its own in one folder, named by a hash of what the run is (network,
data, accelerator, every setting), so that a cell that is done is never run again, one that was stopped goes
on, and one whose network or data changed is another. ``manifest.json`` says which file holds which choices.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eventsnn.arguments import nearest, shown
from eventsnn.errors import EventsnnError, InvalidFile, InvalidRequest, UnfinishedRun
from eventsnn.network import Network, load_network
from eventsnn.options import options_of
from eventsnn.output import write_whole
from eventsnn.results.journal import identity, open_results
from eventsnn.results.results import Results
from eventsnn.run.cluster import require_executor
from eventsnn.run.configuration import configuration
from eventsnn.run.job import Job, Progress, make_job
from eventsnn.run.reading import Reading
from eventsnn.run.settings import OPTIONS, Settings
from eventsnn.run.simulate import run_job

READING = options_of(Reading)
CHOICES = ("network", "data", *READING, *OPTIONS)
MANIFEST = "manifest.json"
FORMAT = "eventsnn-experiment"
SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class Cell:
    """One run of an experiment.

    Attributes
    ----------
    choices
        Its value of every option that the experiment names.
    job
        The run, checked.
    path
        Its results file.
    """

    choices: dict[str, Any]
    job: Job
    path: Path

    @property
    def samples(self) -> int:
        """How many it runs."""
        return len(self.job.samples)

    def done(self) -> int:
        """How many of them are done."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnfinishedRun)
            try:
                return len(open_results(self.path).samples)
            except (FileNotFoundError, InvalidFile):
                return 0


@dataclass(frozen=True)
class CellOutcome:
    """What a cell gave: its results, or why it failed."""

    cell: Cell
    results: Results | None
    failed: str = ""


@dataclass(frozen=True)
class Planned:
    """What is left of a cell, and what it will take in one process: NaN where no sample could be tried."""

    cell: Cell
    done: int
    seconds: float


class Experiment:
    """All combinations of the values of some options, opened and checked.

    Parameters
    ----------
    choices : mapping of str to value or list
        By name: ``network``, ``data``, and any option of ``simulate`` or of reading data. A list is an
        axis. ``hardware`` may be ``none``.
    folder : path
        Of the results files; made if it is not there.

    Raises
    ------
    InvalidRequest
        A name that is none, an axis without values; or what is wrong with cells, each by its choices. Nothing
        has been run then, and nothing written.
    """

    def __init__(self, choices: Mapping[str, Any], folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._networks: dict[str, Network] = {}
        self.axes = {name: value for name, value in choices.items() if isinstance(value, list)}
        for name in choices:
            if name not in CHOICES:
                raise InvalidRequest(
                    f"there is no option {name!r}{nearest(name, CHOICES)}; there are {', '.join(CHOICES)}"
                )
        for name in ("network", "data"):
            if name not in choices:
                raise InvalidRequest(f"an experiment needs {name}; give one, or a list")
        for name, values in self.axes.items():
            if not values:
                raise InvalidRequest(f"{name} is an empty list; give at least one value")
        self._require_ours()
        fixed = {name: value for name, value in choices.items() if name not in self.axes}
        combinations = [
            fixed | dict(zip(self.axes, values, strict=True))
            for values in itertools.product(*self.axes.values())
        ]
        self.cells: list[Cell] = []
        problems = []
        for combination in combinations:
            try:
                self.cells.append(self._cell(combination))
            except (EventsnnError, OSError) as error:
                problems.append(f"{self.label(combination) or 'the run'}: {error}")
        if problems:
            more = len(problems) - SHOWN_PROBLEMS
            raise InvalidRequest(
                f"{len(problems)} of {len(combinations)} cells cannot be run, and none was: "
                f"{' | '.join(problems[:SHOWN_PROBLEMS])}{f' | and {more} more' if more > 0 else ''}"
            )

    def label(self, choices: Mapping[str, Any]) -> str:
        """What tells a cell from the others."""
        return ", ".join(f"{name} {choices[name]}" for name in self.axes)

    def _cell(self, choices: dict[str, Any]) -> Cell:
        given = {name: value for name, value in choices.items() if name in OPTIONS}
        if given.get("hardware") == "none":
            given["hardware"] = None
        reading = Reading(**{name: choices[name] for name in READING if name in choices})
        data = choices["data"]
        if not isinstance(data, str):
            raise InvalidRequest(f"data is {shown(data)}; give KIND:PATH")
        path = os.fspath(choices["network"])
        if path not in self._networks:
            self._networks[path] = load_network(path)
        job = make_job(self._networks[path], reading.open(data), Settings(**given), samples=reading.samples)
        job = replace(job, network_path=path)
        said = json.dumps(identity(configuration(job)), sort_keys=True)
        key = hashlib.blake2b(said.encode(), digest_size=8).hexdigest()
        return Cell(choices, job, self.folder / f"{key}.h5")

    def _require_ours(self) -> dict[str, Any]:
        """What the folder's manifest says; none if there is no folder yet."""
        if not self.folder.exists():
            if not self.folder.absolute().parent.is_dir():
                raise InvalidRequest(f"the folder of {self.folder} does not exist; make it first")
            return {}
        if not self.folder.is_dir():
            raise InvalidRequest(f"{self.folder} is no folder; results of an experiment go into one")
        if not any(self.folder.iterdir()):
            return {}
        try:
            found = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            if found["format"] != FORMAT or not isinstance(found["cells"], dict):
                raise ValueError(FORMAT)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidRequest(
                f"{self.folder} is there and no experiment's ({MANIFEST} is missing or damaged); choose "
                "another folder"
            ) from error
        return dict(found["cells"])

    def plan(self) -> list[Planned]:
        """What is left to do, and how long it will take: from the first sample of each cell, run twice."""
        found = []
        for cell in self.cells:
            done = cell.done()
            seconds = 0.0 if done == cell.samples else (cell.samples - done) * _seconds_a_sample(cell.job)
            found.append(Planned(cell, done, seconds))
        return found

    def run(
        self, workers: int = 1, executor: Any = None, progress: Progress | None = None
    ) -> list[CellOutcome]:
        """Run what is not done; a cell that fails is told, and the others go on.

        Parameters
        ----------
        workers, executor
            As of ``simulate``.
        progress : callable, optional
            Called with (samples done, samples in all), over all cells.
        """
        if executor is not None:
            require_executor(executor)
        self._write_manifest()
        everything = sum(cell.samples for cell in self.cells)
        before, outcomes = 0, []
        for cell in self.cells:

            def update(done: int, _: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, everything)

            try:
                outcomes.append(CellOutcome(cell, run_job(cell.job, workers, cell.path, update, executor)))
            except EventsnnError as error:
                # A core too small, a deadlock: that this cell does not work is a result as well.
                outcomes.append(CellOutcome(cell, None, str(error)))
            before += cell.samples
        return outcomes

    def _write_manifest(self) -> None:
        cells = self._require_ours()
        cells |= {cell.path.name: cell.choices for cell in self.cells}
        self.folder.mkdir(exist_ok=True)
        text = json.dumps({"format": FORMAT, "cells": cells}, indent=1, default=str)
        write_whole(self.folder / MANIFEST, text.encode())


def _seconds_a_sample(job: Job) -> float:
    """How long a sample takes in one process: the first that can be read, once its engine is warm."""
    engine, taken = job.make_engine(), float("nan")
    for position in range(len(job.samples)):
        for _ in range(2):
            began = time.perf_counter()
            try:
                found = job.run(engine, position)
            except EventsnnError:
                return float("nan")
            taken = time.perf_counter() - began
        if hasattr(found, "digest"):
            return taken
    return float("nan")
