"""``eventsnn data``: what a data set holds, and emulated recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventsnn.cli.run import Split

app = typer.Typer(help="Data sets of event recordings and images.", no_args_is_help=True)


@app.command("list")
def list_(
    data: Annotated[str, typer.Argument(help="KIND:PATH")],
    split: Split = None,
) -> None:
    """Count the samples of a data set by class; of recordings nothing is read but names."""
    import numpy as np

    from eventsnn.cli import show
    from eventsnn.events import open_dataset

    found = open_dataset(data, split)
    made = show.table("class", "samples")
    for label in np.unique(found.labels):
        name = found.class_names[label] if 0 <= label < len(found.class_names) else "unknown"
        made.add_row(str(name), str(int((found.labels == label).sum())))
    size = f"{found.width} x {found.height} pixels"
    what = "images" if found.kind == "images" else "recordings"
    show.print_table(made, f"{data}: {len(found)} {what}, {size}, split {found.split}")


@app.command("check")
def check(data: Annotated[str, typer.Argument(help="KIND:PATH")], split: Split = None) -> None:
    """Read and validate every recording or image; stops at the first bad one with its place."""
    from eventsnn.cli import show
    from eventsnn.events import ImageSet, open_dataset

    found = open_dataset(data, split)
    if isinstance(found, ImageSet):  # checked when opened
        typer.echo(f"{data}: {len(found)} images, all valid")
        return
    events = 0
    with show.progress_bar("checking") as progress:
        for position in range(len(found)):
            events += len(found[position].events)
            progress(position + 1, len(found))
    typer.echo(f"{data}: {len(found)} recordings, {events} events, all valid")


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
        with np.load(images, allow_pickle=False) as data:
            pictures, labels = data["images"], data["labels"]
    except (ValueError, KeyError, OSError) as error:
        raise InvalidFile(f"{images} has no arrays 'images' and 'labels': {error}") from error
    written = write_emulated_cifar10_dvs(pictures, labels, folder, CIFAR10_CLASSES, seed)
    typer.echo(f"wrote {len(written)} emulated CIFAR10-DVS recordings under {folder}")
