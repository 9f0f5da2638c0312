"""Batch norm in evaluation mode as one factor and one shift per channel."""

from __future__ import annotations

import numpy as np
from torch import nn

from eventsnn.convert.windows import Float64, finite_array
from eventsnn.errors import InvalidNetwork, UnsupportedLayer

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm
"""In evaluation mode a SyncBatchNorm is the batch norm of its statistics, without any process group."""


def norm_factors(path: str, module: BatchNorm) -> tuple[Float64, Float64]:
    """Factor and shift with ``module(x) = factor x + shift``, float64, shape (channels,) each.

    factor = gamma / sqrt(variance + eps), shift = beta - factor mean, from the running statistics.

    Raises
    ------
    UnsupportedLayer
        There are no running statistics.
    InvalidNetwork
        Values that are not finite, a variance that is not positive; names the module.

    References
    ----------
    B. Rueckauer et al., Frontiers in Neuroscience 11:682 (2017), section 2.2.3.
    """
    if module.running_mean is None or module.running_var is None:
        raise UnsupportedLayer(
            f"module {path!r} is a batch norm without running statistics: its output depends on the batch. "
            "Train with track_running_stats=True"
        )
    mean = finite_array(module.running_mean, f"the running mean of module {path!r}")
    variance = finite_array(module.running_var, f"the running variance of module {path!r}") + module.eps
    if not (variance > 0).all():
        raise InvalidNetwork(f"module {path!r} has a running variance that is not positive; train again")
    factor, shift = 1 / np.sqrt(variance), np.zeros_like(mean)
    if module.weight is not None:
        factor = factor * finite_array(module.weight, f"the weight of module {path!r}")
        shift = finite_array(module.bias, f"the bias of module {path!r}")
    return factor, shift - factor * mean
