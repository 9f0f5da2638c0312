"""``eventsnn hardware steps``: what a network costs by the step after which its samples stop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsnn.cli.options import Json

if TYPE_CHECKING:
    from eventsnn.hardware.stepped import StepCosts


def steps(
    costs: Annotated[
        str,
        typer.Argument(help="A cost by step: dt-snn, elsa-resnet18, spikesim-vgg9, or a YAML file."),
    ],
    stops: Annotated[
        str | None,
        typer.Option("--stops", help="Samples by the step after which they stop: 1:120,2:300,16:80."),
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Results of a run with --schedule step (.h5).")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", help="A curve of this exit rule, without its threshold, from --results."),
    ] = None,
    thresholds: Annotated[
        int | None, typer.Option("--thresholds", help="How many thresholds of --rule; 11 unless said.")
    ] = None,
    full: Annotated[
        int | None, typer.Option("--full", help="Steps of a run that nothing stops; else the most known.")
    ] = None,
    json_: Json = False,
) -> None:
    """Mean latency, energy and energy x delay of samples that stop after known steps."""
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.hardware.stepped import cost_of_stops, load_step_costs

    found = load_step_costs(costs)
    if stops is not None and results is not None:
        raise InvalidRequest("--stops and --results both say after which steps samples stop; give one")
    if thresholds is not None and rule is None:
        raise InvalidRequest("--thresholds is how many of a rule; give it with --rule")
    if rule is not None and results is None:
        raise InvalidRequest("--rule is followed in the traces of a run; give it with --results")
    if results is not None:
        made = _of_results(found, results, rule, thresholds, full)
    elif stops is not None:
        made = [cost_of_stops(found, _histogram(stops), full).to_dict()]
    else:
        if full is not None:
            raise InvalidRequest("--full is of samples that stop; give it with --stops or --results")
        _print_costs(found, json_)
        return
    if json_:
        show.print_json({"rule": rule, "curve": made} if rule is not None else made[0])
        return
    _print_rows(found, made)


def _histogram(text: str) -> dict[int, int]:
    from eventsnn.errors import InvalidRequest

    found: dict[int, int] = {}
    for part in text.split(","):
        pair = re.fullmatch(r"\s*(\d{1,9})\s*:\s*(\d{1,12})\s*", part)
        if pair is None or int(pair[1]) in found:
            raise InvalidRequest(
                f"--stops {text!r}: {part!r} is not STEP:SAMPLES, each step once; write 1:120,2:300,16:80"
            )
        found[int(pair[1])] = int(pair[2])
    return found


def _of_results(
    costs: StepCosts, results: Path, rule: str | None, thresholds: int | None, full: int | None
) -> list[dict[str, Any]]:
    from eventsnn.results.curves import even_thresholds
    from eventsnn.results.results import Results
    from eventsnn.results.stepped import cost_of_run, stepped_curve

    table = Results.load(results).table
    if rule is None:
        return [cost_of_run(table, costs, full).to_dict()]
    chosen = even_thresholds(11 if thresholds is None else thresholds)
    return stepped_curve(table, costs, rule, chosen, full)


def _amount(costs: StepCosts, what: str, value: float) -> str:
    """A latency or an energy in the unit that its file has."""
    from eventsnn.hardware.stepped.costs import RELATIVE, UNITS

    unit = costs.costs[what].unit
    return f"{value:.6g}" if unit == RELATIVE else f"{value / UNITS[what][unit]:.6g} {unit}"


def _print_rows(costs: StepCosts, rows: list[dict[str, Any]]) -> None:
    """A row for each threshold, or one."""
    from eventsnn.cli import show

    curve = "threshold" in rows[0]
    both = rows[0]["energy_delay"] is not None
    made = show.table(
        *(("threshold", "accuracy") if curve else ()),
        "samples" if not curve else "mean steps",
        *(("mean steps",) if not curve else ()),
        *(word for what in costs.costs for word in (f"mean {what}", f"{what} saved")),
        *(("energy x delay saved, by means", "by products") if both else ()),
    )
    for row in rows:
        cells = [f"{row['threshold']:.3f}", show.percent(row["accuracy"])] if curve else [str(row["samples"])]
        cells.append(f"{row['mean_steps']:.4g}")
        for what in costs.costs:
            cells += [_amount(costs, what, row[what]["mean"]), _saved(row[what]["saved"])]
        if both:
            delay = row["energy_delay"]
            cells += [_saved(delay[f"saved_by_{how}"]) for how in ("product_of_means", "mean_of_products")]
        made.add_row(*cells)
    show.print_table(made, f"{costs.name}, against {rows[0]['full_steps']} steps for all")


def _saved(share: float | None) -> str:
    from eventsnn.cli import show

    return "-" if share is None else show.percent(share)


def _print_costs(costs: StepCosts, json_: bool) -> None:
    """What the file says: its costs after each step that it knows, or after 1, 2, 4 and 8."""
    from eventsnn.cli import show

    if json_:
        show.print_json(costs.model_dump(mode="json", by_alias=True, exclude_defaults=True))
        return
    typer.echo(f"{costs.name}: {costs.description}\n")
    made = show.table("steps", *costs.costs)
    for steps_ in (1, 2, 4, 8) if costs.steps is None else range(1, costs.steps + 1):
        totals = [_amount(costs, what, float(costs.total(what, steps_))) for what in costs.costs]
        made.add_row(str(steps_), *totals)
    show.print_table(made)
    for what, cost in costs.costs.items():
        for form in ("after", "each", "fixed", "per_step"):
            part = getattr(cost, form)
            if part is not None:
                known = f"{part.kind}, {part.origin}" if part.origin else part.kind
                typer.echo(f"{what}.{form}: {known}: {part.source}")
    left_out = costs.not_modelled or ("the file does not say ('not_modelled' in it would)",)
    typer.echo("not modelled:\n" + "\n".join(f"  {text}" for text in left_out))
