"""The command line as a user meets it: exit codes, messages, one JSON object."""

import json
import re

import pytest
import yaml
from builders.command_line import eventsnn, write_files

from eventsnn.hardware import load_architecture


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    write_files(folder)
    return folder


ON_CHIP = ("{net}", "--data", "nmnist:{set}", "--hardware", "event-conv-small")


def test_run_prints_one_json_object_and_nothing_else(files, tmp_path):
    done = eventsnn(
        *("run", files / "net.h5", "--data", f"nmnist:{files / 'set'}", "--samples", 4),
        *("--hardware", "event-conv-small", "--exit", "margin:0.5", "-o", tmp_path / "r.h5", "--json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["samples"] == 4
    assert found["configuration"]["exit"] == "margin:0.5"
    assert (tmp_path / "r.h5").exists()


def test_a_page_that_cannot_be_written_is_refused_before_the_run(files, tmp_path):
    run = ("run", files / "net.h5", "--data", f"nmnist:{files / 'set'}", "-o", tmp_path / "r.h5")
    done = eventsnn(*run, "--report", files / "net.h5")
    assert done.returncode == 2
    assert "net.h5" in done.stderr
    assert not (tmp_path / "r.h5").exists()
    done = eventsnn(*run, "--stream", "--report", tmp_path / "page.html")
    assert done.returncode == 2
    assert "'report'" in done.stderr


def test_run_curve_report_timeline_and_inspect(files, tmp_path):
    output = tmp_path / "r.h5"
    data = f"nmnist:{files / 'set'}"
    done = eventsnn(
        "run",
        files / "net.h5",
        "--data",
        data,
        "-o",
        output,
        "--hardware",
        "event-conv-large",
        "--samples",
        3,
        "--report",
        tmp_path / "at-once.html",
    )
    assert done.returncode == 0, done.stderr
    assert "synaptic operations" in done.stdout
    assert "model figures" in done.stderr
    assert "at-once.html" in done.stderr
    curve = eventsnn("curve", output, "--json")
    assert len(json.loads(curve.stdout)["curve"]) > 5
    assert "threshold" in eventsnn("curve", output).stdout
    assert eventsnn("report", output, "-o", tmp_path / "page.html").returncode == 0
    assert "<html" in (tmp_path / "page.html").read_text().lower()
    assert (tmp_path / "at-once.html").read_bytes() == (tmp_path / "page.html").read_bytes()
    ratios = eventsnn("hardware", "baseline", output, "--baseline", "int8-45nm", "--json")
    names = [row["baseline"] for row in json.loads(ratios.stdout)["ratios"]]
    assert names == ["int8-45nm", "int8-45nm", "proxy"]
    assert "times as much" in eventsnn("hardware", "baseline", output).stdout
    timeline = eventsnn(
        *("timeline", files / "net.h5", "--data", data, "--hardware", "event-conv-small"),
        *("--sample", 1, "-o", tmp_path / "timeline.json"),
    )
    assert timeline.returncode == 0, timeline.stderr
    json.loads((tmp_path / "timeline.json").read_text())
    assert json.loads(eventsnn("inspect", files / "net.h5", "--json").stdout)["synapses"] > 0
    assert "signed" in eventsnn("inspect", files / "net.h5").stdout
    assert json.loads(eventsnn("inspect", output, "--json").stdout)["samples"] == 3
    shown = eventsnn("inspect", output).stdout
    assert re.search(r"energy_interval_j +mean \S+ \S?J to \S+ \S?J, p50", shown.replace("\u00a0", " ")), (
        shown
    )
    assert re.search(r"latency_s +mean \S+ \S?s, p50", shown.replace("\u00a0", " ")), shown
    assert "120" in eventsnn("inspect", files / "set" / "3" / "00000.bin").stdout


@pytest.mark.parametrize(
    "settings",
    [
        ("--input", "charge", "--history-us", 100),
        ("--input", "poisson", "--max-rate-hz", 50, "--duration-us", 2000, "--seed", 3),
        ("--input", "bernoulli", "--duration-us", 2000, "--schedule", "step", "--step-us", 500),
        ("--input", "analog", "--schedule", "step", "--step-us", 500, "--engine", "reference"),
        ("--input", "charge", "--ties", "seeded", "--engine", "reference"),
    ],
)
def test_images_run_under_either_schedule(files, tmp_path, settings):
    command = (
        "run",
        files / "net.h5",
        "--data",
        f"images:{files}/images.npz",
        "-o",
        tmp_path / "r.h5",
        "--json",
    )
    done = eventsnn(*command, *settings)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["samples"] == 4
    assert found["configuration"]["input"] == settings[1]
    again = eventsnn(*command, *settings, "--workers", 2)
    assert json.loads(again.stdout)["digest"] == found["digest"]


def test_images_on_an_accelerator_and_in_lists(files, tmp_path):
    data = f"images:{files}/images.npz"
    done = eventsnn(
        *("timeline", files / "net.h5", "--data", data, "--hardware", "event-conv-small", "--sample", 2),
        *("--input", "poisson", "--max-rate-hz", 20, "--duration-us", 2000, "-o", tmp_path / "t.json"),
    )
    assert done.returncode == 0, done.stderr
    json.loads((tmp_path / "t.json").read_text())
    assert "4 images, 34 x 34 pixels" in eventsnn("data", "list", data).stdout
    assert "4 images, all valid" in eventsnn("data", "check", data).stdout


def test_hardware_and_data_commands(files):
    assert "event-conv-small" in eventsnn("hardware", "list").stdout
    assert "Davies" in eventsnn("hardware", "show", "event-conv-small").stdout
    fits = eventsnn("hardware", "check", "event-conv-small", "--network", files / "net.h5")
    assert "input port" in fits.stdout
    assert "20 recordings" in eventsnn("data", "list", f"nmnist:{files / 'set'}").stdout
    assert "all valid" in eventsnn("data", "check", f"nmnist:{files / 'set'}").stdout


def test_a_check_refuses_what_no_run_would_take(files, tmp_path):
    document = load_architecture("event-conv-small").document()
    document["cores"]["convolution"]["input_fifo"] = {"depth": 4, "policy": "drop-new"}
    for kind, code, said in (("none", 0, "--schedule event"), ("barrier", 2, "loses messages")):
        path = tmp_path / f"{kind}.yaml"
        path.write_text(yaml.safe_dump(document | {"synchronisation": {"kind": kind}}))
        done = eventsnn("hardware", "check", path, "--network", files / "net.h5")
        assert done.returncode == code, done.stderr
        assert said in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_recording_that_free_running_steps_do_not_wait_for_is_warned_of(files):
    """On standard error, beside the JSON object too; not where the steps wait."""
    document = load_architecture("loihi-sanafe-fit").document()
    for pace, warned in (("free", 1), ("input", 0)):
        document["synchronisation"]["pace"] = pace
        path = files / f"{pace}.yaml"
        path.write_text(yaml.safe_dump(document))
        done = eventsnn(
            *("run", files / "net.h5", "--data", f"nmnist:{files / 'set'}", "--samples", 1, "--json"),
            *("--hardware", path, "--schedule", "step", "--step-us", 1000, "--engine", "reference"),
        )
        assert json.loads(done.stdout)["samples"] == 1
        assert done.stderr.count("with 'pace: input' in its 'synchronisation'") == warned


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nothing.h5", "--data", "nmnist:{set}", "-o", "r.h5"), "nothing.h5 is not there"),
        (("run", "{set}/0/00000.bin", "--data", "nmnist:{set}", "-o", "r.h5"), "cannot be read as"),
        (("run", "{net}", "--data", "nmnist:/nowhere", "-o", "r.h5"), "/nowhere"),
        (("run", "{net}", "--data", "frames:{set}", "-o", "r.h5"), "frames"),
        (("run", "{net}", "--data", "nmnist:{set}", "--split", "half", "-o", "r.h5"), "half"),
        (("run", "{net}", "--data", "nmnist:{set}", "--exit", "sure", "-o", "r.h5"), "margin:THRESHOLD"),
        (("run", "{net}", "--data", "nmnist:{set}", "--hardware", "loihi9", "-o", "r.h5"), "presets are"),
        (("run", "{net}", "--data", "nmnist:{set}", "--schedule", "step", "-o", "r.h5"), "--step-us"),
        (("run", "{net}", "--data", "nmnist:{set}", "--step-us", "5", "-o", "r.h5"), "--schedule step"),
        (("run", "{net}", "--data", "nmnist:{set}", "--ties", "any", "-o", "r.h5"), "ordered, seeded"),
        (("run", "{net}", "--data", "nmnist:{set}", "--input", "analog", "-o", "r.h5"), "is none"),
        (("run", "{net}", "--data", "images:{images}", "-o", "r.h5"), "--input"),
        (("run", "{net}", "--data", "images:{images}", "--input", "sound"), "allowed are analog"),
        (("run", "{net}", "--data", "images:{images}", "--input", "poisson"), "--duration-us"),
        (
            ("run", "{net}", "--data", "images:{images}", "--input", "poisson", "--duration-us", "9"),
            "--max-rate-hz",
        ),
        (("run", "{net}", "--data", "images:{images}", "--fraction", "0.5"), "for event recordings"),
        (("run", "{net}", "--data", "images:{images}", "--split", "test"), "has no splits"),
        (
            ("run", "{net}", "--data", "images:{net}", "--input", "analog"),
            "this is HDF5, which is not supported yet",
        ),
        (
            ("run", "{net}", "--data", "images:{narrow}", "--input", "charge"),
            "the network's input (34, 34, 2)",
        ),
        (("run", "{net}", "--data", "images:{nan}", "--input", "charge"), "NaN"),
        (("run", "{net}", "--data", "nmnist:{set}", "--fraction", "0", "-o", "r.h5"), "fraction"),
        (("curve", "{net}"), "a results file has"),
        (("inspect", "nothing.h5"), "no file"),
        (
            (
                "timeline",
                "{net}",
                "--data",
                "nmnist:{set}",
                "--hardware",
                "event-conv-small",
                "--sample",
                "99",
            ),
            "99",
        ),
        (("profile", *ON_CHIP, "-o", "/nowhere/page.html"), "does not exist"),
        (("timeline", *ON_CHIP, "-o", "{net}"), "file of another kind"),
        (("timeline", *ON_CHIP, "--fraction", "0"), "fraction"),
        (("hardware", "check", "{set}/0/00000.bin"), "YAML"),
        (("hardware", "baseline", "{net}"), "a results file has"),
        (("hardware", "baseline", "{ideal}"), "run with --hardware"),
        (("hardware", "baseline", "{ideal}", "--baseline", "abacus"), "run with --hardware"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(files, tmp_path, arguments, message):
    names = {"net": "net.h5", "set": "set", "images": "images.npz", "narrow": "narrow.npz", "nan": "nan.npz"}
    names["ideal"] = "ideal.h5"
    filled = [a.format(**{key: files / name for key, name in names.items()}) for a in arguments]
    done = eventsnn(*filled, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_tables_keep_their_first_column_on_a_narrow_terminal(capsys):
    from eventsnn.cli import show

    made = show.table("class", "accuracy", "operations", optional=("operations",))
    made.add_row("zero", "100.0 %", "1.2 M")
    assert made.shown(80) == [0, 1, 2]
    assert made.shown(24) == [0, 1]
    assert made.shown(3) == [0, 1]
    show.print_table(made, "title")
    assert "zero" in capsys.readouterr().out


def test_images_without_an_accelerator_have_no_time_to_decision(files, tmp_path):
    """Charge lands at time 0 and spikes take no time there: a dash, null, and why."""
    output = tmp_path / "r.h5"
    command = ("run", files / "net.h5", "--data", f"images:{files / 'images.npz'}", "--input", "charge")
    done = eventsnn(*command, "-o", output)
    assert done.returncode == 0, done.stderr
    shown = re.search(r"^ *time to decision +(.*\S) *$", done.stdout, re.M).group(1)
    assert shown == "– (no time passes before the decision, and no accelerator is modelled)"
    assert json.loads(eventsnn(*command, "-o", output, "--json").stdout)["latency_s"] is None
    points = json.loads(eventsnn("curve", output, "--json").stdout)["curve"]
    assert {point["latency_s"] for point in points} == {None}
    curve = eventsnn("curve", output)
    assert "no time passes" in curve.stderr
    assert "0 s" not in curve.stdout.replace("\u00a0", " ")
    assert re.search(r"^ latency_s +– *$", eventsnn("inspect", output).stdout, re.M)
    on_chip = eventsnn(*command, "--hardware", "event-conv-small")
    assert "time to decision (model figures)" in on_chip.stdout
    assert "energy (model figures)" in on_chip.stdout
