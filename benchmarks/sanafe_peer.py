"""A chip that runs step by step, against SANA-FE, live: its counts, energies, times, and how fast it is.

    python benchmarks/sanafe_peer.py [--json] [--quick]

SANA-FE 2.2.9 runs as a child process in ``.venv-peers`` (``make bench-peers``) on the Loihi description that
its own package brings, with networks drawn there and here from the same seed: the
acceptance case (8x8 inputs, 20 steps), a larger one (32x32), and a chain of dense layers that fill a
core's synapse memory, whose messages reach many synapses. Counts, energies and every step of the simple
rule must be those of the tests' oracle (``tests/oracles/naive_chip.py``), and on the acceptance case the
figures quoted for it; so must this engine's, whose step schedule runs the same on the same chip, timing rule
for timing rule: ``totals`` against the simple rule, ``messages`` (each followed) against the detailed one.
SANA-FE's detailed rule is held to the oracle's service in order of arrival by a tolerance, and
on the acceptance case to service in order of sending exactly (on the larger one its total differs from both
by less than 10^-4). Its reset loses the input, so the network is loaded anew for every repeat; only ``sim``
is timed, without traces, on one thread; of this engine the whole run of a sample. The speed bar is held to
the detailed rule, which does the most. What bounds SANA-FE: a look-up for every synaptic event, and in the
detailed rule a queue for every message; what bounds this engine: the messages, whose synapses are few here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from measure import Figure, Report, Times, alternate, arguments, machine, pin_one_thread, rival_python, si

NUMBER = "D4 SANA-FE"
AS_CHILD = "--as-child"
SEED = 7
EXACT = 1e-6
"""Relative; SANA-FE adds up floats."""
DETAILED_BAR, CYCLE_BAR = 0.01, 0.1
SPEED_BARS = {"acceptance": 15, "32x32": 50, "dense": 150}
DENSE_THRESHOLDS = (48, 800, 150)
RULE_OF_TIMING = {"totals": "simple", "messages": "detailed"}
"""What this engine calls SANA-FE's timing rules."""
COUNTS = ("spikes", "synaptic_events", "messages", "hops", "updates")
PARTS = ("synapse", "soma", "network", "total")
QUOTED = {
    "spikes": 1165, "synaptic_events": 13438, "messages": 1240, "hops": 3985, "updates": 3395,
    "synapse": 4.00459e-7, "soma": 3.221466e-7, "network": 1.515606e-7, "total": 8.741662e-7,
    "simple": 5.9666e-5, "detailed": 6.10482e-5, "cycle": 6.4281e-5,
}  # fmt: skip
"""The acceptance case: counts, joules, and seconds by the rule."""


@dataclass(frozen=True)
class Case:
    """A run of a network of the acceptance case's shape; ``cores``: those of each of its four layers.

    ``sizes``: it is a chain of dense layers of so many neurons instead, each on one core. ``quoted``: it is
    the acceptance case itself, run by the cycle-accurate network on chip as well.
    """

    name: str
    side: int
    steps: int
    cores: tuple[tuple[int, ...], ...]
    repeats: int
    quoted: bool = False
    sizes: tuple[int, ...] = ()


class SanafeFailed(Exception):
    """Why SANA-FE did not run."""


