"""LeNet-5."""

from __future__ import annotations

from torch import nn

from eventsnn.convert.definitions.parts import activation, pool, pooled, whole


def lenet5(
    channels: int = 1, classes: int = 10, size: int = 28, pool_kind: str = "max", levels: int | None = None
) -> nn.Sequential:
    """6C5-P2-16C5-P2-120C5-84-classes on square images; 61,706 parameters with the defaults.

    The first convolution pads by 2, so that images of 28 x 28 are as the 32 x 32 of the original. No batch
    norm. ReLU and max-pools stand for the original's tanh and trained averages.

    Parameters
    ----------
    pool_kind : str
        ``"max"`` or ``"average"``.
    levels : int, optional
        QCFS of so many levels in place of ReLU.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Proc. IEEE 86 (1998), figure 2.
    """
    # The third convolution reads windows of 5 x 5: what is left of 28 x 28 is one.
    side = pooled(pooled(whole("size", size, 28), 1) - 4, 1) - 4
    return nn.Sequential(
        nn.Conv2d(whole("channels", channels), 6, 5, padding=2),
        activation(levels),
        pool(pool_kind),
        nn.Conv2d(6, 16, 5),
        activation(levels),
        pool(pool_kind),
        nn.Conv2d(16, 120, 5),
        activation(levels),
        nn.Flatten(),
        nn.Linear(120 * side**2, 84),
        activation(levels),
        nn.Linear(84, whole("classes", classes)),
    )
