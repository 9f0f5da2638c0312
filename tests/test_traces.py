"""Traces: small, lossless, on disk until somebody asks, and never changed without a word."""

import gc
import pickle
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from builders.recordings import random_events, small_network
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import eventsnn
from eventsnn.errors import InvalidFile, InvalidRequest
from eventsnn.results import ResultTable, SampleRecord, trace_file
from eventsnn.results.journal import Journal
from eventsnn.results.parts import left_in_file, pack, unpack
from eventsnn.results.results import Results
from eventsnn.results.store import read_results, write_results
from eventsnn.results.trace_file import StoredTrace
from eventsnn.results.traces import ROW_COLUMNS, TRACE_FIELDS, PackedTrace

EXTREME = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)


def trace_of(readout, **columns):
    rows = {name: np.arange(len(readout)) for name in ROW_COLUMNS} | columns
    return rows | {"readout": np.array(readout, dtype=np.int64)}


def same(one, other):
    for name in TRACE_FIELDS:
        assert one[name].dtype == np.int64
        assert one[name].shape == other[name].shape
        np.testing.assert_array_equal(one[name], other[name], name)


def drawn(rng, checks, classes=4, share=0.3):
    """A trace in which some classes change at each check."""
    changes = rng.integers(-50, 50, (checks, classes)) * (rng.random((checks, classes)) < share)
    columns = {name: np.cumsum(rng.integers(0, 10**9, checks)) for name in ROW_COLUMNS}
    return trace_of(np.cumsum(changes, axis=0) if checks else np.zeros((0, classes)), **columns)


def record(index, trace):
    return SampleRecord(
        index, 1, 1, 0, 5, False, 1, 1, 1, float("nan"), np.zeros((2, 20), np.int64), trace, f"{index:032x}"
    )


def table_of(traces):
    return ResultTable({}, ("in", "out"), 1.0, tuple(record(i, trace) for i, trace in enumerate(traces)))


def test_by_hand():
    packed = PackedTrace.of(trace_of([[0, 5], [0, 5], [7, 4]], time_ps=np.array([10, 30, 30])))
    found = {name: column.tolist() for name, column in packed.columns.items()}
    # Places in the flat table of 3 x 2 that change: 1, 4, 5.
    assert found["gap"] == [2, 3, 1]
    assert found["change"] == [5, 7, -1]
    assert found["time_ps"] == [10, 20, 0]
    assert all(column.dtype == np.int8 for column in packed.columns.values())
    assert packed["readout"].tolist() == [[0, 5], [0, 5], [7, 4]]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nothing_is_lost(data):
    checks, classes = data.draw(st.integers(0, 6)), data.draw(st.integers(1, 4))
    trace = {name: data.draw(arrays(np.int64, checks, elements=EXTREME)) for name in ROW_COLUMNS}
    trace["readout"] = data.draw(arrays(np.int64, (checks, classes), elements=EXTREME))
    packed = PackedTrace.of(trace)
    same(packed, trace)
    assert packed.classes == classes
    assert list(packed) == list(TRACE_FIELDS)
    same(pickle.loads(pickle.dumps(packed)), trace)
    same(unpack(pack(record(3, packed))).trace, trace)
    same(unpack(pack(record(3, trace))).trace, trace)


@pytest.mark.parametrize("block", [1, 50, 1 << 18])
def test_a_file_gives_back_every_trace(tmp_path, monkeypatch, block):
    monkeypatch.setattr(trace_file, "BLOCK", block)
    rng = np.random.default_rng(block)
    traces = [drawn(rng, checks) for checks in [0, 3, 40, 1, 0, 200, 7]]
    traces[3]["time_ps"] = np.array([2**62])
    write_results(tmp_path / "r.h5", table_of(traces))
    found = read_results(tmp_path / "r.h5").samples
    for order in (range(7), [5, 1, 6, 0, 3, 4, 2]):
        for i in order:
            assert isinstance(found[i].trace, StoredTrace)
            same(found[i].trace, traces[i])
    # Written again from the file, the same file.
    write_results(tmp_path / "again.h5", read_results(tmp_path / "r.h5"))
    with h5py.File(tmp_path / "r.h5") as one, h5py.File(tmp_path / "again.h5") as two:
        assert one.attrs["contents"] == two.attrs["contents"]
        assert one["trace/time_ps"].dtype == np.int64
        assert one["trace/change"].dtype == np.int8


def test_readouts_of_two_networks_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidRequest, match=r"readouts of \[3, 4\] classes"):
        write_results(tmp_path / "r.h5", table_of([drawn(rng, 5, 3), drawn(rng, 5, 4)]))
    assert list(tmp_path.iterdir()) == []


