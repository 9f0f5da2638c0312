"""Runs side by side: what differs between them, and, over the samples they share, by how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest
from eventsnn.results.curves import Z
from eventsnn.results.results import Results

COSTS = ("latency_s", "synaptic_operations", "spikes", "energy_j")
SAID = {
    "network": "network",
    "data": "data",
    "hardware": "accelerator",
    "architecture": "accelerator's values",
    "mapping": "mapping",
    "exit": "exit rule",
    "schedule": "schedule",
    "step_ps": "timestep",
    "input": "input coding",
    "duration_ps": "duration",
    "max_rate_hz": "largest rate",
    "origin": "origin",
    "scale_currents": "scaled currents",
    "ties": "ties",
    "seed": "seed",
    "engine": "engine",
    "version": "version",
}
"""What may differ between two runs, and what it is called."""


@dataclass(frozen=True)
class Difference:
    """Of one cost over the samples of both runs: the other run less the first.

    ``mean`` lies between ``low`` and ``high`` with 95 % (normal approximation; None for a single sample);
    ``lower`` and ``higher`` are shares of samples; ``ratio`` is of the means, None where the first is 0.
    """

    mean: float
    low: float | None
    high: float | None
    ratio: float | None
    lower: float
    higher: float


@dataclass(frozen=True)
class Comparison:
    """A run against the first of several.

    Attributes
    ----------
    differing : tuple of str
        What was run otherwise, in words, most important first.
    samples : tuple of int
        Of the first run, of the other, and of both.
    by_content : bool
        Samples were paired by what they hold, as their names, indices or labels differ.
    only_first_right, only_other_right : int or None
        Of the samples of both; None without labels.
    p_value : float or None
        Exact McNemar test of equal accuracy: of both counts, how likely one so far from the half.
    costs : dict
        ``Difference`` by cost, of those that both know.
    """

    differing: tuple[str, ...]
    samples: tuple[int, int, int]
    by_content: bool
    only_first_right: int | None
    only_other_right: int | None
    p_value: float | None
    costs: dict[str, Difference]

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"differing": list(self.differing), "samples": list(self.samples)}


def compare(runs: Sequence[Results]) -> list[Comparison]:
    """Each run but the first against the first.

    Runs of other networks or other data are compared as what they are: ``differing`` says so, and only the
    samples that both have give differences.

    Raises
    ------
    InvalidRequest
        Fewer than two runs.
    """
    if len(runs) < 2 or not all(isinstance(run, Results) for run in runs):
        raise InvalidRequest("a comparison is of two or more Results; give another")
    return [_compared(runs[0], other) for other in runs[1:]]


def _compared(first: Results, other: Results) -> Comparison:
    one, two, by_content = _paired(first, other)
    costs = {}
    for name in COSTS:
        pairs = [_column(run, name)[places] for run, places in ((first, one), (other, two))]
        if len(one) and not np.isnan(pairs).any():
            costs[name] = _difference(*pairs)
    only_first = only_other = p_value = None
    labels = [run.table.column("label")[places] for run, places in ((first, one), (other, two))]
    if len(one) and (labels[0] >= 0).all() and (labels[0] == labels[1]).all():
        right, also = first.correct[one], other.correct[two]
        only_first, only_other = int((right & ~also).sum()), int((also & ~right).sum())
        p_value = _mcnemar(only_first, only_other)
    return Comparison(
        _differing(first, other, len(one)), (len(first), len(other), len(one)), by_content,
        only_first, only_other, p_value, costs,
    )  # fmt: skip


def _column(run: Results, name: str) -> NDArray[np.float64]:
    values = run.latency_s if name == "latency_s" else run.table.column(name)
    return np.asarray(values, dtype=np.float64)


def _differing(first: Results, other: Results, both: int) -> tuple[str, ...]:
    """What was run otherwise; the same recordings in another order or number are other data, too."""
    one, two = first.configuration, other.configuration
    found = [word for key, word in SAID.items() if key != "data" and one.get(key) != two.get(key)]
    if "accelerator" in found:
        # What follows from another accelerator is not told again.
        found = [word for word in found if word not in ("accelerator's values", "mapping")]
    if both < max(len(first), len(other)):
        found.insert(int("network" in found), "data")
    return tuple(found)


def _paired(first: Results, other: Results) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
    """Places of the samples of both runs: of equal names, indices and labels, else of equal content."""
    hashes = [(run.table.sources, run.table.contents) for run in (first, other)]
    indices = [run.table.column("index").tolist() for run in (first, other)]
    data = [run.configuration.get("data") for run in (first, other)]
    for which in (0, 1):
        known = [each[which] for each in hashes]
        if not all(set(of) <= set(found) for of, found in zip(indices, known, strict=True)):
            continue
        pairs = _places([[found[i] for i in of] for of, found in zip(indices, known, strict=True)])
        if pairs[0].size:
            return *pairs, which == 1
    # Files of before told no hashes of samples, but one of all data.
    same = data[0] is not None and data[0] == data[1] and not (hashes[0][0] and hashes[1][0])
    return *_places(indices if same else [[], []]), False


def _places(keys: list[list[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the same key stands in both; what stands twice in one of them is left out."""
    counted = [Counter(of) for of in keys]
    once = [
        {key: place for place, key in enumerate(of) if count[key] == 1}
        for of, count in zip(keys, counted, strict=True)
    ]
    both = [key for key in once[0] if key in once[1]]
    one, other = (np.array([of[key] for key in both], dtype=np.int64) for of in once)
    return one, other


def _difference(first: NDArray[np.float64], other: NDArray[np.float64]) -> Difference:
    change = other - first
    mean, half = float(change.mean()), None
    if len(change) > 1:
        half = Z * float(change.std(ddof=1)) / float(np.sqrt(len(change)))
    return Difference(
        mean,
        None if half is None else mean - half,
        None if half is None else mean + half,
        float(other.mean() / first.mean()) if first.mean() else None,
        float((change < 0).mean()),
        float((change > 0).mean()),
    )


def _mcnemar(one: int, other: int) -> float:
    """Two-sided exact binomial test of the discordant pairs (Q. McNemar, Psychometrika 12:153-157, 1947)."""
    from scipy.stats import binomtest

    return 1.0 if one + other == 0 else float(binomtest(one, one + other, 0.5).pvalue)
