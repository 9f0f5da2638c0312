"""Laws whose examples may have nothing to assert do not pass when none has: engines that always stop."""

import importlib.util
import inspect
from pathlib import Path

import pytest
from builders.engines import ENGINES
from builders.floors import TooFewAsserted, asserting, asserts_at_least
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.engine.contract import Engine
from eventsnn.errors import EventLimitReached

HERE = Path(__file__).parent
# Files with laws that return early where a run stops, and one such law of each.
LAWS = {
    "test_floating": "test_floats_below_their_limit_compute_the_integer_network",
    "test_gates": "test_gates_on_an_accelerator",
    "test_history": "test_a_row_holds_what_was_counted_by_its_tick",
    "test_inputs": "test_quiescent_counts_with_payloads_and_analog_values",
    "test_laws": "test_engines_agree_spike_for_spike",
    "test_neurons": "test_charge_is_conserved",
    "test_order": "test_final_counts_do_not_depend_on_ties",
    "test_same_runs": "test_engines_give_the_same_run",
}


def law_of(file, name):
    spec = importlib.util.spec_from_file_location(f"law_of_{file}", HERE / f"{file}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize("file", sorted(LAWS))
def test_a_law_fails_when_every_run_stops(file, monkeypatch):
    def stopped(*arguments, **named):
        raise EventLimitReached("always")

    law = law_of(file, LAWS[file])
    for engine in engines_of(Engine):
        monkeypatch.setattr(engine, "run", stopped)
    parameters = {"feature": "none", "stepped": False}
    wanted = {name: parameters[name] for name in inspect.signature(law).parameters if name in parameters}
    with pytest.raises(TooFewAsserted, match="0 examples asserted"):
        law(**wanted)


def engines_of(base):
    for engine in base.__subclasses__():
        yield engine
        yield from engines_of(engine)


@pytest.mark.parametrize(("reached", "passes"), [(5, True), (4, False)])
def test_a_floor_counts_the_examples_that_asserted(reached, passes):
    seen = []

    @asserts_at_least(5)
    @settings(max_examples=10, derandomize=True, database=None)
    @given(st.integers())
    def law(_):
        if len(seen) < reached:
            asserting()
        seen.append(1)

    if passes:
        law()
    else:
        with pytest.raises(TooFewAsserted, match="law: 4 examples asserted, below 5"):
            law()
    assert set(ENGINES) <= set(engines_of(Engine))
