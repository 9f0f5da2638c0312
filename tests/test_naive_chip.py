"""The chip oracle against the case it was described by, and against totals small enough to add up by hand."""

import numpy as np
import pytest
from oracles.naive_chip import (
    CONV,
    Chip,
    ChipNet,
    Message,
    acceptance_case,
    channels_last_orders,
    receiver_ends,
    run_chip,
    run_network,
)


@pytest.fixture(scope="module")
def case():
    return acceptance_case()


@pytest.fixture(scope="module")
def found(case):
    net, chip, spikes, _ = case
    return run_chip(net, chip, spikes)


def test_counts(found):
    names = ("spikes", "synaptic_events", "messages", "hops", "updates", "input_spikes")
    assert [found[name] for name in names] == [1165, 13438, 1240, 3985, 3395, 323]


def test_energies(found):
    joules = [found[f"{part}_fj"] * 1e-15 for part in ("synapse", "soma", "network", "total")]
    assert joules == pytest.approx([4.00459e-7, 3.221466e-7, 1.515606e-7, 8.741662e-7], rel=1e-6)


def test_simple_rule(found):
    assert sum(found["simple_ps"]) == 59_666_000
    assert found["simple_ps"][:4] == [2_133_400, 2_269_200, 2_891_200, 2_833_400]


def test_event_driven_rule(case, found):
    net, chip, spikes, _ = case
    assert sum(found["event_driven_ps"]) == 61_026_400
    assert sum(found["event_driven_ps"]) == pytest.approx(6.10482e7, rel=0.01)
    assert sum(found["event_driven_ps"]) == pytest.approx(6.4281e7, rel=0.1)
    assert all(np.array(found["event_driven_ps"]) >= found["simple_ps"])
    as_sent = run_chip(net, chip, spikes, first_in="sent")
    assert sum(as_sent["event_driven_ps"]) == 61_048_200
    assert as_sent["simple_ps"] == found["simple_ps"]


def test_convolution_charged_as_such(found):
    net, chip, spikes, _ = acceptance_case((CONV, CONV))
    other = run_chip(net, chip, spikes)
    assert other["synapse_fj"] / found["synapse_fj"] - 1 == pytest.approx(-0.160, abs=5e-4)
    assert sum(other["simple_ps"]) / sum(found["simple_ps"]) - 1 == pytest.approx(-0.048, abs=5e-4)
    assert (other["soma_fj"], other["network_fj"]) == (found["soma_fj"], found["network_fj"])


def test_another_scan_of_the_same_cores(case, found):
    net, chip, spikes, shapes = case
    other = run_chip(net, chip, spikes, channels_last_orders(net, shapes))
    times = "event_driven_ps"
    assert {k: v for k, v in other.items() if k != times} == {k: v for k, v in found.items() if k != times}
    assert sum(other[times]) == 60_929_100


def small_net(weight, threshold=(0, 3, 0), core=(0, 1, 1)):
    """Input 0 excites 1, which excites 2."""
    return ChipNet(
        is_input=np.array([True, False, False]),
        threshold=np.array(threshold),
        core=np.array(core),
        source=np.array([0, 1]),
        target=np.array([1, 2]),
        weight=np.array([weight, 1]),
        kind=np.array([0, 0]),
    )


def test_threshold_is_strict_and_reset_to_zero():
    fires, updated = run_network(small_net(weight=3), np.ones((5, 1), dtype=bool))
    assert fires[:, 1].tolist() == [False, False, True, False, True]  # 3 is not above 3, 6 is
    assert fires[:, 2].tolist() == [False, False, False, True, False]
    # Neuron 2 had no event in step 2; that of step 3 is the spike of step 2.
    assert updated[:, 2].tolist() == [False, False, False, True, False]


def test_an_event_of_no_weight_updates():
    _, updated = run_network(small_net(weight=0), np.array([[1], [0], [1]], dtype=bool))
    assert updated[:, 1].tolist() == [False, True, False]


def test_one_step_by_hand():
    chip = Chip({0: (0, 0), 1: (2, 1)}, barrier_ps=1_000_000)
    found = run_chip(small_net(weight=9), chip, np.array([[1], [0]], dtype=bool))
    # Step 0: the input's message; both neurons of core 1 are accessed meanwhile.
    sent, on_the_way, served = 5_100, 2 * 4_100 + 6_500, 16_000 + 3_800
    assert found["simple_ps"][0] == served + 1_000_000
    assert found["event_driven_ps"][0] == sent + on_the_way + served + 1_000_000
    # Step 1: neuron 1 fires and sends to its own core, then neuron 2 is accessed.
    leaves = 6_000 + 3_700 + 30_000 + 5_100
    assert found["simple_ps"][1] == leaves + 6_000 + 1_000_000
    assert found["event_driven_ps"][1] == leaves + served + 1_000_000
    assert found["soma_fj"] == 4 * 51_200 + 21_600 + 69_300
    assert found["network_fj"] == 2 * 111_000 + 2 * 3_000 + 4_200
    assert (found["hops_x"], found["hops_y"], found["messages"]) == (2, 1, 2)


def test_queue_by_arrival_or_by_sending():
    chip = Chip({}, barrier_ps=0, hop_ps=(10, 10))
    far = Message(0, 0, 2, 1, processing=5, hops=(3, 0), leaves=100)
    near = Message(1, 1, 2, 1, processing=5, hops=(0, 1), leaves=101)
    assert receiver_ends([far, near], chip) == 135
    assert receiver_ends([far, near], chip, "sent") == 140
