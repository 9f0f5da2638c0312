"""``simulate``: run a network over samples, in this process or in several, and keep what is done."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from eventsnn.arguments import path, shown, whole
from eventsnn.counting import COLUMN
from eventsnn.decide import ExitRule
from eventsnn.engine import Engine, RunOptions, SampleRun, Stimulus, make_engine
from eventsnn.engine.contract import output_scale
from eventsnn.errors import (
    CannotWrite,
    EventsnnError,
    InvalidEvents,
    InvalidFile,
    InvalidRequest,
    UnreadableSamples,
)
from eventsnn.events import ImageSet, Recording, RecordingSet, Sample
from eventsnn.events.inputs import picoseconds
from eventsnn.hardware import Architecture, Chip, Mapping, MappingFile, map_network
from eventsnn.hardware.baselines import work_of
from eventsnn.hardware.energy import EnergyModel
from eventsnn.hardware.quantities import End
from eventsnn.network import Network, load_network
from eventsnn.network.decision import decision_weights
from eventsnn.results import CounterHistory, FailedSample, Journal, ResultTable, SampleRecord
from eventsnn.results.results import Results
from eventsnn.run.coding import Coding, bias_time_us, coding_of, has_currents
from eventsnn.run.currents import ScaledEngine, strain, warn_of
from eventsnn.run.inputs import make_stimulus
from eventsnn.run.samples import (
    Samples,
    describe,
    open_samples,
    origins,
    sample_indices,
    sample_name,
    sources,
)
from eventsnn.run.settings import Settings
from eventsnn.run.workers import require_picklable, run_in_processes
from eventsnn.version import __version__

Progress = Callable[[int, int], None]
# What reading a sample and making input of it raises where the fault is the sample's, not the request's.
UNREADABLE = (InvalidEvents, InvalidFile, OSError)
LISTED_FAILURES = 3


@dataclass(frozen=True)
class Job:
    """Everything a worker needs to run any sample; picklable."""

    network: Network
    settings: Settings
    samples: Samples
    record_service: bool = False
    network_path: str | None = None

    @cached_property
    def _mapping(self) -> Mapping | None:
        architecture = self.settings.architecture
        if architecture is None:
            return None
        return map_network(self.network, architecture, self.settings.placement)

    def mapping(self) -> Mapping | None:
        """The network placed on the accelerator, if there is one."""
        return self._mapping

    @cached_property
    def energy(self) -> EnergyModel | None:
        """What counts and time cost on the accelerator, if there is one."""
        mapping = self.mapping()
        if mapping is None:
            return None
        return EnergyModel.of(Chip(mapping), self.network.order, self.settings.schedule == "step")

    def make_engine(self) -> Engine:
        """A fresh engine."""
        options = replace(self.settings.options(self.network), record_service=self.record_service)
        return self.engine_of(self.mapping(), options)

    def engine_of(self, mapping: Mapping | None, options: RunOptions) -> Engine:
        """A fresh engine of other options, with the currents scaled to each sample if that is set."""

        def make(network: Network) -> Engine:
            return make_engine(self.settings.engine, network, mapping, options)

        if self.settings.scale_currents and self.calibrated_ps is not None:
            return ScaledEngine(make, self.network, self.calibrated_ps)
        return make(self.network)

    @cached_property
    def coding(self) -> Coding:
        """How samples become input."""
        return coding_of(self.settings, self.network)

    @cached_property
    def calibrated_ps(self) -> int | None:
        """How long samples are for which the bias currents stand; None where none flow, or nobody says."""
        time_us = bias_time_us(self.network)
        if time_us is None or not has_currents(self.network):
            return None
        return picoseconds(time_us, "the network's duration_us")

    def stimulus(self, item: Recording | Sample) -> Stimulus:
        """A sample as input of the network."""
        return make_stimulus(item, self.network, self.coding)

    def strain(self, stimulus: Stimulus, where: str) -> str:
        """What to say of a sample that is far from what the network was calibrated for, or nothing."""
        if self.calibrated_ps is None or self.settings.scale_currents:
            return ""
        return strain(self.calibrated_ps, stimulus, where)

    def run(self, engine: Engine, position: int) -> SampleRecord | FailedSample:
        """Read and simulate the sample at a position; one that cannot be read is no error of the run."""
        found = self.read(position)
        if isinstance(found, FailedSample):
            return found
        item, stimulus = found
        row = record(engine.run(stimulus, item.index), item.label, self.energy)
        return replace(row, strain=self.strain(stimulus, item.name))

    def read(self, position: int) -> tuple[Recording | Sample, Stimulus] | FailedSample:
        """The sample at a position and what it is as input, or why it cannot be read."""
        try:
            item = self.samples[position]
            return item, self.stimulus(item)
        except UNREADABLE as error:
            index = sample_indices(self.samples)[position]
            return FailedSample(index, sample_name(self.samples, position), reason_of(error))

    def readable(self, positions: Iterable[int]) -> Iterator[tuple[Recording | Sample, Stimulus]]:
        """``read`` of those that can be read; of the others a warning (``UnreadableSamples``) in the end."""
        failures, chosen = [], list(positions)
        for position in chosen:
            found = self.read(position)
            if isinstance(found, FailedSample):
                failures.append(found)
            else:
                yield found
        if len(failures) == len(chosen):
            raise _none_readable(len(failures), InvalidFile(failures[0].reason), failures[0].reason)
        if failures:
            warnings.warn(_left_out(tuple(failures), len(chosen)), UnreadableSamples, stacklevel=2)

    def runner(self) -> Callable[[int], SampleRecord | FailedSample]:
        """``run`` by position, on an engine of its own."""
        return partial(self.run, self.make_engine())


def reason_of(error: Exception) -> str:
    """Why a sample cannot be read, in words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def record(run: SampleRun, label: int | None, energy: EnergyModel | None) -> SampleRecord:
    """A sample's run as a row of results."""
    counters = run.counters
    total = counters.sum(axis=0)
    elapsed_s = (run.decision_time - run.first_event) * 1e-12
    ends: tuple[End, ...] = ("low", "nominal", "high")
    joules = {
        end: float("nan") if energy is None else energy.joules(counters, elapsed_s, end) for end in ends
    }
    return SampleRecord(
        index=run.index,
        label=-1 if label is None else label,
        prediction=run.prediction,
        first_event_ps=run.first_event,
        decision_time_ps=run.decision_time,
        decided_early=run.decided_early,
        input_events=int(total[COLUMN["input_events"]]),
        synaptic_operations=int(total[COLUMN["synaptic_operations"]]),
        spikes=int(total[COLUMN["spikes_positive"]] + total[COLUMN["spikes_negative"]]),
        energy_j=joules["nominal"],
        energy_low_j=joules["low"],
        energy_high_j=joules["high"],
        counters=counters,
        trace={
            "time_ps": run.trace.time,
            "readout": run.trace.readout,
            "synaptic_operations": run.trace.synaptic_operations,
            "spikes": run.trace.spikes,
            "energy_aj": run.trace.energy,
        },
        digest=run.digest,
        parts=run.parts,
        history=None
        if run.history is None
        else CounterHistory(run.history.time, run.history.counters, run.history.readout),
    )


