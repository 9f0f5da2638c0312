"""NEST's side of ``edge_list.py``: the network as an explicit list of synapses.

    .venv-peers/bin/python benchmarks/rival_nest.py JOB.npz RESULT.npz

It runs in the rivals' own environment and imports nothing of this project. Neurons are iaf_psc_delta
without leak (a time constant of 10^9 steps) at a resolution of one step, in quanta: threshold half a
quantum lower, so that rounding decides nothing. Only ``Simulate`` is timed, not the building nor the
setting of spike times. Handing every spike to each of its listed synapses bounds it.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from importlib.metadata import version
from typing import Any

import nest
import numpy as np

NO_LEAK = 1e9
FAR_BELOW = -1e9


def build(job: dict[str, Any], arrays: Any, record: bool) -> tuple[dict[str, Any], Any]:
    """Populations by name, and the recorder of all spikes or None."""
    nest.ResetKernel()
    nest.resolution = 1.0
    nest.local_num_threads = 1
    nodes = {job["input"]: nest.Create("spike_generator", job["sizes"][job["input"]])}
    for name, size in job["sizes"].items():
        if name == job["input"]:
            continue
        # The readout never fires.
        threshold = job["threshold"] - 0.5 if name != job["output"] else 1e12
        nodes[name] = nest.Create("iaf_psc_delta", size, {
            "tau_m": NO_LEAK, "C_m": 1.0, "t_ref": 0.0, "E_L": 0.0,
            "V_reset": 0.0, "V_m": 0.0, "V_th": threshold,
        })  # fmt: skip
    for place, (source, target) in enumerate(job["projections"]):
        weight = arrays[f"weight{place}"].astype(float)
        pre = np.array(nodes[source].tolist())[arrays[f"source{place}"]]
        post = np.array(nodes[target].tolist())[arrays[f"target{place}"]]
        nest.Connect(pre, post, "one_to_one", {"weight": weight, "delay": np.ones(len(weight))})
    recorder = None
    if record:
        recorder = nest.Create("spike_recorder")
        for name in job["sizes"]:
            if name not in (job["input"], job["output"]):
                nest.Connect(nodes[name], recorder)
    return nodes, recorder


def simulate(
    job: dict[str, Any], nodes: dict[str, Any], biases: dict[str, Any], spikes: np.ndarray
) -> tuple[float, float, float]:
    """One sample of shape (steps, input neurons) from rest; CPU and wall-clock seconds, and its start.

    Every connection takes a step, so a population of depth d lives d steps later than the input, and its
    bias flows in those steps only.
    """
    layers = [name for name in job["sizes"] if name != job["input"]]
    # Two steps in which nothing can fire deliver what the sample before left on its way.
    for name in layers:
        nodes[name].V_m = FAR_BELOW
    nest.Simulate(2.0)
    start = nest.biological_time
    for generator, fired in zip(nodes[job["input"]], spikes.T, strict=True):
        generator.spike_times = (start + 1.0 + np.flatnonzero(fired)).tolist()
    for name in layers:
        nodes[name].V_m = 0.0
    steps = len(spikes)
    changes = sorted({*range(len(layers) + 1), *range(steps + 1, steps + len(layers) + 2)})
    cpu = wall = 0.0
    for step, until in itertools.pairwise(changes):
        for depth, name in enumerate(layers, 1):
            if step in (depth, depth + steps):
                nodes[name].I_e = biases[name] if step == depth else 0.0
        started, started_cpu = time.perf_counter(), time.process_time()
        nest.Simulate(float(until - step))
        cpu += time.process_time() - started_cpu
        wall += time.perf_counter() - started
    return cpu, wall, start


def main() -> None:
    """Run the job."""
    source, target = sys.argv[1:]
    nest.verbosity = nest.VerbosityLevel.ERROR
    arrays = np.load(source)
    job = json.loads(str(arrays["job"]))
    result: dict[str, Any] = {"version": version("nest-simulator")}
    biases = {name: arrays[f"bias/{name}"].astype(float) for name in job["sizes"] if name != job["input"]}
    nodes, recorder = build(job, arrays, record=True)
    for sample in range(job["compared"]):
        recorder.n_events = 0
        *_, start = simulate(job, nodes, biases, arrays["spikes"][sample])
        events = recorder.events
        times, senders = np.array(events["times"]) - start, np.array(events["senders"])
        for name, population in nodes.items():
            members = population.tolist()
            mine = (senders >= members[0]) & (senders <= members[-1])
            result[f"spikes{sample}/{name}"] = np.stack([times[mine], senders[mine] - members[0]])
        result[f"charge{sample}"] = np.asarray(nodes[job["output"]].V_m)
    built, built_cpu = time.perf_counter(), time.process_time()
    nodes, _ = build(job, arrays, record=False)
    result["build_seconds"] = np.array([time.process_time() - built_cpu, time.perf_counter() - built])
    simulate(job, nodes, biases, arrays["spikes"][0])
    seconds = np.zeros((2, job["repeats"], job["timed"]))
    for repeat in range(job["repeats"]):
        for sample in range(job["timed"]):
            seconds[:, repeat, sample] = simulate(job, nodes, biases, arrays["spikes"][sample])[:2]
    result["seconds"] = seconds
    np.savez(target, **result)


if __name__ == "__main__":
    main()
