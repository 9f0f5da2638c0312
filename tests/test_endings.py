"""How runs end that do not end by themselves: signals, lost processes, full disks, unread output."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from builders.recordings import random_events, small_network, write_recordings

import eventsnn
from eventsnn.errors import CannotWrite, UnfinishedRun
from eventsnn.results.results import Results

COMMAND = [sys.executable, "-m", "eventsnn"]
# The most that a process may outlive its parent.
GRACE_S = 5.0
SLOW_EVENTS = 12_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network, and recordings that take long enough to be interrupted."""
    from eventsnn.events import write_nmnist

    folder = tmp_path_factory.mktemp("endings")
    small_network().save(folder / "net.h5")
    write_recordings(folder / "set")
    rng = np.random.default_rng(0)
    for number in range(8):
        (folder / "slow" / str(number % 10)).mkdir(parents=True, exist_ok=True)
        write_nmnist(
            folder / "slow" / str(number % 10) / f"{number:05d}.bin", random_events(rng, SLOW_EVENTS)
        )
    return folder


def arguments(files, output, data="slow", *more):
    """A run by the reference engine: some tenths of a second a sample."""
    return [
        *(*COMMAND, "run", str(files / "net.h5"), "--data", f"nmnist:{files / data}", "-o", str(output)),
        *("--engine", "reference", *map(str, more)),
    ]


@pytest.fixture(scope="module")
def digest(files):
    return eventsnn.simulate(small_network(), f"nmnist:{files / 'slow'}").digest


def children(process):
    """Process numbers of all below a process."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += [int(child), *children(int(child))]
    return found


def is_alive(process):
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def started(command, samples, output, **options):
    """A run that has finished some samples."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    journal = output.with_name(output.name + ".partial")
    assert wait_until(lambda: len(list(journal.glob("sample-*.npz"))) >= samples, 60)
    return process


