"""``eventsnn compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventsnn.cli.options import Json

KINDS = (".html", ".json")


def compare(
    results: Annotated[list[Path], typer.Argument(help="Two or more results files; all against the first.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write a page with the curves overlaid (.html), or .json."),
    ] = None,
    json_: Json = False,
) -> None:
    """Runs against the first: what was run otherwise, and differences over the samples that both have."""
    from eventsnn.cli import show
    from eventsnn.errors import InvalidRequest
    from eventsnn.output import HTML, JSON, replaced_whole, require_replaceable
    from eventsnn.report.comparison import comparison_table, warnings_of
    from eventsnn.report.page import require_extra, write_report
    from eventsnn.report.sections import run_labels
    from eventsnn.results.comparison import compare as compared
    from eventsnn.results.results import Results

    if output is not None:
        ending = output.suffix.lower()
        if ending not in KINDS:
            raise InvalidRequest(f"{output} has the ending {ending!r}; allowed are {', '.join(KINDS)}")
        require_replaceable(output, HTML if ending == ".html" else JSON)
        if ending == ".html":
            require_extra()
    runs = [Results.load(path) for path in results]
    found, labels = compared(runs), run_labels(runs)
    document = {
        "first": {"file": str(results[0]), "run": labels[0], "digest": runs[0].digest},
        "others": [
            {"file": str(path), "run": label, "digest": run.digest, **each.document()}
            for path, label, run, each in zip(results[1:], labels[1:], runs[1:], found, strict=True)
        ],
    }
    if output is not None and output.suffix.lower() == ".html":
        write_report(runs, output)
    elif output is not None:
        with replaced_whole(output, JSON) as aside:
            aside.write_text(show.json_text(document) + "\n", encoding="utf-8")
    if json_:
        show.print_json(document)
        return
    show.print_table(show.listing(comparison_table(found, labels)))
    for sentence in warnings_of(found, labels):
        show.note(sentence)
    if output is not None:
        show.note(f"wrote {output}")
