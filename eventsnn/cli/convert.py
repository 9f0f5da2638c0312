"""``eventsnn convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
) -> None:
    """Convert a trained network to a spiking one and compare it layer by layer."""
    from eventsnn.cli import show
    from eventsnn.convert import convert as convert_model
    from eventsnn.convert import layer_check, load_model
    from eventsnn.events import open_dataset

    trained = load_model(model)
    recordings = open_dataset(calibration, split)
    recordings = recordings.evenly(min(samples, len(recordings)))
    network = convert_model(
        trained,
        recordings,
        neuron,
        levels,
        input_scale=input_scale,
        settle_time_us=settle_time_us,
        hysteresis=hysteresis,
        metadata={"model": model.name},
    )
    network.save(output)
    made = show.table(
        f"{model} -> {output}: integer network against the original, {len(recordings)} recordings",
        "population",
        "mean difference",
        "largest",
        "correlation",
        "saturated",
    )
    if neuron == "signed":
        for check in layer_check(trained, network, recordings):
            made.add_row(
                check.population,
                f"{check.mean_difference:.4g}",
                f"{check.largest_difference:.4g}",
                f"{check.correlation:.4f}",
                show.percent(check.saturated),
            )
        show.print_table(made)
    show.note(f"wrote {output}: {network!r}")
