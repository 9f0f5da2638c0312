"""Data sets and transforms of the package tonic, on generated folders in its layouts."""

import json
import os
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest
from builders.recordings import random_events, small_network, write_recordings
from typer.testing import CliRunner

import eventsnn
from eventsnn.cli.commands import app
from eventsnn.errors import InvalidEvents, InvalidRequest, MissingExtra
from eventsnn.events import make_events, open_dataset, open_recordings, read_transform, write_nmnist
from eventsnn.events.datasets import record_counts
from eventsnn.events.tonic_sets import is_tonic, tonic_recordings

tonic = pytest.importorskip("tonic", reason="tonic is not installed: pip install 'eventsnn[tonic]'")
pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something was to be downloaded")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("urllib.request.urlretrieve", refuse)


@pytest.fixture(scope="module")
def nmnist(tmp_path_factory):
    """NMNIST/Train/<digit>/*.bin and NMNIST/Test, as tonic unpacks it."""
    folder = tmp_path_factory.mktemp("tonic")
    write_recordings(folder / "NMNIST" / "Train", 3, 4)
    write_recordings(folder / "NMNIST" / "Test", 1, 4)
    return folder


class Everything:
    """An object of tonic's that was told that its files are all there, as users make one."""

    @staticmethod
    def of(kind, *arguments, **options):
        return type(kind.__name__, (kind,), {"_check_exists": lambda self: True})(*arguments, **options)


def test_nmnist_is_what_the_reader_of_our_own_reads(nmnist):
    for split in ("train", "test", None):
        ours, theirs = (open_dataset(f"{kind}:{nmnist}", split) for kind in ("nmnist", "tonic.NMNIST"))
        assert (theirs.kind, theirs.height, theirs.width) == ("tonic.NMNIST", 34, 34)
        assert len(ours) == len(theirs) == {"train": 12, "test": 4, None: 16}[split]
        for one, other in zip(ours, theirs, strict=True):
            assert np.array_equal(one.events, other.events)
            assert other.events.dtype == one.events.dtype
            assert (one.label, one.origin, one.name) == (other.label, other.origin, f"NMNIST/{other.name}")
    assert theirs.class_names[3] == "3 - three"
    assert [recording.index for recording in theirs] == list(range(16))
    assert open_dataset(f"tonic.NMNIST:{nmnist}/NMNIST").files == theirs.files
    assert record_counts(theirs, 0)[1] == {"records": 120}
    reduced = theirs.downsampled(2).fraction(0.5)
    assert len(reduced[0].events) == 60
    assert reduced.height == 17


def test_options_of_the_constructor(nmnist):
    spec = f"tonic.NMNIST,first_saccade_only=true:{nmnist}"
    late = make_events([5, 99_999, 100_000], [1, 2, 3], [1, 2, 3], [1, 0, 1])
    write_nmnist(nmnist / "NMNIST" / "Train" / "0" / "zz.bin", late)
    try:
        found = open_recordings(spec, "train")
        assert [r.events["t"].tolist() for r in found if r.name.endswith("zz.bin")] == [[5, 99_999]]
        assert found.source == "first_saccade_only=true"
    finally:
        (nmnist / "NMNIST" / "Train" / "0" / "zz.bin").unlink()


def test_gestures_are_sorted_by_path_and_start_at_their_first_event(tmp_path):
    folder = tmp_path / "DVSGesture" / "ibmGestureTrain"
    rng = np.random.default_rng(0)
    written = {}
    for user in ("user02_led", "user01_fluorescent"):
        (folder / user).mkdir(parents=True)
        for label in (10, 2, 0):
            columns = rng.integers(0, 128, (20, 2)), rng.integers(0, 2, (20, 1)), np.arange(20)[:, None] + 7
            written[f"ibmGestureTrain/{user}/{label}.npy"] = np.hstack(columns)
            np.save(folder / user / f"{label}.npy", np.hstack(columns).astype(float))
    found = open_recordings(f"tonic.DVSGesture:{tmp_path}", "train")
    assert [file.name for file in found.files] == sorted(written)
    assert found.labels.tolist() == [0, 10, 2, 0, 10, 2]
    for recording in found:
        x, y, p, t = written[recording.name].T
        assert np.array_equal(recording.events, make_events((t - 7) * 1000, x, y, p))  # ms to us
    with pytest.raises(InvalidRequest, match=r"test: no recording in .*ibmGestureTest"):
        open_recordings(f"tonic.DVSGesture:{tmp_path}", "test")
    assert len(open_recordings(f"tonic.DVSGesture:{tmp_path}")) == 6


