"""``eventsnn data``: what a data set holds, and emulated recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventsnn.cli.options import Workers, taking
from eventsnn.run.reading import OF_FILES, Reading

app = typer.Typer(help="Data sets of event recordings and images.", no_args_is_help=True)


@app.command("list")
@taking(only=["split", *OF_FILES])
def list_(
    data: Annotated[str, typer.Argument(help="KIND:PATH")],
    *,
    reading: Reading,
) -> None:
    """Count the samples of a data set by class; of recordings nothing is read but names."""
    from eventsnn.cli import recordings, show

    found = reading.open(data)
    size = f"{found.width} x {found.height} pixels"
    what = "images" if found.kind == "images" else "recordings"
    show.print_table(
        recordings.class_table(recordings.classes(found)),
        f"{data}: {len(found)} {what}, {size}, split {found.split}",
    )


@app.command("check")
@taking(only=["split", "transform", *OF_FILES])
def check(
    data: Annotated[str, typer.Argument(help="KIND:PATH")],
    *,
    reading: Reading,
) -> None:
    """Read and validate every recording or image; stops at the first bad one with its place."""
    from collections import Counter

    from eventsnn.cli import show
    from eventsnn.events import ImageSet, record_counts

    found = reading.open(data)
    if isinstance(found, ImageSet):  # checked when opened
        typer.echo(f"{data}: {len(found)} images, all valid")
        return
    events, left_out = 0, Counter[str]()
    with show.progress_bar("checking") as progress:
        for position in range(len(found)):
            recording, counts = record_counts(found, position)
            events += len(recording.events)
            left_out.update({name: n for name, n in counts.items() if name != "records"})
            progress(position + 1, len(found))
    typer.echo(f"{data}: {len(found)} recordings, {events} events, all valid")
    if any(left_out.values()):
        said = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in left_out.items() if count)
        typer.echo(f"left out: {said}")


@app.command("prepare")
@taking(only=["downsample", *OF_FILES])
def prepare(
    data: Annotated[str, typer.Argument(help="KIND:PATH of event recordings.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write (.h5).")],
    checksums: Annotated[
        Path | None,
        typer.Option("--checksums", help="Lines 'sha256  name' that the recordings must give (sha256sum)."),
    ] = None,
    workers: Workers = 1,
    *,
    reading: Reading,
) -> None:
    """Write a set of recordings as one file; goes on where a killed run stopped, checks what is done."""
    from eventsnn.cli import show
    from eventsnn.run.prepare import prepare_recordings

    with show.resumable(output), show.progress_bar("preparing") as progress:
        count = prepare_recordings(
            data,
            output,
            downsample=reading.downsample,
            checksums=checksums,
            workers=workers,
            progress=progress,
            **{name: getattr(reading, name) for name in OF_FILES},
        )
    typer.echo(f"{output}: {count} recordings of {data}, open it as events:{output}")


@app.command("convert")
@taking(only=["split", "fraction", "downsample", *OF_FILES])
def convert(
    data: Annotated[str, typer.Argument(metavar="IN", help="A recording, a folder of some, or KIND:PATH.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write; of several recordings a folder.")
    ],
    to: Annotated[
        str | None, typer.Option("--to", help="Format to write: aedat2, aedat3, aedat4, dat, evt2, ...")
    ] = None,
    to_layout: Annotated[str | None, typer.Option("--to-layout", help="AEDAT 2.0 written: layout.")] = None,
    to_orientation: Annotated[
        str | None, typer.Option("--to-orientation", help="AEDAT written: orientation, raw unless said.")
    ] = None,
    *,
    reading: Reading,
) -> None:
    """Write recordings anew in another format."""
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.events import ImageSet, rewrite_recordings
    from eventsnn.events.datasets import KINDS

    spec = data if data.partition(":")[0] in KINDS and not Path(data).exists() else f"events:{data}"
    found = reading.open(spec)
    if isinstance(found, ImageSet):
        raise InvalidRequest(f"{data} holds images, no event recordings; give recordings")
    with show.progress_bar("writing") as progress:
        written = rewrite_recordings(
            found, output, format=to, layout=to_layout, orientation=to_orientation, progress=progress
        )
    others = f" and {len(written) - 1} more" if len(written) > 1 else ""
    typer.echo(f"wrote {written[0]}{others}")


@app.command("emulate-cifar10-dvs")
@taking(
    only=["split", "samples"],
    help={
        "split": "Pictures of train, test, or all (default).",
        "samples": "Take N pictures evenly over the list.",
    },
)
def emulate_cifar10_dvs(
    images: Annotated[
        str, typer.Argument(help="images:FILE.npz, or the file alone; see docs/cifar10-dvs.md.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write (.h5), or folder for AEDAT 2.0 files.")
    ],
    seed: Annotated[int, typer.Option("--seed", help="Seed of all draws.")] = 0,
    downsample: Annotated[
        int, typer.Option("--downsample", help="Divide addresses by this (.h5 only; 128 to 32 pixels: 4).")
    ] = 1,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting of the camera or the movement, NAME=VALUE, such as noise_hz=0."
        ),
    ] = None,
    workers: Workers = 1,
    *,
    reading: Reading,
) -> None:
    """Make emulated CIFAR10-DVS recordings of pictures; goes on where a killed run stopped."""
    from eventsnn.cli import show
    from eventsnn.run.emulated import emulate_cifar10_dvs, movement_of
    from eventsnn.run.pictures import pictures_of

    movement = movement_of(camera or [])
    pictures = pictures_of(images, reading.split, reading.samples)
    with show.resumable(output), show.progress_bar("emulating") as progress:
        emulate_cifar10_dvs(
            pictures,
            output,
            seed=seed,
            downsample=downsample,
            movement=movement,
            workers=workers,
            progress=progress,
        )
    typer.echo(f"{output}: {len(pictures)} emulated CIFAR10-DVS recordings")


@app.command("encode-i2e")
@taking(
    only=["split", "samples"],
    help={
        "split": "Pictures of train, test, or all (default).",
        "samples": "Take N pictures evenly over the list.",
    },
)
def encode_i2e(
    images: Annotated[
        str, typer.Argument(help="images:FILE.npz, or the file alone; see docs/cifar10-dvs.md.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write (.h5).")],
    size: Annotated[
        int, typer.Option("--size", help="Rows and columns: 128 for CIFAR-10, 32 for MNIST.")
    ] = 128,
    ratio: Annotated[
        float,
        typer.Option("--ratio", help="S0, share of the picture's range: 0.07 for CIFAR-10, 0.1 for MNIST."),
    ] = 0.07,
    step_us: Annotated[int, typer.Option("--step-us", help="Time of each of the eight movements.")] = 1_000,
    workers: Workers = 1,
    *,
    reading: Reading,
) -> None:
    """Make I2E events of pictures (Ma et al., AAAI 2026); goes on where a killed run stopped."""
    from eventsnn.cli import show
    from eventsnn.events.event_file import open_event_file
    from eventsnn.run.emulated import encode_i2e_set
    from eventsnn.run.pictures import pictures_of

    pictures = pictures_of(images, reading.split, reading.samples)
    with show.resumable(output), show.progress_bar("encoding") as progress:
        encode_i2e_set(
            pictures, output, size=size, ratio=ratio, step_us=step_us, workers=workers, progress=progress
        )
    events = int(open_event_file(output).recordings["events"].sum())
    rate = events / (len(pictures) * 16 * size * size)
    typer.echo(f"{output}: I2E events of {len(pictures)} pictures (emulated), event rate {rate:.2%}")
