"""``eventsnn calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventsnn.cli.options import Json


def calibrate(
    results: Annotated[Path, typer.Argument(help="Results of a run without an exit rule.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Certificate to write, a .json file.")
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", help="As of curve; margin (default). Several share the confidence."),
    ] = None,
    risk: Annotated[
        str, typer.Option("--risk", help="gap, error, disagreement (without labels) or deadline.")
    ] = "gap",
    limit: Annotated[
        float, typer.Option("--max-gap", "--max-risk", help="The risk is to be at most this.")
    ] = 0.01,
    confidence: Annotated[float, typer.Option("--confidence", help="With at least this probability.")] = 0.95,
    deadline_us: Annotated[
        float | None, typer.Option("--deadline-us", help="Microseconds since the first event.")
    ] = None,
    by_halt_time: Annotated[
        bool,
        typer.Option("--by-halt-time", help="Hold it among those stopped by a time, too."),
    ] = False,
    saves: Annotated[
        str, typer.Option("--saves", help="What is to be small: synaptic_operations, latency_s or energy_j.")
    ] = "synaptic_operations",
    seed: Annotated[int, typer.Option("--seed", help="Of the halves of --by-halt-time.")] = 0,
    json_: Json = False,
) -> None:
    """A threshold and its certificate: the risk of stopping early, bounded with confidence."""
    from eventsnn.calibration import calibrate as certify
    from eventsnn.calibration.risks import RISKS
    from eventsnn.cli import show
    from eventsnn.decide import with_threshold
    from eventsnn.decide.certificate import require_certificate_name
    from eventsnn.results.results import Results

    if output is not None:
        require_certificate_name(output)
    made = certify(
        Results.load(results),
        rule or "margin",
        risk,
        limit,
        confidence,
        deadline_s=None if deadline_us is None else deadline_us * 1e-6,
        by_halt_time=by_halt_time,
        saves=saves,
        seed=seed,
    )
    if output is not None:
        made.save(output)
    if json_:
        show.print_json(made.document())
        return
    table = show.table("", "full run", "stopped", "saved")
    full, stopped = made.measured["full"], made.measured["stopped"]
    units = {"latency_s": "s", "energy_j": "J"}
    for name, value in full.items():
        if value is None:
            continue
        there = stopped[name]
        if name == "accuracy":
            table.add_row("accuracy", show.percent(value), show.percent(there), "")
        else:
            unit = units.get(name, "")
            saved = show.percent(1 - there / value) if value else ""
            table.add_row(CALLED[name], show.si(value, unit), show.si(there, unit), saved)
    show.print_table(
        table,
        f"{with_threshold(made.rule, made.threshold)}, on the {made.samples} samples that calibrated it",
    )
    show.note(
        f"with confidence {made.confidence:g}: that {RISKS[risk].says} happens in at most {made.limit:.3g} "
        f"of all ({made.errors} of {made.samples} here; these exclude more than {made.bound:.3g})"
    )
    show.note("assumes: " + "; ".join(made.assumptions))
    show.note("not kept: give -o CERTIFICATE.json" if output is None else f"wrote {output}")


CALLED = {
    "latency_s": "time to decision",
    "synaptic_operations": "synaptic operations",
    "spikes": "spikes",
    "energy_j": "energy",
}
