"""A mapping whose bound is lower, looked for in what samples counted and kept only once it has run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from eventsnn.hardware import Architecture
from eventsnn.hardware.mapping.written import document_of
from eventsnn.insight.profile import Summary
from eventsnn.insight.suggest import Change, suggest
from eventsnn.run.job import Progress
from eventsnn.run.profile import profile_samples

RUNS = 4
"""Mappings that are run at most."""
SLACK = 1.001
"""A time counts as longer from so many times the first: where input takes its time, a little is chance."""


@dataclass(frozen=True)
class Suggested:
    """A mapping that has run.

    Attributes
    ----------
    changes : tuple of Change
        What lies elsewhere, each population once; empty if nothing was found.
    mapping : dict
        The mapping as ``--mapping`` and ``simulate`` take it.
    before, after : Summary
        The same samples on the mapping given, and on this one.
    """

    changes: tuple[Change, ...]
    mapping: dict[str, Any]
    before: Summary
    after: Summary

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; times in ticks of 1 ps."""
        ends = {"before": self.before.bottleneck, "after": self.after.bottleneck}
        return {
            "changes": [str(change) for change in self.changes],
            "mapping": self.mapping,
            **{f"bound_{end}_ps": found.ticks for end, found in ends.items()},
            **{f"time_{end}_ps": found.time for end, found in ends.items()},
        }


def in_all(changes: list[Change]) -> tuple[Change, ...]:
    """What came of changes one after the other: each population once, from where it first lay to the last."""
    found: dict[str, Change] = {}
    for change in changes:
        earlier = found.get(change.population, change)
        found[change.population] = replace(change, before=earlier.before)
    return tuple(change for change in found.values() if change.before != change.after)


def suggest_mapping(
    network: Any,
    data: Any,
    hardware: str | os.PathLike[str] | Architecture,
    *,
    before: Summary | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Suggested:
    """Look for a mapping that lowers the bound of samples, and run it.

    A mapping is kept if, run on these samples, its bound is lower and its time at most ``SLACK`` times that
    of the mapping given: in the event schedule neurons fire at other times elsewhere. Then it is looked for
    again from there, ``RUNS`` times at most.

    Parameters
    ----------
    network, data, hardware, **settings
        As of ``profile_samples``: ``mapping``, ``sample``, ``samples`` and all others.
    before : Summary, optional
        What ``profile_samples`` gave for the same arguments; made here if it is not given.
    progress : callable, optional
        Called with (samples done, samples in all) of each mapping.

    Raises
    ------
    EventsnnError
        Bad input of any kind, in one message.
    """
    settings = {**settings, "hardware": hardware, "progress": progress}
    first = before or profile_samples(network, data, **settings)
    loaded = first.profiles[0].bound.workload.network
    now, changes = first, list[Change]()
    runs, only_first = 0, False  # all that helps as counted, or else one step of it
    while runs < RUNS:
        loads = [profile.bound.workload for profile in now.profiles]
        found = suggest(loaded, now.mapping, loads, first=only_first)
        if found is None:
            break
        placed = {**settings, "mapping": document_of(loaded, found.mapping)}
        after, runs = profile_samples(network, data, **placed), runs + 1
        old, new = now.bottleneck, after.bottleneck
        better = new.ticks < old.ticks and new.time <= SLACK * first.bottleneck.time
        if not better and only_first:
            break
        only_first = not better
        if better:
            now, changes = after, [*changes, *found.changes]
    return Suggested(in_all(changes), document_of(loaded, now.mapping), first, now)
