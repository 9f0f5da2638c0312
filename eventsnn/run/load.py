"""How busy a network will keep an accelerator, estimated from an ideal run of a few samples."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from eventsnn.counting import COLUMN
from eventsnn.engine import SampleRun, Stimulus
from eventsnn.events import ImageSet, RecordingSet, open_dataset
from eventsnn.hardware import Architecture, MappingFile, load_architecture, map_network
from eventsnn.hardware.load import IdealSpikes, LoadEstimate, estimate
from eventsnn.network import Network
from eventsnn.run.currents import warn_of
from eventsnn.run.job import Progress, make_job
from eventsnn.run.settings import Settings

SAMPLES = 5


def estimate_load(
    network: Network | str | os.PathLike[str],
    data: Any,
    hardware: str | os.PathLike[str] | Architecture,
    mapping: str | os.PathLike[str] | dict[str, Any] | MappingFile | None = None,
    *,
    split: str | None = None,
    samples: int | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> LoadEstimate:
    """The load of every core, serialiser and link, before anything runs on the accelerator.

    Samples run without an accelerator, in the schedule that it has (``synchronisation``), to the end of
    their input; what their spikes would cost there is added up.

    Parameters
    ----------
    network, data, hardware, mapping, split : as of ``simulate``
    samples : int, optional
        How many to take, evenly over the data set; 5 unless said, or all of a list.
    progress : callable, optional
        Called with (samples done, samples in all).
    settings
        ``seed``, ``ties``, ``engine``, ``input``, ``duration_us``, ``max_rate_hz``, ``step_us``, ``origin``,
        ``scale_currents``, as of ``simulate``.

    Raises
    ------
    EventsnnError
        As of ``simulate``.
    """
    architecture = load_architecture(hardware)
    in_steps = architecture.synchronisation.kind != "none"
    chosen = open_dataset(data, split) if isinstance(data, str) else data
    if samples is None and isinstance(chosen, (RecordingSet, ImageSet)):
        samples = min(SAMPLES, len(chosen))
    schedule = "step" if in_steps else "event"
    job = make_job(network, chosen, Settings(schedule=schedule, **settings), None, samples)
    placed = map_network(job.network, architecture, mapping)
    options = replace(job.settings.options(job.network), record_spikes=True)
    engine = job.engine_of(None, options)
    found, strained = [], ""
    for item, stimulus in job.readable(range(len(job.samples))):
        strained = strained or job.strain(stimulus, item.name)
        found.append(ideal_spikes(job.network, engine.run(stimulus, item.index), stimulus, engine.step))
        if progress is not None:
            progress(len(found), len(job.samples))
    warn_of(strained)
    return estimate(job.network, placed, found)


def ideal_spikes(network: Network, run: SampleRun, stimulus: Stimulus, step: int) -> IdealSpikes:
    """The spikes of a run that recorded them; ``step`` is the engine's, 0 in the event schedule."""
    spikes = run.spikes
    assert spikes is not None
    of = {name: spikes.rank == rank for rank, name in enumerate(network.order)}
    steps = -(-run.decision_time // step) if step else 0
    last = int(spikes.time.max(initial=0))
    return IdealSpikes(
        time={name: spikes.time[mine] for name, mine in of.items()},
        neuron={name: spikes.neuron[mine] for name, mine in of.items()},
        ticks=steps * step if step else max(stimulus.end, last) - stimulus.first,
        steps=steps,
        updates={
            name: int(run.counters[rank, COLUMN["neuron_updates"]]) for rank, name in enumerate(network.order)
        },
    )
