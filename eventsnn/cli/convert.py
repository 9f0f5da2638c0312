"""``eventsnn convert``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsnn.cli.options import Json, shape, taking
from eventsnn.cli.reading import Reading
from eventsnn.convert.options import Options

if TYPE_CHECKING:
    from eventsnn.convert import Comparison
    from eventsnn.events import ImageSet, RecordingSet
    from eventsnn.network import Network

FEWEST = 8
"""Samples to calibrate on: with fewer, the largest activations are those of single images."""


@taking(
    Options,
    # How many are calibrated on, and of which split, is said apart from how they are read.
    without=["threshold", "spikes_at_lambda", "split", "samples", "fraction", "downsample"],
    after={
        "neuron": ["split", "samples"],
        "input_std": ["check", "check_split", "check_samples"],
        "graded": ["at_rest"],
    },
)
def convert(
    model: Annotated[
        Path, typer.Argument(help="PyTorch (torch.save of a module, or of parameters), ONNX, or Keras .h5.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Network file to write (.h5).")],
    calibration: Annotated[
        str, typer.Option("--calibration", help="KIND:PATH of recordings or images to calibrate on.")
    ],
    *,
    definition: Annotated[
        str | None,
        typer.Option(
            "--definition",
            help="PyTorch parameters: FILE.py:CALLABLE that builds their model (the file is run), or a name.",
        ),
    ] = None,
    output_node: Annotated[
        str | None, typer.Option("--output-node", help="ONNX: node or value with the class scores.")
    ] = None,
    input_shape: Annotated[
        str | None, typer.Option("--input-shape", help="C,H,W where an ONNX or Keras file leaves it open.")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option("--backend", help="Keras: tensorflow, theano, cntk, jax or torch, if not in the file."),
    ] = None,
    reading: Reading,
    settings: dict[str, Any],
    split: Annotated[
        str | None,
        typer.Option("--split", help="Split of the calibration data; train, where there are splits."),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="How many samples to calibrate on.")] = 200,
    check: Annotated[
        str | None, typer.Option("--check", help="KIND:PATH to compare on; the calibration data.")
    ] = None,
    check_split: Annotated[
        str | None, typer.Option("--check-split", help="Split of the data to compare on.")
    ] = None,
    check_samples: Annotated[
        int, typer.Option("--check-samples", help="How many samples to compare on, at most.")
    ] = 200,
    at_rest: Annotated[
        bool, typer.Option("--at-rest", help="Start from the settled state at no input (signed neurons).")
    ] = False,
    json_: Json = False,
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
    trained = load_model(
        model,
        definition=definition,
        output=output_node,
        input_shape=shape(input_shape, "--input-shape"),
        backend=backend,
    )
    data = open_samples(calibration, replace(reading, split=split), "train", samples)
    if len(data) < FEWEST:
        raise InvalidRequest(
            f"{calibration} gives {len(data)} samples to calibrate on; the scales of layers would be chance. "
            f"Give at least {FEWEST} (--samples), usual are some hundreds"
        )
    other = replace(reading, split=check_split)
    checked = data if check is None else open_samples(check, other, "test", check_samples)
    network = convert_model(trained, data, **settings, metadata={"model": model.name})
    if at_rest:
        network = network.at_rest()
    checked = checked.evenly(min(check_samples, len(checked)))
    activity = None if settings["neuron"] == "signed" else simulated_activity(network, checked)
    found = compare(trained, network, checked, activity)
    network.save(output)
    report(found, network, checked, str(model), str(output), json_)
    contract = network.contract
    if settings["neuron"] == "rate" and contract is not None and contract.coding == "charge":
        show.note(
            "rate neurons take charges all at time 0, while their biases flow over "
            f"{contract.duration_us:g} us: few activations come out as the model's. --input analog or "
            "poisson spreads the input over the same time"
        )


def open_samples(spec: str, reading: Reading, usual: str, count: int) -> RecordingSet | ImageSet:
    """Samples taken evenly over a data set: of the split that is usual where none is given."""
    from eventsnn.errors import InvalidRequest

    of_usual = replace(reading, split=reading.split or usual)
    try:
        found = of_usual.open(spec)
    except InvalidRequest as error:
        if reading.split is not None or not spec.startswith("images:") or "no splits" not in str(error):
            raise
        found = reading.open(spec)
    return found.evenly(min(count, len(found)))


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

    from eventsnn.run.job import make_job
    from eventsnn.run.settings import Settings

    contract = network.contract
    step_us = None
    if contract is not None and contract.coding == "bernoulli" and contract.duration_us is not None:
        # The longest step in which at most one spike is asked for.
        unit: Any = network.populations[network.input].neuron.unit
        step_us = contract.duration_us * unit
    job = make_job(network, data, Settings(step_us=step_us))
    engine = job.make_engine()
    rows: dict[str, list[Any]] = {population.name: [] for population in network}
    for place in range(len(data)):
        sample = data[place]
        run = engine.run(job.stimulus(sample), sample.index)
        for population in network:
            kept = run.charge if population.neuron.emits == "nothing" else run.counts
            rows[population.name].append(kept[population.name])
    return {name: np.stack(values) for name, values in rows.items()}
