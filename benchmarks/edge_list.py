"""D4: time per sample against NEST, which holds workload A as an explicit list of 9.5 million synapses.

    EVENTSNN_DATA=... python benchmarks/edge_list.py [--json] [--quick]

NEST has no reset by subtraction, so this is another network than elsewhere here, the same for both: hard
reset. On the step schedule every neuron must spike in the same steps (in NEST a step later for each layer,
since every connection there takes one) and the readout's charge agree to a thousandth of a threshold (NEST's
is a float) before a time is quoted. Of NEST only ``Simulate`` is timed. Looking up every synapse of every
spike in memory bounds it; sharing one kernel between all positions is what saves that here.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, Times, alternate, arguments, machine, pin_one_thread, rival_python, si
from networks import THRESHOLD, UNIT, NoData, Workload, bernoulli, changed, spike_stimulus
from numpy.typing import NDArray
from rivals import NotEqual, RivalFailed, attempt, engine_job

from eventsnn.counting.counters import COLUMN
from eventsnn.engine import RunOptions, SampleRun, make_engine
from eventsnn.network import Network

BAR = 50.0
NAME = "A: NEST / ours, equal spikes"
STEPS = 32


def run_nest(network: Network, spikes: NDArray[np.bool_], compared: int, repeats: int) -> dict[str, Any]:
    """Let NEST run the network's edges; see ``rival_nest.py``."""
    arrays: dict[str, NDArray] = {"spikes": spikes.reshape(*spikes.shape[:2], -1)}
    projections = sorted(network.projections)
    for place, name in enumerate(projections):
        source, target, weight = network.edges(name)
        arrays |= {f"source{place}": source.astype(np.int32), f"target{place}": target.astype(np.int32)}
        arrays[f"weight{place}"] = weight
    for name in network.order[1:]:
        arrays[f"bias/{name}"] = network.bias(name)
    job = {
        "sizes": {population.name: population.size for population in network},
        "projections": [
            (network.projections[n].source, network.projections[n].target) for n in projections
        ],
        "input": network.input, "output": network.output, "threshold": THRESHOLD,
        "compared": compared, "timed": len(spikes), "repeats": repeats,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        source_file, target_file = Path(folder) / "job.npz", Path(folder) / "result.npz"
        np.savez(source_file, job=json.dumps(job), **arrays)
        script = Path(__file__).with_name("rival_nest.py")
        done = subprocess.run(
            [str(rival_python()), str(script), str(source_file), str(target_file)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RivalFailed(f"NEST did not run: {done.stderr.strip().splitlines()[-1]}")
        with np.load(target_file) as file:
            return {name: file[name] for name in file.files}


def check_equal(network: Network, run: SampleRun, result: dict[str, NDArray], sample: int) -> int:
    """Every neuron's spikes in every step; returns how many there are."""
    assert run.spikes is not None
    agreed = 0
    for rank, name in enumerate(network.order):
        if name in (network.input, network.output):
            continue
        time, neuron = result[f"spikes{sample}/{name}"]
        theirs = set(zip(np.rint(time).astype(int).tolist(), neuron.astype(int).tolist(), strict=True))
        mine = run.spikes.rank == rank
        # Here as there a step's spikes carry the time at which it ends.
        step = run.spikes.time[mine] // UNIT + rank
        ours = set(zip(step.tolist(), run.spikes.neuron[mine].tolist(), strict=True))
        if ours != theirs:
            raise NotEqual(
                f"{len(ours ^ theirs)} spikes of {name!r} differ: {len(theirs)} in NEST, {len(ours)} here"
            )
        agreed += len(ours)
    far = np.abs(run.charge[network.output] - result[f"charge{sample}"]).max()
    if far > THRESHOLD / 1000:
        raise NotEqual(f"the readout's charges differ by up to {far:.3g} quanta")
    return agreed


def measure(report: Report, workload: Workload, samples: int, repeats: int) -> list[list[Any]]:
    """Our engine and NEST on the same spikes."""
    network = changed(workload.rate, reset="hard", multispike=False)
    spikes = bernoulli(workload.pixels(samples), STEPS)
    compared = min(2, samples)
    result = run_nest(network, spikes, compared, repeats)
    stimuli = [spike_stimulus(sample) for sample in spikes]
    options = RunOptions(schedule="step")
    recorder = make_engine("compiled", network, None, RunOptions(schedule="step", record_spikes=True))
    agreed = operations = 0
    for sample in range(compared):
        run = recorder.run(stimuli[sample], sample)
        operations += int(run.counters[:, COLUMN["synaptic_operations"]].sum())
        agreed += check_equal(network, run, result, sample)
    jobs = {
        "eventsnn, step": engine_job(network, stimuli, options),
        "eventsnn, event": engine_job(network, stimuli),
    }
    times = alternate(jobs, repeats)
    cpu, wall = result["seconds"].sum(axis=2)
    key = f"NEST {result['version']}"
    times[key] = Times(tuple(cpu.tolist()), tuple(wall.tolist()))
    ours, theirs = times["eventsnn, step"].median, times[key].median
    report.add(
        "D4",
        Figure(NAME, theirs / ours, BAR),
        **{
            "samples": samples, "steps": STEPS, "equal_spikes": agreed, "synapses": network.synapses(),
            "synaptic_operations": operations / compared,
            "ratio_event_schedule": theirs / times["eventsnn, event"].median,
            "ms_a_sample": {k: value.median / samples * 1e3 for k, value in times.items()},
            "nest_build_seconds": float(result["build_seconds"][1]),
            "times": {k: value.detail() for k, value in times.items()},
        },
    )  # fmt: skip
    return [
        [
            k, f"{value.median / samples * 1e3:.2f}", si(operations / compared * samples / value.median),
            f"{theirs / value.median:.1f}", f"{value.spread:.0%}",
        ]
        for k, value in times.items()
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report(detail={"D4": {"machine": machine()}})
    try:
        if rival_python() is None:
            raise NoData("no .venv-peers with NEST; make it with: make bench-peers")
        workload = Workload("A")
    except NoData as reason:
        report.add("D4", Figure(NAME, None, BAR, skipped=str(reason)))
        report.show(chosen.json)
        return
    samples, repeats = (2, 2) if chosen.quick else (5, 3)
    rows = attempt(report, "D4", {NAME: BAR}, lambda: measure(report, workload, samples, repeats))
    report.table("D4: workload A with hard reset", "who|ms a sample|SOP/s|NEST / this|spread", rows)
    report.show(chosen.json)


if __name__ == "__main__":
    pin_one_thread()
    main()
