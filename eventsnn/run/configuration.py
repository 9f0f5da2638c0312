"""What results say of the run that made them."""

from __future__ import annotations

from typing import Any

from eventsnn.counting import COLUMN
from eventsnn.hardware import Chip
from eventsnn.hardware.baselines import work_of
from eventsnn.network import Network
from eventsnn.network.decision import decision_weights
from eventsnn.run.job import Job
from eventsnn.run.samples import describe, origins
from eventsnn.version import __version__


def configuration(job: Job) -> dict[str, Any]:
    """What a job runs, as JSON values; equal for equal runs."""
    settings = job.settings
    options = settings.options(job.network)
    architecture = settings.architecture
    mapping = job.mapping()
    chip = None if mapping is None else Chip(mapping)
    macs = job.network.metadata.get("conversion", {}).get("original_macs")
    output = job.network.populations[job.network.output]
    weights = decision_weights(output)
    return {
        "version": __version__,
        "network": job.network.checksum,
        "network_path": job.network_path,
        "dense_work": work_of(job.network).description(),
        **({} if macs is None else {"original_macs": macs}),
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
        "decision_energy_aj": 0 if chip is None else decision_energy(job.network, chip, settings.schedule),
        # Events in flight when the decision is out are left: its counts are those of the full run until then.
        "after_stop": "flush",
        "readout": "charge" if output.neuron.emits == "nothing" else "counts",
        "exit": "none" if settings.rule is None else str(settings.rule),
        "schedule": settings.schedule,
        "step_ps": settings.timestep_ps(job.network),
        "ties": settings.ties,
        "history_ps": options.history_period,
        "engine": settings.engine,
        "seed": settings.seed,
        "max_events": settings.max_events,
        **({} if settings.certificate is None else {"certificate": settings.certificate.checksum}),
        **({} if weights is None else {"decision_weights": weights.tolist()}),
    }


def decision_energy(network: Network, chip: Chip, schedule: str) -> int:
    """Attojoules of an operation of the decision unit."""
    table = chip.energy(network.order, schedule == "step")
    return int(table[network.order.index(network.output), COLUMN["decision_operations"]])


LONG = ("architecture", "mapping", "dense_work", "original_macs", "class_names", "decision_weights")
"""What stands in the configuration beside a record, and not in the record again."""


def parameters(configuration: dict[str, Any], workers: int) -> dict[str, Any]:
    """What a record of provenance tells of a run."""
    return {name: value for name, value in configuration.items() if name not in LONG} | {"workers": workers}
