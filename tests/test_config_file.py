"""``--config``: options of a command from a TOML file."""

import pytest
from typer.testing import CliRunner

from eventsnn.cli import run as running
from eventsnn.cli.commands import app
from eventsnn.errors import InvalidFile


@pytest.fixture
def called(monkeypatch):
    """What ``simulate`` was called with, in place of running."""
    import eventsnn.run.simulate as module

    seen = []

    def simulate(network, data, **given):
        seen.append({"network": str(network), "data": data, **given})
        raise InvalidFile("enough")

    monkeypatch.setattr(module, "simulate", simulate)
    monkeypatch.setattr(running.Reading, "open", lambda self, data: data)
    return seen


def invoke(tmp_path, text, *more, command=("run",)):
    file = tmp_path / "run.toml"
    file.write_text(text)
    return CliRunner().invoke(app, [*command, "--config", str(file), *more])


TEXT = """
data = "nmnist:/there"
samples = 20
max-rate-hz = 250
[run]
network = "net.h5"
samples = 30
scale_currents = true
[sweep]
network = ["a.h5", "b.h5"]
[hardware.show]
json = true
"""


def test_options_and_arguments_come_from_the_file_and_the_table_of_the_command_counts_more(tmp_path, called):
    invoke(tmp_path, TEXT)
    (given,) = called
    assert (given["network"], given["data"], given["samples"]) == ("net.h5", "nmnist:/there", 30)
    assert given["max_rate_hz"] == 250.0
    assert given["scale_currents"] is True
    assert given["seed"] == 0


def test_the_command_line_overrides(tmp_path, called):
    invoke(tmp_path, TEXT, "other.h5", "--samples", "4", "--schedule", "step")
    (given,) = called
    assert (given["network"], given["samples"], given["schedule"]) == ("other.h5", 4, "step")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sampels = 3", "there is no option 'sampels'; did you mean 'samples'"),
        ("[runn]\nsamples = 3", "there is no command 'runn'; did you mean 'run'"),
        ('samples = "3"', "samples is '3'; give a whole number"),
        ("samples = true", "samples is True; give a whole number"),
        ("samples = 2.5", "samples is 2.5; give a whole number"),
        ("samples = [1, 2]", "give a whole number"),
        ('duration_us = "long"', "give a number"),
        ("json = 1", "json is 1; give true or false"),
        ("data = true", "data is True; give a text"),
        ('data = ["nmnist:a", "nmnist:b"]', "give a text"),
        ("max_rate_hz = 1\nmax-rate-hz = 2", "is there twice"),
        ("samples = ", "is no TOML"),
        ("config = 'other.toml'", "there is no option 'config'"),
    ],
)
def test_what_is_not_meant_is_refused_by_name(tmp_path, called, text, message):
    found = invoke(tmp_path, text)
    assert isinstance(found.exception, InvalidFile)
    assert message in str(found.exception)
    assert not called


def test_every_command_takes_it():
    from typer.main import get_command

    def leaves(command):
        for one in getattr(command, "commands", {}).values():
            yield from leaves(one) if hasattr(one, "commands") else (one,)

    found = list(leaves(get_command(app)))
    assert len(found) > 15
    for command in found:
        assert any("--config" in one.opts for one in command.params), command.name


def test_several_values_of_an_option_that_takes_several(tmp_path):
    found = invoke(tmp_path, 'results = ["none-1.h5", "none-2.h5"]', command=("report",))
    assert "none-1.h5" in str(found.exception)


def test_every_long_name_of_an_option_is_a_key(tmp_path):
    for key in ("max-gap", "max_risk"):
        found = invoke(tmp_path, f'results = "none.h5"\n{key} = 0.1', command=("calibrate",))
        assert "none.h5" in str(found.exception)
    found = invoke(tmp_path, "max-gap = 0.1\nmax-risk = 0.2", "none.h5", command=("calibrate",))
    assert "max-risk is there twice" in str(found.exception)
