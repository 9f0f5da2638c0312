"""The activation that signed spiking neurons compute, as a PyTorch module to train with."""

import torch


class QCFS(torch.nn.Module):
    """Quantisation-clip-floor-shift activation with a learned ceiling.

    ``theta * clip(floor(x * levels / theta + 1/2) / levels, 0, 1)``: the value that a signed spiking
    neuron with ``levels`` levels, threshold ``theta / levels`` and initial charge of half a threshold
    shows once its input is drained. So a network trained with it converts without further loss.

    The floor passes gradients straight through. The ceiling then receives the gradient of a learned
    step size: the rounding error inside the range, 1 above it, 0 below.

    Parameters
    ----------
    levels
        Number of steps between 0 and `theta`; the largest count of the neuron.
    theta
        Initial ceiling.

    References
    ----------
    T. Bu et al., "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural
    networks", ICLR 2022, arXiv:2303.04347 (activation). S. K. Esser et al., "Learned step size
    quantization", ICLR 2020, arXiv:1902.08153 (gradient of the ceiling).
    """

    smallest_theta = 1e-3

    def __init__(self, levels: int, theta: float = 3.0) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"QCFS: levels is {levels}, but must be at least 1")
        if theta <= 0:
            raise ValueError(f"QCFS: theta is {theta}, but must be positive")
        self.levels = levels
        self.theta = torch.nn.Parameter(torch.tensor(float(theta)))

    def ceiling(self) -> torch.Tensor:
        """Return theta, kept positive so that a large optimiser step cannot flip the activation."""
        return self.theta.clamp_min(self.smallest_theta)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the quantised activation of `x`, of the same shape."""
        theta = self.ceiling()
        share = (x / theta).clamp(0, 1)
        quantised = torch.floor(share.detach() * self.levels + 0.5) / self.levels
        return theta * (share + (quantised - share).detach())

    def extra_repr(self) -> str:
        """Return what the module's representation shows."""
        return f"levels={self.levels}, theta={self.theta.item():.4g}"