def make_job(
    network: Network | str | os.PathLike[str],
    data: Any,
    settings: Settings,
    split: str | None = None,
    samples: int | None = None,
) -> Job:
    """Check a request and gather what its samples need; see ``simulate``."""
    if not isinstance(network, (Network, str, os.PathLike)):
        raise InvalidRequest(f"network is a {type(network).__name__}; give a Network or the path of one")
    loaded = network if isinstance(network, Network) else load_network(network)
    path = None if isinstance(network, Network) else os.fspath(network)
    job = Job(loaded, settings, open_samples(data, split, samples), network_path=path)
    check_samples(job)
    # What does not fit or is not supported is refused before anything is run.
    job.make_engine().check(first_readable(job))
    return job


def first_readable(job: Job) -> Stimulus:
    """The first sample that can be read, as input.

    Raises
    ------
    InvalidEvents, InvalidFile, OSError
        As the first sample says; there is none.
    """
    first: Exception | None = None
    for position in range(len(job.samples)):
        try:
            return job.stimulus(job.samples[position])
        except UNREADABLE as error:
            first = first or error
    assert first is not None
    raise _none_readable(len(job.samples), first, reason_of(first)) from first


def _none_readable(samples: int, first: Exception, reason: str) -> Exception:
    if samples == 1:
        return first
    kind = type(first) if isinstance(first, EventsnnError) else InvalidFile
    return kind(f"none of the {samples} samples can be read; the first: {reason}")


