"""Exit rules of a user's own."""

from typing import ClassVar

import numpy as np

from eventsnn.decide import ExitRule


class Never(ExitRule):
    name: ClassVar[str] = "never"

    def confidence(self, readout, scale):
        return 0.0


class Lead(ExitRule):
    """The lead of the best over the second, saturating: no shipped rule orders checks like it."""

    name: ClassVar[str] = "lead"
    code: ClassVar[int] = 1  # of a kernel that is not its own

    def confidence(self, readout, scale):
        second, first = sorted(readout)[-2:]
        lead = (first - second) * scale
        return lead / (1 + lead)


SOFTMAX = ("margin", "max-probability", "entropy")
AT_TIMES = ("checkpoint-lead", "prediction-set")
LOGITS = (*SOFTMAX, "logit-lead", *AT_TIMES)
OF_SPIKES = ("count", "count-lead", "first-spike")


def random_rule(rng, spikes=True, span_us=0.02, every=9, coldest=0.2):
    """The text of a random combination, without its threshold; times lie within ``span_us``."""
    head = str(rng.choice([*LOGITS, "fixed-time", *(OF_SPIKES if spikes else ())]))
    others = []
    if head in LOGITS and rng.random() < 0.6:
        others.append(f"temperature={float(np.exp(rng.uniform(np.log(coldest), np.log(5))))!r}")
    if head in ("logit-lead", "count", "count-lead"):
        others.append(f"of={rng.integers(1, 12)}")
    if head == "first-spike":
        others.append(f"more={rng.integers(0, 5)}")
    if head == "fixed-time":
        others.append(f"of-us={rng.uniform(0.05, 1.5) * span_us!r}")
    kinds = ["readout", "counts" if spikes else "charge", "sum", "mean", "rate", "leaky"]
    accumulator = str(rng.choice(kinds))
    others += [f"accumulator={accumulator}"] if accumulator != "readout" else []
    others += [f"keep={rng.random()!r}"] if accumulator == "leaky" else []
    others += [f"per-us={rng.uniform(0.005, 0.5) * span_us!r}"] if accumulator == "rate" else []
    memory = rng.integers(0, 3)
    others += [f"patience={rng.integers(1, 6)}"] if memory == 1 else []
    others += [f"probability-ratio={rng.uniform(0.1, 9)!r}"] if memory == 2 else []
    schedule = rng.integers(0, 3)
    if head in AT_TIMES or schedule == 1:
        times = np.unique(rng.integers(0, 1000, 4)) / 1000 * span_us
        others.append("at-us=" + ";".join(map(repr, times.tolist())))
        if head == "checkpoint-lead":
            leads = rng.integers(0, 9, len(times)) / 2
            others.append("leads=" + ";".join(map(repr, leads.tolist())))
        if head == "prediction-set":
            others.append("least=" + ";".join(map(repr, (rng.random(len(times)) ** 3).tolist())))
    elif schedule == 2:
        others.append(f"every={rng.integers(1, every)}")
    after = rng.uniform(0, 0.4) * span_us if rng.random() < 0.3 else 0.0
    others += [f"after-us={after!r}"] if after else []
    others += [f"until-us={after + rng.uniform(0, 1) * span_us!r}"] if rng.random() < 0.3 else []
    others += [f"reject={rng.random()!r}"] if rng.random() < 0.3 else []
    rng.shuffle(others)
    return ",".join([head, *others])
