"""``eventsnn run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Data = Annotated[
    str, typer.Option("--data", help="KIND:PATH with KIND nmnist, cifar10-dvs, aedat or images (.npz).")
]
Split = Annotated[str | None, typer.Option("--split", help="train, test, or all (default).")]
Hardware = Annotated[
    str | None, typer.Option("--hardware", help="Accelerator: a preset's name or a YAML file.")
]
MappingOption = Annotated[
    str | None,
    typer.Option("--mapping", help="Populations to cores: layer (default), channel, area, pack, or a file."),
]
Input = Annotated[
    str | None,
    typer.Option("--input", help="How images become input: analog, poisson, bernoulli or charge."),
]
Duration = Annotated[
    float | None, typer.Option("--duration-us", help="How long the input lasts at least, microseconds.")
]
MaxRate = Annotated[
    float | None,
    typer.Option(
        "--max-rate-hz", help="Poisson and Bernoulli input: spikes per second at an activation of 1."
    ),
]
Origin = Annotated[
    str | None,
    typer.Option(
        "--origin",
        help="Time zero of recordings: file (as stored; default of nmnist) or first-event (all others).",
    ),
]
ScaleCurrents = Annotated[
    bool,
    typer.Option("--scale-currents", help="Scale a rate network's bias currents to each sample's length."),
]
Seed = Annotated[int, typer.Option("--seed", help="Of random draws.")]
Fraction = Annotated[
    float, typer.Option("--fraction", help="Replay only the first share of each recording's events.")
]
Downsample = Annotated[
    int, typer.Option("--downsample", help="Divide event addresses by this (128 to 32 pixels: 4).")
]
Orientation = Annotated[
    str | None,
    typer.Option(
        "--orientation",
        help="AEDAT: what axes and polarity mean, raw (aedat:), jaer-matlab or cifar10-dvs (cifar10-dvs:).",
    ),
]
Clock = Annotated[
    str | None,
    typer.Option(
        "--clock",
        help="Where a recording's time goes back: last-reset (default; drops strays), strict, or sort.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def open_data(
    data: str,
    split: str | None,
    fraction: float = 1.0,
    downsample: int = 1,
    orientation: str | None = None,
    clock: str | None = None,
) -> Any:
    """The data set a command line names."""
    from eventsnn.errors import InvalidRequest
    from eventsnn.events import ImageSet, open_dataset

    found = open_dataset(data, split, orientation=orientation, clock=clock)
    if isinstance(found, ImageSet):
        if fraction != 1.0 or downsample != 1:
            raise InvalidRequest(f"{data} holds images; --fraction and --downsample are for event recordings")
        return found
    if fraction != 1.0:
        found = found.fraction(fraction)
    return found if downsample == 1 else found.downsampled(downsample)


def run(
    network: Annotated[Path, typer.Argument(help="Network file (.h5).")],
    data: Data,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Results file; resumed if it is there.")
    ] = None,
    split: Split = None,
    hardware: Hardware = None,
    mapping: MappingOption = None,
    exit: Annotated[str, typer.Option("--exit", help="margin:0.3, max-probability:0.9, or none.")] = "none",
    schedule: Annotated[str, typer.Option("--schedule", help="event or step.")] = "event",
    step_us: Annotated[
        float | None, typer.Option("--step-us", help="Timestep, microseconds; else the network's period.")
    ] = None,
    ties: Annotated[
        str, typer.Option("--ties", help="Order of simultaneous events: ordered, or seeded.")
    ] = "ordered",
    input: Input = None,
    duration_us: Duration = None,
    max_rate_hz: MaxRate = None,
    origin: Origin = None,
    scale_currents: ScaleCurrents = False,
    history_us: Annotated[
        float | None, typer.Option("--history-us", help="Keep the counters each so many microseconds.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="compiled, reference, float32 or float64.")
    ] = "compiled",
    samples: Annotated[
        int | None, typer.Option("--samples", help="Take N samples evenly over the sorted list.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes.")] = 1,
    seed: Seed = 0,
    fraction: Fraction = 1.0,
    downsample: Downsample = 1,
    orientation: Orientation = None,
    clock: Clock = None,
    max_events: Annotated[
        int, typer.Option("--max-events", help="Deliveries after which a sample ends with an error.")
    ] = 10**9,
    json_: Json = False,
) -> None:
    """Simulate a network over recordings or images, spike by spike."""
    from eventsnn.cli import show
    from eventsnn.run.simulate import simulate

    with show.progress_bar("simulating") as progress, show.resumable(output):
        results = simulate(
            network,
            open_data(data, split, fraction, downsample, orientation, clock),
            hardware=hardware,
            mapping=mapping,
            exit=exit,
            schedule=schedule,
            engine=engine,
            seed=seed,
            ties=ties,
            step_us=step_us,
            history_us=history_us,
            input=input,
            duration_us=duration_us,
            max_rate_hz=max_rate_hz,
            origin=origin,
            scale_currents=scale_currents,
            workers=workers,
            samples=samples,
            max_events=max_events,
            output=output,
            progress=progress,
        )
    if hardware:
        from eventsnn.report.sections import free_running

        if played := free_running(results):
            show.note(played)
    if json_:
        show.print_json(results.to_dict())
        if results.failures:
            raise typer.Exit(1)
        return
    made = show.table("quantity", "value")
    for row in show.summary_rows(results.summary()):
        made.add_row(*row)
    if results.failures:
        made.add_row("failed", f"{len(results.failures)}, in no figure here")
    made.add_row("digest", results.digest)
    show.print_table(made, f"{network} on {data}, split {split or 'all'}")
    show.note("results not kept: give -o RESULTS.h5 to keep them" if output is None else f"wrote {output}")
    if hardware:
        show.note(model_figures(hardware))
    if results.failures:
        raise typer.Exit(1)


def model_figures(hardware: str) -> str:
    """The sentence that every table with an accelerator carries."""
    from eventsnn.hardware import load_architecture

    architecture = load_architecture(hardware)
    return (
        f"accelerator {architecture.name} is a model: times and energies are model figures, not measurements"
    )
