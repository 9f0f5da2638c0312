"""How ONNX nodes are refused: by name and operator, with the reason and what to do."""

from __future__ import annotations

import onnx

from eventsnn.errors import UnsupportedLayer


def title(node: onnx.NodeProto) -> str:
    """How messages name a node: ``node 'conv1' (Conv)``; by its first output where it has no name."""
    kind = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
    return f"node {node.name or next(iter(node.output), '')!r} ({kind})"


def refusal(node: onnx.NodeProto, reason: str) -> UnsupportedLayer:
    """The error for a node that has no faithful conversion."""
    return UnsupportedLayer(f"{title(node)}: {reason}")


class MixesSamples(UnsupportedLayer):
    """An operator that does not leave each sample to itself.

    Attributes
    ----------
    hint : int or None
        A batch size that the model may be bound to.
    """

    def __init__(self, node: onnx.NodeProto, reason: str, hint: int | None = None) -> None:
        super().__init__(
            f"{title(node)}: it does not leave each sample of a batch to itself: {reason}; export the model "
            "with a free batch size or with batch size 1"
        )
        self.hint = hint
