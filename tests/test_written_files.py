"""Files that are written: whole or not at all, and never over what is not ours."""

import numpy as np
import pytest
from builders.recordings import random_events

from eventsnn.cli import experiments
from eventsnn.errors import InvalidEvents, InvalidRequest
from eventsnn.events import write_events
from eventsnn.events.readers import arrays
from eventsnn.output import replaced_whole, require_replaceable
from eventsnn.report.experiment import csv_header, csv_text, rows

SENSOR = (34, 34)


def events(seed=1, n=50):
    return random_events(np.random.default_rng(seed), n)


def test_a_file_that_nothing_tells_apart_is_never_replaced(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("mine\n")
    with pytest.raises(InvalidRequest, match="another kind"), replaced_whole(file, b"") as aside:
        aside.write_text("other")
    assert file.read_text() == "mine\n"
    file.write_text("")
    assert require_replaceable(file, b"") == file


def test_a_writer_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    file = tmp_path / "a.npy"
    write_events(file, events(1), sensor=SENSOR)
    before = file.read_bytes()

    def half(opened, *_, **__):
        opened.write(before[:60])
        raise KeyboardInterrupt

    monkeypatch.setattr(arrays.np, "save", half)
    with pytest.raises(KeyboardInterrupt):
        write_events(file, events(2), sensor=SENSOR)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_messages_name_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(InvalidEvents, match=r"a\.npy: there is no event"):
        write_events(tmp_path / "a.npy", events()[:0], sensor=SENSOR)


def test_the_header_of_cells_tells_their_csv_from_others():
    made = rows(["exit"], [({"exit": "none", "network": "n.h5"}, None, "c.h5", "")])
    assert csv_text(made).encode().startswith(csv_header(["exit"]) + b"\n")
    assert csv_header(["exit"]) != csv_header(["seed"])


def test_an_experiment_does_not_replace_a_csv_of_others(tmp_path):
    output = tmp_path / "cells.csv"
    output.write_text("name,phone\nme,1\n")

    class Found:
        axes = ("exit",)

    with pytest.raises(InvalidRequest, match="another kind"):
        require_replaceable(output, experiments._beginning(output, Found))
    output.write_bytes(csv_header(["exit"]) + b"\n")
    assert require_replaceable(output, experiments._beginning(output, Found)) == output
