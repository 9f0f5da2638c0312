"""Laws whose examples may have nothing to assert do not pass when none has: engines that always stop."""

import importlib.util
import inspect
from contextlib import suppress
from pathlib import Path

import pytest
from builders.engines import ENGINES
from builders.floors import TooFewAsserted, asserted, asserting, asserts_at_least
from hypothesis import given, is_hypothesis_test, settings
from hypothesis import strategies as st
from hypothesis.errors import FailedHealthCheck, Unsatisfiable

from eventsnn.engine.contract import Engine
from eventsnn.engine.reference.event import EventSample
from eventsnn.engine.reference.step import StepSample
from eventsnn.engine.twin.events import TwinSample
from eventsnn.errors import EventLimitReached

HERE = Path(__file__).parent
FILES = sorted(path.stem for path in HERE.glob("test_*.py") if "@given(" in path.read_text())
# What laws are parametrised with.
PARAMETERS = {
    "feature": "none",
    "stepped": False,
    "kind": "rate",
    "text": "drop:share=0.5",
    "chip": ({"kind": "dependency"}, None, None),
}
EXAMPLES = 3


class Enough(BaseException):
    """Ends a law at once: hypothesis takes no notice of what is no Exception."""


def laws_of(file):
    """The property tests of a module of its own, by name."""
    spec = importlib.util.spec_from_file_location(f"laws_of_{file}", HERE / f"{file}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: law for name, law in vars(module).items() if is_hypothesis_test(law)}


@pytest.mark.parametrize("file", FILES)
def test_laws_fail_when_every_run_stops(file, monkeypatch, request):
    """Those with a floor assert nothing then; the others do not pass over what stops a run."""
    asked = []

    def stopped(*arguments, **named):
        asked.append(arguments)
        raise EventLimitReached("always")

    for ends in (*engines_of(Engine), EventSample, StepSample, TwinSample):
        monkeypatch.setattr(ends, "run", stopped)
    for name, law in laws_of(file).items():
        inner_test, floored = law.hypothesis.inner_test, hasattr(law, "floor")
        examples, passed = [], []

        def first_examples(*arguments, of=(inner_test, examples, passed, floored), **named):
            inner_test, examples, passed, floored = of
            examples.append(named)
            before = len(asked), asserted()
            try:
                with suppress(EventLimitReached):
                    inner_test(*arguments, **named)
                    passed.append(len(asked) > before[0] and (not floored or asserted() > before[1]))
            finally:
                if len(examples) >= EXAMPLES:
                    raise Enough

        law.hypothesis.inner_test = first_examples
        parameters = inspect.signature(law).parameters
        wanted = {p: PARAMETERS[p] if p in PARAMETERS else request.getfixturevalue(p) for p in parameters}
        with pytest.raises((Enough, TooFewAsserted, Unsatisfiable, FailedHealthCheck)):
            law(**wanted)
        assert not any(passed), f"{name} passes where no run comes to its end"


@pytest.mark.parametrize("file", FILES)
def test_a_law_that_may_end_early_has_a_floor(file):
    for name, law in laws_of(file).items():
        source = inspect.getsource(law.hypothesis.inner_test)
        early = [word for word in ("return\n", "assume(", "except ", "suppress(") if word in source]
        assert not early or law.floor, f"{name} may end early and has no floor"


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
