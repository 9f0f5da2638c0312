"""The timeline: valid Chrome trace JSON that says what the service log says."""

import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from builders.networks import random_network, random_stimulus

from eventsnn.engine import RunOptions, make_engine
from eventsnn.errors import InvalidRequest
from eventsnn.hardware import load_architecture, map_network
from eventsnn.insight.service import end_to_end
from eventsnn.report.timeline import LINK_PROCESS, process_of, thread_of, write_timeline

ARCHITECTURE = load_architecture("event-conv-small")


def with_jitter(architecture):
    description = architecture.document()
    width = {"value": 50, "unit": "ns", "kind": "assumed", "source": "test"}
    jitter = {"distribution": "uniform", "deviation": width | {"value": 10}}
    description["actions"]["serialise"]["jitter"] = jitter
    description["actions"]["hop_y"]["jitter"] = jitter
    return type(architecture).model_validate(description)


def run_of(seed, kind="signed", architecture=ARCHITECTURE, engine="compiled", **choices):
    network = random_network(seed, kind, **choices)
    mapping = map_network(network, architecture)
    options = RunOptions(record_service=True)
    run = make_engine(engine, network, mapping, options).run(random_stimulus(seed, network))
    return run, network, mapping


def timeline_of(run, network, mapping, path, **options):
    write_timeline(run, network, mapping, path, **options)
    return json.loads(path.read_text(encoding="utf-8"))["traceEvents"]


CASES = [(1, "signed"), (2, "rate"), (4, "mixed"), (6, "signed")]


@pytest.mark.parametrize(("seed", "kind"), CASES)
def test_services_are_those_of_the_log(seed, kind, tmp_path):
    run, network, mapping = run_of(seed, kind)
    events = timeline_of(run, network, mapping, tmp_path / "timeline.json")
    services = [e for e in events if e["ph"] == "X" and e["cat"] != "decision"]
    log = run.service[run.service["start"] <= run.decision_time]  # what still waits then has no slice
    assert len(services) == len(log) > 0

    busy, seen = defaultdict(int), []
    for event in services:
        ticks = event["args"]
        duration = ticks["finish_ticks"] - ticks["start_ticks"]
        assert ticks["arrival_ticks"] + ticks["wait_ticks"] == ticks["start_ticks"]
        assert round(event["ts"] * 1e6) == ticks["start_ticks"]
        assert round(event["dur"] * 1e6) == duration >= 0
        busy[event["pid"]] += duration
        seen.append((event["pid"], ticks["arrival_ticks"], ticks["start_ticks"], ticks["finish_ticks"]))
    for core in np.unique(log["core"]):
        rows = log[log["core"] == core]
        assert busy[process_of(core)] == (rows["finish"] - rows["start"]).sum()
    wanted = [(process_of(row["core"]), row["arrival"], row["start"], row["finish"]) for row in log]
    assert sorted(seen) == sorted(wanted)


@pytest.mark.parametrize(("seed", "kind"), CASES)
def test_every_event_is_of_a_kind_that_viewers_know(seed, kind, tmp_path):
    events = timeline_of(*run_of(seed, kind), tmp_path / "timeline.json")
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    processes = {e["pid"] for e in events if e["name"] == "process_name"}
    for event in events:
        assert event["ph"] in "MXCistf"
        assert event["pid"] in processes
        if event["ph"] == "M":
            continue
        assert event["ts"] >= 0
        if event["ph"] != "C":
            assert (event["pid"], event["tid"]) in named
    assert {p["tid"] for p in events if p["name"] == "thread_name"} == {t for _, t in named}
    assert len({thread for _, thread in named}) == len(named)


