"""``Results``: what ``simulate`` returns and a results file opens as."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn import arguments
from eventsnn.decide import REJECTED, ExitRule
from eventsnn.errors import InvalidRequest
from eventsnn.results import CounterHistory, FailedSample, ResultTable, open_results, write_results
from eventsnn.results.latency import time_passed

if TYPE_CHECKING:
    import xarray


def distribution(values: NDArray[Any]) -> dict[str, float] | None:
    """Mean, median, 95th percentile and maximum; None when there is nothing to describe."""
    if len(values) == 0 or np.isnan(np.asarray(values, dtype=np.float64)).any():
        return None
    p50, p95 = np.percentile(values, [50, 95])
    return {
        "mean": float(np.mean(values)),
        "p50": float(p50),
        "p95": float(p95),
        "max": float(np.max(values)),
    }


def interval(low: NDArray[Any], high: NDArray[Any]) -> dict[str, list[float]] | None:
    """``distribution`` of two ends, each value as [low, high]; None where they are unknown or one."""
    below, above = distribution(low), distribution(high)
    if below is None or above is None or below == above:
        return None
    return {name: [below[name], above[name]] for name in below}


class Results:
    """The outcome of a run.

    Attributes
    ----------
    table : ResultTable
        Everything per sample: scalars, counters, traces.
    """

    def __init__(self, table: ResultTable) -> None:
        if not isinstance(table, ResultTable):
            raise InvalidRequest(
                f"results are made of {arguments.shown(table)}; give a ResultTable, or open a file with load"
            )
        if not table.samples:
            raise InvalidRequest("a run of zero samples has no results; give at least one sample")
        self.table = table

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Results:
        """Open a results file, or a run that has not ended; see ``eventsnn.results.open_results``."""
        return cls(open_results(arguments.path(path, "results file", InvalidRequest)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a results file."""
        write_results(arguments.path(path, "results file", InvalidRequest), self.table)

    def __len__(self) -> int:
        return len(self.table.samples)

    def __repr__(self) -> str:
        return f"<Results: {len(self)} samples, accuracy {self.accuracy}, digest {self.digest}>"

    @property
    def configuration(self) -> dict[str, Any]:
        """What was run."""
        return self.table.configuration

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """How these results came to be: a record in tskit's provenance schema 1.1.0 for each time that a part
        of the run was done. No part of the digest; empty for files of earlier versions.
        """
        return [dict(record) for record in self.table.provenance]

    @property
    def trained(self) -> dict[int, str] | None:
        """Samples that trained the network, by index, with the name of the data they are of (``convert``'s
        ``trained_on``); None where the network's file names none.
        """
        return None if self.table.trained is None else dict(self.table.trained)

    @property
    def digest(self) -> str:
        """The run's digest, 32 hex digits."""
        return self.table.digest

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each sample was decided right, shape (samples,); undecided and rejected are not."""
        right: NDArray[np.bool_] = self.table.column("prediction") == self.table.column("label")
        return right & (self.table.column("label") >= 0)

    @property
    def accuracy(self) -> float | None:
        """Share of samples decided right; None when any label is unknown."""
        return None if (self.table.column("label") < 0).any() else float(self.correct.mean())

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """Whether each sample was answered "none of these", shape (samples,)."""
        found: NDArray[np.bool_] = self.table.column("prediction") == REJECTED
        return found

    @property
    def latency_s(self) -> NDArray[np.float64]:
        """Decision time minus the first event, seconds, shape (samples,).

        NaN where no time passes in any sample: without an accelerator, as of images given as charges.
        """
        return time_passed(
            np.array([sample.latency_s for sample in self.table.samples]), self.table.configuration
        )

    @property
    def energy_interval_j(self) -> dict[str, list[float]] | None:
        """Mean, median, 95th percentile and maximum of the energy, each as [low, high].

        The ends have every energy and power of the accelerator at that end of its band, all at once; None
        without an accelerator, or if none of those that were needed states a band.
        """
        return interval(self.table.column("energy_low_j"), self.table.column("energy_high_j"))

    @property
    def failures(self) -> list[FailedSample]:
        """The samples that could not be read (index, name, reason); they are in no figure and no digest."""
        return list(self.table.failures)

    def class_names(self) -> list[str]:
        """Names of the classes, as the data set gave them."""
        return list(self.configuration.get("class_names", []))

    def history(self, sample: int) -> CounterHistory:
        """What a sample had counted over time; ``sample`` is its index, as in ``table.samples``.

        Raises
        ------
        InvalidRequest
            No such sample, or a run that kept no history.
        """
        sample = arguments.whole(sample, "sample", InvalidRequest)
        found = next((s for s in self.table.samples if s.index == sample), None)
        if found is None:
            first, last = self.table.samples[0].index, self.table.samples[-1].index
            raise InvalidRequest(
                f"no sample here has the index {sample}; there are {len(self)}, from {first} to {last}"
            )
        if found.history is None:
            raise InvalidRequest(
                "this run kept no history of its counters; run again with history_us (--history-us)"
            )
        return found.history

    def select(self, chosen: NDArray[np.bool_]) -> Results:
        """The samples marked in a mask of shape (samples,)."""
        if np.shape(chosen) != (len(self),) or np.asarray(chosen).dtype != np.bool_:
            raise InvalidRequest(
                f"chosen is {arguments.shown(chosen)}; give a mask, a truth value for each of the "
                f"{len(self)} samples"
            )
        samples = tuple(s for s, keep in zip(self.table.samples, chosen, strict=True) if keep)
        return Results(self.table.chosen(samples))

    def summary(self) -> dict[str, Any]:
        """Counts, accuracy and distributions, without configuration and digest."""
        table = self.table
        return {
            "samples": len(self),
            "accuracy": self.accuracy,
            "synaptic_operations": distribution(table.column("synaptic_operations")),
            "spikes": distribution(table.column("spikes")),
            "input_events": distribution(table.column("input_events")),
            "latency_s": distribution(self.latency_s),
            "energy_j": distribution(table.column("energy_j")),
            "energy_interval_j": self.energy_interval_j,
            "decided_early": float(table.column("decided_early").mean()),
            "rejected": float(self.rejected.mean()),
        }

    def to_dict(self) -> dict[str, Any]:
        """The run as plain JSON values (design, section 9)."""
        return {
            **self.summary(),
            "failed": len(self.failures),
            "digest": self.digest,
            "version": self.configuration.get("version"),
            "configuration": self.configuration,
        }

    def to_json(self) -> str:
        """``to_dict`` as JSON text."""
        return json.dumps(self.to_dict())

    def per_class(self) -> dict[str, dict[str, Any]]:
        """``summary`` of each class that occurs, by class name."""
        labels = self.table.column("label")
        names = self.class_names()
        classes = [int(label) for label in np.unique(labels) if label >= 0]
        return {names[c] if c < len(names) else str(c): self.select(labels == c).summary() for c in classes}

    def curve(self, rule: str | ExitRule = "margin", thresholds: NDArray[Any] | None = None) -> NDArray[Any]:
        """Accuracy against latency, operations and energy for every threshold of an exit rule.

        See ``eventsnn.results.curves.trade_off``.
        """
        from eventsnn.results.curves import trade_off

        return trade_off(self.table, rule, thresholds)

    def curves(
        self, rules: Sequence[str | ExitRule], thresholds: NDArray[Any] | None = None
    ) -> dict[str, NDArray[Any]]:
        """``curve`` of several rules, by their names; traces are read once for all of them.

        Raises
        ------
        InvalidRequest
            No rule, or two of one name.
        """
        from eventsnn.results.curves import trade_offs
        from eventsnn.results.stops import rules_by_name

        asked = rules_by_name(rules)
        return dict(zip(asked, trade_offs(self.table, list(asked.values()), thresholds), strict=True))

    def to_xarray(self) -> xarray.Dataset:
        """Scalars by sample and counters by sample and population, as an ``xarray.Dataset``.

        Raises
        ------
        MissingExtra
            xarray is not installed (extra ``tables``).
        """
        from eventsnn.counting.counters import COUNTERS
        from eventsnn.results.tabular import dataset_of, sample_columns

        scalars = sample_columns(self.table)
        index = scalars.pop("index")
        found: dict[str, Any] = {name: (("sample",), column) for name, column in scalars.items()}
        for number, name in enumerate(COUNTERS):
            found[f"populations_{name}"] = (("sample", "population"), self.table.counter(number))
        about = {"digest": self.digest, "configuration": self.configuration}
        return dataset_of(found, about, {"sample": index, "population": list(self.table.order)})