def test_cifar10_dvs_has_unsigned_clock_times_and_no_split(tmp_path, monkeypatch):
    """Files lie as those of the re-encoding; what reads them, which tonic does not bring, is a stand-in."""
    start = 1_605_537_493_718_345
    dtype = [("t", "u8"), ("x", "u2"), ("y", "u2"), ("on", "?")]

    def read(path):
        number = int(os.path.basename(path).split("_")[2].partition(".")[0])
        return np.array([(start + 5 * k, number, k, k % 2) for k in range(number + 2)], dtype)

    for name in ("truck", "cat"):
        (tmp_path / "CIFAR10DVS" / name).mkdir(parents=True)
        for number in (2, 11, 1):
            (tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{number}.aedat4").touch()
    found = open_recordings(f"tonic.CIFAR10DVS:{tmp_path}")
    assert [(f.name, f.label) for f in found.files][:3] == [
        (f"cat/cifar10_cat_{number}.aedat4", 3) for number in (1, 11, 2)
    ]
    assert found.class_names[9] == "truck"
    monkeypatch.setitem(sys.modules, "aedat", None)
    with pytest.raises(MissingExtra, match=r"cat/cifar10_cat_1.aedat4: tonic needs another package"):
        found[0]
    monkeypatch.setattr("tonic.datasets.cifar10dvs.read_aedat4", read)
    assert np.array_equal(found[0].events, make_events([0, 5, 10], [1, 1, 1], [0, 1, 2], [0, 1, 0]))
    with pytest.raises(InvalidRequest, match="tonic knows no splits"):
        open_recordings(f"tonic.CIFAR10DVS:{tmp_path}", "test")


def test_spikes_of_channels_are_a_row_of_pixels(tmp_path):
    (tmp_path / "SHD").mkdir()
    with h5py.File(tmp_path / "SHD" / "shd_train.h5", "w") as file:
        times = file.create_dataset("spikes/times", 2, h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", 2, h5py.vlen_dtype(np.uint16))
        times[0], units[0] = np.array([0.25, 0.5], np.float16), np.array([3, 699], np.uint16)
        times[1], units[1] = np.array([0.125], np.float16), np.array([0], np.uint16)
        file["labels"] = np.array([19, 4], np.uint16)
        file["extra/keys"] = np.array([b"zero", b"one"])
        file["extra/speaker"] = np.zeros(2)
    found = open_recordings(f"tonic.SHD:{tmp_path}", "train")
    assert (found.height, found.width, found.labels.tolist()) == (1, 700, [19, 4])
    assert np.array_equal(found[0].events, make_events([0, 250_000], [3, 699], [0, 0], [1, 1]))
    size, beginning = found.beginning(1, 8)
    assert (size, len(beginning)) == (1, 8)


MISSING = {
    "tonic.NMNIST:{empty}": r"no folder .*NMNIST, in which tonic keeps this data set; nothing is downloaded",
    "tonic.NMNIST:{bare}": r"train: no recording in .*/Train; test: no recording in .*/Test",
    "tonic.SHD:{bare}": r"shd_train.h5",
    "tonic.NMNITS:{empty}": "no data set tonic.NMNITS .*did you mean 'NMNIST'",
    "tonic.Dataset:{empty}": r"no data set tonic.Dataset",
    "tonic.NMNIST,last=1:{full}": "'last=1' is no option with its value; there are first_saccade_only, stab",
    "tonic.NMNIST,sensor=34:{full}": "write WIDTHxHEIGHT",
    "tonic.NCALTECH101:{bare}": "does not say one sensor",
}


@pytest.mark.parametrize("spec", MISSING)
def test_what_is_missing_is_said_and_nothing_is_downloaded(nmnist, tmp_path, spec):
    for name in ("NMNIST", "SHD", "NCALTECH101/Caltech101/car"):
        (tmp_path / "bare" / name).mkdir(parents=True)
    (tmp_path / "bare" / "NCALTECH101" / "Caltech101" / "car" / "1.bin").touch()
    places = {"empty": tmp_path, "bare": tmp_path / "bare", "full": nmnist}
    with pytest.raises(InvalidRequest, match=MISSING[spec]):
        open_recordings(spec.format(**places))


def test_class_names_of_text_and_a_sensor_of_ones_own(tmp_path):
    for name in ("car", "ant"):
        folder = tmp_path / "NCALTECH101" / "Caltech101" / name
        folder.mkdir(parents=True)
        write_nmnist(folder / "image_0001.bin", random_events(np.random.default_rng(1)))
    found = open_recordings(f"tonic.NCALTECH101,sensor=240x180:{tmp_path}")
    assert (found.class_names, found.labels.tolist(), found.width) == (("ant", "car"), [0, 1], 240)
    assert len(found[0].events) == 120
    with pytest.raises(InvalidEvents, match=r"Caltech101/ant.*outside the sensor of 20 columns"):
        open_recordings(f"tonic.NCALTECH101,sensor=20x20:{tmp_path}")[0]


def test_objects_of_tonics_run_and_say_their_transforms(nmnist, tmp_path):
    transform = tonic.transforms.Compose(
        [tonic.transforms.DropEvent(p=0.5), tonic.transforms.MergePolarities()]
    )
    dataset = Everything.of(tonic.datasets.NMNIST, str(nmnist), train=False, transform=transform)
    assert is_tonic(dataset)
    assert not any(is_tonic(other) for other in (open_dataset(f"nmnist:{nmnist}"), [1], "text", 5))
    network = small_network()
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    found = eventsnn.simulate(network, dataset, output=tmp_path / "r.h5")
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert found.table.column("label").tolist() == [0, 1, 2, 3]
    assert found.table.column("input_events").tolist() == [60] * 4
    assert "DropEvent(p=0.5)" in found.configuration["data"]["source"]
    # Drawn for the recording: again the same, and by a set opened as one of our own with that transform.
    assert eventsnn.simulate(network, dataset, output=tmp_path / "r.h5").digest == found.digest
    assert eventsnn.simulate(network, tonic_recordings(dataset)[2:], workers=1).table.column(
        "index"
    ).tolist() == [*(2, 3)]
    other = Everything.of(tonic.datasets.NMNIST, str(nmnist), train=False)
    with pytest.raises(InvalidRequest, match="another run"):
        eventsnn.simulate(network, other, output=tmp_path / "r.h5")


def test_wrappers_lists_and_target_transforms(nmnist):
    dataset = Everything.of(
        tonic.datasets.NMNIST, str(nmnist), train=True, target_transform=lambda label: label + 1
    )
    assert tonic_recordings(dataset).labels.tolist() == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    cached = tonic.MemoryCachedDataset(dataset, transform=tonic.transforms.CenterCrop((34, 34, 2), (20, 30)))
    found = tonic_recordings(cached)
    assert (found.width, found.height) == (20, 30)
    assert found.labels.tolist() == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    assert found[0].events["x"].max() < 20
    pairs = [dataset[k] for k in (0, 4)]  # fields x, y, t, p
    run = eventsnn.simulate(small_network(), pairs)
    assert run.table.column("label").tolist() == [1, 2]
    whole = [found for found in tonic_recordings(dataset) if found.index in (0, 4)]
    for one, other in zip(pairs, whole, strict=True):
        assert np.array_equal(one[0]["t"], other.events["t"])
    with pytest.raises(InvalidRequest, match="give it transform= and target_transform= instead"):
        tonic_recordings(
            Everything.of(
                tonic.datasets.NMNIST, str(nmnist), transforms=lambda events, target: (events, target)
            )
        )
    with pytest.raises(InvalidRequest, match=r"a target of tonic.NMNIST, which must be a class, is \[1, 2\]"):
        tonic_recordings(
            Everything.of(tonic.datasets.NMNIST, str(nmnist), target_transform=lambda target: [1, 2])
        )


def test_frames_are_refused_by_name(nmnist):
    frames = tonic.transforms.ToFrame(sensor_size=(34, 34, 2), n_time_bins=3)
    found = tonic_recordings(Everything.of(tonic.datasets.NMNIST, str(nmnist), transform=frames))
    with pytest.raises(InvalidEvents, match=r"NMNIST Train/0/.*bin gives ndarray of shape \(3, 2, 34, 34\)"):
        found[0]


def test_transforms_of_tonics_as_ours(nmnist):
    found = open_recordings(f"nmnist:{nmnist}")
    events = found[0].events
    for text, made in (
        ("tonic.RefractoryPeriod:delta=300", tonic.transforms.RefractoryPeriod(300)),
        ("tonic.CenterCrop:size=20x30", tonic.transforms.CenterCrop((34, 34, 2), (20, 30))),
        ("tonic.RandomFlipLR:p=1.0", tonic.transforms.RandomFlipLR((34, 34, 2), 1.0)),
        ("tonic.Downsample:spatial_factor=0.5", tonic.transforms.Downsample(spatial_factor=0.5)),
    ):
        expected = made(events.copy())
        for step in (text, made):
            changed = found.transformed(step)
            assert np.array_equal(changed[0].events, expected), text
            assert np.array_equal(pickle.loads(pickle.dumps(changed))[0].events, expected)
            assert expected["x"].max() < changed.width <= 34
        assert str(read_transform(text)) == text
    assert found.transformed("tonic.CenterCrop:size=20x30").width == 20
    drop = found.transformed("tonic.DropEvent:p=0.5")
    assert len(drop[1].events) == 60
    assert np.array_equal(drop[1].events, drop[1].events)
    assert not np.array_equal(drop[1].events["t"], drop[2].events["t"])
    for text, message in (
        ("tonic.DropEvents:p=0.5", "did you mean 'DropEvent'"),
        ("tonic.DropEvent:q=0.5", "takes p, and needs p; found q"),
        ("tonic.DropEvent:0.5", "'0.5' is no parameter with its value"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            found.transformed(text)
    with pytest.raises(
        InvalidEvents, match=r"transform tonic.ToImage.* gives ndarray of shape \(2, 34, 34\)"
    ):
        found.transformed("tonic.ToImage")[0]


def test_workers_and_the_command_line(nmnist, tmp_path):
    small_network().save(tmp_path / "net.h5")
    spec = f"tonic.NMNIST:{nmnist}"
    wanted = eventsnn.simulate(small_network(), f"nmnist:{nmnist}", split="test").digest
    sent = pickle.loads(pickle.dumps(open_recordings(spec, "test")))
    assert eventsnn.simulate(small_network(), sent).digest == wanted
    start = ["run", str(tmp_path / "net.h5"), "--split", "test", "--json"]
    done = CliRunner().invoke(app, [*start, "--data", spec])
    assert done.exit_code == 0, done.output
    assert (json.loads(done.stdout)["samples"], json.loads(done.stdout)["digest"]) == (4, wanted)
    shown = json.loads(CliRunner().invoke(app, ["inspect", spec, "--json"]).stdout)
    assert (shown["recordings"], shown["splits"]) == (16, {"train": 12, "test": 4})
    refused = CliRunner().invoke(app, [*start, "--data", f"tonic.NMNIST:{tmp_path}"]).exception
    assert isinstance(refused, InvalidRequest)
    dataset = Everything.of(tonic.datasets.NMNIST, str(nmnist), transform=lambda events: events)
    with pytest.raises(InvalidRequest, match="cannot be sent to other processes"):
        eventsnn.simulate(small_network(), dataset, workers=2)


def test_calibration_on_an_object_and_on_pairs(nmnist):
    torch = pytest.importorskip("torch", reason="a PyTorch model is converted")
    model = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 5, stride=3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(300, 4)
    ).eval()
    dataset = Everything.of(tonic.datasets.NMNIST, str(nmnist))
    options = {"input_scale": 0.1, "verify": 0}
    ours = eventsnn.convert(model, open_recordings(f"nmnist:{nmnist}", "train"), **options)
    assert eventsnn.convert(model, dataset, **options).checksum == ours.checksum
    pairs = [
        eventsnn.events.Recording(r.events, r.label, r.index, r.name, r.origin)
        for r in open_recordings(f"nmnist:{nmnist}", "train")
    ]
    shape = (2, 34, 34)
    listed = eventsnn.convert(model, pairs, input_shape=shape, **options).checksum
    assert (
        eventsnn.convert(model, [(pair, pair.label) for pair in pairs], input_shape=shape, **options).checksum
        == listed
    )


def test_without_tonic_the_extra_is_named(nmnist):
    code = (
        "import sys\nsys.modules['tonic'] = None\n"
        "import eventsnn.errors, eventsnn.events as e\n"
        f"try: e.open_dataset('tonic.NMNIST:{nmnist}')\n"
        "except eventsnn.errors.MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'eventsnn[tonic]'" in done.stdout
    code = "import sys, eventsnn.events, eventsnn.run.simulate; print('tonic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_real_recordings_are_the_same_by_both_readers():
    root = os.environ.get("EVENTSNN_DATA")
    if root is None:
        pytest.skip("EVENTSNN_DATA is not set")
    ours, theirs = (open_recordings(f"{k}:{root}/nmnist").evenly(12) for k in ("nmnist", "tonic.NMNIST"))
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one.events, other.events)
        assert (one.label, one.index) == (other.label, other.index)
