"""``eventsnn convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsnn.cli.run import Clock, Orientation

if TYPE_CHECKING:
    from eventsnn.events import RecordingSet
    from eventsnn.network import Network


def convert(
    model: Annotated[Path, typer.Argument(help="A torch-saved module (torch.save(model, FILE)).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Network file to write (.h5).")],
    calibration: Annotated[
        str, typer.Option("--calibration", help="KIND:PATH of recordings to calibrate on.")
    ],
    neuron: Annotated[str, typer.Option("--neuron", help="signed or rate.")] = "signed",
    split: Annotated[str, typer.Option("--split", help="Split of the calibration data.")] = "train",
    samples: Annotated[int, typer.Option("--samples", help="How many recordings to calibrate on.")] = 200,
    levels: Annotated[
        int | None, typer.Option("--levels", help="Levels of signed neurons (QCFS layers bring their own).")
    ] = None,
    input_scale: Annotated[
        float, typer.Option("--input-scale", help="What one event adds to the model's input.")
    ] = 1.0,
    settle_time_us: Annotated[
        float, typer.Option("--settle-time-us", help="Time between signed neurons' tests, microseconds.")
    ] = 0.0,
    hysteresis: Annotated[
        float, typer.Option("--hysteresis", help="Hysteresis of signed neurons, in levels.")
    ] = 0.0,
    graded: Annotated[
        bool, typer.Option("--graded", help="Signed neurons emit one payload instead of unit spikes.")
    ] = False,
    at_rest: Annotated[
        bool, typer.Option("--at-rest", help="Start from the settled state at no input (signed neurons).")
    ] = False,
    scales: Annotated[
        str, typer.Option("--scales", help="Scale of ReLU layers: one a layer, or one a channel.")
    ] = "layer",
    percentile: Annotated[
        float, typer.Option("--percentile", help="Rate neurons: of the non-zero activations.")
    ] = 99.9,
    orientation: Orientation = None,
    clock: Clock = None,
) -> None:
    """Convert a trained network to a spiking one and compare it layer by layer."""
    from eventsnn.cli import show
    from eventsnn.convert import convert as convert_model
    from eventsnn.convert import layer_check, load_model
    from eventsnn.events import open_recordings
    from eventsnn.output import HDF5, require_replaceable

    require_replaceable(output, HDF5)
    trained = load_model(model)
    recordings = open_recordings(calibration, split, orientation=orientation, clock=clock)
    recordings = recordings.evenly(min(samples, len(recordings)))
    network = convert_model(
        trained,
        recordings,
        neuron,
        levels,
        input_scale=input_scale,
        settle_time_us=settle_time_us,
        hysteresis=hysteresis,
        graded=graded,
        scales=scales,
        percentile=percentile,
        metadata={"model": model.name},
    )
    if at_rest:
        network = network.at_rest()
    activity = None if neuron == "signed" else simulated_counts(network, recordings)
    checks = layer_check(trained, network, recordings, activity)
    network.save(output)
    made = show.table(
        "population", "neuron", "mean activation", "mean difference", "largest", "correlation", "saturated"
    )
    for check in checks:
        made.add_row(
            check.name,
            check.neuron,
            f"{check.mean_activation:.4g}",
            f"{check.mean_difference:.4g}",
            f"{check.largest_difference:.4g}",
            f"{check.correlation:.4f}",
            show.percent(check.saturated),
        )
    count = f"{len(recordings)} recordings"
    show.print_table(made, f"{model} -> {output}: converted network against the original, {count}")
    show.note(f"wrote {output}: {network!r}")


def simulated_counts(network: Network, recordings: RecordingSet) -> dict[str, Any]:
    """Final spike counts and charges of every population, one row per recording."""
    import numpy as np

    from eventsnn.engine import make_engine, stimulus_from_events
    from eventsnn.network import Readout

    engine = make_engine("compiled", network)
    rows: dict[str, list[Any]] = {population.name: [] for population in network}
    for recording in recordings:
        run = engine.run(stimulus_from_events(recording.events, network, recording.name), recording.index)
        for population in network:
            kept = run.charge if isinstance(population.neuron, Readout) else run.counts
            rows[population.name].append(kept[population.name])
    return {name: np.stack(values) for name, values in rows.items()}
