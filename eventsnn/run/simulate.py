"""``simulate``: run a network over samples, in this process or in several, and keep what is done."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from eventsnn import provenance
from eventsnn.arguments import path, shown, whole
from eventsnn.decide import ExitRule
from eventsnn.decide.certificate import require_other_data, require_same
from eventsnn.engine.contract import output_scale
from eventsnn.errors import CannotWrite, InvalidFile, InvalidRequest, UnreadableSamples
from eventsnn.hardware import Architecture, MappingFile
from eventsnn.network import Network
from eventsnn.network.training import named as named_data
from eventsnn.network.training import trained
from eventsnn.results import FailedSample, Journal, ResultTable, SampleRecord
from eventsnn.results.results import Results
from eventsnn.results.training import require_untrained
from eventsnn.run.cluster import require_executor, run_in_executor
from eventsnn.run.configuration import configuration, parameters
from eventsnn.run.currents import warn_of
from eventsnn.run.failures import left_out, none_readable
from eventsnn.run.job import Job, Progress, make_job
from eventsnn.run.samples import sample_indices, sample_name, sources
from eventsnn.run.settings import OPTIONS, Settings
from eventsnn.run.workers import require_picklable, require_samples_picklable, run_in_processes


def simulate(
    network: Network | str | os.PathLike[str],
    data: Any,
    hardware: str | os.PathLike[str] | Architecture | None = None,
    exit: str | ExitRule | None = None,
    schedule: str = "event",
    engine: str = "compiled",
    seed: int = 0,
    workers: int = 1,
    *,
    mapping: str | os.PathLike[str] | dict[str, Any] | MappingFile | None = None,
    ties: str = "ordered",
    step_us: float | None = None,
    history_us: float | None = None,
    input: str | None = None,
    duration_us: float | None = None,
    max_rate_hz: float | None = None,
    origin: str | None = None,
    scale_currents: bool = False,
    split: str | None = None,
    samples: int | None = None,
    max_events: int = 10**9,
    output: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    executor: Any = None,
) -> Results:
    """Run a network over samples, spike by spike.

    Parameters
    ----------
    network : Network or path
        A network, or the file of one.
    data : str, RecordingSet, ImageSet, tonic data set, array or sequence
        ``KIND:PATH`` (``nmnist:``, ``cifar10-dvs:``, ``images:``, ``tonic.NAME:``), an opened set, a data set
        object of the package tonic, an array of images, or a sequence of event arrays, ``SpikeTrain``,
        ``AnalogImage``, image arrays, pairs of one of these and a label, ``Recording`` objects.
    hardware : str, path or Architecture, optional
        A preset's name or an architecture file; without it spikes take no time.
    mapping : str, path or dict, optional
        Where the populations lie: ``layer`` (default), ``channel``, ``area``, ``pack``, or a mapping file
        (``eventsnn.hardware.mapping.file``).
    exit : str or ExitRule, optional
        ``margin:0.3``, ``max-probability:0.9``, ``none``, a certificate of ``eventsnn calibrate`` (a
        ``.json`` file), which refuses another network, another way of running it and its own calibration
        samples; or a rule of one's own: see ``eventsnn.decide.ExitRule``.
    schedule : str
        ``event``: thresholds are tested as charge arrives; ``step``: once per timestep, layer by layer.
    engine : str
        ``compiled`` or ``reference`` (slow, readable; the same results); ``float32`` or ``float64``, step
        schedule only, to compare with tensor frameworks.
    seed : int
        Of all random draws, which are keyed by (seed, sample).
    workers : int
        Processes; results do not depend on it. With more than one, a script must guard its main
        module (``if __name__ == "__main__":``), as Python's ``multiprocessing`` asks.
    ties : str
        ``ordered``: simultaneous events of a population go by neuron; ``seeded``: in a random order.
    step_us : float, optional
        Microseconds of a timestep, in the step schedule and of Bernoulli input; else the one period that the
        network's neurons name.
    history_us : float, optional
        Keep the counters at each multiple of so many microseconds (``Results.history``).
    input : str, optional
        How images become input: ``analog``, ``poisson``, ``bernoulli`` or ``charge``; a network converted
        for images says it itself, and takes no other.
    duration_us : float, optional
        How long the input lasts, in microseconds, where a sample does not say it itself, and at least;
        images last as long as the network was converted for, unless this says otherwise.
    max_rate_hz : float, optional
        Spikes per second at an activation of 1, of Poisson and Bernoulli input. A converted network knows
        it: rate x time x activation of one input spike = 1, the time being that for which its biases stand.
    origin : str, optional
        Time zero of recordings: ``file``, as the times are stored, or ``first-event``. Left out, N-MNIST
        keeps its stored times, everything else starts at its first event.
    scale_currents : bool
        Multiply the bias currents of a converted rate network by the duration they were calibrated for over
        each sample's own. It takes an engine for each length, which costs some milliseconds.
    split, samples : optional
        Of a data set: its split, and how many recordings to take evenly from the sorted list.
    max_events : int
        Deliveries after which a sample ends with an error.
    output : path, optional
        Results file. Finished samples are kept beside it as they come; a run that was stopped goes on
        from there.
    progress : callable, optional
        Called with (samples done, samples in all).
    executor : Executor or Dask client, optional
        Where samples are run, in the place of processes: anything with the ``submit`` of
        ``concurrent.futures.Executor``, its workers anywhere that has this version of eventsnn and the data
        at the same path. ``workers`` then says how many it runs at once, where it does not say so itself. It
        is left open.

    Returns
    -------
    Results
        Of the samples that could be read; the others stand in ``failures``, with a warning
        (``UnreadableSamples``).

    Raises
    ------
    EventsnnError
        Bad input of any kind, in one message; see ``eventsnn.errors``. Also no sample that can be read, a
        full disk (``CannotWrite``), a sample that ends its worker again and again (``WorkerLost``); what is
        finished is kept, if there is an ``output``.

    Warns
    -----
    CalibrationWarning
        Once a run: a sample is more than 20 % longer or shorter than the bias currents stand for.
    """
    given = locals().copy()  # the arguments, by name
    workers = whole(workers, "workers", InvalidRequest, 1)
    if output is not None:
        output = path(output, "output", InvalidRequest)
    if progress is not None and not callable(progress):
        raise InvalidRequest(
            f"progress is {shown(progress)}; give a function of two numbers, done and in all"
        )
    if executor is not None:
        require_executor(executor)
    settings = Settings(**{name: given[name] for name in OPTIONS})
    return run_job(make_job(network, data, settings, split, samples), workers, output, progress, executor)


def run_job(
    job: Job,
    workers: int = 1,
    output: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    executor: Any = None,
) -> Results:
    """Run the samples of a job that are not done yet; the arguments are those of ``simulate``."""
    made = configuration(job)
    named, contents = sources(job.samples)
    taken = provenance.started("simulate", parameters(made, workers))
    table = ResultTable(
        made,
        job.network.order,
        output_scale(job.network),
        (),
        sources=named,
        contents=contents,
        trained=_trained(job, contents),
    )
    if job.settings.certificate is not None:
        require_same(job.settings.certificate, table.configuration)
        require_other_data(job.settings.certificate, table.sources, table.contents)
        require_untrained(table, "a certificate promises nothing on data that trained the network")
    journal = None if output is None else Journal(output, table, taken)
    try:
        done: dict[int, SampleRecord] = {} if journal is None else journal.done
        failed: dict[int, FailedSample] = {} if journal is None else journal.failed
        positions = [p for p, index in enumerate(sample_indices(job.samples)) if index not in done]
        warned = False
        with closing(_outcomes(job, positions, workers, executor)) as outcomes:
            for outcome in outcomes:
                _keep(outcome, done, failed, journal)
                if not warned and isinstance(outcome, SampleRecord) and outcome.strain:
                    warned = True
                    warn_of(outcome.strain)
                if progress is not None:
                    progress(len(done) + len(failed), len(job.samples))
        failures = tuple(failed[index] for index in sorted(failed))
        if not done:
            raise none_readable(len(failures), InvalidFile(failures[0].reason), failures[0].reason)
        if journal is not None:
            table = journal.close()
        else:
            ordered = tuple(done[index] for index in sorted(done))
            table = replace(table, samples=ordered, failures=failures, provenance=(taken(),))
        if failures:
            warnings.warn(left_out(failures, len(job.samples)), UnreadableSamples, stacklevel=3)
        return Results(table)
    except CannotWrite as error:
        if journal is None or not journal.done:
            raise
        raise CannotWrite(
            f"{error}. Samples that are finished are kept in {journal.folder}, and the same command goes on "
            "from there"
        ) from error
    finally:
        if journal is not None:
            journal.discard()
            journal.release()


def _trained(job: Job, contents: dict[int, str]) -> dict[int, str] | None:
    """Samples that trained the network, with the name of their data; None where its file does not say."""
    metadata = job.network.metadata
    if not named_data(metadata):
        return None
    known = trained(metadata, contents.values())
    return {index: known[content] for index, content in contents.items() if content in known}


def _keep(
    outcome: SampleRecord | FailedSample,
    done: dict[int, SampleRecord],
    failed: dict[int, FailedSample],
    journal: Journal | None,
) -> None:
    # A journal counts as done what is on disk.
    if isinstance(outcome, FailedSample):
        if journal is not None:
            journal.add_failure(outcome)
        failed[outcome.index] = outcome
    else:
        if journal is not None:
            # Its trace stays on disk.
            journal.add(outcome)
        else:
            done[outcome.index] = outcome


def _outcomes(
    job: Job, positions: list[int], workers: int, executor: Any
) -> Generator[SampleRecord | FailedSample, None, None]:
    name = partial(sample_name, job.samples)
    if executor is not None:
        require_picklable(job.settings.rule)
        require_samples_picklable(job.samples)
        yield from run_in_executor(executor, job.runner, positions, workers, name)
        return
    if workers > 1 and len(positions) > 1:
        require_picklable(job.settings.rule)
        require_samples_picklable(job.samples)
        yield from run_in_processes(job.runner, positions, min(workers, len(positions)), name)
        return
    run = job.runner()
    for position in positions:
        yield run(position)
