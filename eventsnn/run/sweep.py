"""``sweep``: what accuracy, latency and energy depend on, one value of the accelerator at a time."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import number, shown, text, truth, whole
from eventsnn.errors import CalibrationWarning, EventsnnError, InvalidRequest
from eventsnn.hardware import Architecture, load_architecture
from eventsnn.hardware.energy import EnergyModel
from eventsnn.hardware.variations import Variation, banded, behaviour, scaled, vary
from eventsnn.network import Network
from eventsnn.report.sweep import Change, Measures, Outcome, Sweep
from eventsnn.results.results import Results, distribution
from eventsnn.run.cluster import require_executor
from eventsnn.run.configuration import configuration
from eventsnn.run.job import Job, Progress, make_job
from eventsnn.run.settings import Settings, check_names
from eventsnn.run.simulate import run_job

Runs = list[Results]


def sweep(
    network: Network | str | os.PathLike[str],
    data: Any,
    hardware: str | os.PathLike[str] | Architecture,
    values: Mapping[str, Sequence[str | float]] | None = None,
    *,
    bands: bool = False,
    relative: Sequence[float] | None = None,
    seeds: int = 1,
    workers: int = 1,
    split: str | None = None,
    samples: int | None = None,
    progress: Progress | None = None,
    executor: Any = None,
    **settings: Any,
) -> Sweep:
    """Run a network once for each value of an accelerator, the others as they are.

    All runs have the same seeds, and random draws are keyed by seed and sample: differences come from the
    values alone. Where only energies or powers differ, the nominal run's counts are used again.

    Parameters
    ----------
    network, data, split, samples, workers, executor, **settings
        As of ``simulate``.
    hardware : str, path or Architecture
        The nominal accelerator.
    values : mapping of str to sequence, optional
        Values by path in the architecture's document: ``{"actions.synapse.time": ["5 ns", "x2"]}``; see
        ``eventsnn.hardware.variations.vary``.
    bands : bool
        Also every value that states a band, at either end.
    relative : sequence of float, optional
        Also every time, energy, power and frequency times each of these factors.
    seeds : int
        Runs of each value, with seeds from the setting ``seed`` on.
    progress : callable, optional
        Called with (samples done, samples in all).

    Returns
    -------
    Sweep

    Raises
    ------
    InvalidHardware
        No such value, or one that is not allowed there.
    InvalidRequest
        Nothing to vary, or wrong ``seeds`` or ``relative``.
    EventsnnError
        The nominal run fails; where another fails its outcome says why.
    """
    if hardware is None:
        raise InvalidRequest("a sweep varies an accelerator; give hardware (--hardware), a preset or a file")
    seeds = whole(seeds, "seeds", InvalidRequest, 1)
    workers = whole(workers, "workers", InvalidRequest, 1)
    bands = truth(bands, "bands", InvalidRequest)
    check_names(settings)
    if values is not None and not isinstance(values, Mapping):
        raise InvalidRequest(
            f"values are {shown(values)}; give a mapping of paths to lists, as in "
            "{'actions.synapse.time': ['5 ns']}"
        )
    nominal = load_architecture(hardware)
    variations = _variations(nominal, values or {}, bands, relative)
    job = make_job(network, data, Settings(hardware=nominal, **settings), split, samples)
    if executor is not None:
        require_executor(executor)
    runs_of = _Runs(job, seeds, workers, progress, executor)
    runs_of.expected = len({behaviour(v.architecture) for v in variations} | {behaviour(nominal)})
    runs = runs_of(nominal)
    base = _Measured.of(runs, _energy_model(job))
    outcomes = [_outcome(variation, runs_of, base, job) for variation in variations]
    samples, failed = base.prediction.shape[1], len(runs[0].failures)
    return Sweep(configuration(job), samples, seeds, base.measures(), tuple(outcomes), failed)


def _variations(
    nominal: Architecture,
    values: Mapping[str, Sequence[str | float]],
    bands: bool,
    relative: Sequence[float] | None,
) -> list[Variation]:
    found: list[Variation] = []
    for path, chosen in values.items():
        if not isinstance(chosen, list | tuple | np.ndarray):
            what = f"the text {chosen!r}" if isinstance(chosen, str) else shown(chosen)
            raise InvalidRequest(f"values of {path} are {what}; give a list, as in ['5 ns', '10 ns']")
        found += vary(
            nominal, text(path, "a path of values", InvalidRequest), [_value(path, v) for v in chosen]
        )
    if bands:
        found += banded(nominal)
    if relative is not None:
        if not isinstance(relative, list | tuple | np.ndarray):
            raise InvalidRequest(f"relative is {shown(relative)}; give a list of factors, as in [0.8, 1.25]")
        factors = [
            float(number(factor, "one of the factors above 0 of relative", InvalidRequest))
            for factor in relative
        ]
        if not factors or not all(math.isfinite(factor) and factor > 0 for factor in factors):
            raise InvalidRequest(f"relative is {list(relative)}; give factors above 0, as in 0.8,1.25")
        found += scaled(nominal, factors)
    if not found:
        none = f"; no value of {nominal.name} states a band" if bands else ""
        raise InvalidRequest(f"nothing to vary{none}; give --set PATH=V1,V2, --bands or --relative 0.8,1.25")
    return found


def _value(path: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    return repr(number(value, f"a value of {path}", InvalidRequest))


class _Runs:
    """The runs of architectures, those of equal behaviour made once.

    ``expected`` is how many behaviours there will be, for progress.
    """

    expected = 1

    def __init__(self, job: Job, seeds: int, workers: int, progress: Progress | None, executor: Any) -> None:
        self._executor = executor
        self._job, self._seeds, self._workers, self._progress = job, seeds, workers, progress
        self._made: dict[str, Runs] = {}
        self._done = 0

    def has(self, architecture: Architecture) -> bool:
        """Whether an architecture of equal behaviour was run."""
        return behaviour(architecture) in self._made

    def __call__(self, architecture: Architecture) -> Runs:
        """One run for each seed."""
        key = behaviour(architecture)
        if key not in self._made:
            first = self._job.settings
            self._made[key] = [
                self._run(replace(first, hardware=architecture, seed=first.seed + i))
                for i in range(self._seeds)
            ]
        return self._made[key]

    def _run(self, settings: Settings) -> Results:
        each = len(self._job.samples)
        everything = each * self._seeds * self.expected
        before, self._done = self._done, self._done + each

        def update(done: int, _: int) -> None:
            if self._progress is not None:
                self._progress(before + done, everything)

        with warnings.catch_warnings():
            if before:  # said of the nominal run
                warnings.simplefilter("ignore", CalibrationWarning)
            return run_job(replace(self._job, settings=settings), self._workers, None, update, self._executor)


def _energy_model(job: Job) -> EnergyModel:
    assert job.energy is not None
    return job.energy


@dataclass(frozen=True)
class _Measured:
    """What runs gave, float or int arrays of shape (seeds, samples)."""

    prediction: NDArray[np.int64]
    correct: NDArray[np.bool_] | None
    operations: NDArray[np.int64]
    latency_s: NDArray[np.float64]
    energy_j: NDArray[np.float64]

    @classmethod
    def of(cls, runs: Runs, energy: EnergyModel) -> _Measured:
        """Runs whose counts and times are charged by an energy model."""
        joules = [[energy.joules(s.counters, s.latency_s) for s in run.table.samples] for run in runs]
        return cls(
            np.array([run.table.column("prediction") for run in runs]),
            None if runs[0].accuracy is None else np.array([run.correct for run in runs]),
            np.array([run.table.column("synaptic_operations") for run in runs]),
            np.array([run.latency_s for run in runs]),
            np.array(joules),
        )

    def measures(self) -> Measures:
        """Figures over all seeds and samples."""
        found = [distribution(values.ravel()) for values in (self.operations, self.latency_s, self.energy_j)]
        operations, latency, energy = (values or {} for values in found)
        accuracy = None if self.correct is None else float(self.correct.mean())
        return Measures(accuracy, operations, latency, energy)


def _outcome(variation: Variation, runs_of: _Runs, base: _Measured, nominal: Job) -> Outcome:
    """What a variation gave beside the nominal runs."""
    path, value, architecture = variation.path, variation.value, variation.architecture
    reused = runs_of.has(architecture)
    job = replace(nominal, settings=replace(nominal.settings, hardware=architecture))
    try:
        found = _Measured.of(runs_of(architecture), _energy_model(job))
    except EventsnnError as error:
        # A core too small, a FIFO that deadlocks: that this value does not work is what the sweep is for.
        return Outcome(path, value, None, failed=str(error))
    return Outcome(
        path,
        value,
        found.measures(),
        _change(found.latency_s, base.latency_s),
        _change(found.energy_j, base.energy_j),
        int((found.prediction != base.prediction).sum()),
        not reused,
    )


def _change(found: NDArray[np.float64], base: NDArray[np.float64]) -> Change:
    """Mean paired difference and its standard error over samples, seeds averaged first."""
    differences = (found - base).mean(axis=0)
    error = None if len(differences) < 2 else float(differences.std(ddof=1) / math.sqrt(len(differences)))
    return Change(float(differences.mean()), error)
