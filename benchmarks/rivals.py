"""D2 and D3: time per sample against the clock-driven libraries sinabs and spikingjelly, at batch one.

    EVENTSNN_DATA=... python benchmarks/rivals.py [--json] [--quick] [--only A|B]

The rivals run in ``.venv-peers`` (``make bench-peers``) on the very same weights, whole quanta in
float32. *Equal spikes*: on the step schedule every neuron must spike in the same steps as in both rivals,
and the readout's charge be the same, before a time is quoted. *Equal accuracy*: the rivals run for the
fewest steps in which they get as many of the same images right, with the coding (Bernoulli spikes, or the
image held as a constant input) that suits them better. *Exit rule*: its threshold is chosen on images that
were neither trained on nor tested, so that no decision is lost there; on the test images it may be half a
point less accurate than the rivals' run of all steps, and the faster of our schedules counts. Dense
convolutions of every step bound the rivals, so what counts is how few neurons spike, and how soon the
answer is there.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measure import Figure, Report, Times, alternate, arguments, machine, pin_one_thread, rival_python, si
from networks import THRESHOLD, UNIT, NoData, Workload, bernoulli, changed, one_shot, pool_of, spike_stimulus
from numpy.typing import NDArray

from eventsnn.counting.counters import COLUMN
from eventsnn.decide import parse_rule
from eventsnn.engine import RunOptions, SampleRun, Stimulus, make_engine
from eventsnn.errors import EventsnnError
from eventsnn.network import Conv2d, Network

LIBRARIES = ("sinabs", "spikingjelly")
STEPS, SPARSE_STEPS = 32, 128
LONGEST = {"A": 64, "B": 32}
"""Steps in which the rivals may reach an accuracy."""
DENSE_BARS = {"A": {"step": 2.5, "event": 1.3}, "B": {"step": 2.5, "event": 1.0}}
EXIT_BARS = {"A": 8.0, "B": 5.0}
SIGNED_BAR, SPARSE_BARS = 5.0, {"step": 20.0}
EQUAL_ACCURACY = 0.005
EXIT_THRESHOLDS = [1 - 10.0 ** (-quarter / 4) for quarter in range(1, 49)]


class NotEqual(Exception):
    """Where a rival's run differs from ours."""


class RivalFailed(Exception):
    """Why a rival did not run: it is not installed, or ended with an error."""


