"""Fine-tune the published ResNet-20 for CIFAR-10 with quantised activations, for neurons of few levels.

    EVENTSNN_DATA=... python models/finetune_quantised.py --levels 7 --steps 400 --output resnet20-7.pt

Every ReLU becomes a QCFS activation, whose ceiling starts at the least squared error on training images and
is learnt. What is trained is what the converted network computes, so it loses nothing but the rounding of
its weights. Rounding moves a few values in a hundred thousand across the edge of a level, and what follows
differs; so at the end the weights are rounded here, to the whole numbers of quanta that a conversion with the
same threshold finds (``whole_numbers``), and module and integer network agree in every neuron.

The published network reads images that were normalised; the fine-tuned one reads images of 0 to 1 (``uint8 /
255``). Mean and deviation go into its first layer, and training makes up for the border, where padding is
black then and not of the mean colour.

The whole state is kept beside the output every 25 steps; the same command goes on there, and what is random
is drawn from the seed and the number of the step. At the end the original, the network with its ceilings set
and the fine-tuned network are tested on test images taken evenly.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from checkpoints import command, train_rounds
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


def scaled(images: np.ndarray) -> torch.Tensor:
    """What the network reads, for uint8 images (n, channels, y, x)."""
    return torch.from_numpy(np.ascontiguousarray(images)).float() / 255


def normalised(images: np.ndarray) -> torch.Tensor:
    """What the published network reads."""
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (scaled(images) - mean) / deviation


def published() -> dict[str, torch.Tensor]:
    """The weights by name."""
    state = torch.load(data_folder() / WEIGHTS, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def with_normalisation(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights for images that were not normalised; exact but where windows reach over the border."""
    mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
    weight = state["conv1.weight"] / deviation[:, None, None]
    shift = (weight.sum((2, 3)) * mean).sum(1)
    return state | {"conv1.weight": weight, "bn1.running_mean": state["bn1.running_mean"] + shift}


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
def whole_numbers(model: nn.Module, threshold: int) -> None:
    """Round batch norms, weights, ceilings and biases to what signed neurons of a threshold hold.

    With u the value of one level, each weight becomes a whole multiple of u_out / (u_in threshold), and so
    does the shortcut's weight 1, by a change of the ceiling behind it. Biases become whole numbers and a
    quarter: charge is compared with whole numbers, and the quarter keeps sums of floats off the edge.
    """

    def settle(convolution: nn.Conv2d, norm: nn.BatchNorm2d, u_in: float, u_out: float) -> None:
        factor = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        weight = convolution.weight.double() * factor[:, None, None, None]
        bias = norm.bias.double() - factor * norm.running_mean.double()
        quantum = u_out / threshold
        convolution.weight.copy_(torch.round(weight * u_in / quantum) * (quantum / u_in))
        norm.weight.fill_(1.0)
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0 - norm.eps)
        norm.bias.copy_((torch.floor(bias / quantum) + 0.25) * quantum)

    def unit(activation: nn.Module) -> float:
        assert isinstance(activation, QCFS)
        return activation.ceiling().item() / activation.levels

    settle(model.conv1, model.bn1, 1 / 255, unit(model.relu))
    before = unit(model.relu)
    for block in (*model.layer1, *model.layer2, *model.layer3):
        ratio = round(before / unit(block.relu2) * threshold)
        block.relu2.theta.fill_(before * threshold / ratio * block.relu2.levels)
        settle(block.conv1, block.bn1, before, unit(block.relu1))
        settle(block.conv2, block.bn2, unit(block.relu1), unit(block.relu2))
        before = unit(block.relu2)


@torch.no_grad()
def accuracy(
    model: nn.Module, images: np.ndarray, labels: np.ndarray, reads: Callable[..., torch.Tensor] = scaled
) -> float:
    """The share of images recognised."""
    model.eval()
    parts = [model(reads(images[i : i + 100])).argmax(1).numpy() for i in range(0, len(images), 100)]
    return float((np.concatenate(parts) == labels).mean())


def train(model: nn.Module, options: argparse.Namespace) -> bool:
    """Train, going on at the checkpoint if there is one; whether the last step is done."""
    optimiser = torch.optim.SGD(
        model.parameters(), options.learning_rate, 0.9, weight_decay=1e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, options.steps))
    criterion = nn.CrossEntropyLoss()
    images, labels = load("cifar10", "train")

    def train_some(number: int) -> str:
        told = []
        for step in range(number * KEPT_EVERY, min((number + 1) * KEPT_EVERY, options.steps)):
            rng = np.random.default_rng([options.seed, step])
            chosen = rng.choice(len(images), options.batch, replace=False)
            inputs, target = scaled(shifted(images[chosen], 4, True, rng)), torch.from_numpy(labels[chosen])
            model.train()
            logits = model(inputs)
            loss = criterion(logits, target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            told.append((loss.item(), float((logits.argmax(1) == target).float().mean())))
        loss_mean, hits = np.mean(told, axis=0)
        return f"of {KEPT_EVERY} steps: loss {loss_mean:.3f} train {hits:.4f}"

    parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
    rounds = -(-options.steps // KEPT_EVERY)
    return train_rounds(options, command(options, "test", "threshold"), parts, rounds, train_some)


def parse() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Fine-tune ResNet-20 with quantised activations.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--levels", type=int, default=7)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--threshold", type=int, default=2**14, help="of the conversion; 0 rounds nothing")
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
    missing, unexpected = model.load_state_dict(with_normalisation(published()), strict=False)
    assert not unexpected
    assert all(name.endswith(".theta") for name in missing)
    images, labels = load("cifar10", "test")
    every = max(1, len(labels) // options.test)
    images, labels = images[::every], labels[::every]
    training, _ = load("cifar10", "train")
    set_ceilings(model, scaled(training[:: len(training) // CEILING_IMAGES]))
    original = definition("resnet20")
    original.load_state_dict(published())
    print(
        f"{len(labels)} test images: published {accuracy(original, images, labels, normalised):.4f}",
        flush=True,
    )
    print(f"with ceilings set, before training: {accuracy(model, images, labels):.4f}", flush=True)
    if not train(model, options):
        return
    print(f"fine-tuned: {accuracy(model, images, labels):.4f}")
    if options.threshold:
        whole_numbers(model, options.threshold)
    save_trained(options.output, model, "resnet20", parameters)
    print(f"as written: {accuracy(load_trained(options.output), images, labels):.4f}")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
