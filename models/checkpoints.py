"""What the recipes share: an optimiser, and training by rounds whose whole state is kept after each.

A recipe draws everything random from its seed and the number of the round, so that the same command, started
again, goes on at the checkpoint and ends with the same weights.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR


class Stateful(Protocol):
    """Models, optimisers and schedules."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> object: ...


def command(options: argparse.Namespace, *left_out: str) -> str:
    """What trained weights depend on, as one text: all options but output, minutes and those left out."""
    told = {
        name: value for name, value in vars(options).items() if name not in ("output", "minutes", *left_out)
    }
    return json.dumps(told, sort_keys=True, default=str)


def adam(
    network: nn.Module, options: argparse.Namespace, steps: int, warm_up: float
) -> tuple[torch.optim.AdamW, OneCycleLR]:
    """AdamW without decay of biases and norms, and its cycle over all steps, the first share rising."""
    decayed = [p for p in network.parameters() if p.dim() > 1]
    plain = [p for p in network.parameters() if p.dim() <= 1]
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=options.learning_rate)
    return optimiser, OneCycleLR(optimiser, options.learning_rate, total_steps=steps, pct_start=warm_up)


def train_rounds(
    options: argparse.Namespace,
    told: str,
    parts: Mapping[str, Stateful],
    rounds: int,
    train_round: Callable[[int], str],
) -> bool:
    """Train round after round, going on at the checkpoint if there is one; whether the last is done.

    Parameters
    ----------
    options
        ``output``, the file that the recipe will write, beside which the checkpoint lies; ``minutes`` after
        which to stop behind a round, to be continued.
    told
        The command: a checkpoint of another one is refused.
    parts
        What the state is made of, by name.
    rounds
        As many, each counted as an epoch.
    train_round
        Trains the round of a number and returns what to say of it.

    Raises
    ------
    SystemExit
        The checkpoint is of another command.
    """
    checkpoint = options.output.with_name(options.output.name + ".checkpoint")
    begin, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["command"] != told:
            raise SystemExit(
                f"{checkpoint} is of another command: {state['command']}; remove it, or go on there"
            )
        for name, part in parts.items():
            part.load_state_dict(state[name])
        begin, spent = state["epoch"], state["seconds"]
    started = time.process_time() - spent
    limit = time.monotonic() + 60 * options.minutes
    for number in range(begin, rounds):
        said = train_round(number)
        seconds = time.process_time() - started
        print(f"epoch {number + 1:3d} {said} {seconds:5.0f} s", flush=True)
        state = {"command": told, "epoch": number + 1, "seconds": seconds}
        state |= {name: part.state_dict() for name, part in parts.items()}
        partial = checkpoint.with_name(checkpoint.name + ".partial")
        torch.save(state, partial)
        partial.replace(checkpoint)
        if time.monotonic() > limit and number + 1 < rounds:
            print(f"stopped after {number + 1} epochs; the same command goes on")
            return False
    return True
