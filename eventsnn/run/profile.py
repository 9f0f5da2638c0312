"""Samples on their accelerator, profiled: who was busy, who waited, what the answer waited for."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from eventsnn.arguments import whole
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Architecture
from eventsnn.insight.profile import Summary, profile
from eventsnn.run.currents import warn_of
from eventsnn.run.job import Progress, make_job
from eventsnn.run.settings import Settings, check_names


def profile_samples(
    network: Any,
    data: Any,
    hardware: str | os.PathLike[str] | Architecture,
    sample: int | None = None,
    samples: int | None = None,
    split: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Summary:
    """Simulate samples with a record of what every core did, and read it.

    In the event schedule each sample also runs without the accelerator, to say what the accelerator does to
    order and intervals; in the step schedule its spikes are the ideal run's.

    Parameters
    ----------
    network, data, hardware, split, **settings
        As of ``simulate``.
    sample : int, optional
        Position in the data set; 0 if ``samples`` is not given either.
    samples : int, optional
        Take so many evenly from the sorted list instead.
    progress : callable, optional
        Called with (samples done, samples in all).

    Raises
    ------
    EventsnnError
        Bad input of any kind, in one message.
    """
    if hardware is None:
        raise InvalidRequest(
            "a profile shows what an accelerator did; name one (hardware='event-conv-small', --hardware)"
        )
    if sample is not None:
        sample = whole(sample, "sample (--sample)", InvalidRequest)
    check_names(settings)
    if sample is not None and samples is not None:
        raise InvalidRequest("give one sample (--sample) or a number of them (--samples), not both")
    job = make_job(network, data, Settings(hardware=hardware, **settings), split, samples)
    positions = list(range(len(job.samples))) if samples is not None else [sample or 0]
    if not 0 <= positions[-1] < len(job.samples):
        raise InvalidRequest(
            f"sample {positions[-1]} does not exist; the data set has {len(job.samples)}, numbered from 0"
        )
    mapping = job.mapping()
    assert mapping is not None  # there is hardware
    options = replace(job.settings.options(job.network), record_spikes=True)
    watched = replace(options, record_service=True)
    engine = job.engine_of(mapping, watched)
    ideal = None
    if options.schedule == "event":
        ideal = job.engine_of(None, options)
    found, strained = [], ""
    for item, stimulus in job.readable(positions):
        strained = strained or job.strain(stimulus, item.name)
        run = engine.run(stimulus, item.index)
        other = None if ideal is None else ideal.run(stimulus, item.index)
        found.append(
            profile(
                *(run, job.network, mapping, options.seed, stimulus.end),
                ideal=other,
                label=item.label,
                step=engine.step,
            )
        )
        if progress is not None:
            progress(len(found), len(positions))
    warn_of(strained)
    return Summary(tuple(found), mapping)
