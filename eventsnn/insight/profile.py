"""A profile: what an accelerator did with samples, and what the answer waited for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.contract import SampleRun
from eventsnn.hardware import Mapping
from eventsnn.insight.backwards import port_or_core
from eventsnn.insight.bottleneck import Bottleneck
from eventsnn.insight.bounds import Bound, bound
from eventsnn.insight.critical_path import critical_path
from eventsnn.insight.disorder import Disorder, disorders
from eventsnn.insight.latency import Latency, latencies
from eventsnn.insight.occupancy import Occupancy
from eventsnn.insight.overload import Load, loads
from eventsnn.insight.path import Path, shares_of
from eventsnn.insight.service import LINK, Server, jobs_by_server
from eventsnn.insight.suggest import Suggestion, suggest
from eventsnn.insight.traces import Traces
from eventsnn.insight.utilisation import Use, uses
from eventsnn.network import Network

Key = TypeVar("Key", str, Server)
Value = TypeVar("Value", Use, Latency, Disorder)
BINS = 100


@dataclass(frozen=True)
class Profile:
    """Of one sample.

    Attributes
    ----------
    index, label, prediction : int
        Of the sample; -1 where there is none.
    first_event, decision_time : int
        Ticks.
    decided_early : bool
    path : Path
    uses : dict of (unit, number) to Use
    loads : dict of (unit, number) to Load
    latencies : dict of str to Latency
        By the population that sent the messages.
    queues : dict of (unit, number) to float64 array, shape (BINS,)
        Jobs that waited on average between each two of ``queue_edges``, ticks from the first event to the
        decision.
    disorders : dict of str to Disorder or None
        By population; None where there is no ideal run to compare with.
    bound : Bound
    """

    index: int
    label: int
    prediction: int
    first_event: int
    decision_time: int
    decided_early: bool
    path: Path
    uses: dict[Server, Use]
    loads: dict[Server, Load]
    latencies: dict[str, Latency]
    queues: dict[Server, NDArray[np.float64]]
    queue_edges: NDArray[np.int64]
    disorders: dict[str, Disorder] | None
    bound: Bound

    def to_dict(self) -> dict[str, Any]:
        """What is this sample's own, as JSON values."""
        return {
            "index": self.index,
            "label": self.label,
            "prediction": self.prediction,
            "first_event_ps": self.first_event,
            "decision_ps": self.decision_time,
            "decided_early": self.decided_early,
            "critical_path": self.path.to_dict(),
            "load": [
                {"unit": unit, "number": number, **load.to_dict()}
                for (unit, number), load in self.loads.items()
            ],
            "bound": self.bound.to_dict(),
            "queue_edges_ps": self.queue_edges.tolist(),
            "queues": [
                {"unit": unit, "number": number, "mean_waiting": waiting.tolist()}
                for (unit, number), waiting in self.queues.items()
            ],
        }


def profile(
    run: SampleRun,
    network: Network,
    mapping: Mapping,
    seed: int,
    input_end: int,
    ideal: SampleRun | None = None,
    label: int | None = None,
    step: int = 0,
) -> Profile:
    """Read one run.

    Parameters
    ----------
    run : SampleRun
        On an accelerator, with ``record_spikes`` and ``record_service``.
    network, mapping : Network, Mapping
    seed : int
        Of the run.
    input_end : int
        Tick at which the input ended.
    ideal : SampleRun or None
        The same sample without an accelerator, with ``record_spikes``.
    label : int or None
    step : int
        ``Engine.step``: 0 in the event schedule.

    Raises
    ------
    InvalidRequest
        A run has not kept what is needed.
    """
    traces = Traces(run, network, mapping, seed, input_end, step)
    service, begin, end = traces.service, run.first_event, run.decision_time
    jobs_of = jobs_by_server(service, traces.steps)
    edges = begin + (end - begin) * np.arange(BINS + 1, dtype=np.int64) // BINS
    queues = {
        server: Occupancy.of(service["arrival"][rows], service["start"][rows]).means(edges)
        for server, rows in jobs_of.items()
    }
    return Profile(
        index=run.index,
        label=-1 if label is None else label,
        prediction=run.prediction,
        first_event=begin,
        decision_time=end,
        decided_early=run.decided_early,
        path=critical_path(traces),
        uses=uses(service, jobs_of, begin, end),
        loads=loads(service, jobs_of, begin, input_end, end),
        latencies=latencies(service, network.order, end),
        queues=queues,
        queue_edges=edges,
        disorders=None if ideal is None else disorders(network, ideal, run),
        bound=bound(run, network, mapping, step),
    )


