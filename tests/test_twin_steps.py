"""The SimPy twin of the step schedule agrees with the reference engine event for event."""

from dataclasses import replace

import numpy as np
import pytest
from builders.cases import random_case
from builders.draws import SEEDS
from builders.floors import asserting, asserts_at_least
from builders.networks import random_network
from builders.runs import assert_same_run
from builders.step_chips import random_step_mapping, synchronised
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eventsnn.engine import make_engine
from eventsnn.engine.twin.events import TwinEngine
from eventsnn.engine.twin.steps import StepTwinEngine
from eventsnn.errors import ChargeOverflow, EventLimitReached, InvalidNetwork, InvalidRequest

FEATURES = (
    "step",
    "refractory",
    "leak",
    "gate",
    "rate_gate",
    "softmax",
    "cycle",
    "analog",
    "history",
    "lowest",
)


def agreeing_runs(seed, feature, **chip):
    """The runs of both engines; None where there is nothing to run."""
    try:
        network, stimulus, options = random_case(seed, feature, True)
        mapping = random_step_mapping(seed, network, **chip)
        options = replace(options, record_service=True)
        one = make_engine("reference", network, mapping, options).run(stimulus, 3)
    except (InvalidNetwork, InvalidRequest, EventLimitReached, ChargeOverflow):
        return None
    other = make_engine("twin", network, mapping, options).run(stimulus, 3)
    asserting()
    assert_same_run(one, other)
    np.testing.assert_array_equal(one.parts, other.parts)
    return one, other


@asserts_at_least(24)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    SEEDS,
    st.sampled_from(FEATURES),
    st.sampled_from(["barrier", "barrier", "totals", "dependency"]),
    *[st.booleans()] * 3,
)
def test_the_twin_agrees_with_the_reference(seed, feature, way, jitter, links, depth):
    kind, timing = ("barrier", "totals") if way == "totals" else (way, "messages")
    depth = depth and kind == "barrier"
    chip = {"kind": kind, "timing": timing, "jitter": jitter, "links": links, "depth": depth}
    assume(agreeing_runs(seed, feature, **chip) is not None)


def test_the_chips_compared_make_messages_wait_and_hold_their_senders():
    waited = held = 0
    for seed in range(10):
        runs = agreeing_runs(seed, "step", links=True, depth=True, zero=0.5 * (seed % 2))
        if runs is not None:
            log = runs[1].service
            waited += bool((log["start"] > log["arrival"]).any())
            held += bool((log["released"] > log["finish"]).any())
    assert min(waited, held) >= 3


def test_the_twin_follows_the_step_schedule_on_an_accelerator_only():
    network, _, options = random_case(1, "step", True)
    with pytest.raises(InvalidRequest, match="needs schedule='step' and an accelerator"):
        make_engine("twin", network, None, options)
    with pytest.raises(InvalidRequest, match="needs schedule='step' and an accelerator"):
        StepTwinEngine(network)
    mapping = random_step_mapping(1, network, change=synchronised(kind="none", latency=[]))
    with pytest.raises(InvalidRequest, match="has no timesteps"):
        make_engine("twin", network, mapping, options)


def test_the_twin_by_name_follows_the_event_schedule_too():
    network = random_network(3)
    assert isinstance(make_engine("twin", network), TwinEngine)