def resumed(files, output, *more):
    done = subprocess.run(
        [*arguments(files, output, "slow", *more), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(output.parent.iterdir()) == [output]
    return json.loads(done.stdout)["digest"]


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(files, tmp_path, digest, number):
    output = tmp_path / "r.h5"
    command = arguments(files, output, "slow", "--workers", 2)
    process = started(command, 1, output, start_new_session=True)
    below = children(process.pid)
    assert len(below) >= 2
    if number == signal.SIGKILL:
        process.send_signal(number)
    else:
        # As a terminal does it, and who ends services: to all of them at once.
        os.killpg(process.pid, number)
    begun = time.monotonic()
    # Ends only when nobody holds the pipes any more.
    _, errors = process.communicate(timeout=GRACE_S)
    assert wait_until(lambda: not any(map(is_alive, below)), GRACE_S - (time.monotonic() - begun))
    assert "Traceback" not in errors
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert errors.splitlines()[-1] == "eventsnn: stopped"
        assert "finished samples are kept" in errors
    assert resumed(files, output, "--workers", 2) == digest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_in_one_process_stops_cleanly(files, tmp_path, digest, number):
    output = tmp_path / "r.h5"
    process = started(arguments(files, output), 1, output)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert errors.splitlines()[-1] == "eventsnn: stopped"
    assert "Traceback" not in errors
    assert resumed(files, output) == digest


@needs_proc
@pytest.mark.parametrize("when", ["running", "starting"])
def test_the_work_of_a_killed_worker_is_done_by_another(files, tmp_path, digest, when):
    output = tmp_path / "r.h5"
    process = started(arguments(files, output, "slow", "--workers", 2), 1 if when == "running" else 0, output)
    workers = []

    def found():
        for child in children(process.pid):
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    workers.append(child)
        return bool(workers)

    assert wait_until(found, 30)
    os.kill(workers[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert eventsnn.Results.load(output).digest == digest


def test_killed_at_any_moment_a_run_goes_on_to_the_same_digest(files, tmp_path, digest):
    """The long version is ``benchmarks/kills.py``."""
    rng = np.random.default_rng(70)
    for workers in (1, 2):
        output = tmp_path / str(workers) / "r.h5"
        output.parent.mkdir()
        for _ in range(3):
            process = subprocess.Popen(arguments(files, output, "slow", "--workers", workers))
            time.sleep(rng.uniform(0.5, 3.0))
            process.kill()
            process.wait()
        assert resumed(files, output, "--workers", workers) == digest


@pytest.mark.parametrize("delay", [0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
def test_an_interrupt_during_imports_is_one_word(files, tmp_path, delay):
    code = (
        "import os, signal, sys, threading, time\n"
        "from eventsnn.cli.app import main\n"
        f"stop = lambda: (time.sleep({delay}), os.kill(os.getpid(), signal.SIGINT))\n"
        "threading.Thread(target=stop).start()\n"
        "main()"
    )
    command = [sys.executable, "-c", code, *arguments(files, tmp_path / "r.h5")[3:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "eventsnn: stopped"


def test_an_interrupt_where_no_exception_is_taken_comes_again():
    code = (
        "import os, signal, time, weakref\n"
        "from eventsnn.cli import app\n"
        "class Held: pass\n"
        "def run():\n"
        "    held = Held()\n"
        "    kept = weakref.ref(held, lambda gone: os.kill(os.getpid(), signal.SIGINT))\n"
        "    del held\n"
        "    try:\n"
        "        time.sleep(20)\n"
        "    except KeyboardInterrupt:\n"
        "        return 130\n"
        "    return 0\n"
        "app._run = run\n"
        "app.main()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "eventsnn: stopped\n")


def shell(line):
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("closed", ["| true", "| head -c 1", ">&-", ">&- 2>&-", "<&- >&-"])
def test_output_that_nobody_reads_is_no_traceback(files, closed):
    run = f"{sys.executable} -m eventsnn"
    for line in (
        f"inspect {files / 'net.h5'}",
        f"run {files / 'net.h5'} --data nmnist:{files / 'set'} --json",
    ):
        done = shell(
            f"{run} {line} --engine reference {closed}" if "run " in line else f"{run} {line} {closed}"
        )
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_a_full_standard_output_is_one_message(files):
    done = shell(f"{sys.executable} -m eventsnn inspect {files / 'net.h5'} >/dev/full")
    assert done.returncode == 2
    assert done.stderr == "eventsnn: standard output: No space left on device\n"


# Full disks.


def limited(size):
    """Files of this process may have so many bytes, as on a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [1, 2000, 4000, "journal"])
def test_a_full_disk_is_one_message_and_keeps_what_is_done(files, tmp_path, size):
    output = tmp_path / "r.h5"
    command = arguments(files, output, "set")
    wanted = eventsnn.simulate(small_network(), f"nmnist:{files / 'set'}")
    only_journal = size == "journal"
    if only_journal:
        # Each sample fits, the results of all do not.
        wanted.save(output)
        size = output.stat().st_size - 1
        output.unlink()
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited(size), check=False)
    if only_journal:
        assert len(list((tmp_path / "r.h5.partial").glob("sample-*.npz"))) == 20
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "cannot be written: file too large. Make room there" in done.stderr
    kept = len(list(tmp_path.rglob("sample-*.npz")))
    assert ("Samples that are finished are kept" in done.stderr) == bool(kept)
    assert kept or not list(tmp_path.iterdir())
    assert not list(tmp_path.rglob("*.writing"))
    assert not output.exists()
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert json.loads(again.stdout)["digest"] == wanted.digest
    assert sorted(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("size", [1, 100, 2000, 5000])
def test_a_network_that_does_not_fit_on_the_disk_leaves_the_old_one(files, tmp_path, size):
    code = (
        "import resource, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from eventsnn.errors import CannotWrite\n"
        "from builders.recordings import small_network\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        "try:\n    small_network().save(sys.argv[1])\n"
        "except CannotWrite as error:\n    print(error)\n"
    )
    path = tmp_path / "net.h5"
    path.write_bytes((files / "net.h5").read_bytes())
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert "net.h5 cannot be written: file too large" in done.stdout
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def tiny(tmp_path):
    """A disk of 64 KiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let us mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_tiny_disk_fills_up_in_one_message(files, tiny):
    done = subprocess.run(arguments(files, tiny / "r.h5", "set"), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be written: no space left on device" in done.stderr
    assert not list(tiny.rglob("*.writing"))
    kept = len(list((tiny / "r.h5.partial").glob("sample-*.npz")))
    assert 0 < kept < 20
    assert "Samples that are finished are kept in" in done.stderr
    with pytest.warns(UnfinishedRun):
        assert len(Results.load(tiny / "r.h5.partial")) == kept
    results = eventsnn.simulate(small_network(), f"nmnist:{files / 'set'}")
    with pytest.raises(CannotWrite, match="no space left on device"):
        results.save(tiny / "other.h5")
    with pytest.raises(CannotWrite, match="no space left on device"):
        small_network().save(tiny / "net.h5")
    assert [path.name for path in tiny.iterdir()] == ["r.h5.partial"]


def test_the_demo_on_a_tiny_disk_is_one_message(tiny):
    done = subprocess.run([*COMMAND, "demo", "-o", str(tiny)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be written: no space left on device" in done.stderr
    assert not list(tiny.rglob("*.writing"))