@dataclass(frozen=True)
class Summary:
    """Profiles of samples added up: servers, messages, order, and what the decisions waited for."""

    profiles: tuple[Profile, ...]
    mapping: Mapping

    def place(self, server: Server) -> str:
        """A server as a person would call it."""
        unit, number = server
        if unit == LINK:
            return self.mapping.architecture.network_on_chip.link_name(number)
        return port_or_core(number)

    def layers(self, server: Server) -> tuple[str, ...]:
        """The populations with a share on a server's core; none for a link."""
        unit, number = server
        if unit == LINK:
            return ()
        parts = self.mapping.parts
        return tuple(name for name in parts if any(part.core == number for part in parts[name]))

    @cached_property
    def bottleneck(self) -> Bottleneck:
        """The bounds of all samples, and what bounds each core."""
        return Bottleneck(tuple(profile.bound for profile in self.profiles))

    @cached_property
    def suggestion(self) -> Suggestion | None:
        """The first split or placement that would lower the bound, as counted; None if none was found."""
        loads = [profile.bound.workload for profile in self.profiles]
        return suggest(loads[0].network, self.mapping, loads, first=True)

    @property
    def uses(self) -> dict[Server, Use]:
        """What each server did in all samples, in those too in which it had nothing to do."""
        found = _sum(profile.uses for profile in self.profiles)
        window = sum(profile.decision_time - profile.first_event for profile in self.profiles)
        return {server: replace(use, window=window) for server, use in found.items()}

    @property
    def latencies(self) -> dict[str, Latency]:
        """Of all messages."""
        return _sum(profile.latencies for profile in self.profiles)

    @property
    def disorders(self) -> dict[str, Disorder]:
        """Against the ideal runs; empty where there are none."""
        return _sum(profile.disorders or {} for profile in self.profiles)

    @property
    def shares(self) -> dict[tuple[str, str], int]:
        """Ticks of all critical paths by (stage, layer)."""
        return shares_of(profile.path for profile in self.profiles)

    def overloaded(self) -> dict[Server, list[tuple[int, Load]]]:
        """Servers that were overloaded, with the samples and loads at which they were."""
        found: dict[Server, list[tuple[int, Load]]] = {}
        for profile in self.profiles:
            for server, load in profile.loads.items():
                if load.overloaded:
                    found.setdefault(server, []).append((profile.index, load))
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times in ticks of 1 ps."""
        servers = [
            {**use.to_dict(), "place": self.place(server), "layers": list(self.layers(server))}
            for server, use in self.uses.items()
        ]
        return {
            "samples": [profile.to_dict() for profile in self.profiles],
            "bound": {
                **self.bottleneck.to_dict(),
                "suggestion": None if self.suggestion is None else self.suggestion.to_dict(),
            },
            "servers": [use for use in servers if use["unit"] != LINK],
            "links": [use for use in servers if use["unit"] == LINK],
            "messages": {name: found.to_dict() for name, found in self.latencies.items()},
            "disorder": {name: found.to_dict() for name, found in self.disorders.items()},
            "critical_paths": [
                {"stage": stage, "layer": layer, "ps": ticks} for (stage, layer), ticks in self.shares.items()
            ],
        }


def _sum(tables: Iterable[dict[Key, Value]]) -> dict[Key, Value]:
    """Tables added up, entry by entry."""
    found: dict[Key, Value] = {}
    for table in tables:
        for key, value in table.items():
            found[key] = found[key] + value if key in found else value
    return found
