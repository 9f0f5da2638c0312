"""Results files and journals: damage is refused or made good, and never read as something else."""

import io
import json
import shutil
import warnings
import zipfile

import h5py
import numpy as np
import pytest
from builders.old_results import write_older
from builders.recordings import random_events, small_network, write_recordings

import eventsnn
from eventsnn.errors import InvalidFile, InvalidRequest, UnfinishedRun, UnreadableSamples
from eventsnn.report.export import export
from eventsnn.results.parts import pack, unpack
from eventsnn.results.results import Results
from eventsnn.results.traces import PACKED_COLUMNS, TRACE_FIELDS

HARDWARE = "event-conv-small"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A results file with everything in it: history, parts, energy, a recording that cannot be read."""
    folder = write_recordings(tmp_path_factory.mktemp("data") / "set", classes=4)
    (folder / "3" / "00000.bin").write_bytes(b"\x01\x02\x03")
    with pytest.warns(UnreadableSamples):
        found = eventsnn.simulate(small_network(), f"nmnist:{folder}", hardware=HARDWARE, history_us=1000)
    path = folder / "results.h5"
    found.save(path)
    return path


@pytest.fixture(scope="module")
def older(saved, tmp_path_factory):
    return write_older(saved, tmp_path_factory.mktemp("older") / "results.h5")


def content(results, columns=None):
    """All that results show; of traces these columns."""
    table = results.table
    rows = []
    for sample in table.samples:
        arrays = [sample.counters, sample.parts, *(sample.trace[n] for n in columns or sample.trace)]
        arrays += [sample.history.time_ps, sample.history.counters, sample.history.readout]
        scalars = {name: repr(value) for name, value in vars(sample).items() if np.isscalar(value)}
        rows.append((scalars, [(a.dtype, a.shape, a.tobytes()) for a in arrays]))
    return results.to_dict(), table.order, table.readout_scale, table.failures, rows


def test_a_file_gives_back_what_was_saved(saved):
    found = Results.load(saved)
    assert [(f.index, f.name) for f in found.failures] == [(6, "3/00000.bin")]
    assert "3 bytes are not a whole number" in found.failures[0].reason
    with h5py.File(saved) as file:
        assert set(file["failures"]) == {"index", "name", "reason"}
        for group in ("populations", "parts", "trace", "history", "failures"):
            assert all(item.fletcher32 for item in file[group].values())
        assert len(file.attrs["checksum"]) == 32


def test_no_flipped_bit_shows_other_content(saved, tmp_path):
    whole, wanted = saved.read_bytes(), content(Results.load(saved))
    rng, refused = np.random.default_rng(14), 0
    path = tmp_path / "results.h5"
    for bit in rng.integers(0, 8 * len(whole), 300).tolist():
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert content(Results.load(path)) == wanted, bit
        except InvalidFile:
            refused += 1
    # What is left are bits of the words before the hash of the whole.
    assert refused >= 299


COLUMNS = [f"trace/{name}" for name in PACKED_COLUMNS]


@pytest.mark.parametrize(
    "name", ["samples/prediction", "populations/spikes_positive", "trace/start", *COLUMNS]
)
def test_a_changed_value_is_refused(saved, tmp_path, name):
    path = shutil.copy(saved, tmp_path / "results.h5")
    with h5py.File(path, "a") as file:
        values = file[name][...]
        values.flat[0] += 1
        file[name][...] = values
    what = "the trace of sample 0" if name in COLUMNS else f"dataset '{name}'"
    with pytest.raises(InvalidFile, match=f"{what} does not give its checksum"):
        Results.load(path)


@pytest.mark.parametrize("name", ["configuration", "readout_scale", "population_order", "digest", "contents"])
def test_a_changed_attribute_is_refused(saved, tmp_path, name):
    path = shutil.copy(saved, tmp_path / "results.h5")
    with h5py.File(path, "a") as file:
        value = file.attrs[name]
        file.attrs[name] = (
            value * 2 if isinstance(value, float) else value.replace("0", "1").replace("in", "on")
        )
    with pytest.raises(InvalidFile, match="its attributes give"):
        Results.load(path)


@pytest.mark.parametrize("names", [("checksum",), ("contents",), ("checksum", "contents")])
def test_a_file_that_lost_its_checksum_is_refused(saved, tmp_path, names):
    path = shutil.copy(saved, tmp_path / "results.h5")
    with h5py.File(path, "a") as file:
        for name in names:
            del file.attrs[name]
    with pytest.raises(InvalidFile, match="checksum is"):
        Results.load(path)


def test_files_of_before_are_read(older, saved):
    found, now = Results.load(older), Results.load(saved)
    assert found.failures == []
    assert "input_events" not in found.table.samples[0].trace  # it came later
    assert content(found, TRACE_FIELDS)[-1] == content(now, TRACE_FIELDS)[-1]
    assert found.digest == now.digest
    assert len(found.curve()) > 1


def replacements(item):
    """What may stand in the place of a dataset."""
    value = item[...]
    yield from (None, "group", value.astype("S8"), value[..., None], value[:-1], value[0], np.zeros(0))
    yield from (np.ones(value.shape, "f4"), np.ones(value.shape, "u1"), np.array([b"a", b"b"]), 5, "text")
    yield h5py.Empty("i8")
    if value.dtype.kind == "i":
        yield value - 10**6


def test_a_dataset_of_another_kind_is_refused_and_never_a_crash(older, tmp_path):
    with h5py.File(older) as file:
        datasets = []
        file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
        tried = [(name, value) for name in datasets for value in replacements(file[name])]
    assert len(tried) > 600
    path, opened, before = tmp_path / "results.h5", 0, older.read_bytes()
    with warnings.catch_warnings():
        # NumPy on casts of what is fuzzed.
        warnings.simplefilter("ignore", RuntimeWarning)
        for name, value in tried[:: len(tried) // 400]:
            path.write_bytes(before)
            with h5py.File(path, "a") as file:
                del file[name]
                if isinstance(value, str) and value == "group":
                    file.create_group(name)
                elif value is not None:
                    file[name] = value
            try:
                found = Results.load(path)
                found.to_json()
                opened += 1
            except InvalidFile:
                continue
    # Counters of hardware that came later may be missing, and numbers that are only unlikely are shown.
    assert opened < 120


ATTRIBUTES = [
    5,
    2.5,
    "",
    "{",
    "[]",
    "{}",
    "null",
    '"a"',
    "[1, 2]",
    '["a", "a"]',
    "[[[]]]",
    np.zeros(3),
    b"\xff",
]


@pytest.mark.parametrize(
    "name", ["format", "schema", "digest", "configuration", "population_order", "readout_scale"]
)
def test_an_attribute_of_another_kind_is_refused(older, tmp_path, name):
    path = tmp_path / "results.h5"
    refused = 0
    for value in [None, "[" * 5000, *ATTRIBUTES]:
        shutil.copy(older, path)
        with h5py.File(path, "a") as file:
            del file.attrs[name]
            if value is not None:
                file.attrs[name] = value
        try:
            Results.load(path).to_json()
        except InvalidFile:
            refused += 1
    assert refused >= (11 if name in ("readout_scale", "configuration") else 15)


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": 5},
        {"class_names": [1]},
        {"architecture": "chip"},
        {"exit": 1},
        {"static_watts": "much"},
    ],
)
def test_a_configuration_of_other_types_is_refused(older, tmp_path, change):
    path = shutil.copy(older, tmp_path / "results.h5")
    with h5py.File(path, "a") as file:
        file.attrs["configuration"] = json.dumps(json.loads(file.attrs["configuration"]) | change)
    with pytest.raises(InvalidFile, match="configuration has"):
        Results.load(path)


def test_a_dataset_larger_than_its_file_is_refused_before_it_is_read(older, tmp_path):
    path = shutil.copy(older, tmp_path / "results.h5")
    with h5py.File(path, "a") as file:
        del file["samples/index"]
        file.create_dataset("samples/index", (1 << 33,), "i8", chunks=(1 << 16,))
    with pytest.raises(InvalidFile, match="larger than the file can hold"):
        Results.load(path)


# Journals.


def stopped_run(output, data, after=3, **settings):
    def stop(done, total):
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eventsnn.simulate(small_network(), data, output=output, progress=stop, **settings)
    return output.with_name(output.name + ".partial")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    return [(random_events(rng, 40), label) for label in range(5)]


def test_a_damaged_part_is_never_taken_for_a_sample(saved):
    whole = pack(Results.load(saved).table.samples[0])
    assert unpack(whole).digest == Results.load(saved).table.samples[0].digest
    rng = np.random.default_rng(2)
    for _ in range(2000):
        damaged = bytearray(whole)
        match rng.integers(4):
            case 0:
                damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
            case 1:
                del damaged[rng.integers(len(damaged)) :]
            case 2:
                a, b = sorted(rng.integers(len(damaged), size=2).tolist())
                damaged[a : b + 1] = rng.bytes(rng.integers(40))
            case 3:
                damaged += rng.bytes(1 + rng.integers(40))
        assert bytes(damaged) == whole or unpack(bytes(damaged)) is None


def archives():
    """Archives of NumPy that are no samples, some with a comment of the right form."""
    for arrays in ({}, {"index": 5}, {"index": np.zeros(3), "digest": np.array("x")}):
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        yield buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.npy", b"\x93NUMPY\x01\x00")
    yield buffer.getvalue()
    yield b""
    yield b"PK\x05\x06" + bytes(18)


def test_damaged_parts_are_simulated_again(data, tmp_path):
    output = tmp_path / "results.h5"
    wanted = eventsnn.simulate(small_network(), data).digest
    for damaged in archives():
        journal = stopped_run(output, data)
        kept = sorted(journal.glob("sample-*.npz"))
        kept[0].write_bytes(damaged)
        shutil.copy(kept[1], journal / "sample-000000004.npz")
        kept[2].unlink()
        kept[2].mkdir()
        kept[2].rmdir()
        (journal / "failed-000000004.json").write_text(json.dumps({"index": [], "name": 3}))
        seen = []
        found = eventsnn.simulate(
            small_network(), data, output=output, progress=lambda done, _, seen=seen: seen.append(done)
        )
        assert found.digest == wanted
        assert len(seen) == 4
        assert list(tmp_path.iterdir()) == [output]
        output.unlink()


HEADERS = [b"", b"{", b"[]", b"null", b"5", b'"a"', b"\xff\xfe", b"[" * 50_000, b'{"configuration": 5}']


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_a_damaged_header_is_one_message(data, tmp_path, header):
    journal = stopped_run(tmp_path / "results.h5", data)
    (journal / "configuration.json").write_bytes(header)
    with pytest.raises(InvalidFile, match="remove the folder"):
        eventsnn.simulate(small_network(), data, output=tmp_path / "results.h5")
    with pytest.raises(InvalidFile, match="remove the folder"):
        Results.load(journal)


def test_a_flipped_bit_in_a_header_is_refused(data, tmp_path):
    journal = stopped_run(tmp_path / "results.h5", data)
    header = journal / "configuration.json"
    whole, rng = header.read_bytes(), np.random.default_rng(9)
    for bit in rng.integers(0, 8 * len(whole), 150).tolist():
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        header.write_bytes(damaged)
        with pytest.raises(InvalidFile, match="remove the folder"):
            Results.load(journal)


def test_a_journal_of_before_goes_on(data, tmp_path):
    output = tmp_path / "results.h5"
    journal = stopped_run(output, data)
    header = journal / "configuration.json"
    header.write_text(json.dumps(json.loads(header.read_text())["configuration"]))
    with pytest.raises(InvalidRequest, match="holds the results of another run"):
        eventsnn.simulate(small_network(), data, output=output, seed=3)
    found = eventsnn.simulate(small_network(), data, output=output)
    assert found.digest == eventsnn.simulate(small_network(), data).digest


# Results of runs that have not ended.


def test_what_there_is_of_a_stopped_run_can_be_opened(data, tmp_path):
    output = tmp_path / "results.h5"
    journal = stopped_run(output, data)
    whole = eventsnn.simulate(small_network(), data)
    with pytest.warns(UnfinishedRun, match=r"^results.h5.partial has 3 of 5 samples"):
        found = Results.load(journal)
    assert found.table.column("index").tolist() == [0, 1, 2]
    first = whole.select(np.arange(5) < 3)
    assert found.digest == first.digest
    assert found.summary() == first.summary()
    assert found.curve().tobytes() == first.curve().tobytes()
    with pytest.warns(
        UnfinishedRun, match=r"results.h5 is not there, and .*partial is read: .* has 3 of 5 samples"
    ):
        assert Results.load(output).digest == found.digest


def test_a_run_without_a_sample_yet_is_no_result(data, tmp_path):
    journal = stopped_run(tmp_path / "results.h5", data)
    for file in journal.glob("sample-*"):
        file.unlink()
    with pytest.raises(InvalidFile, match="no finished sample yet"):
        Results.load(journal)
    with pytest.raises(FileNotFoundError, match="no results file"):
        Results.load(tmp_path)


# One run at a time.


def test_a_second_run_on_one_output_is_refused(data, tmp_path):
    output = tmp_path / "results.h5"
    messages = []

    def second(done, total):
        with pytest.raises(InvalidRequest) as refused:
            eventsnn.simulate(small_network(), data, output=output)
        messages.append(str(refused.value))

    first = eventsnn.simulate(small_network(), data, output=output, progress=second)
    assert len(messages) == 5
    assert "results.h5 is being written by another run (process " in messages[0]
    assert list(tmp_path.iterdir()) == [output]
    assert eventsnn.simulate(small_network(), data, output=output).digest == first.digest


def test_a_lock_without_its_process_does_not_block(data, tmp_path):
    output = tmp_path / "results.h5"
    journal = stopped_run(output, data)
    (journal / "lock").write_text("1\n")
    (journal / "sample-000000004.npz.writing").write_bytes(b"half")
    (tmp_path / "results.h5.4711.writing").write_bytes(b"half")
    (tmp_path / "results.h5.4711.0.writing").write_bytes(b"half")
    (tmp_path / "results.h5.mine.writing").write_bytes(b"precious")
    eventsnn.simulate(small_network(), data, output=output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.h5", "results.h5.mine.writing"]


@pytest.mark.parametrize("path", [None, "", 5, True])
def test_what_is_no_path_is_refused(saved, path):
    with pytest.raises(InvalidRequest, match="is no path"):
        Results.load(path)
    with pytest.raises(InvalidRequest, match="is no path"):
        Results.load(saved).save(path)


def test_json_of_others_is_not_replaced(saved, tmp_path):
    """What we wrote ourselves is, of every kind of table."""
    results, target = Results.load(saved), tmp_path / "table.json"
    for kind in ("json", "neurobench"):
        export(results, kind, target)
        export(results, kind, target)
        other = tmp_path / f"precious-{kind}.json"
        other.write_text('{"precious": [1, 2, 3]}')
        with pytest.raises(InvalidRequest, match="file of another kind, which would be lost"):
            export(results, kind, other)
        assert other.read_text() == '{"precious": [1, 2, 3]}'


def test_results_and_networks_never_replace_each_other(saved, tmp_path):
    """Both are HDF5 files: what they hold is looked at, not only how they begin."""
    network = small_network()
    network.save(tmp_path / "net.h5")
    results = Results.load(saved)
    with pytest.raises(InvalidRequest, match="file of another kind, which would be lost"):
        results.save(tmp_path / "net.h5")
    assert eventsnn.load(tmp_path / "net.h5").checksum == network.checksum
    results.save(tmp_path / "results.h5")
    with pytest.raises(InvalidRequest, match="file of another kind, which would be lost"):
        network.save(tmp_path / "results.h5")
    assert Results.load(tmp_path / "results.h5").digest == results.digest
    network.save(tmp_path / "net.h5")
