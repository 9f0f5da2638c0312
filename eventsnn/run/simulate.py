"""``simulate``: run a network over samples, in this process or in several, and keep what is done."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import eventsnn
from eventsnn.arguments import path, shown, whole
from eventsnn.decide import ExitRule
from eventsnn.engine import Engine, SampleRun, Stimulus, make_engine
from eventsnn.engine.contract import output_scale
from eventsnn.errors import InvalidRequest
from eventsnn.events import ImageSet, Recording, RecordingSet, Sample
from eventsnn.hardware import Architecture, Chip, Mapping, MappingFile, map_network
from eventsnn.hardware.baselines import work_of
from eventsnn.hardware.energy import EnergyModel
from eventsnn.hardware.quantities import End
from eventsnn.network import Network, load_network
from eventsnn.network.decision import decision_weights
from eventsnn.report.results import Results
from eventsnn.results import COLUMN, CounterHistory, Journal, ResultTable, SampleRecord
from eventsnn.run.inputs import make_stimulus
from eventsnn.run.samples import Samples, describe, open_samples, sample_indices
from eventsnn.run.settings import Settings

Progress = Callable[[int, int], None]


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
        return make_engine(self.settings.engine, self.network, self.mapping(), options)

    def stimulus(self, item: Recording | Sample) -> Stimulus:
        """A sample as input of the network."""
        given = self.settings
        step = given.timestep_ps(self.network) if given.encoding is not None else 0
        return make_stimulus(item, self.network, given.encoding, given.duration_ps, step, given.seed)

    def run(self, engine: Engine, position: int) -> SampleRecord:
        """Read and simulate the sample at a position."""
        item = self.samples[position]
        return record(engine.run(self.stimulus(item), item.index), item.label, self.energy)


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


# A worker process keeps its job and engine here: one engine, many samples.
_worker: dict[str, Any] = {}


def _start_worker(job: Job) -> None:
    # An interrupt reaches the whole group; only the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(job=job, engine=job.make_engine())


def _run_in_worker(position: int) -> SampleRecord:
    found: SampleRecord = _worker["job"].run(_worker["engine"], position)
    return found


def _run_here(job: Job, positions: list[int]) -> Iterator[SampleRecord]:
    engine = job.make_engine()
    for position in positions:
        yield job.run(engine, position)


def _run_in_processes(job: Job, positions: list[int], workers: int) -> Iterator[SampleRecord]:
    """Samples as they finish. Spawned, not forked: progress threads and compiled code survive that."""
    import multiprocessing

    _require_picklable(job.settings.rule)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(job,)) as pool:
        waiting = iter(positions)
        running: set[Future[SampleRecord]] = set()
        try:
            # A short queue per worker keeps them busy without holding every sample's future.
            for position in waiting:
                running.add(pool.submit(_run_in_worker, position))
                if len(running) >= 4 * workers:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BaseException:
            # What is running would otherwise be waited for, however long it takes.
            for process in list(pool._processes.values()):
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _require_picklable(rule: ExitRule | None) -> None:
    """Refuse an exit rule of the user's own that no other process could load."""
    main = sys.modules["__main__"]
    # A main module without a file (a notebook, standard input) is not there in another process.
    typed = (
        not os.path.isfile(getattr(main, "__file__", None) or "") and getattr(main, "__spec__", None) is None
    )
    try:
        sent = pickle.loads(pickle.dumps(rule))
        reason = None if str(sent) == str(rule) else "what arrives there is another rule"
    except Exception as error:
        reason = str(error)
    if reason is None and typed and type(rule).__module__ == "__main__":
        reason = "its class was typed in, and is in no file"
    if reason is not None:
        raise InvalidRequest(
            f"exit rule {type(rule).__name__} cannot be sent to other processes: {reason}. Define its class "
            "at the top of a module that can be imported, or use workers=1"
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
    job.make_engine().check(job.stimulus(job.samples[0]))
    return job


def check_samples(job: Job) -> None:
    """Refuse a sensor or labels that do not belong to the network, before anything is run."""
    height, width, _ = job.network.populations[job.network.input].shape
    samples, encoding = job.samples, job.settings.encoding
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
        "version": eventsnn.__version__,
        "network": job.network.checksum,
        "network_path": job.network_path,
        "dense_work": work_of(job.network).description(),
        "data": describe(job.samples),
        "data_path": None if job.samples.path is None else str(job.samples.path),
        "class_names": list(job.samples.class_names),
        "input": settings.input,
        "duration_ps": settings.duration_ps,
        "max_rate_hz": settings.max_rate_hz,
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
        (``eventsnn.hardware.user_mapping``).
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
        How images become input: ``analog``, ``poisson``, ``bernoulli`` or ``charge``.
    duration_us : float, optional
        How long the input lasts, in microseconds, where a sample does not say it itself, and at least.
    max_rate_hz : float, optional
        Spikes per second at an activation of 1, of Poisson and Bernoulli input.
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

    Raises
    ------
    EventsnnError
        Bad input of any kind, in one message; see ``eventsnn.errors``.
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
    table = ResultTable(configuration(job), job.network.order, output_scale(job.network), ())
    journal = None if output is None else Journal(output, table)
    done = {} if journal is None else journal.done
    positions = [p for p, index in enumerate(sample_indices(job.samples)) if index not in done]
    try:
        for record_ in _records(job, positions, workers):
            if journal is None:
                done[record_.index] = record_
            else:
                journal.add(record_)
            if progress is not None:
                progress(len(done), len(job.samples))
    except BaseException:
        if journal is not None:
            journal.discard()
        raise
    if journal is not None:
        return Results(journal.close())
    ordered = tuple(done[index] for index in sorted(done))
    return Results(ResultTable(table.configuration, table.order, table.readout_scale, ordered))


def _records(job: Job, positions: list[int], workers: int) -> Iterator[SampleRecord]:
    if workers == 1 or len(positions) < 2:
        return _run_here(job, positions)
    return _run_in_processes(job, positions, min(workers, len(positions)))
