"""What early timesteps are worth in training: a weighted sum of the cross entropies of all steps.

The loss is the sum over timesteps of a weight times the cross entropy of that step's output:

==================  ==================  ================================================================
``--outputs``       ``--weights``       known as
==================  ==================  ================================================================
``per-step``        ``uniform``         TET without its regulariser (Deng et al., ICLR 2022)
``accumulated``     ``uniform``         DT-SNN's (Li et al., DAC 2023): the mean of the outputs so far
``accumulated``     ``decaying``        ATSNN-style: early steps weigh more, ``--decay`` a step
either              ``learned``         weights from the losses' own spread (Kendall et al., CVPR 2018)
==================  ==================  ================================================================

ATSNN (Li et al. 2024) weighs the timesteps by a time-dependent loss; its formula is not public, so no row is
that paper's.
"""

from __future__ import annotations

import torch
from torch import nn


class TimeLoss(nn.Module):
    """The weighted sum over timesteps of the cross entropies, and what of it is learned.

    Parameters
    ----------
    steps : int
    outputs : str
        ``per-step``, or ``accumulated``: the mean of the outputs up to each step.
    weights : str
        ``uniform``, ``decaying`` or ``learned``. The first two sum to 1.
    decay : float
        A decaying weight over the one before it.
    smoothing : float
        Of the labels.
    """

    def __init__(self, steps: int, outputs: str, weights: str, decay: float, smoothing: float) -> None:
        super().__init__()
        self.accumulated, self.smoothing = outputs == "accumulated", smoothing
        self.learned = weights == "learned"
        ratio = decay if weights == "decaying" else 1.0
        fixed = ratio ** torch.arange(steps)
        self.register_buffer("fixed", fixed / fixed.sum())
        self.spread = nn.Parameter(torch.zeros(steps), requires_grad=self.learned)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of (steps, n, classes) and (n,)."""
        if self.accumulated:
            logits = logits.cumsum(0) / torch.arange(1, len(logits) + 1)[:, None, None]
        each = torch.stack(
            [nn.functional.cross_entropy(at, labels, label_smoothing=self.smoothing) for at in logits]
        )
        if self.learned:
            return ((-self.spread).exp() * each + self.spread).mean()
        return (self.fixed * each).sum()
