"""One energy per sample of a baseline, with what it means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BaselineEnergy:
    """What a baseline spends on one sample under one definition.

    Attributes
    ----------
    definition : str
        What is counted: ``rated``, ``total`` and ``above idle`` power of a GPU; parts of a digital one.
    joules : float
        Energy per sample.
    batch : int or None
        Samples computed at once; None where the model knows no batches.
    watts, latency_s : float or None
        A GPU's power under this definition and the time of its whole batch, seconds.
    parts : tuple of (str, float)
        What the energy is made of, joules, where the model tells it apart.
    """

    definition: str
    joules: float
    batch: int | None = None
    watts: float | None = None
    latency_s: float | None = None
    parts: tuple[tuple[str, float], ...] = ()
