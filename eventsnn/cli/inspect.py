"""``eventsnn inspect``: what is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eventsnn.cli.options import Json, taking
from eventsnn.run.reading import OF_FILES, Reading


@taking(only=["transform", *OF_FILES])
def inspect(
    file: Annotated[
        Path, typer.Argument(help="A network, results, a recording, a folder of recordings, or KIND:PATH.")
    ],
    *,
    reading: Reading,
    json_: Json = False,
) -> None:
    """Show what is in a network, a results file, a recording or a data set."""
    from eventsnn.cli import recordings, show
    from eventsnn.errors import InvalidFile, InvalidRequest
    from eventsnn.results import unfinished_run

    data = None if unfinished_run(file) else recordings.data_named(file)
    if data is not None:
        _data(recordings.contents(data, reading), json_)
        return
    if reading != Reading():
        raise InvalidRequest(
            f"{file} holds no recordings; leave --transform, --orientation, --clock and the like out"
        )
    if unfinished_run(file):
        _show(_results(file), json_)
        return
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}; give a network, a results file or recordings")
    kind = _hdf5_format(file)
    if kind == "eventsnn-network":
        found, rows = _network(file)
        if json_:
            show.print_json(found)
            return
        _print_network(found, rows)
    elif kind == "eventsnn-results":
        _show(_results(file), json_)
    elif kind == "eventsnn-stream":
        from eventsnn.results.stream import StreamResults

        _show(StreamResults.load(file).to_dict(), json_)
    else:
        raise InvalidFile(f"{file}: format attribute is {kind!r}; {recordings.KNOWN_FILES}")


def _results(file: Path) -> dict[str, Any]:
    from eventsnn.results.results import Results

    found = Results.load(file)
    failures = [{"index": f.index, "name": f.name, "reason": f.reason} for f in found.failures]
    return found.to_dict() | ({"failures": failures} if failures else {}) | {"provenance": found.provenance}


def _hdf5_format(file: Path) -> Any:
    import h5py

    from eventsnn.cli.recordings import KNOWN_FILES
    from eventsnn.errors import InvalidFile

    try:
        with h5py.File(file, "r") as opened:
            found = opened.attrs.get("format")
            return found if isinstance(found, str) else repr(found)
    except Exception as error:
        # HDF5 answers to damage with any kind of error.
        raise InvalidFile(f"{file} is not an HDF5 file, or is truncated; {KNOWN_FILES}") from error


def _show(found: dict[str, Any], json_: bool) -> None:
    from eventsnn.cli import show

    if json_:
        show.print_json(found)
        return
    from eventsnn.provenance import line_of

    made = show.table("what", "value")
    for name, value in found.items():
        if name == "provenance":
            for number, record in enumerate(value, 1):
                made.add_row(name if len(value) == 1 else f"{name} {number}", line_of(record))
            continue
        if isinstance(value, dict) and "mean" in value:
            value = ", ".join(f"{k} {_number(v, UNITS.get(name, ''))}" for k, v in value.items())
        if not isinstance(value, dict):
            made.add_row(name, show.NO_VALUE if value is None else str(value))
    show.print_table(made)


UNITS = {"latency_s": "s", "energy_j": "J", "energy_interval_j": "J"}


def _number(value: Any, unit: str) -> str:
    """A number, or an interval as ``[low, high]``."""
    from eventsnn.cli import show

    ends = value if isinstance(value, (list, tuple)) else [value]
    return " to ".join(show.si(end, unit) for end in ends)


def _data(found: dict[str, Any], json_: bool) -> None:
    """One recording, or a set with its classes."""
    from eventsnn.cli import recordings, show

    plain = {name: value for name, value in found.items() if name != "classes"}
    if "splits" in plain and not json_:
        named = {name: count for name, count in found["splits"].items() if count}
        plain["splits"] = ", ".join(f"{name} {count}" for name, count in named.items()) or "none"
    _show(found if json_ else plain, json_)
    if "classes" in found and not json_:
        show.print_table(recordings.class_table(found["classes"]))


def _network(file: Path) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    from eventsnn.network import load_network
    from eventsnn.network.neurons import neuron_parameters
    from eventsnn.network.training import shortened

    network = load_network(file)
    rows: list[tuple[str, ...]] = []
    for population in network:
        parameters = neuron_parameters(population.neuron)
        # Ticks of 1 ps are shown as the milliseconds a reader thinks in.
        for name in ("settle_time", "period", "start_time", "test_period"):
            if parameters.get(name):
                parameters[name] = f"{parameters[name] / 1e9:g} ms"
        shown = ", ".join(
            f"{k}={parameters[k]}"
            for k in (
                "threshold",
                "levels",
                "lowest",
                "settle_time",
                "hysteresis_low",
                "reset",
                "period",
                "start_time",
                "test_period",
            )
            if parameters.get(k)
        )
        shape = " x ".join(str(n) for n in population.shape)
        rows.append((population.name, population.neuron.kind, shape, f"{population.size:,}", shown))
    projections = {
        name: {
            "kind": projection.synapses.kind,
            "source": projection.source,
            "target": projection.target,
            "synapses": network.synapses(name),
            "weights": projection.synapses.weight_count(network.populations[projection.source].shape),
        }
        for name, projection in sorted(
            network.projections.items(),
            key=lambda item: (network.order.index(item[1].source), item[0]),
        )
    }
    found = {
        "file": str(file),
        "checksum": network.checksum,
        "populations": {r[0]: {"neuron": r[1], "shape": list(network.populations[r[0]].shape)} for r in rows},
        "projections": projections,
        "synapses": network.synapses(),
        "neurons": sum(p.size for p in network),
        "verified": network.metadata.get("conversion", {}).get("verified"),
        "metadata": shortened(network.metadata),
    }
    return found, rows


LONGEST_CELL = 60


def _leaves(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as (dotted name, text)."""
    found = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _leaves(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, str(value)))
    return found


def _print_network(found: dict[str, Any], rows: list[tuple[str, ...]]) -> None:
    from eventsnn.cli import show
    from eventsnn.network.training import NAME
    from eventsnn.provenance import line_of

    made = show.table(
        "population", "neuron", "y x x x channel", "neurons", "parameters", optional=("parameters",)
    )
    for row in rows:
        made.add_row(*row)
    show.print_table(made, found["file"])
    made = show.table("projection", "kind", "from", "to", "synapses", "weights")
    for name, item in found["projections"].items():
        made.add_row(
            name,
            item["kind"],
            item["source"],
            item["target"],
            f"{item['synapses']:,}",
            f"{item['weights']:,}",
        )
    show.print_table(made)
    made = show.table("metadata", "value")
    if found["verified"] is not None:
        from eventsnn.report.conversion import verified_text

        made.add_row("verified", verified_text(found["verified"]).removeprefix("verified: "))
    metadata = dict(found["metadata"])
    for record in metadata.pop("provenance", []):
        made.add_row("provenance", line_of(record))
    for data in metadata.pop(NAME, []):
        made.add_row("trained on", f"{data['data']}, {data['samples']} samples")
    for name, value in _leaves(metadata):
        if name.startswith("conversion.verified."):
            continue
        made.add_row(name, value if len(value) <= LONGEST_CELL else value[:LONGEST_CELL] + " ...")
    made.add_row("checksum", found["checksum"])
    show.print_table(made)
