"""One sample on its accelerator, written as a timeline."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from eventsnn.errors import InvalidRequest
from eventsnn.output import JSON, require_replaceable
from eventsnn.run.currents import warn_of
from eventsnn.run.job import make_job
from eventsnn.run.settings import Settings


def write_sample_timeline(
    network: Any,
    data: Any,
    hardware: Any,
    sample: int,
    output: str | os.PathLike[str],
    split: str | None = None,
    **settings: Any,
) -> None:
    """Simulate one sample and write what every core did when; arguments as of ``simulate``.

    Raises
    ------
    InvalidRequest
        The data set has no such sample, or ``output`` cannot be written.
    """
    from eventsnn.report.timeline import write_timeline

    require_replaceable(output, JSON)
    job = make_job(network, data, Settings(hardware=hardware, **settings), split=split)
    if not 0 <= sample < len(job.samples):
        raise InvalidRequest(
            f"sample {sample} does not exist; the data set has {len(job.samples)}, numbered from 0"
        )
    job = replace(job, record_service=True)
    item = job.samples[sample]
    stimulus = job.stimulus(item)
    run = job.make_engine().run(stimulus, item.index)
    warn_of(job.strain(stimulus, item.name))
    write_timeline(run, job.network, job.mapping(), output)
