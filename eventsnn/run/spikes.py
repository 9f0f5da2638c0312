"""The spikes of a run whose results are kept: its samples again, checked against the digests of the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from eventsnn.engine import SampleRun, Stimulus
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import Mapping
from eventsnn.network import Network, load_network
from eventsnn.nir.runs import Spikes, graph_data, write_graph_data
from eventsnn.report.energy import architecture_of
from eventsnn.results.results import Results
from eventsnn.run.job import Progress, make_job
from eventsnn.run.options import ORIGINS
from eventsnn.run.samples import sample_indices
from eventsnn.run.settings import Settings


def write_run_as_nir(
    results: Results,
    output: str | os.PathLike[str],
    network: Network | str | os.PathLike[str] | None = None,
    data: Any = None,
    progress: Progress | None = None,
) -> None:
    """Write every spike of a run as ``NIRGraphData``.

    Results keep no spikes of hidden layers: the samples are run again, and each must give its digest.

    Parameters
    ----------
    results : Results
    output : path
    network : Network or path, optional
        The run's; else from where it was.
    data : as of ``simulate``, optional
        The run's samples, read as the run read them; else from where they were, read as their kind is.
    progress : callable, optional
        Called with samples done and all.

    Raises
    ------
    InvalidRequest
        Another network, other samples, or samples read in another way.
    """
    again = RunAgain(results, network, data)
    found = []
    for stimulus, run in again.samples(progress):
        assert run.spikes is not None
        found.append(Spikes(run.spikes, max(stimulus.end, run.decision_time)))
    write_graph_data(output, graph_data(again.job.network, found))


class RunAgain:
    """The samples of a run whose results are kept, simulated once more with every spike recorded.

    Parameters
    ----------
    results, network, data
        As of ``write_run_as_nir``.

    Attributes
    ----------
    job : Job
    step : int
        Ticks of a step; 0 in the event schedule.

    Raises
    ------
    InvalidRequest
        Another network than the run's, or it or the samples are not known.
    """

    def __init__(self, results: Results, network: Network | str | os.PathLike[str] | None, data: Any) -> None:
        told = results.configuration
        loaded = _network(told, network)
        split = told["data"].get("split") if data is None else None
        self._results = results
        self.job = make_job(loaded, _data(told) if data is None else data, _settings(told), split)
        architecture = architecture_of(results)
        mapping = None if architecture is None else Mapping.from_description(architecture, told["mapping"])
        options = replace(self.job.settings.options(loaded), record_spikes=True)
        if told["history_ps"]:
            options = replace(options, history_period=told["history_ps"])
        self._engine = self.job.engine_of(mapping, options)
        self.step = options.step if options.schedule == "step" else 0

    def samples(self, progress: Progress | None = None) -> Iterator[tuple[Stimulus, SampleRun]]:
        """Each sample of the results, in their order.

        Raises
        ------
        InvalidRequest
            Other samples than the run's, or samples read in another way.
        """
        job, engine = self.job, self._engine
        places = {index: place for place, index in enumerate(sample_indices(job.samples))}
        for done, sample in enumerate(self._results.table.samples, start=1):
            if sample.index not in places:
                raise InvalidRequest(
                    f"the run has sample {sample.index}, which is not among the {len(places)} given; give "
                    "its data (--data) as the run had them"
                )
            item = job.samples[places[sample.index]]
            stimulus = job.stimulus(item)
            run = engine.run(stimulus, item.index)
            if run.digest != sample.digest:
                raise InvalidRequest(
                    f"sample {sample.index} ({item.name}) gives another digest than in the results: it is "
                    "not what was run, or is read in another way. Give the data (--data, and how they are "
                    "read) as the run had them"
                )
            yield stimulus, run
            if progress is not None:
                progress(done, len(self._results.table.samples))


def _network(told: dict[str, Any], given: Any) -> Network:
    if given is None and not told["network_path"]:
        raise InvalidRequest(
            "the run was given a network that was no file; say which it was: network (--network)"
        )
    chosen = told["network_path"] if given is None else given
    found = chosen if isinstance(chosen, Network) else load_network(chosen)
    if found.checksum != told["network"]:
        raise InvalidRequest(
            f"the network has the checksum {found.checksum}, that of the run had {told['network']}; give the "
            "network of the run (--network)"
        )
    return found


def _data(told: dict[str, Any]) -> str:
    if not told["data_path"]:
        raise InvalidRequest(
            "the run was given samples that were no files; say which they were: data (--data)"
        )
    return f"{told['data']['kind']}:{told['data_path']}"


def _settings(told: dict[str, Any]) -> Settings:
    """As far as the samples' spikes depend on them; the accelerator apart."""
    steps = told["schedule"] == "step" or told["input"] == "bernoulli"
    if told["exit"] not in ("none", None) and "certificate" in told:
        raise InvalidRequest(
            "the run ended by a certificate; export the run without an exit rule, which it begins"
        )
    return Settings(
        exit=told["exit"],
        schedule=told["schedule"],
        step_us=told["step_ps"] / 1e6 if steps else None,
        ties=told["ties"],
        input=told["input"],
        duration_us=None if told["duration_ps"] is None else told["duration_ps"] / 1e6,
        max_rate_hz=told["max_rate_hz"],
        origin=told["origin"] if told["origin"] in ORIGINS and told["input"] is None else None,
        scale_currents=told["scale_currents"],
        engine=told["engine"],
        seed=told["seed"],
        max_events=told["max_events"],
    )
