"""What a sweep found: a run for each value, its differences to the nominal one, and the tornado tables."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any, Literal

from eventsnn.output import HTML, replaced_whole
from eventsnn.report.intervals import share_cell
from eventsnn.report.si import NO_VALUE, SPACE, si, three_digits
from eventsnn.report.tables import Cell, Table

Quantity = Literal["energy_j", "latency_s"]
UNITS: dict[Quantity, str] = {"energy_j": "J", "latency_s": "s"}
WORDS: dict[Quantity, str] = {"energy_j": "energy", "latency_s": "latency"}
# A plot has no more bars, and none shorter than this share of the longest.
MOST_BARS, SHORTEST_BAR = 20, 0.005


@dataclass(frozen=True)
class Measures:
    """A run's figures; distributions are over samples, of all seeds together.

    ``latency_s`` is decision time minus first event, ``energy_j`` dynamic and static.
    """

    accuracy: float | None
    synaptic_operations: dict[str, float]
    latency_s: dict[str, float]
    energy_j: dict[str, float]


@dataclass(frozen=True)
class Change:
    """Mean difference to the nominal run, sample by sample, and its standard error over samples.

    Each sample is averaged over seeds first; the error is None for a single sample.
    """

    mean: float
    error: float | None


@dataclass(frozen=True)
class Outcome:
    """What one value gave.

    Attributes
    ----------
    path, value : str
        What was set to what.
    measures : Measures or None
        None where the network does not run with that value.
    latency_change_s, energy_change_j : Change or None
    answers_changed : int
        Answers that differ from the nominal run's, over samples and seeds.
    simulated : bool
        False where no spike can notice the value, so that the nominal run's counts and times serve.
    failed : str
        Why there are no measures.
    """

    path: str
    value: str
    measures: Measures | None
    latency_change_s: Change | None = None
    energy_change_j: Change | None = None
    answers_changed: int = 0
    simulated: bool = True
    failed: str = ""


@dataclass(frozen=True)
class Bar:
    """The lowest and the highest mean that a value's settings gave, the nominal one among them."""

    path: str
    low: float
    low_value: str
    high: float
    high_value: str

    @property
    def swing(self) -> float:
        """How far apart they are."""
        return self.high - self.low


@dataclass(frozen=True)
class Sweep:
    """The nominal run and one for each value.

    ``seeds`` runs were made of each with seeds from ``configuration["seed"]`` on, the same for every value:
    random draws are keyed by seed and sample, so that values are compared on the same draws. ``failed``
    samples could not be read and are in no figure.
    """

    configuration: dict[str, Any]
    samples: int
    seeds: int
    nominal: Measures
    outcomes: tuple[Outcome, ...]
    failed: int = 0

    def tornado(self, quantity: Quantity = "energy_j") -> list[Bar]:
        """What the mean energy or latency depends on, the widest swing first, ties by path."""
        middle = getattr(self.nominal, quantity)["mean"]
        bars = []
        for path in dict.fromkeys(outcome.path for outcome in self.outcomes):
            found = [(middle, "nominal")]
            found += [
                (getattr(outcome.measures, quantity)["mean"], outcome.value)
                for outcome in self.outcomes
                if outcome.path == path and outcome.measures is not None
            ]
            low, high = min(found, key=_first), max(found, key=_first)
            bars.append(Bar(path, *low, *high))
        return sorted(bars, key=lambda bar: (-bar.swing, bar.path))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "samples": self.samples,
            "seeds": self.seeds,
            "nominal": asdict(self.nominal),
            "outcomes": [_plain(outcome) for outcome in self.outcomes],
            "tornado": {
                quantity: [{**asdict(bar), "swing": bar.swing} for bar in self.tornado(quantity)]
                for quantity in UNITS
            },
            "version": self.configuration.get("version"),
            "configuration": self.configuration,
        }


def _first(pair: tuple[float, str]) -> float:
    return pair[0]


def _plain(outcome: Outcome) -> dict[str, Any]:
    found = asdict(outcome)
    measures = found.pop("measures") or dict.fromkeys(Measures.__dataclass_fields__)
    return {**found, **measures, "failed": outcome.failed or None}


def sentences(found: Sweep) -> list[str]:
    """What a reader must know before reading the tables."""
    said = [
        f"One value differs from the nominal accelerator at a time; {found.samples} samples"
        + ("" if found.seeds == 1 else f", {found.seeds} seeds each")
        + ", and the same random draws for every value. Changes are mean differences to the nominal run, "
        "with the standard error over samples; beside an accuracy stands its 95 % interval of Clopper and "
        "Pearson."
    ]
    reused = sum(not outcome.simulated for outcome in found.outcomes)
    if reused:
        said.append(
            f"{reused} of {len(found.outcomes)} values leave every event at its time: for these the nominal "
            "run's counts and times were used again, nothing was simulated."
        )
    for quantity, word in WORDS.items():
        idle = [bar.path for bar in found.tornado(quantity) if bar.swing == 0]
        if idle:
            said.append(f"The mean {word} does not depend on: {', '.join(idle)}.")
    said += [f"{o.path} = {o.value} does not run: {o.failed}" for o in found.outcomes if o.failed]
    return said


