"""``eventsnn convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsnn.cli.run import Clock, Orientation

if TYPE_CHECKING:
    from eventsnn.convert import Comparison
    from eventsnn.events import ImageSet, RecordingSet
    from eventsnn.network import Network


def convert(
    model: Annotated[Path, typer.Argument(help="A torch-saved module (torch.save(model, FILE)).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Network file to write (.h5).")],
    calibration: Annotated[
        str, typer.Option("--calibration", help="KIND:PATH of recordings or images to calibrate on.")
    ],
    neuron: Annotated[str, typer.Option("--neuron", help="signed or rate.")] = "signed",
    split: Annotated[
        str | None,
        typer.Option("--split", help="Split of the calibration data; train, where there are splits."),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="How many samples to calibrate on.")] = 200,
    input_: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="events, analog, charge, poisson or bernoulli; images are charge (signed), analog (rate).",
        ),
    ] = None,
    duration_us: Annotated[
        float | None,
        typer.Option("--duration-us", help="How long a sample lasts; of recordings the mean last event."),
    ] = None,
    max_rate_hz: Annotated[
        float | None,
        typer.Option("--max-rate-hz", help="Of drawn spikes, for a pixel of 1; default 1000."),
    ] = None,
    input_range: Annotated[
        str | None, typer.Option("--input-range", help="What the model reads for 0 and 1, as 0,255.")
    ] = None,
    input_mean: Annotated[
        str | None,
        typer.Option("--input-mean", help="Mean the model's images are normalised by, one or per channel."),
    ] = None,
    input_std: Annotated[
        str | None, typer.Option("--input-std", help="Deviation, one value or one per channel.")
    ] = None,
    check: Annotated[
        str | None, typer.Option("--check", help="KIND:PATH to compare on; the calibration data.")
    ] = None,
    check_split: Annotated[
        str | None, typer.Option("--check-split", help="Split of the data to compare on.")
    ] = None,
    check_samples: Annotated[
        int, typer.Option("--check-samples", help="How many samples to compare on, at most.")
    ] = 200,
    levels: Annotated[
        int | None, typer.Option("--levels", help="Levels of signed neurons (QCFS layers bring their own).")
    ] = None,
    input_scale: Annotated[
        float | None, typer.Option("--input-scale", help="What one event adds to the model's input.")
    ] = None,
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
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Convert a trained network to a spiking one and compare it layer by layer."""
    from eventsnn.cli import show
    from eventsnn.convert import compare, load_model
    from eventsnn.convert import convert as convert_model
    from eventsnn.errors import InvalidRequest
    from eventsnn.network.writing import FORMAT
    from eventsnn.output import HDF5, require_replaceable

    for name, value in (("--samples", samples), ("--check-samples", check_samples)):
        if value < 1:
            raise InvalidRequest(f"{name} is {value}; at least one sample is needed")
    if check is None and check_split is not None:
        raise InvalidRequest("--check-split is of --check KIND:PATH; give the data as well")
    require_replaceable(output, HDF5, FORMAT)
    trained = load_model(model)
    reading = {"orientation": orientation, "clock": clock}
    data = open_samples(calibration, split, "train", samples, **reading)
    checked = data if check is None else open_samples(check, check_split, "test", check_samples, **reading)
    network = convert_model(
        trained,
        data,
        neuron,
        levels,
        input_scale=input_scale,
        settle_time_us=settle_time_us,
        hysteresis=hysteresis,
        graded=graded,
        duration_us=duration_us,
        scales=scales,
        percentile=percentile,
        metadata={"model": model.name},
        input=input_,
        max_rate_hz=max_rate_hz,
        input_range=numbers(input_range, "--input-range"),
        input_mean=numbers(input_mean, "--input-mean"),
        input_std=numbers(input_std, "--input-std"),
    )
    if at_rest:
        network = network.at_rest()
    checked = checked.evenly(min(check_samples, len(checked)))
    activity = None if neuron == "signed" else simulated_activity(network, checked)
    found = compare(trained, network, checked, activity)
    network.save(output)
    report(found, network, checked, str(model), str(output), json)
    contract = network.contract
    if neuron == "rate" and contract is not None and contract.coding == "charge":
        show.note(
            "rate neurons take charges all at time 0, while their biases flow over "
            f"{contract.duration_us:g} us: few activations come out as the model's. --input analog or "
            "poisson spreads the input over the same time"
        )


