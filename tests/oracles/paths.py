"""What every critical path has to be."""

from itertools import pairwise

from eventsnn.insight.path import STAGES


def pieces(path):
    return [(p.stage, p.layer, p.place, p.begin, p.end, p.behind) for p in path.pieces]


def check_path(run, network, stimulus, found):
    """A path has no gap, ends at the decision, and begins where it says."""
    path = found.path
    assert path.decision == run.decision_time
    assert path.before + sum(p.ticks for p in path.pieces) == run.decision_time - run.first_event
    assert sum(path.shares().values()) == path.decision - path.begin
    assert all(p.ticks > 0 and p.stage in STAGES for p in path.pieces)
    for one, other in pairwise(path.pieces):
        assert one.end == other.begin
    for piece in path.pieces:
        if piece.stage.endswith("wait"):
            assert sum(piece.behind.values()) == piece.ticks
    if path.origin == "input event":
        assert path.begin in stimulus.time[stimulus.neuron == path.neuron]
    elif path.origin == "nothing":
        assert path.pieces == ()
    elif path.origin == "current":
        assert network.bias(path.layer).any() or stimulus.analog is not None
    elif path.origin == "start":
        assert path.begin == 0
    else:
        assert path.layer in network.populations
