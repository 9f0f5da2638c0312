"""The benchmark of networks trained in timesteps: its figures are those of ``simulate``."""

import sys
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn.network import Axis, Conv2d, Dense, Input, Network, Population, Projection, Rate, Readout

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import asynchrony

    yield asynchrony
    for name in ("asynchrony", "measure"):
        sys.modules.pop(name, None)


def case():
    rng = np.random.default_rng(0)
    axis = Axis(3, pad_before=1, pad_after=1)
    network = Network(
        [
            Population("input", (6, 6, 2), Input()),
            Population("layer1", (6, 6, 4), Rate(20, multispike=False)),
            Population("layer2", (6, 6, 3), Rate(20, multispike=False)),
            Population("output", (1, 1, 10), Readout()),
        ],
        [
            Projection("one", "input", "layer1", Conv2d(rng.integers(-5, 9, (3, 3, 2, 4)), axis, axis)),
            Projection("two", "layer1", "layer2", Conv2d(rng.integers(-5, 9, (3, 3, 4, 3)), axis, axis)),
            Projection("three", "layer2", "output", Dense(rng.integers(-9, 9, (108, 10)))),
        ],
    )
    items = []
    for label in range(4):
        t = np.sort(rng.integers(0, 1000, 120))
        x, y, p = rng.integers(0, 6, 120), rng.integers(0, 6, 120), rng.integers(0, 2, 120)
        items.append((eventsnn.make_events(t, x, y, p), label))
    return network, items


@pytest.mark.parametrize("step_us", [0, 250])
def test_figures_are_those_of_a_run(benchmark, step_us):
    network, items = case()
    steps = {"schedule": "step", "step_us": step_us} if step_us else {}
    table = eventsnn.simulate(network, items, **steps).table
    found, runs = benchmark.run(network, items, step_us)
    assert found["accuracy"] == 100 * (table.column("prediction") == np.arange(4)).mean()
    for name in ("synaptic_operations", "spikes"):
        assert found[name] == table.column(name).mean()
        assert found[name] > 100
    assert len(runs) == 4


def test_layers_in_steps_are_compared_with_those_event_by_event(benchmark):
    network, items = case()
    steps, events = (benchmark.run(network, items, step_us)[1] for step_us in (250, 0))
    same = benchmark.layers(network, events, events)
    assert [row[0] for row in same] == ["layer1", "layer2"]
    assert all(row[3:] == ["0.0 %", "0.0 %"] for row in same)
    rows = benchmark.layers(network, steps, events)
    for row in rows:
        counts = [np.concatenate([run.counts[row[0]] for run in runs]) for runs in (steps, events)]
        assert row[3] == f"{100 * (counts[0] != counts[1]).mean():.1f} %"
        assert float(row[1]) == pytest.approx(counts[0].sum() / 4, rel=0.005)
        assert float(row[2]) == pytest.approx(counts[1].sum() / 4, rel=0.005)
        assert counts[0].sum() < counts[1].sum()
