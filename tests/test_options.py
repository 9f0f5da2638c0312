"""An option is written once: signatures and the command line say of it what its definition says."""

from __future__ import annotations

from dataclasses import dataclass, fields
from inspect import signature

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from eventsnn.cli.commands import app
from eventsnn.cli.options import ONLY_OF_RUN, READING, taking
from eventsnn.convert.options import Options as OfConversion
from eventsnn.engine import COMPARISON_ENGINES, ENGINES
from eventsnn.events import CLOCKS, ENCODINGS, ORIENTATIONS
from eventsnn.network.contract import CODINGS
from eventsnn.options import option, options_of
from eventsnn.run.options import Options
from eventsnn.run.reading import Reading
from eventsnn.run.settings import Settings
from eventsnn.run.simulate import simulate

RUN, CONVERSION = options_of(Options), options_of(OfConversion)
# Commands that run, each with the options of a run that mean nothing there.
RUNNING = {
    "run": (),
    "sweep": ONLY_OF_RUN,
    "profile": ONLY_OF_RUN,
    "timeline": (*ONLY_OF_RUN, "engine", "samples"),
    "hardware load": (*ONLY_OF_RUN, "hardware", "exit", "schedule", "engine"),
}
# Defaults that stand for something else: a flag that must be given, a help text of its own.
REQUIRED = {("profile", "hardware"), ("timeline", "hardware")}
NARROWER = {("hardware load", "samples"), ("profile", "samples"), ("sweep", "engine"), ("profile", "engine")}


def flags(name):
    """The options of a command by name, as the command line has them."""
    command = get_command(app)
    for part in name.split():
        command = command.commands[part]
    return {parameter.name: parameter for parameter in command.params}


def test_simulate_takes_the_options_of_a_run_with_their_defaults():
    parameters = signature(simulate).parameters
    own = ["network", "data", "workers", "split", "samples", "output", "progress", "executor"]
    assert parameters.keys() == {*own, *RUN}
    assert list(parameters)[:8] == [
        *("network", "data", "hardware", "exit", "schedule", "engine", "seed", "workers")
    ]
    types = {field.name: field.type for field in fields(Options)}
    for name, said in RUN.items():
        assert parameters[name].default == said.default, name
        assert parameters[name].annotation == types[name], name


def test_convert_takes_the_options_of_a_conversion_with_their_defaults():
    pytest.importorskip("torch")
    from eventsnn.convert.converter import convert

    parameters = signature(convert).parameters
    assert parameters.keys() == {
        *("model", "calibration", "input_shape", "metadata", "trained_on"),
        *CONVERSION,
    }
    for name, said in CONVERSION.items():
        assert parameters[name].default == said.default, name


def test_settings_are_the_options_and_what_they_name():
    assert {field.name for field in fields(Settings) if field.init} == RUN.keys()
    assert all(getattr(Settings(), name) == said.default for name, said in RUN.items())


@pytest.mark.parametrize("command", RUNNING)
def test_a_command_that_runs_has_a_flag_for_every_option(command):
    found = flags(command)
    for name, said in (options_of(Reading) | RUN).items():
        if name in RUNNING[command]:
            # What a command does not take it may have as an argument of its own.
            assert name not in found, name
            continue
        flag = found[name]
        assert flag.opts == [said.flag]
        assert flag.required == ((command, name) in REQUIRED)
        assert flag.required or flag.default == said.typed
        assert (flag.help == said.help) == ((command, name) not in NARROWER), name


def test_the_command_that_converts_has_a_flag_for_every_option_but_two():
    found = flags("convert")
    for name, said in CONVERSION.items():
        if name == "verify":
            # Of networks of signed neurons some samples are verified unless it says otherwise.
            assert (found[name].opts, found[name].default) == (["--verify"], None)
        elif name == "threshold":
            # Of trained networks it is set in Python; the flag is that of networks that spike already.
            assert found[name].default is None
            assert found[name].help.startswith("NIR, spiking libraries: ")
        else:
            assert (found[name].opts, found[name].default) == ([said.flag], said.typed)
            assert found[name].help == said.help


def test_texts_tell_what_is_allowed():
    defined = [*RUN.values(), *CONVERSION.values()]
    assert sum(bool(said.allowed) for said in defined) == 16
    for said in defined:
        assert all(value in said.help for value in said.allowed), said.name
    reading = options_of(Reading)
    assert all(value in reading["clock"].help for value in CLOCKS)
    assert all(value in reading["orientation"].help for value in ORIENTATIONS)


def test_what_is_allowed_is_what_there_is():
    assert RUN["engine"].allowed == (*ENGINES, *COMPARISON_ENGINES)
    assert RUN["input"].allowed == ENCODINGS
    assert CONVERSION["input"].allowed == CODINGS


@dataclass(frozen=True)
class Toy(Options):
    """One option more, of the last and strangest kind."""

    pair: tuple[float, ...] | None = option(None, "Two numbers.")
    tries: int = option(3, "How often.")


def toy(function, **said):
    made = typer.Typer()
    made.command()(taking(Toy, **said)(function))
    return made


def test_a_field_more_is_a_flag_more():
    seen = []

    def command(*, reading: Reading, settings: dict, last: bool = False) -> None:
        seen.append((reading, settings, last))

    made = toy(command, without=["exit"], required=["hardware"], after={"mapping": ["last"]})
    done = CliRunner().invoke(made, ["--hardware", "h", "--pair", "1,2.5", "--samples", "4", "--last"])
    assert done.exit_code == 0, done.output
    ((reading, settings, last),) = seen
    assert reading == Reading(samples=4)
    assert last
    assert settings.pop("pair") == (1.0, 2.5)
    assert settings.pop("tries") == 3
    assert settings.pop("hardware") == "h"
    assert settings == {name: said.typed for name, said in RUN.items() if name not in ("exit", "hardware")}
    order = [parameter.name for parameter in get_command(made).params]
    assert order[:4] == ["split", "hardware", "mapping", "last"]
    assert order.index("tries") < order.index("samples")
    assert CliRunner().invoke(made, []).exit_code == 2
    assert "--pair" in str(CliRunner().invoke(made, ["--hardware", "h", "--pair", "1,two"]).exception)


@pytest.mark.parametrize(
    "said", [{"only": ["no"]}, {"without": ["no"]}, {"required": ["no"]}, {"help": {"no": ""}}]
)
def test_an_option_that_is_none_is_refused(said):
    with pytest.raises(KeyError, match="no"):
        taking(Toy, **said)


def test_options_of_reading_and_of_a_run_have_different_names():
    assert not READING & (RUN.keys() | CONVERSION.keys())
