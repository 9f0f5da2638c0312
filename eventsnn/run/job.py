"""A job: a network, samples and settings, checked against each other, so that a worker can run any sample."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from eventsnn.engine import Engine, RunOptions, Stimulus, make_engine
from eventsnn.errors import InvalidFile, InvalidRequest, UnreadableSamples
from eventsnn.events import ImageSet, Recording, RecordingSet, Sample
from eventsnn.events.inputs import picoseconds
from eventsnn.hardware import Chip, Mapping, map_network
from eventsnn.hardware.energy import EnergyModel
from eventsnn.network import Network, load_network
from eventsnn.results import FailedSample, SampleRecord
from eventsnn.run.coding import Coding, bias_time_us, coding_of, has_currents
from eventsnn.run.currents import ScaledEngine, strain
from eventsnn.run.failures import UNREADABLE, left_out, none_readable, reason_of
from eventsnn.run.inputs import make_stimulus
from eventsnn.run.record import record
from eventsnn.run.samples import Samples, open_samples, sample_indices, sample_name
from eventsnn.run.settings import Settings

# Called with samples done and samples in all.
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
            raise none_readable(len(failures), InvalidFile(failures[0].reason), failures[0].reason)
        if failures:
            warnings.warn(left_out(tuple(failures), len(chosen)), UnreadableSamples, stacklevel=2)

    def runner(self) -> Callable[[int], SampleRecord | FailedSample]:
        """``run`` by position, on an engine of its own."""
        return partial(self.run, self.make_engine())


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
    raise none_readable(len(job.samples), first, reason_of(first)) from first


def check_samples(job: Job) -> None:
    """Refuse a sensor or labels that do not belong to the network, before anything is run."""
    samples, encoding = job.samples, job.coding.encoding
    if isinstance(samples, ImageSet) and encoding is not None:
        samples.check(encoding.largest, f"input {encoding.kind}: the set of images")
    check_belongs(samples, job.network)


def check_belongs(samples: Samples, network: Network) -> None:
    """Refuse a sensor that is not the network's, labels without a class, and an output without a choice."""
    height, width, _ = network.populations[network.input].shape
    if isinstance(samples, RecordingSet) and (samples.height, samples.width) != (height, width):
        factor = -(-samples.width // width)
        if factor > 1 and (-(-samples.width // factor), -(-samples.height // factor)) == (width, height):
            remedy = f"divide addresses with --downsample {factor} (RecordingSet.downsampled)"
        elif samples.width >= width and samples.height >= height:
            remedy = f"keep a part with --transform crop:width={width},height={height},x=...,y=..."
        else:
            remedy = "these have fewer pixels: give recordings of the sensor that it was made for"
        raise InvalidRequest(
            f"{samples.kind} recordings are {samples.width} x {samples.height} pixels, the network's "
            f"input is {width} x {height}; {remedy}, or take the network made for this sensor"
        )
    classes = network.populations[network.output].size
    if classes < 2:
        raise InvalidRequest(
            f"the output {network.output!r} has one neuron, so every sample would be decided for class "
            "0; a decision needs two. Give the network one output a class"
        )
    if int(samples.labels.max()) >= classes:
        raise InvalidRequest(
            f"the data have the label {int(samples.labels.max())}, the network decides between {classes} "
            f"classes, 0 to {classes - 1}"
        )
