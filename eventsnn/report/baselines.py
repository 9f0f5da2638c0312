"""A run's energy beside that of GPUs and of a digital accelerator, under every definition."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eventsnn.counting import COLUMN
from eventsnn.errors import InvalidRequest
from eventsnn.hardware.baselines import (
    Baseline,
    BaselineEnergy,
    DigitalBaseline,
    GpuBaseline,
    Work,
    baseline_names,
    energy_proxy,
    load_baseline,
    work_of,
)
from eventsnn.hardware.values import Place, quantities
from eventsnn.network import Network
from eventsnn.report.si import NO_VALUE, SPACE, si, three_digits
from eventsnn.report.tables import Cell, Table
from eventsnn.results.results import Results

# ATSNN (Li, Jia, Zhang, Chen; Acta Automatica Sinica 50(9):1724-1735, 2024): energy of its accelerator as
# a share of an RTX 3090 Ti's. Which power, which latency and which batch is not known to us.
PUBLISHED_BAND = (0.0443, 0.0788)
PROXY = "proxy"
THIS_NETWORK = "this network"


@dataclass(frozen=True)
class Ratio:
    """A run's energy per sample as a share of a baseline's.

    Attributes
    ----------
    baseline : str
        Its name.
    basis : str
        ``measured``, ``modelled``, or ``proxy``.
    workload : str
        What the baseline computed; ``this network`` where that is the dense network of the run.
    energy : BaselineEnergy
        The baseline's energy per sample, and under which definition.
    ratio : float or None
        The run's energy over it; None where the baseline's is 0.
    """

    baseline: str
    basis: str
    workload: str
    energy: BaselineEnergy
    ratio: float | None

    @property
    def in_band(self) -> bool:
        """Whether it lies in the ATSNN paper's 4.43 to 7.88 %."""
        return self.ratio is not None and PUBLISHED_BAND[0] <= self.ratio <= PUBLISHED_BAND[1]


@dataclass(frozen=True)
class Comparison:
    """A run's mean energy per sample, joules, with its ratios.

    ``dynamic_joules`` leaves out static power; None where the results do not state that. ``work`` is None
    where neither the results nor a network tell it. ``proxy_joules`` is the proxy of the run itself.
    """

    joules: float
    dynamic_joules: float | None
    ratios: list[Ratio]
    baselines: list[Baseline]
    work: Work | None
    proxy_joules: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        rows = [
            {
                "baseline": row.baseline,
                "basis": row.basis,
                "workload": row.workload,
                "definition": row.energy.definition,
                "batch": row.energy.batch,
                "energy_j": row.energy.joules,
                "ratio": row.ratio,
                "in_published_band": row.in_band,
            }
            for row in self.ratios
        ]
        return {
            "energy_j": self.joules,
            "dynamic_energy_j": self.dynamic_joules,
            "proxy_j": self.proxy_joules,
            "ratios": rows,
        }


@dataclass(frozen=True)
class Section:
    """The report's section: what to know first, the ratios, the band, and every baseline's values."""

    sentences: list[str]
    ratios: Table
    band: Table
    values: list[tuple[str, str, Table]]


def compare(
    run: Results,
    network: Network | None = None,
    baselines: Sequence[str | os.PathLike[str] | Baseline] | None = None,
    passes: int = 1,
) -> Comparison | None:
    """Set a run's energy beside baselines; None for a run without an accelerator.

    Parameters
    ----------
    run : Results
        A run on a modelled accelerator.
    network : Network, optional
        The network that was run, for results that do not keep its dense work (those of earlier versions).
        Without either only what was measured can be compared.
    baselines : sequence of str, path, GpuBaseline or DigitalBaseline, optional
        Presets' names or files; None is every preset.
    passes : int
        Times a baseline computes the dense network for a sample: 1, or the timesteps of a network stepped
        through time.

    Raises
    ------
    InvalidRequest
        The network is not the one that was run.
    InvalidHardware
        A baseline is not valid, or ``passes`` is not a whole number above 0.
    """
    joules = float(run.table.column("energy_j").mean())
    if math.isnan(joules):
        return None
    ran = run.configuration.get("network")
    if network is not None and network.checksum != ran:
        raise InvalidRequest(
            f"the network's checksum is {network.checksum[:8]}, the results are of {str(ran)[:8]}; give the "
            "network that was run"
        )
    kept = run.configuration.get("dense_work")
    if network is not None:
        work: Work | None = work_of(network).repeated(passes)
    else:
        work = None if kept is None else Work.from_description(kept).repeated(passes)
    chosen = [load_baseline(item) for item in (baseline_names() if baselines is None else baselines)]
    rows = [
        Ratio(baseline.name, _basis(baseline), _workload(baseline, ran), energy, _over(joules, energy.joules))
        for baseline in chosen
        for energy in baseline.energies(work)
    ]
    if work is not None:
        energy = BaselineEnergy("operations alone, fp32", _dense_proxy(work))
        rows.append(Ratio(PROXY, PROXY, THIS_NETWORK, energy, _over(joules, energy.joules)))
    static = run.configuration.get("static_watts")
    dynamic = None if static is None else joules - static * float(run.latency_s.mean())
    return Comparison(joules, dynamic, rows, chosen, work, _proxy_of(run))


