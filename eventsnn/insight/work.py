"""The work that a run gives each server of an accelerator, by timestep or window of time, nobody waiting.

Counted from spikes, where a network lies and what an action takes at least: no queue, no order. Every amount
is in ticks, of the shortest time where times are random.

- *neurons*: visits, updates and spikes of a scan in steps; threshold tests in the event schedule;
- *synapses*: cycles of the processing elements, ceil(fan-out / elements) a message;
- *messages in*, *messages out*: decoding, and the serialiser or the input port;
- *links*: the service of a link or bus, where these queue.

Weight reads are words, one for each synapse served, zeros included. A core reads as many a cycle as it has
processing elements, so reading takes no longer than the synapses; what lies between are idle elements.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.contract import SpikeList
from eventsnn.hardware import INPUT_PORT, Chip, Mapping, Part
from eventsnn.hardware.network_on_chip import DIRECTIONS, EAST, WEST
from eventsnn.insight.service import CORE, LINK, NEURON_UNIT, RECEIVING_UNIT, SERIALISER, Server
from eventsnn.network import Box, Network, Population, Projection

Int64 = NDArray[np.int64]

COMPONENTS = ("neurons", "synapses", "messages in", "messages out", "links")
NEURONS, SYNAPSES, MESSAGES_IN, MESSAGES_OUT, LINKS = range(len(COMPONENTS))


@dataclass
class Work:
    """What each server has to do.

    Attributes
    ----------
    windows : int
        Timesteps, or windows of time.
    ticks : dict of (unit, number) to int64 array, shape (windows, components)
        In the order of ``COMPONENTS``; a server's own time is the sum of its components.
    words : dict of (core, ticks of a cycle, processing elements) to int64 array, shape (windows,)
        Weights read by a core for the synapses of one population or several that take as long.
    """

    windows: int
    ticks: dict[Server, Int64] = field(default_factory=dict)
    words: dict[tuple[int, int, int], Int64] = field(default_factory=dict)

    def add(self, server: Server, component: int, ticks: Int64) -> None:
        """More work for a server, by window."""
        if server not in self.ticks:
            self.ticks[server] = np.zeros((self.windows, len(COMPONENTS)), dtype=np.int64)
        self.ticks[server][:, component] += ticks

    def add_words(self, core: int, cycle: int, elements: int, words: Int64) -> None:
        """More weights for a core to read, by window."""
        key = core, cycle, elements
        self.words[key] = self.words.get(key, 0) + words

    def total(self, server: Server) -> Int64:
        """A server's own time by window, shape (windows,)."""
        return self.ticks[server].sum(axis=1)


def server_of(core: int, unit: str, steps: bool) -> Server:
    """The server that does a core's work of a kind: in steps the unit that scans also sends."""
    if core == INPUT_PORT:
        return SERIALISER, core
    if unit == CORE:
        return (RECEIVING_UNIT if steps else CORE), core
    return (NEURON_UNIT if steps else SERIALISER), core


def link_ticks(chip: Chip, link: int) -> int:
    """The least time of a message on a link."""
    if chip.architecture.network_on_chip.topology == "bus":
        return int(chip.bus[0])
    return int((chip.hop_x if link % DIRECTIONS in (EAST, WEST) else chip.hop_y)[0])


@dataclass(frozen=True)
class Looked:
    """Neurons of a part that a run looked at: active ones (steps), or cycles of threshold tests.

    ``amount`` is int64 of shape (windows,).
    """

    part: Part
    amount: Int64


