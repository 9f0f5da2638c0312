"""Published exit rules as combinations of parts, each by the name of its method.

None of them comes with a guarantee: thresholds below are those of the papers, for their networks. Certify
one's own with ``eventsnn calibrate``. Where a paper asks for "greater than", a check that is just equal stops
here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eventsnn.decide.accumulators import Mean, Rate
from eventsnn.decide.combination import Combination
from eventsnn.decide.schedules import GivenTimes
from eventsnn.decide.scores import CheckpointLead, CountLead, Entropy, MaxProbabilityScore


def dt_snn(theta: float = 0.1, code: bool = False, step_us: float | None = None) -> Combination:
    """DT-SNN (Li et al., DAC 2023, arXiv:2305.17346): normalised entropy below ``theta``.

    The paper's output is the mean over timesteps, eq. 1; that of its released code (``code``) the sum, which
    is what a readout holds. A step that leaves the readout as it is has no check: where there are such, the
    mean over checks is another, and ``step_us``, the length of a timestep, gives that over timesteps (input
    from time 0 on, as images).
    """
    if code:
        return Combination(1.0 - theta, Entropy())
    return Combination(1.0 - theta, Entropy(), Mean() if step_us is None else Rate(per_us=step_us))


def seenn_i(alpha: float = 0.9, temperature: float = 1.0) -> Combination:
    """SEENN-I (Li et al., NeurIPS 2023, arXiv:2304.01230): largest probability above ``alpha``.

    Their converted networks divide outputs by 8 (``temperature``), those trained directly do not.
    """
    return Combination(alpha, MaxProbabilityScore(temperature=temperature))


def cutoff(at_us: Sequence[float], leads: Sequence[float]) -> Combination:
    """Top-K cutoff (Wu et al., Frontiers in Neuroscience 2025, arXiv:2301.09522): a lead for each time.

    S(1) - S(2) of the summed outputs, in logits, against beta_t; the betas are fitted to each network.
    """
    return Combination(1.0, CheckpointLead(leads=tuple(leads)), schedule=GivenTimes(tuple(at_us)))


def dynamic_confidence(threshold: float = 0.6, smoothing: float = 30.0) -> Combination:
    """Dynamic Confidence (Li et al., ICCV 2023, arXiv:2303.10276): softmax of outputs / 30 above 0.6."""
    return Combination(threshold, MaxProbabilityScore(temperature=smoothing))


def elsa(threshold: float = 0.3) -> Combination:
    """ELSA (ISCA 2026): largest probability, thresholds fixed by hand (0.3, vision transformer 0.8).

    Theirs is taken over a batch; a sample here stops for itself, as at their batch size of 1.
    """
    return Combination(threshold, MaxProbabilityScore())


def terminate_delta(delta: float) -> Combination:
    """``TerminateDelta`` of N2D2: the most active output is ``delta`` spikes ahead of the second."""
    return Combination(1.0, CountLead(of=delta))


PUBLISHED: dict[str, Callable[..., Combination]] = {
    "dt-snn": dt_snn,
    "seenn-i": seenn_i,
    "cutoff": cutoff,
    "dynamic-confidence": dynamic_confidence,
    "elsa": elsa,
    "terminate-delta": terminate_delta,
}
"""By the name of the method."""