def open_samples(
    spec: str, split: str | None, usual: str, count: int, **reading: Any
) -> RecordingSet | ImageSet:
    """Samples taken evenly over a data set: of the split that is usual where none is given."""
    from eventsnn.errors import InvalidRequest
    from eventsnn.events import open_dataset

    if split is not None or not spec.startswith("images:"):
        found = open_dataset(spec, split or usual, **reading)
    else:
        try:
            found = open_dataset(spec, usual, **reading)
        except InvalidRequest as error:
            if "no splits" not in str(error):
                raise
            found = open_dataset(spec, **reading)
    return found.evenly(min(count, len(found)))


def numbers(text: str | None, name: str) -> tuple[float, ...] | None:
    """A list with commas as numbers."""
    from eventsnn.errors import InvalidRequest

    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidRequest(f"{name} is {text!r}; give numbers with commas between, as 0.5,0.25") from error


def report(
    found: Comparison, network: Network, data: RecordingSet | ImageSet, model: str, output: str, json: bool
) -> None:
    """Print a comparison: the layers, the decisions, and where labels are known the accuracy of both."""
    from dataclasses import asdict

    from eventsnn.cli import show

    known = data.labels >= 0
    accuracy = [
        float((side[known] == data.labels[known]).mean()) if known.any() else None
        for side in (found.model_decisions, found.decisions)
    ]
    contract = network.contract
    if json:
        show.print_json(
            {
                "output": output,
                "samples": len(data),
                "agreement": found.agreement,
                "model_accuracy": accuracy[0],
                "accuracy": accuracy[1],
                "input": None if contract is None else contract.document(),
                "layers": [asdict(layer) for layer in found.layers],
                "checksum": network.checksum,
            }
        )
        return
    made = show.table(
        "population", "neuron", "mean activation", "mean difference", "largest", "correlation", "saturated"
    )
    for layer in found.layers:
        made.add_row(
            layer.name,
            layer.neuron,
            f"{layer.mean_activation:.4g}",
            f"{layer.mean_difference:.4g}",
            f"{layer.largest_difference:.4g}",
            f"{layer.correlation:.4f}",
            show.percent(layer.saturated),
        )
    what = "images" if data.kind == "images" else "recordings"
    show.print_table(made, f"{model} -> {output}: converted network against the original, {len(data)} {what}")
    typer.echo(f"decisions agree with the original's: {show.percent(found.agreement)}")
    if accuracy[0] is not None and accuracy[1] is not None:
        typer.echo(
            f"accuracy: original {show.percent(accuracy[0])}, network {show.percent(accuracy[1])} "
            f"({int(known.sum())} labelled {what})"
        )
    show.note(f"wrote {output}: {network!r}")


def simulated_activity(network: Network, data: RecordingSet | ImageSet) -> dict[str, Any]:
    """Final spike counts and charges of every population, one row per sample, input as the contract says."""
    import numpy as np

    from eventsnn.network import Input, Readout
    from eventsnn.run.job import make_job
    from eventsnn.run.settings import Settings

    source, contract = network.populations[network.input].neuron, network.contract
    step_us = None
    if contract is not None and contract.coding == "bernoulli" and contract.duration_us is not None:
        assert isinstance(source, Input)
        # The longest step in which at most one spike is asked for.
        step_us = contract.duration_us * source.unit
    job = make_job(network, data, Settings(step_us=step_us))
    engine = job.make_engine()
    rows: dict[str, list[Any]] = {population.name: [] for population in network}
    for place in range(len(data)):
        sample = data[place]
        run = engine.run(job.stimulus(sample), sample.index)
        for population in network:
            kept = run.charge if isinstance(population.neuron, Readout) else run.counts
            rows[population.name].append(kept[population.name])
    return {name: np.stack(values) for name, values in rows.items()}