class Workload:
    """The spikes of a run, and the work that they are wherever the network lies.

    Parameters
    ----------
    network : Network
    spikes : SpikeList
    window : int64 array, shape (spikes,)
        The timestep or window of each spike.
    windows : int
    steps : bool
        Whether they are timesteps.
    looked : list of Looked
        Which neurons were looked at. On other parts they are taken to be spread evenly over a part. Without
        them this work is left out, and what is found stays a lower bound.
    """

    def __init__(
        self,
        network: Network,
        spikes: SpikeList,
        window: Int64,
        windows: int,
        steps: bool,
        looked: list[Looked] | None = None,
    ) -> None:
        self.network, self.windows, self.steps = network, windows, steps
        self.looked: dict[str, list[Looked]] = {}
        for found in looked or []:
            self.looked.setdefault(found.part.population, []).append(found)
        self._window: dict[str, Int64] = {}
        self._neuron: dict[str, Int64] = {}
        by_rank = np.argsort(spikes.rank, kind="stable")
        ends = np.searchsorted(spikes.rank[by_rank], np.arange(1, len(network.order)))
        for name, own in zip(network.order, np.split(by_rank, ends), strict=True):
            self._window[name], self._neuron[name] = window[own], spikes.neuron[own]
        self._spikes_in: dict[tuple[str, Box], Int64] = {}
        self._messages: dict[tuple[str, tuple[Box, ...], Box], Int64] = {}
        self._of_part: dict[str, tuple[tuple[Box, ...], Int64]] = {}
        self._served: dict[tuple[str, Box, int], tuple[Int64, Int64]] = {}
        self._fan_out: dict[tuple[str, Box], Int64] = {}

    def work(self, mapping: Mapping) -> Work:
        """The work of each server when the network lies as a mapping says."""
        found, chip = Work(self.windows), Chip(mapping)
        for projection in self.network.projections.values():
            for target in mapping.parts[projection.target]:
                self._add_services(found, chip, projection, target)
                sources = mapping.parts[projection.source]
                sent = self._messages_to(projection, sources, target.box)
                for source, messages in zip(sources, sent, strict=True):
                    self._add_messages(found, chip, source, target, messages)
        for population in self.network:
            if not population.neuron.is_input and population.neuron.emits != "nothing":
                for part in mapping.parts[population.name]:
                    self._add_neurons(found, chip, population, part)
        return found

    # -- adding up -----------------------------------------------------------------------------------

    def _add_services(self, found: Work, chip: Chip, projection: Projection, part: Part) -> None:
        costs, cycle = chip.core(part.core), int(chip.synapse(part.population, part.core)[0])
        elements = costs.processing_elements
        cycles, words = self._services(projection, part.box, elements)
        core = server_of(part.core, CORE, self.steps)
        found.add(core, SYNAPSES, cycles * cycle)
        found.add_words(part.core, cycle, elements, words)
        if self.network.populations[part.population].neuron.tested == "at delivery" and not self.steps:
            found.add(core, NEURONS, cycles * costs.update)

    def _add_messages(self, found: Work, chip: Chip, source: Part, target: Part, messages: Int64) -> None:
        if not messages.any():
            return
        sends = int(chip.core(source.core).serialise[0])
        found.add(server_of(source.core, SERIALISER, self.steps), MESSAGES_OUT, messages * sends)
        decode = int(chip.core(target.core).decode[0])
        found.add(server_of(target.core, CORE, self.steps), MESSAGES_IN, messages * decode)
        if chip.architecture.synchronisation.timing == "totals":
            return  # there links take no time
        for link in chip.architecture.route(source.core, target.core):
            found.add((LINK, link), LINKS, messages * link_ticks(chip, link))

    def _add_neurons(self, found: Work, chip: Chip, population: Population, part: Part) -> None:
        costs = chip.core(part.core)
        server = server_of(part.core, SERIALISER if self.steps else CORE, self.steps)
        looked = sum(
            (_share(population, each, part) for each in self.looked.get(population.name, [])),
            np.zeros(self.windows, dtype=np.int64),
        )
        ticks = looked * costs.update
        if self.steps:
            ticks = ticks + neurons_of(population, part) * costs.access
            ticks = ticks + self.spikes_of(population.name, part.box) * costs.fire
        found.add(server, NEURONS, ticks)

    # -- counting ------------------------------------------------------------------------------------

    def spikes_of(self, name: str, box: Box) -> Int64:
        """Spikes of a box of a population, by window."""
        if (name, box) not in self._spikes_in:
            y, channel = self._places[name]
            inside = (y >= box.y0) & (y < box.y1) & (channel >= box.c0) & (channel < box.c1)
            self._spikes_in[name, box] = self._by_window(self._window[name][inside])
        return self._spikes_in[name, box]

    def _messages_to(self, projection: Projection, sources: tuple[Part, ...], target: Box) -> Int64:
        """Messages from each part to a box of its target, int64 of shape (parts, windows)."""
        boxes = tuple(part.box for part in sources)
        key = projection.name, boxes, target
        if key not in self._messages:
            name = projection.source
            sent = np.flatnonzero(self._synapses(projection, target)[self._neuron[name]])
            place = self._part_of_spike(name, boxes)[sent] * self.windows + self._window[name][sent]
            counted = np.bincount(place, minlength=len(boxes) * self.windows)
            self._messages[key] = counted[: len(boxes) * self.windows].reshape(len(boxes), self.windows)
        return self._messages[key]

    def _part_of_spike(self, name: str, boxes: tuple[Box, ...]) -> Int64:
        """Which of a population's boxes each spike is from."""
        if name not in self._of_part or self._of_part[name][0] != boxes:  # only the last: there may be many
            height, _, channels = self.network.populations[name].shape
            number = np.zeros((height, channels), dtype=np.int64)
            for place, box in enumerate(boxes):
                number[box.y0 : box.y1, box.c0 : box.c1] = place
            self._of_part[name] = boxes, number[self._places[name]]
        return self._of_part[name][1]

    def _services(self, projection: Projection, box: Box, elements: int) -> tuple[Int64, Int64]:
        """Synapse cycles and synapses that spikes cost in a box of their target, by window."""
        key = projection.name, box, elements
        if key not in self._served:
            synapses = self._synapses(projection, box)[self._neuron[projection.source]]
            window = self._window[projection.source]
            self._served[key] = (
                self._by_window(window, -(-synapses // elements)),
                self._by_window(window, synapses),
            )
        return self._served[key]

    def _synapses(self, projection: Projection, box: Box) -> Int64:
        key = projection.name, box
        if key not in self._fan_out:
            source, target = (self.network.populations[n] for n in (projection.source, projection.target))
            self._fan_out[key] = projection.fan_out(source.shape, target.shape, box=box)
        return self._fan_out[key]

    def _by_window(self, window: Int64, amounts: Int64 | None = None) -> Int64:
        # Sums in float64 are exact: they stay far below 2^53.
        return np.bincount(window, amounts, self.windows).astype(np.int64)

    @cached_property
    def _places(self) -> dict[str, tuple[Int64, Int64]]:
        """Row and channel of the neuron of each spike."""
        found = {}
        for population in self.network:
            _, width, channels = population.shape
            neuron = self._neuron[population.name]
            found[population.name] = neuron // (width * channels), neuron % channels
        return found


def neurons_of(population: Population, part: Part) -> int:
    """Neurons of a part."""
    return (part.y1 - part.y0) * population.shape[1] * (part.c1 - part.c0)


def _share(population: Population, looked: Looked, part: Part) -> Int64:
    """How many of the neurons looked at lie in a part, by window: exact where it is the same part."""
    own = looked.part
    y0, y1 = max(own.y0, part.y0), min(own.y1, part.y1)
    c0, c1 = max(own.c0, part.c0), min(own.c1, part.c1)
    if y0 >= y1 or c0 >= c1:
        return np.zeros_like(looked.amount)
    common = (y1 - y0) * (c1 - c0) * population.shape[1]
    return looked.amount * common // neurons_of(population, own)
