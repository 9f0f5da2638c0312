"""``eventsnn convert``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsnn.cli.nir import (
    Comparison,
    Integration,
    LowerClamp,
    Spikes,
    StepUs,
    Threshold,
    convert_nir,
    given_options,
    refuse_options_of_spiking,
)
from eventsnn.cli.options import Json, shape, taking
from eventsnn.cli.spiking import convert_spiking, spiking_model
from eventsnn.convert.options import Options
from eventsnn.run.reading import Reading

if TYPE_CHECKING:
    from eventsnn.convert.diagnosis import Diagnosis
    from eventsnn.convert.reading import Reading as ModelReading
    from eventsnn.events import ImageSet, RecordingSet
    from eventsnn.network import Network

USUAL_CHECKS = 5
"""Samples that a network of signed neurons is verified on."""

FEWEST = 8
"""Samples to calibrate on: with fewer, the largest activations are those of single images."""


@taking(
    Options,
    # How many are calibrated on, and of which split, is said apart from how they are read.
    without=["threshold", "verify", "split", "samples", "fraction", "downsample"],
    after={
        "neuron": ["split", "samples"],
        "input_std": ["check", "check_split", "check_samples"],
        "graded": ["at_rest", "verify"],
    },
)
def convert(
    context: typer.Context,
    model: Annotated[
        Path,
        typer.Argument(help="PyTorch (torch.save of a module, or of parameters), ONNX, Keras .h5, or NIR."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Network file to write (.h5).")],
    *,
    calibration: Annotated[
        str | None,
        typer.Option(
            "--calibration",
            help="KIND:PATH of recordings or images to calibrate on; all but spiking networks need it.",
        ),
    ] = None,
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
        str | None,
        typer.Option(
            "--input-shape",
            help="C,H,W where an ONNX or Keras file leaves it open, or of a spiking library's model.",
        ),
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
    samples: Annotated[
        int, typer.Option("--samples", help="How many samples to calibrate on, at most.")
    ] = 200,
    trained_on: Annotated[
        list[str] | None,
        typer.Option(
            "--trained-on",
            help="KIND:PATH[:SPLIT] of data that trained the model: the network names them; repeatable.",
        ),
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
    at_rest: Annotated[
        bool, typer.Option("--at-rest", help="Start from the settled state at no input (signed neurons).")
    ] = False,
    verify: Annotated[
        int | None,
        typer.Option(
            "--verify",
            help="Signed neurons: calibration samples to run, every final count compared; 5, or 0 for none.",
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write the comparison as a self-contained HTML page.")
    ] = None,
    comparison: Comparison = None,
    spikes: Spikes = None,
    lower_clamp: LowerClamp = None,
    integration: Integration = None,
    step_us: StepUs = None,
    threshold: Threshold = None,
    json_: Json = False,
) -> None:
    """Convert a trained network to a spiking one and compare both; read spiking networks as they are."""
    from eventsnn.convert.formats import is_nir
    from eventsnn.convert.loading import kind_of_model
    from eventsnn.errors import InvalidRequest

    given = given_options(context)
    if is_nir(model):
        del comparison, spikes, lower_clamp, integration, step_us, threshold
        convert_nir(model, output, given, json_)
        return
    spiking = spiking_model(model, definition)
    if spiking is not None:
        convert_spiking(spiking, model, output, given, settings, json_)
        return
    kind_of_model(model)
    refuse_options_of_spiking(model, given)
    if calibration is None:
        raise InvalidRequest(
            "--calibration is missing: scales of a trained network are set by samples of its data; give "
            "KIND:PATH, "
            "as images:FILE.npz"
        )
    from eventsnn.cli import show
    from eventsnn.convert import compare, load_model
    from eventsnn.convert import convert as convert_model
    from eventsnn.convert.diagnosis import Diagnosis
    from eventsnn.convert.trained import trained_model
    from eventsnn.network.writing import FORMAT
    from eventsnn.output import HDF5, HTML, require_replaceable

    signed = settings["neuron"] == "signed"
    for name, value in (("--samples", samples), ("--check-samples", check_samples)):
        if value < 1:
            raise InvalidRequest(f"{name} is {value}; at least one sample is needed")
    if verify is not None and (verify < 0 or (verify and not signed)):
        allowed = "give 0 or more samples" if signed else "rate neurons end where no law says; leave it out"
        raise InvalidRequest(f"--verify is {verify}; {allowed}")
    if check is None and check_split is not None:
        raise InvalidRequest("--check-split is of --check KIND:PATH; give the data as well")
    require_replaceable(output, HDF5, FORMAT)
    if page is not None:
        from eventsnn.report.page import require_extra

        require_extra()
        require_replaceable(page, HTML)
    loaded = load_model(
        model,
        definition=definition,
        output=output_node,
        input_shape=shape(input_shape, "--input-shape"),
        backend=backend,
    )
    trained = trained_model(loaded)
    data = open_samples(calibration, replace(reading, split=split), "train", samples)
    other = replace(reading, split=check_split)
    checked = data if check is None else open_samples(check, other, "test", check_samples)
    network = convert_model(trained, data, **settings, metadata={"model": model.name}, trained_on=trained_on)
    if len(data) < FEWEST:  # after what is wrong with them in other ways
        raise InvalidRequest(
            f"{calibration} has {len(data)} of the {FEWEST} samples that scales need at least: the "
            "largest values would be those of single samples. Give more (--samples), usual are hundreds"
        )
    if at_rest:
        network = network.at_rest()
    operations: Sequence[int] = ()
    if signed and verify != 0:
        count = USUAL_CHECKS if verify is None else verify
        network, operations = verified(network, trained.reading, data, count)
    checked = checked.evenly(min(check_samples, len(checked)))
    activity = None
    if not signed:
        activity, operations = simulated_activity(network, checked)
    found = compare(trained, network, checked, activity)
    network.save(output)
    what = "images" if checked.kind == "images" else "recordings"
    told = Diagnosis(str(model), str(output), network, found, checked.labels, what, operations)
    if page is not None:
        from eventsnn.report.conversion import write_conversion

        write_conversion(told, page)
    if json_:
        show.print_json(told.document())
    else:
        report(told)
        show.note(f"wrote {output}: {network!r}")
    if page is not None:
        show.note(f"wrote {page}")
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
        if (
            reading.split is not None
            or not spec.startswith(("images:", "tonic."))
            or "no splits" not in str(error)
        ):
            raise
        found = reading.open(spec)
    return found.evenly(min(count, len(found)))


def verified(
    network: Network, reading: ModelReading, data: RecordingSet | ImageSet, count: int
) -> tuple[Network, Sequence[int]]:
    """A network that says it was verified, and the synaptic operations of the samples run for it."""
    from eventsnn.cli import show
    from eventsnn.convert.check import samples_for
    from eventsnn.convert.verification import verify, with_verification

    few = data.evenly(min(count, len(data)))
    with show.progress_bar("verifying") as progress:
        found = verify(network, samples_for(network, reading, few), len(few), progress)
    return with_verification(network, found), found.synaptic_operations


def report(told: Diagnosis) -> None:
    """Print a diagnosis: the layers, what they stand for, the decisions, what both cost."""
    from eventsnn.cli import show
    from eventsnn.report import conversion

    title = f"{told.model} -> {told.output}: converted network against the original"
    made = show.listing(conversion.layers(told))
    made.optional = conversion.EXTRA_COLUMNS
    show.print_table(made, f"{title}, {len(told.labels)} {told.what}")
    typer.echo("what stands for which nodes of the original:")
    for row in conversion.parts(told).rows:
        typer.echo("  " + ": ".join(cell.main for cell in row))
    for sentence in conversion.sentences(told):
        typer.echo(sentence)


def simulated_activity(
    network: Network, data: RecordingSet | ImageSet
) -> tuple[dict[str, Any], Sequence[int]]:
    """Final spike counts and charges of every population, one row per sample, input as the contract says.

    The synaptic operations of each sample with them.
    """
    import numpy as np

    from eventsnn.convert.check import rates_of_first_spikes
    from eventsnn.counting import COLUMN
    from eventsnn.engine.request import follows
    from eventsnn.run.job import make_job
    from eventsnn.run.settings import Settings

    contract = network.contract
    step_us = None
    if contract is not None and contract.coding == "bernoulli" and contract.duration_us is not None:
        # The longest step in which at most one spike is asked for.
        unit: Any = network.populations[network.input].neuron.unit
        step_us = contract.duration_us * unit
    schedule = "event" if follows(network, "event") else "step"
    once = [p.name for p in network if p.neuron.rule == "first_spike"]
    job = make_job(network, data, Settings(step_us=step_us, schedule=schedule))
    options = replace(job.settings.options(network), record_spikes=bool(once))
    engine = job.engine_of(job.mapping(), options)
    rows: dict[str, list[Any]] = {population.name: [] for population in network}
    operations = []
    for place in range(len(data)):
        sample = data[place]
        run = engine.run(job.stimulus(sample), sample.index)
        operations.append(int(run.counters[:, COLUMN["synaptic_operations"]].sum()))
        for population in network:
            kept = run.charge if population.neuron.emits == "nothing" else run.counts
            rows[population.name].append(kept[population.name])
        for name in once:  # the earlier, the more
            assert run.spikes is not None
            of_run = run.spikes.rank, run.spikes.neuron, run.spikes.time
            rows[name][-1] = rates_of_first_spikes(network, name, *of_run)
    return {name: np.stack(values) for name, values in rows.items()}, operations