def check_samples(job: Job) -> None:
    """Refuse a sensor or labels that do not belong to the network, before anything is run."""
    height, width, _ = job.network.populations[job.network.input].shape
    samples, encoding = job.samples, job.coding.encoding
    if isinstance(samples, ImageSet) and encoding is not None:
        samples.check(encoding.largest, f"input {encoding.kind}: the set of images")
    if isinstance(samples, RecordingSet) and (samples.height, samples.width) != (height, width):
        raise InvalidRequest(
            f"{samples.kind} recordings are {samples.width} x {samples.height} pixels, the network's "
            f"input is {width} x {height}; divide addresses with --downsample "
            "(RecordingSet.downsampled) or take the network made for this sensor"
        )
    classes = job.network.populations[job.network.output].size
    if classes < 2:
        raise InvalidRequest(
            f"the output {job.network.output!r} has one neuron, so every sample would be decided for class "
            "0; a decision needs two. Give the network one output a class"
        )
    if int(samples.labels.max()) >= classes:
        raise InvalidRequest(
            f"the data have the label {int(samples.labels.max())}, the network decides between {classes} "
            f"classes, 0 to {classes - 1}"
        )


def configuration(job: Job) -> dict[str, Any]:
    """What a job runs, as JSON values; equal for equal runs."""
    settings = job.settings
    options = settings.options(job.network)
    architecture = settings.architecture
    mapping = job.mapping()
    chip = None if mapping is None else Chip(mapping)
    weights = decision_weights(job.network.populations[job.network.output])
    return {
        "version": __version__,
        "network": job.network.checksum,
        "network_path": job.network_path,
        "dense_work": work_of(job.network).description(),
        "data": describe(job.samples),
        "data_path": None if job.samples.path is None else str(job.samples.path),
        "class_names": list(job.samples.class_names),
        "input": None if job.coding.encoding is None else job.coding.encoding.kind,
        "duration_ps": job.coding.duration_ps,
        "max_rate_hz": None if job.coding.encoding is None else job.coding.encoding.max_rate_hz,
        "origin": settings.origin or origins(job.samples),
        "scale_currents": settings.scale_currents,
        "hardware": None if architecture is None else architecture.name,
        "architecture": None if architecture is None else architecture.document(),
        "mapping": None if mapping is None else mapping.description(),
        "static_watts": 0.0 if chip is None else chip.static_watts,
        "decision_latency_ps": 0 if chip is None else chip.decision,
        "exit": "none" if settings.rule is None else str(settings.rule),
        "schedule": settings.schedule,
        "step_ps": settings.timestep_ps(job.network),
        "ties": settings.ties,
        "history_ps": options.history_period,
        "engine": settings.engine,
        "seed": settings.seed,
        "max_events": settings.max_events,
        **({} if weights is None else {"decision_weights": weights.tolist()}),
    }


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
) -> Results:
    """Run a network over samples, spike by spike.

    Parameters
    ----------
    network : Network or path
        A network, or the file of one.
    data : str, RecordingSet, ImageSet, array or sequence
        ``KIND:PATH`` (``nmnist:``, ``cifar10-dvs:``, ``images:``), an opened set, an array of images, or a
        sequence of event arrays, ``SpikeTrain``, ``AnalogImage``, image arrays, pairs of one of these and a
        label, ``Recording`` objects.
    hardware : str, path or Architecture, optional
        A preset's name or an architecture file; without it spikes take no time.
    mapping : str, path or dict, optional
        Where the populations lie: ``layer`` (default), ``channel``, ``area``, ``pack``, or a mapping file
        (``eventsnn.hardware.mapping.file``).
    exit : str or ExitRule, optional
        ``margin:0.3``, ``max-probability:0.9``, ``none``, or a rule of one's own: see
        ``eventsnn.decide.ExitRule``.
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

    Returns
    -------
    Results
        Of the samples that could be read; the others stand in ``failures``, with a warning
        (``UnreadableSamples``).

    Raises
    ------
    EventsnnError
        Bad input of any kind, in one message; see ``eventsnn.errors``. Also no sample that can be read, a
        full disk (``CannotWrite``), a worker process that was killed (``WorkerLost``); what is finished is
        kept, if there is an ``output``.

    Warns
    -----
    CalibrationWarning
        Once a run: a sample is more than 20 % longer or shorter than the bias currents stand for.
    """
    workers = whole(workers, "workers", InvalidRequest, 1)
    if output is not None:
        output = path(output, "output", InvalidRequest)
    if progress is not None and not callable(progress):
        raise InvalidRequest(
            f"progress is {shown(progress)}; give a function of two numbers, done and in all"
        )
    settings = Settings(
        hardware=hardware,
        exit=exit,
        schedule=schedule,
        engine=engine,
        seed=seed,
        ties=ties,
        step_us=step_us,
        history_us=history_us,
        input=input,
        duration_us=duration_us,
        max_rate_hz=max_rate_hz,
        origin=origin,
        scale_currents=scale_currents,
        max_events=max_events,
        mapping=mapping,
    )
    return run_job(make_job(network, data, settings, split, samples), workers, output, progress)


