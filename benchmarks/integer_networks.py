"""Duel: a ResNet-20 trained with quantised activations against itself as spikes.

    EVENTSNN_DATA=... python benchmarks/integer_networks.py [--json] [--quick] [--images N] [--weights FILE]

``models/finetune_quantised.py`` trains the weights; converted, every activation keeps its levels. Three
answers for each CIFAR-10 test image, taken evenly: of the spikes, run event by event; of the integer network
they end with (law 9), which must be the same; and of the trained module in float64, which differs where
rounding a weight to an integer moves a value across the edge of a level, unless the recipe rounded them.
Where the last two decide differently, the table tells which layer differs first, by how many levels in all,
and how far the module's best classes are apart. A published pair goes from 67.61 to 67.54 %.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from measure import Figure, Report, arguments, machine, one_thread
from resnet20 import BATCH, Images, decisions_of_network, read_images
from torch import nn

import eventsnn
from eventsnn.convert import compare
from eventsnn.convert.definitions.trained import load_trained
from eventsnn.network import Network

NUMBER = "duel"
WEIGHTS = Path(__file__).resolve().parents[1] / "models" / "resnet20-7.pt"
AT_MOST = 5
"""Of 10,000 images: decided otherwise than by the trained module."""


def first_difference(model: nn.Module, network: Network, image: np.ndarray) -> dict[str, Any]:
    """Where network and module part, for one image that they decide differently."""
    found = compare(model, network, image[None])
    for layer in found.layers:
        unit = float(np.max(network.populations[layer.name].neuron.unit))
        if layer.largest_difference > unit / 2:
            neurons = layer.mean_difference * network.populations[layer.name].size / unit
            return {"layer": layer.name, "levels": round(neurons)}
    return {"layer": found.layers[-1].name, "levels": 0}


def margin(model: nn.Module, image: np.ndarray) -> float:
    """How far the module's two best scores are apart, in float64 and by the largest score."""
    import copy

    import torch

    with torch.no_grad():
        scores = copy.deepcopy(model).double()(torch.from_numpy(image / 255.0)[None])[0].sort().values
    return float((scores[-1] - scores[-2]) / scores.abs().max())


def measure(report: Report, root: Path, weights: Path, images: Images, runs: int) -> list[list[str]]:
    """All three; rows of the images that are decided differently."""
    model = load_trained(weights)
    calibration = read_images(root, "train", 100).pixels.transpose(0, 3, 1, 2)
    network = eventsnn.convert(model, calibration)
    pictures = images.pixels.transpose(0, 3, 1, 2)
    parts = [compare(model, network, pictures[b : b + BATCH]) for b in range(0, len(pictures), BATCH)]
    of_model = np.concatenate([part.model_decisions for part in parts])
    integer = decisions_of_network(network, images)
    chosen = images.evenly(runs)
    results = eventsnn.simulate(network, chosen)
    spikes = np.array([sample.prediction for sample in results.table.samples])
    places = np.arange(0, len(images.labels), max(1, len(images.labels) // runs))[:runs]
    apart = np.flatnonzero(integer != of_model)
    causes = [
        {"image": int(place), "margin": margin(model, pictures[place]),
         **first_difference(model, network, pictures[place])}
        for place in apart
    ]  # fmt: skip
    accuracy = {
        name: 100 * float((found == images.labels).mean())
        for name, found in (("trained", of_model), ("integer", integer))
    }
    whole = len(images.labels) == 10_000
    report.add(
        NUMBER,
        Figure("spikes decide otherwise than the integer network", int((spikes != integer[places]).sum()), 0,
               at_most=True),
        Figure("integer network decides otherwise than the trained module", len(apart),
               AT_MOST if whole else None, at_most=True),
        Figure("the trained module, %", accuracy["trained"], None),
        Figure("the integer network, %", accuracy["integer"], None),
        images=len(images.labels), runs=len(spikes), accuracy=accuracy, causes=causes,
        synaptic_operations=results.summary()["synaptic_operations"]["mean"],
    )  # fmt: skip
    return [
        [str(each["image"]), each["layer"], str(each["levels"]), f"{each['margin']:.2g}"] for each in causes
    ]


def main() -> None:
    """Measure and print."""
    chosen = arguments(
        __doc__,
        lambda parser: parser.add_argument("--images", type=int, default=10_000, help="test images"),
        lambda parser: parser.add_argument("--runs", type=int, help="of them run event by event; a tenth"),
        lambda parser: parser.add_argument("--weights", type=Path, default=WEIGHTS),
    )
    report = Report(detail={NUMBER: {"machine": machine()}})
    data = os.environ.get("EVENTSNN_DATA")
    why = "" if data else "EVENTSNN_DATA is not set; it names the folder with cifar10/ and pretrained/"
    if data and not chosen.weights.exists():
        why = f"there is no {chosen.weights}; train it with models/finetune_quantised.py"
    rows: list[list[str]] = []
    if why or not data:
        names = ("spikes decide otherwise than the integer network",
                 "integer network decides otherwise than the trained module")  # fmt: skip
        report.add(NUMBER, *(Figure(name, None, 0, at_most=True, skipped=why) for name in names))
    else:
        images = read_images(Path(data), "test", 200 if chosen.quick else chosen.images)
        runs = chosen.runs or max(20, len(images.labels) // 10)
        rows = measure(report, Path(data), chosen.weights, images, runs)
    report.table(
        "Images that are decided differently", "image|first layer that differs|levels|margin of scores", rows
    )
    report.show(chosen.json)


if __name__ == "__main__":
    one_thread()
    main()