def outcome_table(found: Sweep) -> Table:
    """A row for each value, the nominal run first."""
    rows = [_row("nominal", "", found.nominal, found.samples, None)]
    rows += [_row(o.path, o.value, o.measures, found.samples, o, found.nominal) for o in found.outcomes]
    header = [
        "Value",
        "Set to",
        "Accuracy",
        "Operations",
        "Latency p50",
        "p95",
        "Mean latency",
        "Mean energy",
    ]
    return Table([*header, "Answers changed", "Run"], rows)


def _row(
    name: str, value: str, found: Measures | None, samples: int, outcome: Outcome | None,
    nominal: Measures | None = None,
) -> list[Cell]:  # fmt: skip
    if found is None:
        return [Cell(name), Cell(value), *[Cell(NO_VALUE)] * 7, Cell("failed")]
    latency, energy = found.latency_s, found.energy_j
    changes = ["", ""]
    if outcome is not None and nominal is not None:
        changes = [
            _change(outcome.latency_change_s, nominal.latency_s["mean"]),
            _change(outcome.energy_change_j, nominal.energy_j["mean"]),
        ]
    return [
        Cell(name),
        Cell(value),
        share_cell(found.accuracy, samples),
        Cell(si(found.synaptic_operations["mean"])),
        Cell(si(latency["p50"], "s")),
        Cell(si(latency["p95"], "s")),
        Cell(si(latency["mean"], "s"), changes[0]),
        Cell(si(energy["mean"], "J"), changes[1]),
        Cell("" if outcome is None else str(outcome.answers_changed)),
        Cell("simulated" if outcome is None or outcome.simulated else "counts reused"),
    ]


def _change(change: Change | None, nominal: float) -> str:
    """A change as a share of the nominal mean, with its error."""
    if change is None or nominal == 0:
        return ""
    if change.mean == 0 and not change.error:
        return "unchanged"
    share = 100 * change.mean / nominal
    error = "" if change.error is None else f" ± {three_digits(abs(100 * change.error / nominal))}"
    return f"{'+' if share > 0 else ''}{three_digits(share)}{error}{SPACE}%"


def tornado_table(found: Sweep, quantity: Quantity) -> Table:
    """What the mean energy or latency depends on, the widest swing first; what it does not, left out."""
    nominal, unit = getattr(found.nominal, quantity)["mean"], UNITS[quantity]

    def end(mean: float, value: str) -> Cell:
        sign = "+" if mean > nominal else ""
        return Cell(f"{sign}{si(mean - nominal, unit)}", f"at {value}") if mean != nominal else Cell(NO_VALUE)

    rows = []
    for bar in found.tornado(quantity):
        if bar.swing == 0:
            continue
        share = f"{three_digits(100 * bar.swing / nominal)}{SPACE}%" if nominal else NO_VALUE
        ends = [end(bar.low, bar.low_value), end(bar.high, bar.high_value)]
        rows.append([Cell(bar.path), *ends, Cell(si(bar.swing, unit)), Cell(share)])
    return Table(["Value", "Down to", "Up to", "Swing", f"of {si(nominal, unit)}"], rows)


def write_sweep(found: Sweep, path: str | os.PathLike[str], title: str | None = None) -> None:
    """Write a self-contained page: tables, and tornado plots.

    Its heading is ``title``; None names the network, the data and the accelerator.

    Raises
    ------
    MissingExtra
        jinja2 or matplotlib is not installed.
    InvalidRequest
        ``path`` cannot be written.
    """
    from eventsnn.report.page import rendered, require_extra
    from eventsnn.report.plots import tornado
    from eventsnn.report.subject import subject

    require_extra()
    tornados = []
    for quantity, unit in UNITS.items():
        bars, nominal = found.tornado(quantity), getattr(found.nominal, quantity)["mean"]
        least = max((bar.swing for bar in bars), default=0.0) * SHORTEST_BAR
        rows = [(bar.path, bar.low - nominal, bar.high - nominal) for bar in bars if bar.swing > least][
            :MOST_BARS
        ]
        plot = tornado(rows, f"mean {WORDS[quantity]}", unit, quantity, nominal) if rows else ""
        tornados.append((WORDS[quantity], tornado_table(found, quantity), plot))
    about = subject([found.configuration])
    page = rendered(
        "sweep.html.j2",
        title=title or about,
        kicker="Sensitivity" if title is None else about,
        version=found.configuration.get("version"),
        hardware=found.configuration.get("hardware"),
        sentences=sentences(found),
        outcomes=outcome_table(found),
        tornados=tornados,
    )
    with replaced_whole(path, HTML) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(page)