def test_units_do_one_thing_at_a_time(tmp_path):
    events = timeline_of(*run_of(1), tmp_path / "timeline.json")
    threads = defaultdict(list)
    for event in events:
        if event["ph"] == "X" and event["cat"] != "decision":
            ticks = event["args"]
            threads[event["tid"]].append((ticks["start_ticks"], ticks["finish_ticks"]))
    assert len(threads) > 2
    for spans in threads.values():
        spans.sort()
        assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_waiting_counters_are_the_queues(tmp_path):
    run, network, mapping = run_of(1)
    events = timeline_of(run, network, mapping, tmp_path / "timeline.json")
    waited, last = defaultdict(int), {}
    for event in events:
        if event["ph"] != "C":
            continue
        key = event["pid"], event["name"]
        tick, depth = last.get(key, (0, 0))
        now = round(event["ts"] * 1e6)
        waited[event["pid"]] += depth * (now - tick)
        assert event["args"]["waiting"] >= 0
        last[key] = now, event["args"]["waiting"]
    assert all(depth == 0 for _, depth in last.values())
    assert sum(waited.values()) > 0
    for core in np.unique(run.service["core"]):
        rows = run.service[run.service["core"] == core]
        # Little's law: the time integral of the number waiting is the sum of the waits.
        assert waited[process_of(core)] == (rows["start"] - rows["arrival"]).sum()


@pytest.mark.parametrize("delays", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_messages_are_matched(seed, delays):
    run, _, _ = run_of(seed, "mixed", delays=delays)
    pairs = end_to_end(run.service)
    assert len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1])) == len(pairs)
    sent, served = run.service[pairs[:, 0]], run.service[pairs[:, 1]]
    assert (sent["rank"] == served["rank"]).all()
    assert (sent["neuron"] == served["neuron"]).all()
    assert (sent["kind"] == 0).all()
    assert (served["kind"] == 1).all()
    assert (sent["finish"] <= served["arrival"]).all()
    assert len(pairs) == (run.service["kind"] == 1).sum() > 0


def test_arrows_join_slices_and_are_capped(tmp_path):
    run, network, mapping = run_of(1)
    events = timeline_of(run, network, mapping, tmp_path / "a.json", most_arrows=7)
    starts = {e["id"]: e for e in events if e["ph"] == "s"}
    ends = {e["id"]: e for e in events if e["ph"] == "f"}
    assert starts.keys() == ends.keys() == set(range(1, 8))
    slices = {(e["tid"], e["ts"]) for e in events if e["ph"] == "X"}
    for number, start in starts.items():
        assert {(start["tid"], start["ts"]), (ends[number]["tid"], ends[number]["ts"])} <= slices
        assert start["ts"] <= ends[number]["ts"]


def test_messages_are_matched_under_jitter(tmp_path):
    run, _, _ = run_of(1, architecture=with_jitter(ARCHITECTURE))
    assert len(end_to_end(run.service)) == (run.service["kind"] == 1).sum() > 0


def with_links(service):
    """A log in which each message passes two links and some are dropped or held."""
    rows = []
    for row in service.tolist():
        kind, core, *message, arrival, start, finish, _ = row
        rows.append(row)
        if kind == 0:
            rows[-1] = (kind, core, *message, arrival, start, finish, finish + 3)
            rows.append((3, 0, *message, finish + 3, finish + 4, finish + 5, finish + 5))
            rows.append((3, 7, *message, finish + 5, finish + 5, finish + 6, finish + 6))
        elif kind == 1 and message[2] == 1:
            rows[-1] = (4, core, *message, arrival, arrival + 9, arrival + 9, arrival + 9)
    return np.array(rows, dtype=service.dtype)