def _basis(baseline: Baseline) -> str:
    return "measured" if isinstance(baseline, GpuBaseline) and not baseline.modelled else "modelled"


def _workload(baseline: Baseline, network: str | None) -> str:
    """What a baseline computed: measurements without this run's checksum are of something else."""
    if isinstance(baseline, GpuBaseline) and baseline.workload is not None:
        if baseline.network is not None and baseline.network == network:
            return THIS_NETWORK
        return baseline.workload
    return THIS_NETWORK


def _over(joules: float, other: float) -> float | None:
    return joules / other if other > 0 else None


def _dense_proxy(work: Work) -> float:
    return energy_proxy(work.additions, work.macs)


def _proxy_of(run: Results) -> float:
    """The proxy of the run itself, joules per sample: a multiplication and its addition are one MAC.

    Analog input multiplies without a synaptic operation, hence the maximum.
    """
    multiplications = run.table.counter(COLUMN["multiplications"])
    operations = run.table.counter(COLUMN["synaptic_operations"])
    accumulations = np.maximum(operations - multiplications, 0)
    return energy_proxy(float(accumulations.sum(axis=1).mean()), float(multiplications.sum(axis=1).mean()))


def section(
    run: Results,
    network: Network | None = None,
    baselines: Sequence[str | os.PathLike[str] | Baseline] | None = None,
    passes: int = 1,
) -> Section | None:
    """What the report says about baselines; None without an accelerator. See ``compare``."""
    found = compare(run, network, baselines, passes)
    if found is None:
        return None
    return Section(
        sentences(found),
        ratio_table(found),
        band_table(found),
        [(baseline.name, baseline.description, values_table(baseline)) for baseline in found.baselines],
    )


def ratio_text(ratio: float | None) -> str:
    """A ratio as a percentage, from 10 on as a factor; a dash for None."""
    if ratio is None:
        return NO_VALUE
    return f"{three_digits(ratio)}{SPACE}×" if ratio >= 10 else f"{three_digits(100 * ratio)}{SPACE}%"


def sentences(found: Comparison) -> list[str]:
    """What a reader must know before reading the ratios."""
    said = [
        f"This run spends {si(found.joules, 'J')} a sample, an estimate of its accelerator's model. Each row "
        "divides that by a baseline's energy per sample: power × latency of the batch / batch."
    ]
    if found.work is None:
        said.append(
            "The dense network's work is not known, so only measured baselines are compared: these results "
            "do not keep it, and the network was not given."
        )
    else:
        said.append(_work_sentence(found.work))
        said += [_digital_sentence(found, b) for b in found.baselines if isinstance(b, DigitalBaseline)]
        said.append(_proxy_sentence(found, found.work))
    of_gpu = [row for row in found.ratios if row.energy.watts is not None and row.energy.joules > 0]
    if of_gpu:
        joules = [row.energy.joules for row in of_gpu]
        said.append(
            f"The GPU rows span {si(min(joules), 'J')} to {si(max(joules), 'J')}, a factor of "
            f"{three_digits(max(joules) / min(joules))}: a ratio to a GPU says nothing without the power "
            "that was meant, the batch, and what ran."
        )
    if any(row.workload != THIS_NETWORK for row in found.ratios):
        said.append("Measured baselines computed the workload named in their row, not this network.")
    said.append(_band_sentence(found))
    return said


def _work_sentence(work: Work) -> str:
    often = "once" if work.passes == 1 else f"{work.passes} times"
    return (
        f"Modelled baselines compute the dense network behind it {often} a sample: {si(work.macs)} "
        f"multiply-accumulates, {si(work.additions)} other additions and comparisons, {si(work.weights)} "
        f"weights, {si(work.activations)} activations read or written, {work.launches} layers started."
    )


def _digital_sentence(found: Comparison, baseline: DigitalBaseline) -> str:
    """Who wins, the run or the dense network on a digital accelerator, and by what factor."""
    whole = [row for row in found.ratios if row.baseline == baseline.name][-1]
    said = (
        f"{baseline.name}, a digital accelerator that computes that dense network, needs "
        f"{si(whole.energy.joules, 'J')} a sample with its memories: {_who_wins(whole.ratio)}"
    )
    if found.dynamic_joules is None:
        return f"{said}."
    without = _who_wins(_over(found.dynamic_joules, whole.energy.joules))
    return f"{said}; without the run's static power, which that baseline leaves out, {without}."


