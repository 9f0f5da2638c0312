"""Fine-tune the published ResNet-20 for CIFAR-10 with quantised activations, for neurons of few levels.

    EVENTSNN_DATA=... python models/finetune_quantised.py --levels 7 --steps 400 --output resnet20-7.pt

Every ReLU becomes a QCFS activation, whose ceiling starts at the least squared error on training images and
is learnt. What is trained is what the converted network computes, so it loses nothing but the rounding of
its weights. The network reads images that were normalised with ImageNet's mean and deviation.

The whole state is kept beside the output every 25 steps; the same command goes on there, and what is random
is drawn from the seed and the number of the step. At the end the original, the network with its ceilings set
and the fine-tuned network are tested on test images taken evenly.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from train_images import data_folder, load, shifted

from eventsnn.convert.definitions import definition
from eventsnn.convert.definitions.trained import load_trained, save_trained
from eventsnn.convert.qcfs import QCFS
from eventsnn.convert.scales import best_ceiling

WEIGHTS = Path("pretrained") / "resnet20-12fca82f.th"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KEPT_EVERY = 25
CEILING_IMAGES = 100


def normalised(images: np.ndarray) -> torch.Tensor:
    """What the network reads, for uint8 images (n, channels, y, x)."""
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (torch.from_numpy(np.ascontiguousarray(images)).float() / 255 - mean) / deviation


def published() -> dict[str, torch.Tensor]:
    """The weights by name."""
    state = torch.load(data_folder() / WEIGHTS, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


@torch.no_grad()
def set_ceilings(model: nn.Module, images: torch.Tensor) -> None:
    """Give every activation the ceiling of least squared error on what it reads, layer by layer.

    The layers before are quantised already, as they are in the trained network.
    """

    def best(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(module, QCFS)
        theta = best_ceiling(inputs[0].double().numpy(), module.levels)
        module.theta.fill_(theta or module.smallest_theta)

    hooks = [m.register_forward_pre_hook(best) for m in model.modules() if isinstance(m, QCFS)]
    model.eval()(images)
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of images recognised."""
    model.eval()
    parts = [model(normalised(images[i : i + 100])).argmax(1).numpy() for i in range(0, len(images), 100)]
    return float((np.concatenate(parts) == labels).mean())


def batches(options: argparse.Namespace, begin: int) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Steps with their training images, moved and mirrored, and labels."""
    images, labels = load("cifar10", "train")
    for step in range(begin, options.steps):
        rng = np.random.default_rng([options.seed, step])
        chosen = rng.choice(len(images), options.batch, replace=False)
        yield step, normalised(shifted(images[chosen], 4, True, rng)), torch.from_numpy(labels[chosen])


def train(model: nn.Module, options: argparse.Namespace) -> bool:
    """Train, going on at the checkpoint if there is one; whether the last step is done."""
    optimiser = torch.optim.SGD(
        model.parameters(), options.learning_rate, 0.9, weight_decay=1e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
    checkpoint = options.output.with_name(options.output.name + ".checkpoint")
    depends = {
        name: value for name, value in vars(options).items() if name not in ("output", "minutes", "test")
    }
    told = json.dumps(depends, sort_keys=True)
    begin = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["command"] != told:
            raise SystemExit(
                f"{checkpoint} is of another command: {state['command']}; remove it, or go on there"
            )
        for name, part in (("model", model), ("optimiser", optimiser), ("schedule", schedule)):
            part.load_state_dict(state[name])
        begin = state["step"]
    criterion = nn.CrossEntropyLoss()
    started, limit = time.process_time(), time.monotonic() + 60 * options.minutes
    recent: list[tuple[float, float]] = []
    for step, inputs, target in batches(options, begin):
        model.train()
        logits = model(inputs)
        loss = criterion(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        recent.append((loss.item(), float((logits.argmax(1) == target).float().mean())))
        if (step + 1) % KEPT_EVERY and step + 1 < options.steps:
            continue
        told_loss, hits = np.mean(recent, axis=0)
        seconds = time.process_time() - started
        print(f"step {step + 1:4d} loss {told_loss:.3f} train {hits:.4f} {seconds:5.0f} s", flush=True)
        recent.clear()
        state = {
            "command": told, "step": step + 1, "model": model.state_dict(),
            "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict(),
        }  # fmt: skip
        partial = checkpoint.with_name(checkpoint.name + ".partial")
        torch.save(state, partial)
        partial.replace(checkpoint)
        if time.monotonic() > limit and step + 1 < options.steps:
            print(f"stopped after {step + 1} steps; the same command goes on")
            return False
    return True


def parse() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Fine-tune ResNet-20 with quantised activations.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--levels", type=int, default=7)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--test", type=int, default=2000, help="test images, taken evenly")
    return parser.parse_args()


def main() -> None:
    """Set ceilings, train, test, save."""
    options = parse()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    parameters = {"levels": options.levels}
    model = definition("resnet20", **parameters)
    missing, unexpected = model.load_state_dict(published(), strict=False)
    assert not unexpected
    assert all(name.endswith(".theta") for name in missing)
    images, labels = load("cifar10", "test")
    every = max(1, len(labels) // options.test)
    images, labels = images[::every], labels[::every]
    training, _ = load("cifar10", "train")
    set_ceilings(model, normalised(training[:: len(training) // CEILING_IMAGES]))
    original = definition("resnet20")
    original.load_state_dict(published())
    print(f"{len(labels)} test images: published {accuracy(original, images, labels):.4f}", flush=True)
    print(f"with ceilings set, before training: {accuracy(model, images, labels):.4f}", flush=True)
    if not train(model, options):
        return
    save_trained(options.output, model, "resnet20", parameters)
    print(f"fine-tuned: {accuracy(load_trained(options.output), images, labels):.4f}")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
