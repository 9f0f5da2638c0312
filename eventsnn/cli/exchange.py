"""``eventsnn hardware import-sanafe`` and ``accelergy``: accelerators from and to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_sanafe(
    file: Annotated[Path, typer.Argument(help="An architecture file (YAML) written for SANA-FE.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Architecture file to write.")],
) -> None:
    """Turn a SANA-FE architecture into one of ours, and say what had no counterpart."""
    import yaml

    from eventsnn.cli import show
    from eventsnn.hardware.exchange.sanafe import from_sanafe
    from eventsnn.output import replaced_whole

    architecture, left_out = from_sanafe(file)
    text = yaml.safe_dump(architecture.document(), sort_keys=False, width=110)
    with replaced_whole(output, b"format: eventsnn-architecture") as partial:
        partial.write_text(text, encoding="utf-8")
    for line in left_out:
        show.note(f"left out: {line}")
    units = ", ".join(architecture.synapse_units)
    show.note(
        f"wrote {output}: {architecture.number_of_tiles} tiles, {architecture.number_of_cores} cores, "
        f"synapse units {units}; check it with 'eventsnn hardware show {output}'"
    )


def accelergy(
    results: Annotated[Path, typer.Argument(help="Results of a run on an accelerator.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for action_counts.yaml and ERT.yaml.")
    ],
) -> None:
    """Write a run's action counts and energies in Accelergy's form, summed over its samples."""
    import numpy as np
    import yaml

    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.hardware.exchange.accelergy import to_accelergy
    from eventsnn.output import replaced_whole
    from eventsnn.report.energy import chip_of
    from eventsnn.results.results import Results

    run = Results.load(results)
    chip = chip_of(run)
    if chip is None:
        raise InvalidRequest(f"{results} was run without an accelerator; run again with --hardware NAME")
    samples = run.table.samples
    documents = to_accelergy(
        np.sum([sample.counters for sample in samples], axis=0),
        chip,
        run.table.order,
        run.configuration["schedule"] == "step",
        sum(sample.decision_time_ps - sample.first_event_ps for sample in samples),
    )
    if output.exists() and not output.is_dir():
        raise InvalidRequest(f"{output} is a file; give a folder to write into")
    output.mkdir(parents=True, exist_ok=True)
    for name, content in documents.items():
        with replaced_whole(output / f"{name}.yaml", f"{name}:".encode()) as partial:
            partial.write_text(yaml.safe_dump({name: content}, sort_keys=False), encoding="utf-8")
    show.note(
        f"wrote {output / 'action_counts.yaml'} and {output / 'ERT.yaml'}: {len(samples)} samples, "
        "energies in pJ; 'accelergy' adds them up"
    )