def test_links_drops_and_held_messages_are_shown(tmp_path):
    run, network, mapping = run_of(1)
    network_on_chip = {"topology": "mesh", "width": 1, "height": 4, "links": {"depth": 2}}
    description = ARCHITECTURE.document() | {"network_on_chip": network_on_chip}
    description["tiles"] = {"tile[0..3]": dict(next(iter(description["tiles"].values())))}
    mapping = replace(mapping, architecture=type(ARCHITECTURE).model_validate(description))
    run = replace(run, service=with_links(run.service))
    events = timeline_of(run, network, mapping, tmp_path / "timeline.json", most_arrows=10**9)
    log, kinds = run.service, run.service["kind"]
    assert min((kinds == kind).sum() for kind in (0, 1, 3, 4)) > 0

    threads = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    links = [e for e in events if e.get("cat") == "link"]
    assert {e["pid"] for e in links} == {LINK_PROCESS}
    assert {threads[e["tid"]] for e in links} == {"link of tile 0 to the east", "link of tile 1 to the south"}
    assert len(links) == (kinds == 3).sum()
    held = [e for e in events if e.get("cat") == "blocked"]
    assert len(held) == (kinds == 0).sum()
    assert all(e["args"]["finish_ticks"] - e["args"]["start_ticks"] == 3 for e in held)
    lost = [e for e in events if e.get("cat") == "dropped"]
    assert len(lost) == (kinds == 4).sum()
    assert {e["ph"] for e in lost} == {"i"}
    assert all(e["args"]["wait_ticks"] == 9 for e in lost)

    routes = defaultdict(list)
    for event in events:
        if event.get("cat") == "message":
            routes[event["id"]].append(event)
    assert len(routes) == (kinds == 0).sum()
    first = {tuple(row.tolist()[2:6]): row["start"] for row in log if row["kind"] == 0}
    delivered = {tuple(row.tolist()[2:6]): row["start"] for row in log if row["kind"] == 1}
    for route in routes.values():
        name = tuple(route[0]["args"].values())
        assert round(route[0]["ts"] * 1e6) == first[name]
        if name in delivered:
            assert [e["ph"] for e in route] == ["s", "t", "t", "f"]
            assert round(route[-1]["ts"] * 1e6) == delivered[name]
        else:  # a dropped message's arrow ends at its last link
            assert [e["ph"] for e in route] == ["s", "t", "f"]
    waiting = sum(e["args"]["waiting"] > 0 for e in events if e["ph"] == "C" and e["pid"] == LINK_PROCESS)
    assert waiting > 0


def test_decision(tmp_path):
    run, network, mapping = run_of(1)
    events = timeline_of(run, network, mapping, tmp_path / "timeline.json")
    span, mark = (e for e in events if e.get("cat") == "decision")
    assert round((span["ts"] + span["dur"]) * 1e6) == run.decision_time == round(mark["ts"] * 1e6)
    assert round(span["ts"] * 1e6) == run.first_event
    assert mark["args"]["prediction"] == run.prediction


def test_engines_write_the_same_services(tmp_path):
    found = [
        timeline_of(*run_of(2, "signed", engine=engine), tmp_path / f"{engine}.json")
        for engine in ("compiled", "reference")
    ]
    one, other = (sorted(json.dumps(e, sort_keys=True) for e in events if e["ph"] == "X") for events in found)
    assert one == other


def test_without_a_service_log(tmp_path):
    run, network, mapping = run_of(1)
    for wanted in (replace(run, service=None), run):
        with pytest.raises(InvalidRequest, match="--hardware"):
            write_timeline(wanted, network, None, tmp_path / "timeline.json")
    with pytest.raises(InvalidRequest, match="--hardware"):
        write_timeline(replace(run, service=None), network, mapping, tmp_path / "timeline.json")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_log_is_still_a_timeline(tmp_path):
    run, network, mapping = run_of(1)
    events = timeline_of(replace(run, service=run.service[:0]), network, mapping, tmp_path / "timeline.json")
    assert {e["ph"] for e in events} == {"M", "X", "i"}


def test_threads_are_apart():
    threads = {thread_of(core, unit) for core in range(-1, 50) for unit in (1, 2, 3)}
    assert len(threads) == 51 * 3


def test_an_earlier_file_survives_a_failure(tmp_path, monkeypatch):
    run, network, mapping = run_of(1)
    path = tmp_path / "timeline.json"
    path.write_text('{"displayTimeUnit": "ns", "earlier": 1}')
    monkeypatch.setattr("eventsnn.report.timeline._queues", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_timeline(run, network, mapping, path)
    assert path.read_text() == '{"displayTimeUnit": "ns", "earlier": 1}'
    assert list(tmp_path.iterdir()) == [path]
