"""``eventsnn data``: what a data set holds, and emulated recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventsnn.cli.options import taking
from eventsnn.cli.reading import Reading

app = typer.Typer(help="Data sets of event recordings and images.", no_args_is_help=True)


@app.command("list")
@taking(only=["split"])
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
@taking(only=["split", "transform", "orientation", "clock"])
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


@app.command("emulate-cifar10-dvs")
def emulate_cifar10_dvs(
    images: Annotated[
        Path, typer.Argument(help="NumPy .npz with arrays 'images' (N, 32, 32, 3) and 'labels'.")
    ],
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    seed: Annotated[int, typer.Option("--seed")] = 0,
) -> None:
    """Write emulated CIFAR10-DVS recordings (AEDAT 2.0, DVS128 addresses) from CIFAR-10 images."""
    import numpy as np

    from eventsnn.errors import InvalidFile
    from eventsnn.events import CIFAR10_CLASSES, write_emulated_cifar10_dvs

    if not images.is_file():
        raise FileNotFoundError(f"no file {images}")
    try:
        data = np.load(images, allow_pickle=False)
        pictures, labels = data["images"], data["labels"]
    except Exception as error:
        # NumPy and its decoders answer to damage with any kind of error.
        raise InvalidFile(f"{images} has no arrays 'images' and 'labels': {error}") from error
    written = write_emulated_cifar10_dvs(pictures, labels, folder, CIFAR10_CLASSES, seed)
    typer.echo(f"wrote {len(written)} emulated CIFAR10-DVS recordings under {folder}")
