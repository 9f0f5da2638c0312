"""A sample's run as a row of results."""

from __future__ import annotations

from eventsnn.counting import COLUMN
from eventsnn.engine import SampleRun
from eventsnn.hardware.energy import EnergyModel
from eventsnn.hardware.quantities import End
from eventsnn.results import CounterHistory, SampleRecord
from eventsnn.results.traces import PackedTrace


def record(run: SampleRun, label: int | None, energy: EnergyModel | None) -> SampleRecord:
    """A sample's run as a row of results."""
    counters = run.counters
    total = counters.sum(axis=0)
    elapsed_s = (run.decision_time - run.first_event) * 1e-12
    ends: tuple[End, ...] = ("low", "nominal", "high")
    joules = {
        end: float("nan") if energy is None else energy.joules(counters, elapsed_s, end) for end in ends
    }
    return SampleRecord(
        index=run.index,
        label=-1 if label is None else label,
        prediction=run.prediction,
        first_event_ps=run.first_event,
        decision_time_ps=run.decision_time,
        decided_early=run.decided_early,
        input_events=int(total[COLUMN["input_events"]]),
        synaptic_operations=int(total[COLUMN["synaptic_operations"]]),
        spikes=int(total[COLUMN["spikes_positive"]] + total[COLUMN["spikes_negative"]]),
        energy_j=joules["nominal"],
        energy_low_j=joules["low"],
        energy_high_j=joules["high"],
        counters=counters,
        trace=PackedTrace.of(
            {
                "time_ps": run.trace.time,
                "readout": run.trace.readout,
                "synaptic_operations": run.trace.synaptic_operations,
                "spikes": run.trace.spikes,
                "energy_aj": run.trace.energy,
                "input_events": run.trace.input_events,
            }
        ),
        digest=run.digest,
        parts=run.parts,
        history=None
        if run.history is None
        else CounterHistory(run.history.time, run.history.counters, run.history.readout),
    )