def dense_draws(case: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """Input spikes (steps, inputs) and weights (source, target) of a chain of dense layers."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    spikes = (rng.random((case["steps"], case["sizes"][0])) < 0.25).astype(int)
    return spikes, [rng.integers(-3, 6, shape) for shape in pairwise(case["sizes"])]


# SANA-FE's side, in its own environment: imports nothing of this project but this file and measure.


def build(case: Mapping[str, Any]) -> Any:
    """A chip of SANA-FE, and the case's network to be loaded on it."""
    import numpy as np
    import sanafe

    if case["sizes"]:
        spikes, weights = dense_draws(case)
    else:
        side, steps = case["side"], case["steps"]
        middle = side - 2
        last = (middle - 3) // 2 + 1
        rng = np.random.default_rng(SEED)
        spikes = (rng.random((steps, side * side)) < 0.25).astype(int)
        first = rng.integers(-3, 8, (3, 3, 1, 4)).astype(float)
        second = rng.integers(-3, 6, (3, 3, 4, 8)).astype(float)
        third = rng.integers(-3, 6, (8 * last * last, 10)).astype(float)

    architecture, network = sanafe.load_loihi(), sanafe.Network()

    def layer(name: str, size: int, threshold: float, synapse: str) -> Any:
        # What a synapse is charged as is named by the group it ends in; named by its source it has no effect.
        return network.create_neuron_group(
            name, size, model_attributes={"threshold": threshold},
            soma_hw_name="loihi_lif", default_synapse_hw_name=f"loihi_{synapse}_synapse",
        )  # fmt: skip

    groups = [network.create_neuron_group("inputs", spikes.shape[1])]
    if case["sizes"]:
        for place, (table, threshold) in enumerate(zip(weights, DENSE_THRESHOLDS, strict=True)):
            groups.append(layer(f"dense{place}", table.shape[1], float(threshold), "dense"))
            groups[-2].connect_neurons_dense(groups[-1], {"w": table.astype(float).ravel()})
    else:
        groups.append(layer("conv1", 4 * middle * middle, 16.0, "conv"))
        groups.append(layer("conv2", 8 * last * last, 24.0, "dense"))
        groups.append(layer("dense", 10, 24.0, "dense"))
        # Input width, height, channels; kernel width, height; channels out; strides.
        groups[0].connect_neurons_conv2d(groups[1], {"w": first.ravel()}, side, side, 1, 3, 3, 4, 1, 1)
        groups[1].connect_neurons_conv2d(groups[2], {"w": second.ravel()}, middle, middle, 4, 3, 3, 8, 2, 2)
        groups[2].connect_neurons_dense(groups[3], {"w": third.ravel()})
    for i in range(len(groups[0])):
        groups[0][i].set_attributes(
            soma_hw_name=f"loihi_inputs[{i}]", model_attributes={"spikes": spikes[:, i].tolist()}
        )
    cores = architecture.cores()
    for group, own in zip(groups, case["cores"], strict=True):
        for part, core in zip(np.array_split(np.arange(len(group)), len(own)), own, strict=True):
            for i in part.tolist():
                group[i].map_to_core(cores[core])
    return sanafe.SpikingChip(architecture), network


def simulate(case: Mapping[str, Any]) -> dict[str, Any]:
    """What SANA-FE finds, its times of every step by rule, and the seconds that ``sim`` takes by rule."""
    from importlib.metadata import version

    one_thread = {"processing_threads": 1, "scheduler_threads": 0}
    steps = case["steps"]
    found: dict[str, Any] = {"version": version("sanafe"), "step_s": {}, "cpu": {}, "wall": {}}
    chip, network = build(case)
    # First the cycle rule: run after another one in the same process, it gives slightly other times.
    for rule in (*(["cycle"] if case["quoted"] else []), "simple", "detailed"):
        chip.load(network)
        run = chip.sim(steps, timing_model=rule, perf_trace=True, **one_thread)
        trace = run["perf_trace"]
        found["step_s"][rule] = list(trace["sim_time"])
        if rule == "simple":
            found |= {"spikes": run["neurons_fired"], "synaptic_events": run["spikes"]}
            found |= {"messages": run["packets_sent"], "hops": int(sum(trace["hops"]))}
            # It counts inputs that fire as updated too.
            found["updates_with_inputs"] = run["neurons_updated"]
            found["energy_j"] = {part: run["energy"][part] for part in PARTS}
        if rule == "cycle":
            continue
        seconds = []
        for _ in range(case["repeats"]):
            chip.load(network)
            started, started_cpu = time.perf_counter(), time.process_time()
            chip.sim(steps, timing_model=rule, **one_thread)
            seconds.append((time.process_time() - started_cpu, time.perf_counter() - started))
        found["cpu"][rule], found["wall"][rule] = zip(*seconds, strict=True)
    return found


# This project's side.


def run_sanafe(case: Case) -> dict[str, Any]:
    """Let SANA-FE run the case in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        done = subprocess.run(
            [str(rival_python()), __file__, AS_CHILD, json.dumps(asdict(case)), str(result)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
            raise SanafeFailed(f"SANA-FE did not run (make bench-peers installs it): {last}")
        found: dict[str, Any] = json.loads(result.read_text())
        return found


def run_oracle(case: Case) -> dict[str, Any]:
    """The same by the tests' oracle, in the same words."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from oracles.naive_chip import acceptance_case, channels_last_orders, run_chip

    orders = None
    if case.sizes:
        net, chip, spikes = dense_chip(case)
    else:
        net, chip, spikes, shapes = acceptance_case(steps=case.steps, side=case.side, cores=case.cores)
        orders = channels_last_orders(net, shapes)
    run = run_chip(net, chip, spikes)
    run["energy_j"] = {part: run[f"{part}_fj"] * 1e-15 for part in PARTS}
    as_sent = run_chip(net, chip, spikes, first_in="sent")
    # This engine's cores walk their neurons by place, not by channel.
    run["walked_by_place_s"] = run_chip(net, chip, spikes, orders)["event_driven_ps"]
    by_rule = {"simple": run["simple_ps"], "detailed": run["event_driven_ps"]}
    by_rule["as sent"] = as_sent["event_driven_ps"]
    run["walked_by_place_s"] = sum(run["walked_by_place_s"]) * 1e-12
    run["step_s"] = {rule: [ps * 1e-12 for ps in steps] for rule, steps in by_rule.items()}
    return run


def dense_chip(case: Case) -> tuple[Any, Any, Any]:
    """A chain of dense layers as the oracle's net and chip, with its input spikes."""
    import numpy as np
    from oracles.naive_chip import DENSE, ChipNet, acceptance_case

    spikes, weights = dense_draws(asdict(case))
    start = np.cumsum([0, *case.sizes])
    places = [np.indices(table.shape).reshape(2, -1) for table in weights]
    net = ChipNet(
        is_input=np.arange(start[-1]) < case.sizes[0],
        threshold=np.repeat([0, *DENSE_THRESHOLDS], case.sizes),
        core=np.repeat([own[0] for own in case.cores], case.sizes),
        source=np.concatenate([place[0] + start[i] for i, place in enumerate(places)]),
        target=np.concatenate([place[1] + start[i + 1] for i, place in enumerate(places)]),
        weight=np.concatenate([table.ravel() for table in weights]),
        kind=np.repeat([DENSE], sum(table.size for table in weights)),
    )
    return net, acceptance_case(steps=1)[1], spikes.astype(bool)


def dense_comparison(case: Case, timing: str) -> tuple[Any, Any, Any]:
    """The same as this engine's network, mapping and input."""
    import numpy as np
    from builders.chip_case import STEP, chip_document

    from eventsnn.engine import Stimulus
    from eventsnn.hardware import Mapping, Part
    from eventsnn.hardware.architecture import parse_architecture
    from eventsnn.network import Dense, Input, IntegrateAndFire, Network, Population, Projection

    spikes, weights = dense_draws(asdict(case))
    populations = [Population("0", (1, 1, case.sizes[0]), Input())]
    projections = []
    for place, (table, threshold) in enumerate(zip(weights, DENSE_THRESHOLDS, strict=True), 1):
        neuron = IntegrateAndFire(threshold, reset="hard", strict=True, multispike=False, period=STEP)
        populations.append(Population(str(place), (1, 1, table.shape[1]), neuron))
        name = f"to {place}"
        projections.append(Projection(name, str(place - 1), str(place), Dense(table), delay=STEP))
    network = Network(populations, projections)
    parts = {
        population.name: (Part(population.name, own[0], 0, 1, 0, population.size),)
        for population, own in zip(populations, case.cores, strict=True)
    }
    mapping = Mapping(parse_architecture(chip_document(timing), "comparison"), parts)
    step, neuron_number = np.nonzero(spikes)
    return network, mapping, Stimulus(step * STEP, neuron_number, duration=case.steps * STEP)


def run_ours(case: Case, oracle: Mapping[str, Any], report: Report) -> dict[str, Times]:
    """This engine's times by SANA-FE's rule, its counts and times of all steps held to the oracle's."""
    from builders.chip_case import comparison

    from eventsnn.counting import COLUMN
    from eventsnn.engine import RunOptions, make_engine

    times = {}
    for timing, rule in RULE_OF_TIMING.items():
        network, mapping, stimulus = (
            dense_comparison(case, timing)
            if case.sizes
            else comparison(case.steps, case.side, timing=timing, cores=case.cores)
        )
        engine = make_engine("compiled", network, mapping, RunOptions(schedule="step"))
        run = engine.run(stimulus)
        total = run.counters.sum(axis=0)
        counts = {
            "spikes": total[COLUMN["input_events"]] + total[COLUMN["spikes_positive"]],
            "synaptic_events": total[COLUMN["synapses_served"]],
            "messages": total[COLUMN["messages_sent"]],
            "hops": total[COLUMN["hops_x"]] + total[COLUMN["hops_y"]],
            "updates": total[COLUMN["active_updates"]],
        }
        wrong = sum(int(found) != oracle[name] for name, found in counts.items())
        expected = sum(oracle["step_s"]["simple"]) if rule == "simple" else oracle["walked_by_place_s"]
        late = apart(run.decision_time * 1e-12, expected)
        report.add(
            NUMBER,
            Figure(f"{case.name}: counts of timing {timing} that differ", wrong, 0, at_most=True),
            Figure(f"{case.name}: timing {timing} and the oracle apart", late, EXACT, at_most=True),
        )
        jobs = {rule: partial(engine.run, stimulus)}
        times |= alternate(jobs, 3 * case.repeats)
    return times


def apart(left: float, right: float) -> float:
    """The relative difference."""
    return abs(left - right) / abs(right)


def compare(report: Report, case: Case, theirs: dict[str, Any], oracle: dict[str, Any]) -> list[list[Any]]:
    """Hold SANA-FE's numbers to the oracle's; a row for every quantity."""
    theirs["updates"] = theirs["updates_with_inputs"] - oracle["input_spikes"]
    quoted = QUOTED if case.quoted else {}
    rows = []

    def row(quantity: str, key: str, value: float, other: float | None, unit: str = "") -> None:
        def show(number: float | None) -> str:
            return "" if number is None else (f"{number:.6e} {unit}" if unit else str(number))

        rows.append([case.name, quantity, show(value), show(other), show(quoted.get(key))])

    for name in COUNTS:
        row(name.replace("_", " "), name, theirs[name], oracle[name])
    for part in PARTS:
        row(f"energy, {part}", part, theirs["energy_j"][part], oracle["energy_j"][part], "J")
    total = {rule: sum(steps) for rule, steps in theirs["step_s"].items()}
    expected = {rule: sum(steps) for rule, steps in oracle["step_s"].items()}
    for rule in ("simple", "detailed", "cycle"):
        if rule in total:
            row(f"time, {rule} rule", rule, total[rule], expected.get(rule), "s")
    row("time, detailed rule, served as sent", "detailed", total["detailed"], expected["as sent"], "s")

    counts = sum(theirs[name] != oracle[name] for name in COUNTS)
    exact = [apart(theirs["energy_j"][part], oracle["energy_j"][part]) for part in PARTS]
    exact += map(apart, theirs["step_s"]["simple"], oracle["step_s"]["simple"])
    sent = max(map(apart, theirs["step_s"]["detailed"], oracle["step_s"]["as sent"]))
    figures = [
        Figure(f"{case.name}: counts that differ from the oracle's", counts, 0, at_most=True),
        Figure(f"{case.name}: energy and simple rule, farthest apart", max(exact), EXACT, at_most=True),
        Figure(
            f"{case.name}: event-driven and detailed rule apart",
            apart(expected["detailed"], total["detailed"]), DETAILED_BAR, at_most=True,
        ),
    ]  # fmt: skip
    if case.quoted:
        figures += [
            Figure(f"{case.name}: detailed rule, served as sent, farthest apart", sent, EXACT, at_most=True),
            Figure(
                f"{case.name}: event-driven and cycle rule apart",
                apart(expected["detailed"], total["cycle"]), CYCLE_BAR, at_most=True,
            ),
        ]  # fmt: skip
    report.add(NUMBER, *figures)
    report.detail[NUMBER][case.name] = {
        "counts": {name: theirs[name] for name in COUNTS}, "energy_j": theirs["energy_j"],
        "time_s": total, "oracle_time_s": expected, "served_as_sent_farthest_apart": sent,
    }  # fmt: skip
    return rows


def speeds(report: Report, case: Case, events: int, times: Mapping[str, Times]) -> list[list[Any]]:
    """Figures and rows of how fast each of ``times`` goes through the case's synaptic events."""
    rows = []
    for who, value in times.items():
        speed = events / value.median
        report.add(NUMBER, Figure(f"{case.name}: {who}, synaptic events/s", speed, None))
        rows.append(
            [case.name, who, si(events), f"{value.median * 1e3:.3g}", si(speed), f"{value.spread:.0%}"]
        )
    detail = {who: value.detail() | {"synaptic_events": events} for who, value in times.items()}
    report.detail[NUMBER][case.name]["times"] = detail
    return rows


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report(detail={NUMBER: {"machine": machine()}})
    quick = chosen.quick
    cases = [
        Case("acceptance", 8, 20, ((0,), (5, 40), (77,), (124,)), 5 if quick else 25, quoted=True),
        Case(
            "32x32", 32, 20 if quick else 150, ((0,), (5, 40, 49, 84), (77, 110), (124,)),
            2 if quick else 5,
        ),
        Case(
            "dense", 0, 20 if quick else 100, ((0,), (5,), (77,), (124,)), 2 if quick else 5,
            sizes=(128, 1024, 128, 10),
        ),
    ]  # fmt: skip
    same, fast = [], []
    try:
        if rival_python() is None:
            raise SanafeFailed("no .venv-peers with SANA-FE; make it with: make bench-peers")
        for case in cases:
            theirs, oracle = run_sanafe(case), run_oracle(case)
            same += compare(report, case, theirs, oracle)
            rivals = {
                rule: Times(tuple(cpu), tuple(theirs["wall"][rule])) for rule, cpu in theirs["cpu"].items()
            }
            ours = run_ours(case, oracle, report)
            named = {f"SANA-FE {theirs['version']}, {rule}": time for rule, time in rivals.items()}
            named |= {f"eventsnn, {rule}": time for rule, time in ours.items()}
            fast += speeds(report, case, oracle["synaptic_events"], named)
            for rule, time in ours.items():
                ratio = rivals[rule].median / time.median
                bar = SPEED_BARS[case.name] if rule == "detailed" else None
                report.add(NUMBER, Figure(f"{case.name}: SANA-FE / eventsnn, {rule} rule", ratio, bar))
    except SanafeFailed as reason:
        report.add(NUMBER, Figure("SANA-FE: synaptic events/s", None, None, skipped=str(reason)))
    report.table("D4: the same network and chip", "net|quantity|SANA-FE|oracle|quoted", same)
    report.table("D4: speed, one thread", "net|who|synaptic events|ms|events/s|spread", fast)
    report.show(chosen.json)


if __name__ == "__main__":
    if sys.argv[1:2] == [AS_CHILD]:
        Path(sys.argv[3]).write_text(json.dumps(simulate(json.loads(sys.argv[2]))))
    else:
        pin_one_thread()
        main()
