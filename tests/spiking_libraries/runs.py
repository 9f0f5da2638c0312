"""What a library makes of its network step by step, and what ours does, as spikes of each neuron and step."""

from __future__ import annotations

import numpy as np
import torch

from eventsnn.engine.contract import RunOptions
from eventsnn.engine.floating.engine import FloatEngine
from eventsnn.engine.stimulus import Stimulus


def in_our_order(values):
    """A frame (channels, y, x) or (features,) as one row, neurons in order (y, x, channel)."""
    return (np.moveaxis(values, 0, -1) if values.ndim == 3 else values).reshape(-1)


def of_library(model, sequences, frames, is_neurons):
    """Spikes by path of module, (steps, neurons), and the model's own result, (steps, values)."""
    kept = {}
    hooks = [
        module.register_forward_hook(
            lambda module, given, result, path=path: kept.setdefault(path, []).append(first(result))
        )
        for path, module in model.named_modules()
        if is_neurons(module)
    ]
    given = torch.as_tensor(frames)[:, None]
    with torch.no_grad():
        result = first(model(given)) if sequences else torch.stack([first(model(one)) for one in given])
    for hook in hooks:
        hook.remove()
    spikes = {
        path: (steps[0] if sequences else torch.stack(steps))[:, 0].numpy() for path, steps in kept.items()
    }
    rows = {path: np.stack([in_our_order(one) for one in value]) for path, value in spikes.items()}
    return rows, np.stack([in_our_order(one) for one in result[:, 0].numpy()])


def first(result):
    return (result[0] if isinstance(result, tuple) else result).detach()


def counts_as_events(frames, step):
    """Frames of whole counts as the events of their steps."""
    rows = np.stack([in_our_order(frame) for frame in frames]).astype(np.int64)
    at, neuron = np.nonzero(rows)
    return Stimulus(at * step, neuron, rows[at, neuron], duration=len(frames) * step)


def image_as_current(values, network, steps, step):
    """Values, divided by 255, held for so many steps."""
    nothing = np.zeros(0, dtype=np.int64)
    scale = network.populations[network.input].neuron.analog_scale
    parts = np.rint(in_our_order(values.astype(np.float64)) / 255 * scale).astype(np.int64)
    return Stimulus(nothing, nothing, analog=parts, duration=steps * step)


def of_ours(network, stimulus, steps, engine=None):
    """Spikes by population, (steps, neurons), and the run."""
    options = RunOptions(schedule="step", record_spikes=True)
    made = FloatEngine(network, None, options) if engine is None else engine(network, None, options)
    run = made.run(stimulus)
    found = {}
    for rank, name in enumerate(network.order):
        mine = run.spikes.rank == rank
        found[name] = np.zeros((steps, network.populations[name].size))
        place = run.spikes.time[mine] // made.step - 1, run.spikes.neuron[mine]
        np.add.at(found[name], place, run.spikes.payload[mine])
    return found, run
