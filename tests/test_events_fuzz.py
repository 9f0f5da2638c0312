"""Damaged and made-up input to every reader of recordings and images: an answer or one of our errors.

About 4,000 inputs, seeded, in a few seconds: valid files with bytes changed, cut, doubled or put together,
and folders of odd names.
"""

import io
import os
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from eventsnn.errors import EventsnnError
from eventsnn.events import (
    CLOCKS,
    ORIENTATIONS,
    SPLITS,
    ImageSet,
    make_events,
    open_dataset,
    read_aedat_with_counts,
    read_nmnist_with_counts,
    validate_events,
    write_aedat,
    write_nmnist,
)

ODD_BYTES = [
    b"#",
    b"\r\n",
    b"\n",
    b"#!AER-DAT2.0\r\n",
    b"#!AER-DAT3.1\r\n",
    b"PK\x03\x04",
    b"\x93NUMPY\x01\x00",
    b"\x00",
    b"\xff" * 8,
    struct.pack(">Ii", 0x8000, 0),
    struct.pack(">Ii", 0, -(2**31)),
    struct.pack(">Ii", 0x23000000, 5),
    bytes([0, 240, 0, 0, 0]),
]


def damaged(rng, data):
    """One to four changes of a file."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(0, len(data) + 1))
        match rng.integers(0, 7):
            case 0 if data:
                data[place % len(data)] ^= 1 << int(rng.integers(0, 8))
            case 1:
                del data[place:]
            case 2:
                del data[place : place + int(rng.integers(1, 20))]
            case 3:
                data[place:place] = ODD_BYTES[rng.integers(0, len(ODD_BYTES))]
            case 4:
                data[place : place + 8] = rng.bytes(int(rng.integers(0, 16)))
            case 5:
                data[place:place] = data[: int(rng.integers(0, 60))]
            case _:
                data[place : place + 4] = bytes(4)
    return bytes(data)


def recording(rng):
    n = int(rng.integers(1, 60))
    t = np.sort(rng.integers(0, 10 ** int(rng.integers(1, 7)), n))
    return make_events(t, rng.integers(0, 34, n), rng.integers(0, 34, n), rng.integers(0, 2, n))


@pytest.mark.parametrize("kind", ["nmnist", "aedat"])
@pytest.mark.parametrize("seed", range(7))
def test_damaged_recordings(tmp_path, kind, seed):
    rng = np.random.default_rng([seed, len(kind)])
    write, read, size = {
        "nmnist": (write_nmnist, read_nmnist_with_counts, 34),
        "aedat": (write_aedat, read_aedat_with_counts, 128),
    }[kind]
    file, answers = tmp_path / "a", {"read": 0, "refused": 0}
    for _ in range(200):
        events = recording(rng)
        write(file, events)
        file.write_bytes(damaged(rng, file.read_bytes()))
        setting = {"clock": CLOCKS[rng.integers(0, len(CLOCKS))]}
        if kind == "aedat":
            setting["orientation"] = list(ORIENTATIONS)[rng.integers(0, len(ORIENTATIONS))]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found, counts = read(file, **setting)
        except EventsnnError as error:
            answers["refused"] += str(file) in str(error)
            continue
        answers["read"] += 1
        # What is read is valid, and no event is lost uncounted.
        validate_events(found, size, size, "here")
        assert len(found) > 0
        left_out = counts.events_before_reset + counts.stray_events
        left_out += counts.special_events if kind == "aedat" else counts.overflow_records
        assert len(found) + left_out == counts.records
    # Each refusal names the file.
    assert sum(answers.values()) == 200
    assert min(answers.values()) > 5


def test_times_of_any_kind(tmp_path):
    """Sawtooth, random and constant clocks: read or refused, nothing lost uncounted."""
    rng, answers = np.random.default_rng(5), {clock: [0, 0] for clock in CLOCKS}
    for _ in range(400):
        n = int(rng.integers(1, 80))
        scale = 10 ** int(rng.integers(1, 10))
        match rng.integers(0, 4):
            case 0:
                t = rng.integers(-scale, scale, n)
            case 1:
                t = np.arange(n) * scale // n % max(1, int(rng.integers(1, scale + 1)))
            case 2:
                t = np.sort(rng.integers(0, scale, n))
                t[rng.integers(0, n, int(rng.integers(0, 4)))] = rng.integers(-(2**31), 2**31)
            case _:
                t = np.full(n, rng.integers(-(2**31), 2**31))
        t = np.clip(t, -(2**31), 2**31 - 1)
        file = tmp_path / "a.aedat"
        file.write_bytes(b"#!AER-DAT2.0\r\n" + b"".join(struct.pack(">Ii", 2, int(time)) for time in t))
        for clock in CLOCKS:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found, counts = read_aedat_with_counts(file, clock=clock)
            except EventsnnError:
                answers[clock][False] += 1
                continue
            answers[clock][True] += 1
            assert len(found) + counts.events_before_reset + counts.stray_events == n
            assert (np.diff(found["t"]) >= 0).all()
            if clock == "strict":
                assert len(found) == n
    assert all(read > 50 for _, read in answers.values()), answers
    assert answers["strict"][False] > 50


def images(rng, odd):
    """A file of images, or of arrays that may be none."""
    if not odd:
        file = io.BytesIO()
        np.savez(file, x=rng.random((3, 4, 4)), y=np.arange(3))
        return file.getvalue()
    shapes = [(3, 4, 4, 2), (3, 4, 4), (3, 16), (3,), (), (0, 4, 4), (3, 0, 4), (2, 1, 2, 3, 4)]
    kinds = ["u1", "f4", "f8", "?", "i8", "c16", "U3", "O", "M8[s]", "f2", "V4"]
    arrays = {}
    for name in rng.permutation(
        ["x", "y", "images", "labels", "train_x", "train_y", "x_test", "test_y", "z"]
    )[:3]:
        shape = shapes[int(rng.integers(0, len(shapes) + 4)) % len(shapes)]
        kind = kinds[min(int(rng.integers(0, 20)), len(kinds) - 1) if rng.random() < 0.5 else 0]
        if name in ("y", "labels", "train_y", "test_y") and rng.random() < 0.8:
            shape, kind = (3,), "i8"
        arrays[name] = np.zeros(shape, kind)
    file = io.BytesIO()
    (np.savez_compressed if rng.random() < 0.5 else np.savez)(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("seed", range(5))
def test_damaged_images(tmp_path, seed):
    rng = np.random.default_rng([seed, 77])
    file, opened, refused = tmp_path / "a.npz", 0, 0
    for number in range(160):
        data = images(rng, number % 4 > 1)
        file.write_bytes(data if number % 2 else damaged(rng, data))
        try:
            found = open_dataset(f"images:{file}", SPLITS[rng.integers(0, 3)])
        except EventsnnError as error:
            refused += str(file) in str(error)
            continue
        assert isinstance(found, ImageSet)
        assert found.images.ndim == 4
        assert len(found.labels) == len(found)
        opened += 1
    # Each refusal names the file.
    assert min(opened, refused) > 10
    assert opened + refused == 160


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
        b"{'descr': 'O', 'fortran_order': False, 'shape': (4,), }",
        b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (4,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': 4, }",
        b"{'descr': 7, 'fortran_order': None, 'shape': (), }",
        b"(" * 3000,
        b"__import__('os').abort()",
        b"\xff\xfe",
        b"",
    ],
)
def test_image_arrays_that_say_something_odd(tmp_path, header):
    file = tmp_path / "a.npz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64))
    with pytest.raises(EventsnnError, match=r"a\.npz"):
        open_dataset(f"images:{file}")


NAMES = [
    *("0", "1", "7", "10", "01", "-3", "train", "Test", "TEST", "cat", "ship", "²", "²³", "a b", "ü", "."),
    *("..", "__MACOSX", "._0", "x\ny", "%s", "{0}", "*", "[", "~", "9" * 30, os.fsdecode(b"\xff\xfe")),
]
FILES = ["a.bin", "b.BIN", ".bin", "._a.bin", "c.aedat", "d.aedat4", "e_7.aedat", "f.npz", "Thumbs.db", "g"]


@pytest.mark.parametrize("seed", range(6))
def test_folders_of_any_shape(tmp_path, seed):
    rng = np.random.default_rng([seed, 123])
    opened = 0
    for number in range(60):
        root = tmp_path / str(number) / NAMES[rng.integers(0, 14)]
        root.mkdir(parents=True)
        for _ in range(rng.integers(0, 8)):
            parts = [NAMES[i] for i in rng.integers(0, len(NAMES), int(rng.integers(0, 4)))]
            place = root.joinpath(*(part for part in parts if part not in (".", "..")))
            if place.is_symlink() or any(parent.is_file() for parent in (place, *place.parents)):
                continue
            place.mkdir(parents=True, exist_ok=True)
            target = place / FILES[rng.integers(0, len(FILES))]
            if os.path.lexists(target):
                continue
            match rng.integers(0, 8):
                case 0:
                    target.symlink_to(rng.choice([".", "..", "nowhere", os.fspath(root)]))
                case 1 if not (place / "5").exists():
                    (place / "5").symlink_to(rng.choice([".", "..", os.fspath(root)]))
                case 2:
                    target.mkdir()
                case _:
                    target.write_bytes(b"")
        for kind in ("nmnist", "aedat", "cifar10-dvs", "images", "other"):
            for place in (root, *list(Path(root).iterdir())[:1]):
                try:
                    found = open_dataset(f"{kind}:{place}", SPLITS[rng.integers(0, 3)])
                except EventsnnError:
                    continue
                opened += 1
                assert len(found) > 0
                assert max(found.labels) < max(1, len(found.class_names))
                repr(found)
    assert opened > 5


def test_names_and_settings_of_any_kind(tmp_path):
    rng = np.random.default_rng(9)
    (tmp_path / "3").mkdir()
    write_nmnist(tmp_path / "3" / "a.bin", recording(rng))
    odd = [
        None,
        0,
        1.5,
        True,
        b"x",
        [],
        {},
        object(),
        np.arange(3),
        "",
        " ",
        ":",
        "x" * 5000,
        "a\0b",
        tmp_path,
    ]
    texts = [
        "nmnist",
        "aedat:",
        "images:.",
        ":x",
        "nmnist:\0",
        "nmnist:~x",
        "NMNIST:.",
        "nmnist::",
        "nmnist:~",
    ]
    odd += texts
    for _ in range(300):
        spec, split, orientation, clock = (odd[i] for i in rng.integers(0, len(odd), 4))
        if rng.random() < 0.5:
            spec = f"nmnist:{tmp_path}"
        with pytest.raises(EventsnnError):
            open_dataset(spec, split, orientation="x" if orientation is None else orientation, clock=clock)
