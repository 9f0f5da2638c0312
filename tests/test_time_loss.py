"""Losses over timesteps, by hand: TET, DT-SNN, decaying and learned weights."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
MODELS = Path(__file__).resolve().parents[1] / "models"

LOGITS = np.array([[[0.0, 0.0]], [[2.0, 0.0]], [[4.0, 1.0]]])
"""Of three steps, one sample, two classes."""


@pytest.fixture
def make(monkeypatch):
    monkeypatch.syspath_prepend(str(MODELS))
    import time_loss

    yield time_loss.TimeLoss
    sys.modules.pop("time_loss", None)


def cross_entropy(logits: np.ndarray, label: int) -> float:
    return float(np.log(np.exp(logits).sum()) - logits[label])


@pytest.fixture
def loss(make):
    def of(outputs: str, weights: str, decay: float = 0.5) -> float:
        loss = make(3, outputs, weights, decay, 0.0)
        return float(loss(torch.from_numpy(LOGITS), torch.tensor([0])).detach())

    return of


def test_tet_is_the_mean_of_the_steps_losses(loss) -> None:
    each = [cross_entropy(at[0], 0) for at in LOGITS]
    assert each[0] == pytest.approx(np.log(2))
    assert loss("per-step", "uniform") == pytest.approx(np.mean(each))


def test_dt_snn_looks_at_the_mean_output_so_far(loss) -> None:
    each = [cross_entropy(np.array(at), 0) for at in ([0.0, 0.0], [1.0, 0.0], [2.0, 1 / 3])]
    assert loss("accumulated", "uniform") == pytest.approx(np.mean(each))


def test_decaying_weights_sum_to_one(loss) -> None:
    each = [cross_entropy(np.array(at), 0) for at in ([0.0, 0.0], [1.0, 0.0], [2.0, 1 / 3])]
    assert loss("accumulated", "decaying") == pytest.approx((4 * each[0] + 2 * each[1] + each[2]) / 7)
    assert loss("accumulated", "decaying", 1.0) == pytest.approx(loss("accumulated", "uniform"))


def test_learned_weights_start_uniform_and_fall_where_losses_are_large(make, loss) -> None:
    of = make(3, "per-step", "learned", 0.5, 0.0)
    assert loss("per-step", "learned") == pytest.approx(loss("per-step", "uniform"))
    optimiser = torch.optim.SGD(of.parameters(), lr=0.3)
    for _ in range(2000):
        optimiser.zero_grad()
        of(torch.from_numpy(LOGITS), torch.tensor([0])).backward()
        optimiser.step()
    spread = of.spread.detach().numpy()
    each = np.array([cross_entropy(at[0], 0) for at in LOGITS])
    assert (np.diff(spread) < 0).all()
    # Where the derivative is zero, exp(spread) is the loss itself.
    assert np.exp(spread[0]) == pytest.approx(each[0], rel=0.05)


def test_only_learned_weights_are_trained(make) -> None:
    assert not make(3, "per-step", "uniform", 0.5, 0.0).spread.requires_grad