def test_traces_are_read_when_they_are_asked_for(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    write_results(tmp_path / "r.h5", table_of([drawn(rng, 100) for _ in range(8)]))
    monkeypatch.setattr(trace_file, "BLOCK", 250)
    read = []
    original = trace_file.StoredTraces._read
    monkeypatch.setattr(
        trace_file.StoredTraces, "_read", lambda self, i: (read.append(i), original(self, i))[1]
    )
    found = Results.load(tmp_path / "r.h5")
    assert found.to_dict()["samples"] == 8
    assert found.table.counter(0).shape == (8, 2)
    assert read == []
    for sample in found.table.samples:
        assert len(sample.trace["time_ps"]) == 100
    # Two or three samples at a time.
    assert 3 <= len(read) <= 5


def test_a_file_that_is_replaced_or_removed_is_still_read(tmp_path):
    rng = np.random.default_rng(2)
    traces = [drawn(rng, 20) for _ in range(3)]
    path = tmp_path / "r.h5"
    write_results(path, table_of(traces))
    found = Results.load(path)
    write_results(path, table_of([drawn(rng, 20) for _ in range(3)]))
    same(found.table.samples[1].trace, traces[1])
    found.save(path)
    same(Results.load(path).table.samples[2].trace, traces[2])
    path.unlink()
    same(found.table.samples[0].trace, traces[0])
    same(pickle.loads(pickle.dumps(found.table.samples[0])).trace, traces[0])


def test_a_trace_that_changes_after_opening_is_refused(tmp_path):
    rng = np.random.default_rng(3)
    path = tmp_path / "r.h5"
    write_results(path, table_of([drawn(rng, 50) for _ in range(3)]))
    shutil.copy(path, tmp_path / "whole.h5")
    found = Results.load(path)
    with h5py.File(shutil.copy(path, tmp_path / "other.h5"), "a") as file:
        place = int(file["trace/start"][1]) + 3
        file["trace/spikes"][place] += 1
    path.write_bytes((tmp_path / "other.h5").read_bytes())
    assert len(found.table.samples[0].trace["spikes"]) == 50
    with pytest.raises(InvalidFile, match="the trace of sample 1 does not give its checksum"):
        found.table.samples[1].trace["spikes"]
    found = Results.load(shutil.copy(tmp_path / "whole.h5", tmp_path / "cut.h5"))
    with (tmp_path / "cut.h5").open("r+b") as file:
        file.truncate((tmp_path / "cut.h5").stat().st_size // 2)
    with pytest.raises(InvalidFile, match=r"cut.h5: the trace of sample 0 cannot be read"):
        found.table.samples[0].trace["readout"]


def test_a_journal_holds_no_traces_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(trace_file, "BLOCK", 1 << 14)
    rng = np.random.default_rng(4)
    traces = [drawn(rng, 4000, share=0.9) for _ in range(3)]
    whole = sum(column.nbytes for trace in traces for column in trace.values())
    journal = Journal(tmp_path / "r.h5", ResultTable({}, ("in", "out"), 1.0, ()))
    tracemalloc.start()
    for index in range(30):
        journal.add(record(index, traces[index % 3]))
    gc.collect()
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    table = journal.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    journal.release()
    assert kept < whole / 4
    assert peak < whole * 5, "thirty of them are ten times the three"
    for sample, trace in zip(table.samples, traces * 10, strict=True):
        same(sample.trace, trace)
    assert list(tmp_path.iterdir()) == [tmp_path / "r.h5"]


def test_a_part_that_is_gone_or_damaged_is_one_message(tmp_path):
    path = tmp_path / "sample.npz"
    trace = drawn(np.random.default_rng(5), 9)
    path.write_bytes(pack(record(0, trace)))
    left = left_in_file(record(0, trace), path).trace
    same(left, trace)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvalidFile, match="was damaged"):
        left["readout"]
    path.unlink()
    with pytest.raises(InvalidFile, match="if the run has ended, open its results file"):
        left["readout"]


def test_a_run_with_a_file_and_one_without_are_the_same(tmp_path):
    rng = np.random.default_rng(6)
    data = [(random_events(rng, 60), label) for label in range(4)]
    one = eventsnn.simulate(small_network(), data)
    two = eventsnn.simulate(small_network(), data, output=tmp_path / "r.h5")
    assert one.digest == two.digest == Results.load(tmp_path / "r.h5").digest
    for a, b in zip(one.table.samples, two.table.samples, strict=True):
        same(a.trace, b.trace)
        assert len(a.trace["time_ps"]) > 1
    assert one.curve().tobytes() == two.curve().tobytes()
