"""What a conversion gave, all of it: what the command line prints and a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.check import BEST, Comparison
from eventsnn.convert.graph.operations_count import total
from eventsnn.network import Network


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """A comparison with what surrounds it.

    Attributes
    ----------
    model, output : str
        Files: of the trained model, of the network.
    network : Network
    found : Comparison
    labels : int64 array, shape (samples,)
        Of the samples compared on, -1 where unknown.
    what : str
        ``"images"`` or ``"recordings"``.
    synaptic_operations : sequence of int
        Of the samples that were simulated; empty where none were.
    """

    model: str
    output: str
    network: Network
    found: Comparison
    labels: NDArray[np.int64]
    what: str
    synaptic_operations: Sequence[int] = ()

    @property
    def accuracy(self) -> tuple[float, float] | None:
        """Of the original and of the network; None without labels."""
        return self.found.accuracy(self.labels)

    @property
    def top(self) -> tuple[float, float] | None:
        """The same for the best five outputs; None without labels, and where there are no more."""
        return self.found.accuracy(self.labels, BEST)

    @property
    def labelled(self) -> int:
        """Samples with a label."""
        return int((self.labels >= 0).sum())

    @property
    def verified(self) -> dict[str, int] | None:
        """What the network says of its verification."""
        return self.network.metadata.get("conversion", {}).get("verified")

    @property
    def equalised(self) -> dict[str, Any] | None:
        """What cross-layer equalisation did; None where it was not asked for."""
        return self.network.metadata.get("conversion", {}).get("equalised")

    @property
    def levels_budget(self) -> dict[str, Any] | None:
        """The levels that a budget chose; None where none was given."""
        return self.network.metadata.get("conversion", {}).get("levels_budget")

    @property
    def mean_operations(self) -> float | None:
        """Synaptic operations a simulated sample."""
        return float(np.mean(self.synaptic_operations)) if len(self.synaptic_operations) else None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the original for one sample, by existing synapses."""
        return sum(each.exact for each in self.found.operations)

    @property
    def operations(self) -> dict[str, int]:
        """Operations of the original for one sample: two a multiply-accumulate, one a neuron with a bias."""
        operations = self.found.operations
        return {
            "border_exact": total(operations),
            "border_blind": total(operations, border_blind=True),
            "macs_border_exact": self.macs,
            "macs_border_blind": sum(each.blind for each in operations),
        }

    def document(self) -> dict[str, Any]:
        """Everything as JSON values."""
        found, contract, wrong = self.found, self.network.contract, self.found.why_wrong()
        accuracy, top = self.accuracy or (None, None), self.top or (None, None)
        return {
            "output": self.output,
            "samples": len(self.labels),
            "agreement": found.agreement,
            "model_accuracy": accuracy[0],
            "accuracy": accuracy[1],
            "model_top5": top[0],
            "top5": top[1],
            "input": None if contract is None else contract.document(),
            "operations": self.operations,
            "synaptic_operations": None
            if self.mean_operations is None
            else {"mean": self.mean_operations, "samples": len(self.synaptic_operations)},
            "verified": self.verified,
            **({} if self.equalised is None else {"equalised": self.equalised}),
            **({} if self.levels_budget is None else {"levels_budget": self.levels_budget}),
            "first_wrong": None if wrong is None else {"name": wrong[0], "reason": wrong[1]},
            "ignored": [asdict(part) for part in found.ignored],
            "layers": [asdict(layer) for layer in found.layers],
            "checksum": self.network.checksum,
        }