def layers_of(network: Network) -> tuple[list[dict[str, Any]], dict[str, NDArray]]:
    """A network as plain layers with float32 weights: quanta over the threshold, an exact division.

    A rival averages over pools where a spike of ours has the divided weight: multiplied back here.
    """
    layers, arrays = [], {}
    for place, name in enumerate(network.order[1:]):
        (projection,) = network.incoming(name)
        pool, synapses = pool_of(projection), projection.synapses
        source, target = (network.populations[n].shape for n in (projection.source, name))
        weight = synapses.weight.astype(np.float64) * pool**2 / THRESHOLD
        if isinstance(synapses, Conv2d):
            weight = weight.transpose(3, 2, 0, 1)
        else:
            cells = (source[0] // pool, source[1] // pool, source[2])
            weight = weight.reshape(*cells, -1).transpose(3, 2, 0, 1).reshape(weight.shape[1], -1)
        arrays[f"weight{place}"] = _exact(weight)
        bias = network.bias(name).reshape(-1, target[2])[0] / THRESHOLD
        if bias.any():
            arrays[f"bias{place}"] = _exact(bias)
        layers.append({
            "kind": synapses.kind, "pool": pool, "spiking": name != network.output,
            "padding": synapses.y.pad_before if isinstance(synapses, Conv2d) else 0,
        })  # fmt: skip
    return layers, arrays


def _exact(values: NDArray[np.float64]) -> NDArray[np.float32]:
    found = np.ascontiguousarray(values, dtype=np.float32)
    if not np.array_equal(found, values):
        raise NotEqual("weights are not whole numbers of quanta in float32")
    return found


def run_rival(library: str, network: Network, runs: list[dict[str, Any]], inputs: dict[str, Any]) -> Any:
    """Let a rival run a job in its own environment; see ``rival_tensors.py``."""
    layers, arrays = layers_of(network)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "job.npz", Path(folder) / "result.npz"
        np.savez(source, job=json.dumps({"layers": layers, "runs": runs}), **arrays, **inputs)
        script = Path(__file__).with_name("rival_tensors.py")
        done = subprocess.run(
            [str(rival_python()), str(script), library, str(source), str(target)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RivalFailed(f"{library} did not run: {done.stderr.strip().splitlines()[-1]}")
        with np.load(target) as file:
            return {name: file[name] for name in file.files}


def channels_first(values: NDArray) -> NDArray:
    """(..., y, x, channel) as (..., channel, y, x)."""
    return np.ascontiguousarray(np.moveaxis(values, -1, -3))


def rival_times(result: dict[str, NDArray], name: str) -> Times:
    """Seconds of all timed samples together, by repeat."""
    cpu, wall = result[f"{name}/seconds"].sum(axis=2)
    return Times(tuple(cpu.tolist()), tuple(wall.tolist()))


def check_equal(network: Network, run: SampleRun, result: dict[str, NDArray], name: str, sample: int) -> int:
    """Every neuron's spikes in every step, and the readout's charge; returns how many spikes agree.

    Raises
    ------
    NotEqual
        Names the layer and how many spikes differ.
    """
    assert run.spikes is not None
    steps = len(result[f"{name}/output{sample}"])
    agreed = 0
    for rank, population in enumerate(network):
        if population.name in (network.input, network.output):
            continue
        height, width, channels = population.shape
        bits = np.unpackbits(result[f"{name}/spikes{sample}/{rank - 1}"], axis=1, count=population.size)
        theirs = bits.reshape(steps, channels, height, width).transpose(0, 2, 3, 1).reshape(steps, -1)
        ours = np.zeros_like(theirs)
        mine = run.spikes.rank == rank
        # A step's spikes carry the tick at which it ends.
        ours[run.spikes.time[mine] // UNIT - 1, run.spikes.neuron[mine]] = 1
        wrong = int((ours != theirs).sum())
        if wrong or int(mine.sum()) != int(theirs.sum()):
            raise NotEqual(f"{wrong} spikes of {population.name!r} differ, of {int(theirs.sum())}")
        agreed += int(theirs.sum())
    output = result[f"{name}/output{sample}"].sum(axis=0, dtype=np.float64) * THRESHOLD
    if not np.array_equal(output, run.charge[network.output]):
        raise NotEqual("the readout's charges differ")
    return agreed


def engine_job(network: Network, stimuli: Sequence[Stimulus], options: RunOptions | None = None) -> Any:
    """A function that runs all stimuli through a fresh engine, for ``alternate``."""
    engine = make_engine("compiled", network, None, options)

    def run() -> None:
        for index, stimulus in enumerate(stimuli):
            engine.run(stimulus, index)

    return run


def measure_equal_spikes(
    report: Report,
    network: Network,
    name: str,
    spikes: NDArray[np.bool_],
    bars: Mapping[str, float],
    quick: bool,
) -> list[Any]:
    """Our engine and the rivals on the same spikes: equal in the step schedule, then timed.

    ``bars`` by schedule.
    """
    samples, steps = spikes.shape[:2]
    repeats = 2 if quick else 5
    stimuli = [spike_stimulus(sample) for sample in spikes]
    # One spike a step, as the rivals' neurons; the event schedule needs no such rule.
    stepped = changed(network, multispike=False)
    compared = min(2, samples)
    job = {"name": "dense", "input": "spikes", "steps": steps, "compared": compared, "timed": samples}
    inputs = {"spikes": channels_first(spikes.astype(np.uint8))}
    results = {lib: run_rival(lib, stepped, [job | {"repeats": repeats}], inputs) for lib in LIBRARIES}
    options = RunOptions(schedule="step")
    recorder = make_engine("compiled", stepped, None, RunOptions(schedule="step", record_spikes=True))
    agreed = operations = 0
    for sample in range(compared):
        run = recorder.run(stimuli[sample], sample)
        operations += int(run.counters[:, COLUMN["synaptic_operations"]].sum())
        for library, result in results.items():
            try:
                agreed += check_equal(stepped, run, result, "dense", sample)
            except NotEqual as difference:
                raise NotEqual(f"{library}, sample {sample}: {difference}") from None
    jobs = {
        "eventsnn, step": engine_job(stepped, stimuli, options),
        "eventsnn, event": engine_job(network, stimuli),
    }
    times: dict[str, Times] = alternate(jobs, repeats)
    times |= {f"{lib} {results[lib]['version']}": rival_times(results[lib], "dense") for lib in LIBRARIES}
    best = min(times[key].median for key in list(times)[2:])
    report.add(
        "D2",
        *(
            Figure(equal_spikes(name, which), best / times[f"eventsnn, {which}"].median, bar)
            for which, bar in bars.items()
        ),
        **{
            name: {
                "samples": samples, "steps": steps, "equal_spikes": agreed // len(LIBRARIES),
                "synaptic_operations": operations / compared,
                "ms_a_sample": {key: value.median / samples * 1e3 for key, value in times.items()},
                "times": {key: value.detail() for key, value in times.items()},
            }
        },
    )  # fmt: skip
    return [
        [
            name, key, f"{value.median / samples * 1e3:.2f}",
            si(operations / compared / value.median * samples),
            f"{best / value.median:.2f}", f"{value.spread:.0%}",
        ]
        for key, value in times.items()
    ]  # fmt: skip


def equal_spikes(name: str, schedule: str) -> str:
    """What a figure of ``measure_equal_spikes`` is called."""
    return f"{name}: best rival / ours, {schedule} schedule, equal spikes"


def steps_needed(outputs: NDArray, labels: NDArray, accuracy: float) -> int | None:
    """The first step from which on the summed outputs are right as often as asked for; None if never."""
    right = (outputs.cumsum(axis=1).argmax(axis=2) == labels[:, None]).mean(axis=0)
    enough = right >= accuracy
    return int(np.flatnonzero(enough)[0]) + 1 if enough.any() else None


def measure_signed(report: Report, workload: Workload, images: int, quick: bool) -> list[list[Any]]:
    """The signed network's answer against the rivals' run that is right as often.

    The bar is for the faster of two starts: empty, or at rest, as a device does that is always on. Final
    counts are the same (law 9); at rest there are no spikes that say what no input means, but corrections
    where the image differs from it.
    """
    name, longest = workload.name, LONGEST[workload.name]
    pixels, labels = workload.pixels(images), workload.labels[:images]
    networks = {"eventsnn, from rest": workload.signed.at_rest(), "eventsnn, from zero": workload.signed}
    engines = {key: make_engine("compiled", network) for key, network in networks.items()}
    stimuli = [one_shot(sample) for sample in pixels]
    runs = {key: [e.run(s, i) for i, s in enumerate(stimuli)] for key, e in engines.items()}
    rest, zero = ([run.prediction for run in found] for found in runs.values())
    if rest != zero:
        raise NotEqual("a signed network decides otherwise from rest than from zero")
    accuracy = float(np.mean(np.array(rest) == labels))
    operations = {
        key: sum(int(run.counters[:, COLUMN["synaptic_operations"]].sum()) for run in found) / images
        for key, found in runs.items()
    }
    timed, repeats = min(10 if name == "A" else 3, images), 2 if quick else 5
    times = alternate(
        {key: engine_job(network, stimuli[:timed]) for key, network in networks.items()}, repeats
    )
    inputs = {
        "spikes": channels_first(bernoulli(pixels, longest).astype(np.uint8)),
        "held": channels_first(pixels),
    }
    codings = [{"name": n, "input": n, "steps": longest, "samples": images} for n in inputs]
    # Spikes of both rivals are the same, so one of them tells how many steps both need.
    found = run_rival("sinabs", workload.rate, codings, inputs)
    needed = {n: steps_needed(found[f"{n}/outputs"], labels, accuracy) for n in inputs}
    coding = min(needed, key=lambda n: needed[n] or longest + 1)
    steps = needed[coding] or longest
    job = {"name": "needed", "input": coding, "steps": steps, "timed": timed, "repeats": repeats}
    for library in LIBRARIES:
        result = run_rival(library, workload.rate, [job], inputs)
        times[f"{library} {result['version']}"] = rival_times(result, "needed")
    best = min(value.median for key, value in times.items() if key not in networks)
    ours = min(times[key].median for key in networks)
    report.add(
        "D2",
        Figure(f"{name} signed: best rival / ours, equal accuracy", best / ours, SIGNED_BAR),
        **{
            f"{name} signed": {
                "images": images, "accuracy": accuracy, "trained_accuracy": workload.accuracy,
                "steps_needed": needed, "coding": coding, "steps": steps, "synaptic_operations": operations,
                "ratios": {key: best / times[key].median for key in networks},
                "ms_a_sample": {key: value.median / timed * 1e3 for key, value in times.items()},
                "times": {key: value.detail() for key, value in times.items()},
            }
        },
    )  # fmt: skip
    which = f"{coding}, {steps}{'' if needed[coding] else '+'} steps"
    return [
        [
            name, key, f"{accuracy:.1%}" if key in networks else which,
            si(operations[key]) if key in operations else "",
            f"{value.median / timed * 1e3:.2f}", f"{best / value.median:.2f}",
        ]
        for key, value in times.items()
    ]  # fmt: skip


def exit_threshold(network: Network, schedule: str, workload: Workload, images: int) -> float:
    """The smallest margin from which on early decisions on spare images are right as often as full runs.

    One full run of each image serves all thresholds, by its trace (design, law 6).
    """
    labels = workload.spare_labels[:images]
    engine = make_engine("compiled", network, None, RunOptions(schedule=schedule))
    scale = float(network.populations[network.output].neuron.unit)
    right = np.zeros((len(EXIT_THRESHOLDS), images), dtype=bool)
    full = np.zeros(images, dtype=bool)
    for index, sample in enumerate(bernoulli(workload.pixels(images, spare=True), STEPS)):
        run = engine.run(spike_stimulus(sample), index)
        full[index] = run.prediction == labels[index]
        readout = run.trace.readout
        terms = np.exp((readout - readout.max(axis=1, keepdims=True)) * scale)
        ordered = np.sort(terms / terms.sum(axis=1, keepdims=True), axis=1)
        reached = np.maximum.accumulate(ordered[:, -1] - ordered[:, -2])
        check = np.minimum(np.searchsorted(reached, EXIT_THRESHOLDS), len(reached) - 1)
        right[:, index] = readout[check].argmax(axis=1) == labels[index]
    short = np.flatnonzero(right.mean(axis=1) < full.mean())
    return [*EXIT_THRESHOLDS, 1.0][int(short[-1]) + 1 if len(short) else 0]


def measure_exit(report: Report, workload: Workload, images: int, timed: int, quick: bool) -> list[list[Any]]:
    """Time to our decision with an exit rule, in both schedules, against the rivals' run of all steps."""
    name, repeats = workload.name, 2 if quick else 5
    labels, spikes = workload.labels[:images], bernoulli(workload.pixels(images), STEPS)
    stimuli = [spike_stimulus(sample) for sample in spikes]
    networks = {"event": workload.rate, "step": changed(workload.rate, multispike=False)}
    detail: dict[str, Any] = {"images": images, "timed": timed}
    everyone: dict[str, tuple[float, str]] = {}
    jobs = {}
    for schedule, network in networks.items():
        threshold = exit_threshold(network, schedule, workload, images)
        options = RunOptions(schedule=schedule, exit_rule=parse_rule(f"margin:{threshold!r}"))
        engine = make_engine("compiled", network, None, options)
        runs = [engine.run(stimulus, index) for index, stimulus in enumerate(stimuli)]
        right = float(np.mean([run.prediction == label for run, label in zip(runs, labels, strict=True)]))
        units = median(run.decision_time / UNIT for run in runs)
        key = f"eventsnn, {schedule}, margin:1-{1 - threshold:.1e}"
        everyone[key] = (right, f"{units:.1f}")
        jobs[key] = engine_job(network, stimuli[:timed], options)
        detail[schedule] = {"margin": threshold, "accuracy": right, "decided_after_units_p50": units}
    times = alternate(jobs, repeats)
    inputs = {"spikes": channels_first(spikes[:timed].astype(np.uint8))}
    job = {"name": "all", "input": "spikes", "steps": STEPS, "timed": timed, "repeats": repeats}
    # Spikes in the step schedule are theirs (D2), so its full run tells how often they are right.
    full = make_engine("compiled", networks["step"], None, RunOptions(schedule="step"))
    decided = [full.run(stimulus, index).prediction for index, stimulus in enumerate(stimuli)]
    theirs = float((np.array(decided) == labels).mean())
    for library in LIBRARIES:
        result = run_rival(library, networks["step"], [job], inputs)
        key = f"{library} {result['version']}"
        times[key] = rival_times(result, "all")
        everyone[key] = (theirs, str(STEPS))
    best = min(value.median for key, value in times.items() if key not in jobs)
    as_accurate = {key: times[key].median for key in jobs if everyone[key][0] >= theirs - EQUAL_ACCURACY}
    worse = "" if as_accurate else f"accuracy is more than {EQUAL_ACCURACY:.1%} below {theirs:.1%}"
    report.add(
        "D3",
        Figure(
            f"{name}: best rival's {STEPS} steps / our decision",
            best / min(as_accurate.values()) if as_accurate else None,
            EXIT_BARS[name], skipped=worse, failed=bool(worse),
        ),
        **{
            name: detail | {
                "accuracy_of_all_steps": theirs, "ratios": {key: best / times[key].median for key in jobs},
                "ms_a_sample": {key: value.median / timed * 1e3 for key, value in times.items()},
                "times": {key: value.detail() for key, value in times.items()},
            }
        },
    )  # fmt: skip
    return [
        [
            name, key, f"{everyone[key][0]:.1%}", everyone[key][1],
            f"{value.median / timed * 1e3:.2f}", f"{best / value.median:.2f}",
        ]
        for key, value in times.items()
    ]  # fmt: skip


def attempt(report: Report, number: str, bars: Mapping[str, float], measured: Any) -> list[list[Any]]:
    """Run one measurement; what cannot be run here is reported as such and not hidden.

    ``bars`` by figure.
    """
    try:
        rows: list[list[Any]] = measured()
    except (EventsnnError, NotEqual, RivalFailed) as reason:
        failed = isinstance(reason, NotEqual)
        report.add(number, *(Figure(n, None, b, skipped=str(reason), failed=failed) for n, b in bars.items()))
        return []
    return rows


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__, lambda parser: parser.add_argument("--only", choices=DENSE_BARS))
    names = [chosen.only] if chosen.only else list(DENSE_BARS)
    quick = chosen.quick
    report = Report(detail={"D2": {"machine": machine()}, "D3": {"machine": machine()}})
    try:
        if rival_python() is None:
            raise NoData("no .venv-peers with the rivals; make it with: make bench-peers")
        workloads = [Workload(name) for name in names]
    except NoData as reason:
        for number, bar in (("D2", DENSE_BARS["A"]["step"]), ("D3", EXIT_BARS["A"])):
            report.add(number, Figure("best rival / ours", None, bar, skipped=str(reason)))
        report.show(chosen.json)
        return
    equal, signed, early = [], [], []
    for workload in workloads:
        name = workload.name
        samples, images, early_images = {"A": (10, 500, 1000), "B": (3, 200, 400)}[name]
        if quick:
            samples, images, early_images = {"A": (3, 60, 60), "B": (1, 12, 12)}[name]
        pixels = workload.pixels(samples)
        bars = DENSE_BARS[name]
        equal += attempt(
            report, "D2", {equal_spikes(f"{name} dense", which): bar for which, bar in bars.items()},
            lambda w=workload, p=pixels, b=bars: measure_equal_spikes(
                report, w.rate, f"{w.name} dense", bernoulli(p, STEPS), b, quick
            ),
        )  # fmt: skip
        if name == "A":
            equal += attempt(
                report, "D2",
                {equal_spikes("A 2 % input", which): bar for which, bar in SPARSE_BARS.items()},
                lambda w=workload, p=pixels: measure_equal_spikes(
                    report, changed(w.rate, biases=False), "A 2 % input",
                    bernoulli(p, SPARSE_STEPS, 0.02), SPARSE_BARS, quick,
                ),
            )  # fmt: skip
        signed += attempt(
            report, "D2", {f"{name} signed: best rival / ours, equal accuracy": SIGNED_BAR},
            lambda w=workload, n=images: measure_signed(report, w, n, quick),
        )  # fmt: skip
        early += attempt(
            report, "D3", {f"{name}: best rival's {STEPS} steps / our decision": EXIT_BARS[name]},
            lambda w=workload, n=early_images, s=samples: measure_exit(report, w, n, min(n, 5 * s), quick),
        )  # fmt: skip
    report.table("D2: equal spikes, batch of one", "net|who|ms a sample|SOP/s|rival / this|spread", equal)
    report.table(
        "D2: equal accuracy", "net|who|accuracy, or what it takes|SOPs|ms a sample|rival / this", signed
    )
    report.table("D3: time to the decision", "net|who|accuracy|units|ms a sample|rival / this", early)
    report.show(chosen.json)


if __name__ == "__main__":
    pin_one_thread()
    main()
