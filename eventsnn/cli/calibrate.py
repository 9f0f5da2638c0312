"""``eventsnn calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventsnn.cli.options import Json

if TYPE_CHECKING:
    from eventsnn.decide.certificate import Certificate


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
        str, typer.Option("--risk", help="gap, error, disagreement (without labels), deadline or coverage.")
    ] = "gap",
    limit: Annotated[
        float, typer.Option("--max-gap", "--max-risk", help="The risk is to be at most this.")
    ] = 0.01,
    confidence: Annotated[
        float | None, typer.Option("--confidence", help="With at least this probability; 0.95 unless said.")
    ] = None,
    deadline_us: Annotated[
        float | None, typer.Option("--deadline-us", help="Microseconds since the first event.")
    ] = None,
    by_halt_time: Annotated[
        bool,
        typer.Option("--by-halt-time", help="Hold it among those stopped by a time, too."),
    ] = False,
    saves: Annotated[
        str | None,
        typer.Option(
            "--saves", help="What is to be small: synaptic_operations (default), latency_s or energy_j."
        ),
    ] = None,
    at_us: Annotated[
        list[float] | None,
        typer.Option("--at-us", help="Coverage: microseconds since the first event to look at; repeatable."),
    ] = None,
    set_size: Annotated[
        int | None, typer.Option("--set-size", help="Coverage: stop at so many classes or fewer; 1.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the halves of --by-halt-time.")] = 0,
    json_: Json = False,
) -> None:
    """A threshold and its certificate: the risk of stopping early, bounded with confidence."""
    from eventsnn.calibration import calibrate as certify
    from eventsnn.calibration import calibrate_sets
    from eventsnn.calibration.coverage import RISK, SAYS
    from eventsnn.calibration.risks import RISKS
    from eventsnn.cli import show
    from eventsnn.decide import with_threshold
    from eventsnn.decide.certificate import require_certificate_name
    from eventsnn.errors import InvalidRequest
    from eventsnn.results.results import Results

    if output is not None:
        require_certificate_name(output)
    of_sets = {"--at-us": at_us, "--set-size": set_size}
    of_thresholds = {
        "--rule": rule, "--confidence": confidence, "--deadline-us": deadline_us,
        "--by-halt-time": by_halt_time or None, "--saves": saves,
    }  # fmt: skip
    for flag, value in (of_thresholds if risk == RISK else of_sets).items():
        if value is not None:
            others = "goes with other risks than" if risk == RISK else "goes with"
            raise InvalidRequest(f"{flag} {others} --risk {RISK}; leave it out")
    if risk == RISK:
        if not at_us:
            raise InvalidRequest(f"--risk {RISK} looks at given times; give --at-us, once or more")
        made = calibrate_sets(Results.load(results), at_us, limit, 1 if set_size is None else set_size)
    else:
        made = certify(
            Results.load(results),
            rule or "margin",
            risk,
            limit,
            0.95 if confidence is None else confidence,
            deadline_s=None if deadline_us is None else deadline_us * 1e-6,
            by_halt_time=by_halt_time,
            saves=saves or "synaptic_operations",
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
    show.note(_promise(made, SAYS if risk == RISK else RISKS[risk].says))
    show.note("assumes: " + "; ".join(made.assumptions))
    show.note("not kept: give -o CERTIFICATE.json" if output is None else f"wrote {output}")


def _promise(made: Certificate, says: str) -> str:
    if made.confidence is None or made.bound is None:
        return f"{says}: in at most {made.limit:.3g} of all ({made.errors} of {made.samples} here)"
    return (
        f"with confidence {made.confidence:g}: that {says} happens in at most {made.limit:.3g} "
        f"of all ({made.errors} of {made.samples} here; these exclude more than {made.bound:.3g})"
    )


CALLED = {
    "latency_s": "time to decision",
    "synaptic_operations": "synaptic operations",
    "spikes": "spikes",
    "energy_j": "energy",
}
