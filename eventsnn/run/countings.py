"""A run's operations as other packages count them: its samples again, counted by their definitions."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from eventsnn import arguments
from eventsnn.arguments import shown
from eventsnn.errors import InvalidRequest
from eventsnn.events.inputs import picoseconds
from eventsnn.insight.countings import Activity, Countings, chosen_countings, layers_of
from eventsnn.network import Network
from eventsnn.results.results import Results
from eventsnn.run.job import Progress
from eventsnn.run.spikes import RunAgain


def countings(
    results: Results,
    names: Any,
    network: Network | str | os.PathLike[str] | None = None,
    data: Any = None,
    step_us: float | None = None,
    progress: Progress | None = None,
) -> Countings:
    """What other packages would have counted in each sample of a run, by layer; see ``docs/countings.md``.

    Their definitions need every layer's spikes, which results do not keep: the samples are run again, and
    each must give its digest.

    Parameters
    ----------
    results : Results
    names : str or sequence of str
        Of ``sinabs``, ``syops``, ``neurobench``; a text with commas, or several.
    network, data
        The run's, where they were no files or are elsewhere now; as of ``write_run_as_nir``.
    step_us : float, optional
        Microseconds of a step in which these packages would see the spikes of a run by events. A run in
        steps has its own.
    progress : callable, optional
        Called with samples done and all.

    Raises
    ------
    InvalidRequest
        An unknown counting; a network that is no stack of modules which these packages have; a run by events
        without ``step_us`` where a definition needs steps; what ``write_run_as_nir`` refuses.
    """
    if not isinstance(results, Results):
        raise InvalidRequest(f"results are {shown(results)}; give Results, as simulate or Results.load do")
    chosen = chosen_countings(names)
    bins = bins_of(results, step_us)
    needing = [kind.name for kind in chosen if kind.needs_steps]
    if results.configuration["schedule"] == "event" and not bins and needing:
        raise InvalidRequest(
            f"{needing[0]} counts step by step, and this run has no steps; give the length in which it would "
            "see the spikes, step_us (--step-us), or run with schedule='step' (--schedule step)"
        )
    again = RunAgain(results, network, data)
    ran = again.job.network
    layers = layers_of(ran)
    kinds = tuple(kind(ran, layers) for kind in chosen)
    shapes = [(len(results), len(kind.layers), len(kind.quantities)) for kind in kinds]
    values = [np.zeros(shape) for shape in shapes]
    for place, (stimulus, run) in enumerate(again.samples(progress)):
        activity = Activity(ran, stimulus, run, again.step, bins)
        given = {layer.name: activity.given(layer) for layer in layers}
        for kind, found in zip(kinds, values, strict=True):
            for row, layer in enumerate(kind.layers):
                found[place, row] = kind.count(layer, given[layer.name])
    return Countings(results, kinds, values)


def bins_of(results: Results, step_us: float | None) -> int:
    """Ticks of the steps in which spikes of a run by events are seen; 0 where that is not said."""
    if step_us is None:
        return 0
    if results.configuration["schedule"] == "step":
        raise InvalidRequest(
            "step_us (--step-us) cuts a run by events into steps, and this run has its own; leave it out"
        )
    return picoseconds(arguments.number(step_us, "step_us (--step-us)", InvalidRequest), "step_us")
