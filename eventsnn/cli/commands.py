"""The commands of ``eventsnn``.

Only typer is imported to show help; each command imports what it needs when it runs.
"""

from __future__ import annotations

from typing import Annotated

import typer

from eventsnn.cli import (
    calibrate,
    compare,
    convert,
    data,
    demo,
    hardware,
    inspect,
    profile,
    report,
    run,
    sweep,
)
from eventsnn.cli.configuring import configurable

app = typer.Typer(
    name="eventsnn",
    help="Event-driven simulation of spiking networks converted from trained ones: accuracy against "
    "latency, operations and energy, per sample.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from eventsnn.version import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


app.command("demo")(demo.demo)
app.command("convert")(convert.convert)
app.command("run")(run.run)
app.command("sweep")(sweep.sweep)
app.command("curve")(report.curve)
app.command("calibrate")(calibrate.calibrate)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("export")(report.export)
app.command("timeline")(report.timeline)
app.command("profile")(profile.profile)
app.command("inspect")(inspect.inspect)
app.add_typer(hardware.app, name="hardware")
app.add_typer(data.app, name="data")


def _configure() -> None:
    """Give every command ``--config``."""
    groups = [("", app), *((f"{group.name} ", group.typer_instance) for group in app.registered_groups)]
    commands = {
        f"{before}{one.name}": one for before, group in groups if group for one in group.registered_commands
    }
    for name, one in commands.items():
        assert one.callback is not None
        one.callback = configurable(one.callback, name, set(commands), axes=name == "sweep")


_configure()
