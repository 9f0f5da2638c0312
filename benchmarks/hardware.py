"""The accelerator model against numbers from outside: SANA-FE's Loihi, TrueNorth, ODIN, SpikeSim.

    python benchmarks/hardware.py [--json]

B1 to B5: a network and a chip stated in words, run by the step schedule behind a barrier, must give what
SANA-FE gives for them (the live comparison is ``sanafe_peer.py``). B6, B7: affine power models
of measured chips at their published operating points. B10: a cost per timestep alone. B14: ELSA's latency of
ResNet-18 by the step after which a sample stops.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

TICKS = 1e12
COUNTS = {"spikes": 1165, "synaptic events": 13438, "messages": 1240, "hops": 3985, "LIF updates": 3395}
ENERGIES = {"synapse": 4.00459e-7, "soma": 3.221466e-7, "network": 1.515606e-7, "total": 8.741662e-7}
ACTIONS = {
    "synapse": ("synapse",),
    "soma": ("access", "update", "fire"),
    "network": ("serialise", "hop_x", "hop_y", "decode"),
}
FIRST_STEPS = (2.1334e-6, 2.2692e-6, 2.8912e-6, 2.8334e-6)
SIMPLE, DETAILED, CYCLE_ACCURATE = 5.9666e-5, 6.10482e-5, 6.4281e-5
EXACT = 1e-6


def run_case(timing: str, units: dict[str, str] | None = None) -> tuple[Any, Any, Any, np.ndarray]:
    """The accepted comparison: the run, its network, its chip, and how long each step lasted, seconds."""
    from builders.chip_case import STEP, comparison

    from eventsnn.engine import RunOptions, make_engine
    from eventsnn.hardware import Chip

    network, mapping, stimulus = comparison(timing=timing, units=units)
    engine = make_engine("compiled", network, mapping, RunOptions(schedule="step"))
    steps = stimulus.duration // STEP
    ends = [engine.run(first_steps(stimulus, n, STEP)).decision_time for n in range(1, steps + 1)]
    return engine.run(stimulus), network, Chip(mapping), np.diff(ends, prepend=0) / TICKS


def first_steps(stimulus: Any, steps: int, length: int) -> Any:
    """The input of the first so many steps."""
    from eventsnn.engine import Stimulus

    inside = stimulus.time < steps * length
    return Stimulus(stimulus.time[inside], stimulus.neuron[inside], duration=steps * length)


def joules(run: Any, network: Any, chip: Any) -> dict[str, float]:
    """Energy by what SANA-FE calls its parts."""
    from eventsnn.hardware.energy import energy_by_action

    found = {
        action: float(by_layer.sum())
        for action, by_layer in energy_by_action(run.counters, chip.energy(network.order, steps=True)).items()
    }
    parts = {part: sum(found[action] for action in actions) for part, actions in ACTIONS.items()}
    return parts | {"total": sum(found.values())}


def sanafe_case(report: Report) -> None:
    """B1 to B5."""
    from eventsnn.counting import COLUMN

    totals, network, chip, simple = run_case("totals")
    total = totals.counters.sum(axis=0)
    counts = {
        "spikes": total[COLUMN["input_events"]] + total[COLUMN["spikes_positive"]],
        "synaptic events": total[COLUMN["synapses_served"]],
        "messages": total[COLUMN["messages_sent"]],
        "hops": total[COLUMN["hops_x"]] + total[COLUMN["hops_y"]],
        "LIF updates": total[COLUMN["active_updates"]],
    }
    report.add("B1", *(Figure(name, int(n), COUNTS[name], within=0.0) for name, n in counts.items()))
    energies = joules(totals, network, chip)
    report.add("B2", *(Figure(f"{n}, J", energies[n], bar, within=EXACT) for n, bar in ENERGIES.items()))
    steps = [Figure(f"step {i + 1}, s", simple[i], bar, within=EXACT) for i, bar in enumerate(FIRST_STEPS)]
    report.add("B3", Figure("simple rule, s", simple.sum(), SIMPLE, within=EXACT), *steps)
    followed = run_case("messages")[3]
    report.add(
        "B4",
        Figure("event-driven, s", followed.sum(), DETAILED, within=0.01),
        Figure("least step / simple rule", float((followed / simple).min()), 1.0),
        Figure("against the cycle-accurate network, s", followed.sum(), CYCLE_ACCURATE, within=0.1),
    )
    other, network, chip, lasted = run_case("totals", {"conv1": "conv", "conv2": "conv"})
    synapse = joules(other, network, chip)["synapse"] / energies["synapse"] - 1
    time = lasted.sum() / simple.sum() - 1
    report.add(
        "B5",
        Figure("conv2 as conv synapse: synapse energy, %", round(100 * synapse, 1), -16.0, within=0.0),
        Figure("conv2 as conv synapse: time, %", round(100 * time, 1), -4.8, within=0.0),
    )


def power(name: str, rate: float, **changes: Any) -> float:
    """Watts of a preset that serves so many synaptic operations a second."""
    from eventsnn.hardware import load_architecture
    from eventsnn.hardware.architecture import parse_architecture

    document = load_architecture(name).document()
    for key, value in changes.items():
        document[key] = document[key] | {"value": value}
    found = parse_architecture(document, name)
    per_operation = found.energy_attojoules(found.action("synapse")) * 1e-18
    return rate * per_operation + found.static_watts


def affine_chips(report: Report) -> None:
    """B6 and B7: powers at published operating points."""
    events = 1_048_576 * 128 * 20.07
    watts = power("truenorth-affine", events) * 1e3
    report.add("B6", Figure("TrueNorth at 20.07 Hz, 128 synapses, mW", round(watts, 2), 70.62, within=0.0))
    points = ((75, 37.5e6, 476.93), (1.3, 0.65e6, 35.09))
    report.add(
        "B7",
        *(
            Figure(
                f"ODIN at {clock} MHz, {rate / 1e6:g} M/s, uW",
                round(power("odin", rate, clock=clock) * 1e6, 2), bar, within=0.0,
            )
            for clock, rate, bar in points
        ),
    )  # fmt: skip


def per_step(report: Report) -> None:
    """B10: five timesteps of an accelerator that is known by its cost per timestep only."""
    from builders.chip_case import chip_document, comparison, cost

    from eventsnn.engine import RunOptions, make_engine
    from eventsnn.hardware import Chip, Mapping
    from eventsnn.hardware.architecture import parse_architecture
    from eventsnn.hardware.energy import dynamic_energy_aj

    network, mapping, stimulus = comparison(steps=5)
    document = chip_document() | {"actions": {"step": cost(3181386.805248, 12566528)}, "synapse_units": {}}
    document["synchronisation"] = {"kind": "barrier"}
    mapping = Mapping(parse_architecture(document, "SpikeSim VGG9"), mapping.parts)
    run = make_engine("compiled", network, mapping, RunOptions(schedule="step")).run(stimulus)
    attojoules = dynamic_energy_aj(run.counters, Chip(mapping).energy(network.order, steps=True))
    report.add(
        "B10",
        Figure("energy of 5 steps, aJ", attojoules, 15906934026240, within=0.0),
        Figure("time of 5 steps, ns", run.decision_time / 1000, 62832640, within=0.0),
    )


def by_step(report: Report) -> None:
    """B14: mean latencies of histograms of stops, worked out in decimal from the published table."""
    from eventsnn.hardware.stepped import cost_of_stops, load_step_costs

    costs = load_step_costs("elsa-resnet18")
    histograms = (
        ("one image a step", dict.fromkeys(range(1, 17), 1), 1.61266875e-3),
        ("1,000 images", {1: 412, 2: 230, 4: 120, 8: 60, 16: 178}, 1.1077464e-3),
    )
    report.add(
        "B14",
        *(
            Figure(f"mean latency of {what}, s", cost_of_stops(costs, stops).mean("latency"), bar, within=0.0)
            for what, stops, bar in histograms
        ),
    )


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__)
    report = Report()
    for part in (sanafe_case, affine_chips, per_step, by_step):
        part(report)
    report.detail["B1"]["machine"] = machine()
    report.show(chosen.json)


if __name__ == "__main__":
    main()