def run_job(
    job: Job,
    workers: int = 1,
    output: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Run the samples of a job that are not done yet; the arguments are those of ``simulate``."""
    table = ResultTable(
        configuration(job),
        job.network.order,
        output_scale(job.network),
        (),
        sources={} if output is None else sources(job.samples),
    )
    journal = None if output is None else Journal(output, table)
    try:
        done: dict[int, SampleRecord] = {} if journal is None else journal.done
        failed: dict[int, FailedSample] = {} if journal is None else journal.failed
        positions = [p for p, index in enumerate(sample_indices(job.samples)) if index not in done]
        warned = False
        with closing(_outcomes(job, positions, workers)) as outcomes:
            for outcome in outcomes:
                _keep(outcome, done, failed, journal)
                if not warned and isinstance(outcome, SampleRecord) and outcome.strain:
                    warned = True
                    warn_of(outcome.strain)
                if progress is not None:
                    progress(len(done) + len(failed), len(job.samples))
        failures = tuple(failed[index] for index in sorted(failed))
        if not done:
            raise _none_readable(len(failures), InvalidFile(failures[0].reason), failures[0].reason)
        if journal is not None:
            table = journal.close()
        else:
            ordered = tuple(done[index] for index in sorted(done))
            table = replace(table, samples=ordered, failures=failures)
        if failures:
            warnings.warn(_left_out(failures, len(job.samples)), UnreadableSamples, stacklevel=3)
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
            journal.add(outcome)
        done[outcome.index] = outcome


def _left_out(failures: tuple[FailedSample, ...], samples: int) -> str:
    listed = "; ".join(
        failure.reason if failure.name in failure.reason else f"{failure.name}: {failure.reason}"
        for failure in failures[:LISTED_FAILURES]
    )
    more = len(failures) - LISTED_FAILURES
    return (
        f"{len(failures)} of {samples} samples cannot be read and are left out: {listed}"
        f"{f'; and {more} more' if more > 0 else ''}"
    )


def _outcomes(
    job: Job, positions: list[int], workers: int
) -> Generator[SampleRecord | FailedSample, None, None]:
    if workers > 1 and len(positions) > 1:
        require_picklable(job.settings.rule)
        yield from run_in_processes(job.runner, positions, min(workers, len(positions)))
        return
    run = job.runner()
    for position in positions:
        yield run(position)