def _who_wins(ratio: float | None) -> str:
    if ratio is None:
        return "there is no ratio to nothing"
    if ratio > 1:
        return f"the run loses, it spends {three_digits(ratio)} times as much"
    return f"the run wins, that is {three_digits(1 / ratio)} times as much" if ratio else "the run wins"


def _proxy_sentence(found: Comparison, work: Work) -> str:
    dense = _dense_proxy(work)
    return (
        f"By the proxy of 0.9{SPACE}pJ an accumulate and 4.6{SPACE}pJ a multiply-accumulate, which leaves "
        f"out memory, messages and static power, the run costs {si(found.proxy_joules, 'J')}, "
        f"{ratio_text(_over(found.proxy_joules, dense))} of the dense network's {si(dense, 'J')}."
    )


def band_of(joules: float) -> tuple[float, float]:
    """Joules per sample that a GPU must spend for an energy to be 7.88 to 4.43 % of it."""
    return joules / PUBLISHED_BAND[1], joules / PUBLISHED_BAND[0]


def _band_sentence(found: Comparison) -> str:
    low, high = band_of(found.joules)
    inside = [row for row in found.ratios if row.in_band and row.energy.watts is not None]
    names = "; ".join(f"{row.baseline}, {row.energy.definition}, batch {row.energy.batch}" for row in inside)
    return (
        f"The ATSNN paper reports 4.43 to 7.88{SPACE}% of an RTX 3090 Ti; which power and batch it meant is "
        f"not known to us. For this run such a ratio needs a GPU of {si(low, 'J')} to {si(high, 'J')} a "
        f"sample. That holds for: {names or 'none of the rows'}."
    )


def ratio_table(found: Comparison) -> Table:
    """Baselines by definition and batch, and the run's energy as a share of each."""
    rows = [
        [
            Cell(row.baseline, f"{row.basis}: {row.workload}" if row.basis != PROXY else row.workload),
            Cell(row.energy.definition, _power_text(row.energy)),
            Cell(NO_VALUE if row.energy.batch is None else str(row.energy.batch)),
            Cell(si(row.energy.joules, "J"), ", ".join(f"{k} {si(v, 'J')}" for k, v in row.energy.parts)),
            Cell(ratio_text(row.ratio), _dynamic_text(found, row)),
            Cell("yes" if row.in_band else "no"),
        ]
        for row in found.ratios
    ]
    header = ["Baseline", "Energy", "Batch", "Per sample", "Run / baseline", f"4.43 to 7.88{SPACE}%"]
    return Table(header, rows)


def _dynamic_text(found: Comparison, row: Ratio) -> str:
    """Beside a baseline without static power: the ratio of the run without it."""
    if found.dynamic_joules is None or row.energy.watts is not None:
        return ""
    return f"without static power {ratio_text(_over(found.dynamic_joules, row.energy.joules))}"


def _power_text(energy: BaselineEnergy) -> str:
    if energy.watts is None:
        return ""
    return f"{si(energy.watts, 'W')} for {si(energy.latency_s, 's')}"


def band_table(found: Comparison) -> Table:
    """For each GPU row, the latency of its batch that would make the run 4.43 to 7.88 % of it."""
    low, high = band_of(found.joules)
    rows = []
    for row in found.ratios:
        watts, batch = row.energy.watts, row.energy.batch
        if not watts or batch is None:
            continue
        needed = [joules * batch / watts for joules in (low, high)]
        cells = [
            row.baseline,
            row.energy.definition,
            str(batch),
            si(watts, "W"),
            f"{si(needed[0], 's')} to {si(needed[1], 's')}",
            si(row.energy.latency_s, "s"),
        ]
        rows.append([Cell(text) for text in cells])
    return Table(["Baseline", "Power", "Batch", "Watts", "Latency needed", "Latency here"], rows)


def values_table(baseline: Baseline) -> Table:
    """Every value of a baseline with how it is known and where from."""
    document = baseline.model_dump(mode="json", by_alias=True, exclude_none=True)
    rows = [
        [
            Cell(_name_of(document, place)),
            Cell(f"{value['value']:g}{SPACE}{value['unit']}"),
            Cell(value["kind"]),
            Cell(value["source"]),
        ]
        for place, value in quantities(document)
    ]
    return Table(["Value of", "Amount", "Kind", "Source"], rows)


def _name_of(document: Any, place: Place) -> str:
    """A place in words: of a list, which are measurements, the batch in place of the number."""
    name = ""
    for key in place:
        document = document[key]
        name += f", batch {document['batch']}" if isinstance(key, int) else f" {key}"
    return name.strip().replace("_", " ")
