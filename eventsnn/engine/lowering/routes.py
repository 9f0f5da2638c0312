"""The routes of messages over an accelerator, as flat arrays for the kernels.

A *route* leads from a part of a population to one destination: over links that queue, if there are, into the
destination's core. Each step of it is a *leg*. Legs lead to streams (``kernels.streams``) where all queues
are unbounded, and else to the places of ``kernels.bounded``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.kernels import records as k
from eventsnn.engine.kernels.state import Queues, Streams
from eventsnn.engine.lowering.layout import Layout
from eventsnn.engine.lowering.times import Times
from eventsnn.engine.seeds import PURPOSE_BUS, PURPOSE_HOP_X, PURPOSE_HOP_Y
from eventsnn.hardware import INPUT_PORT, Chip, Part
from eventsnn.network import Network

Int64 = NDArray[np.int64]
Server = tuple[str, int]  # serialiser, link or core, and its number


class Routes(NamedTuple):
    """Read-only arrays, most of ``records``."""

    route: k.Records  # (parts x destinations of their population,) ROUTE
    first: Int64  # (parts,) what a destination is added to for its route
    core: Int64  # (parts,) number of its core's server
    leg: k.Records  # (legs,) LEG
    stream: k.Records  # (streams,) STREAM, as a sample begins
    server: k.Records  # (servers,) SERVER, as a sample begins; the last one is none
    place: k.Records  # (places,) PLACE, as a sample begins


NO_ROUTES = Routes(
    route=k.records(k.ROUTE, 1),
    first=np.zeros(1, dtype=np.int64),
    core=np.zeros(1, dtype=np.int64),
    leg=k.records(k.LEG, 1),
    stream=k.records(k.STREAM, 1),
    server=k.records(k.SERVER, 1),
    place=k.records(k.PLACE, 1),
)
POLICIES = {"block": k.POLICY_BLOCK, "drop-new": k.POLICY_DROP_NEW, "drop-old": k.POLICY_DROP_OLD}


class _Leg(NamedTuple):
    """One step of a route before streams and places have numbers."""

    source: Server
    target: Server
    offset: int
    fields: dict[str, int]


class _Legs:
    """Collects the legs of all routes; routes of equal ends and delay share theirs."""

    def __init__(self, chip: Chip, times: Times) -> None:
        self.chip, self.times = chip, times
        self.legs: list[_Leg] = []
        self.known: dict[tuple[int, int, int], int] = {}

    def first(self, source: int, target: int, delay: int) -> int:
        """The first leg from a core to a core; the others follow it."""
        key = (source, target, delay)
        if key not in self.known:
            self.known[key] = len(self.legs)
            self._add(*key)
        return self.known[key]

    def _add(self, source: int, target: int, delay: int) -> None:
        chip = self.chip
        route, (hops_x, hops_y) = chip.architecture.route(source, target), self._hops(source, target)
        server, core = ("serialiser", source), ("core", target)
        if not route:
            last = {"last": 1}
            offset = delay
            for name, table, hops in (("draw_x", chip.hop_x, hops_x), ("draw_y", chip.hop_y, hops_y)):
                if len(table) == 1:
                    offset += hops * int(table[0])
                else:
                    last[name] = hops
            self.legs.append(_Leg(server, core, offset, last))
            return
        bus = chip.architecture.network_on_chip.topology == "bus"
        for place, link in enumerate(route):
            if bus:
                table, purpose, hop = chip.bus, PURPOSE_BUS, 0
            elif place < hops_x:
                table, purpose, hop = chip.hop_x, PURPOSE_HOP_X, place
            else:
                table, purpose, hop = chip.hop_y, PURPOSE_HOP_Y, place - hops_x
            row = {"table": self.times.row(table), "purpose": purpose, "hop": hop}
            self.legs.append(_Leg(server, ("link", link), 0, row))
            server = ("link", link)
        self.legs.append(_Leg(server, core, delay, {"last": 1}))

    def _hops(self, source: int, target: int) -> tuple[int, int]:
        return self.chip.architecture.hops(source, target)


def build_routes(layout: Layout, chip: Chip, times: Times, ahead: bool, delayed: bool = True) -> Routes:
    """The routes of a mapped network.

    ``ahead``: over streams, since what messages wait for is computed ahead; else over places. ``delayed``:
    the delay of its projection is part of a message's last leg; else it counts in steps.
    """
    legs = _Legs(chip, times)
    rows: list[tuple[int, int, int]] = []
    firsts: list[int] = []
    destination = 0
    for name, copies in zip(layout.network.order, layout.copies, strict=True):
        for part in layout.of_population[name]:
            firsts.append(len(rows) - destination)
            for projection, target in copies:
                delay = projection.delay if delayed else 0
                hops = chip.architecture.hops(part.core, target.core)
                rows.append((legs.first(part.core, target.core, delay), *hops))
        destination += len(copies)
    leg = k.filled(k.LEG, [item.fields | {"offset": item.offset} for item in legs.legs] or [{}])
    cores = [part.core for _, part in layout.parts]
    servers = {leg.target for leg in legs.legs} | {("core", core) for core in cores}
    if not ahead:
        servers |= {("serialiser", core) for core in cores}
    number = {server: place for place, server in enumerate(sorted(servers))}
    stream, server, place = NO_ROUTES.stream, NO_ROUTES.server, NO_ROUTES.place
    if ahead:
        stream, server = _streams(legs.legs, leg, number)
    else:
        place = _places(legs.legs, leg, number, chip)
    return Routes(
        route=k.as_records(np.array(rows or [(0, 0, 0)]), k.ROUTE), first=np.array(firsts, dtype=np.int64),
        core=np.array([number["core", core] for core in cores], dtype=np.int64),
        leg=leg, stream=stream, server=server, place=place,
    )  # fmt: skip


def _streams(legs: list[_Leg], table: k.Records, number: dict[Server, int]) -> tuple[k.Records, k.Records]:
    """Number the streams into servers, and write them into the legs.

    Messages from one server to another that take equally long stay in order: they are one stream. Random
    times of hops disturb it: such a stream sorts.
    """
    draws = [bool(row.draw_x or row.draw_y) for row in table]
    keys = [
        (number[leg.target], leg.source, -1 if sorts else leg.offset)
        for leg, sorts in zip(legs, draws, strict=False)
    ]
    ordered = sorted(set(keys))
    place = {key: position for position, key in enumerate(ordered)}
    server = k.records(k.SERVER, len(number) + 1)
    server.at = k.NEVER
    server.accepted_head = server.accepted_tail = -1
    for (kind, of), row in zip(number, server, strict=False):
        row.number, row.is_link = of, kind == "link"
    for position, (into, *_) in enumerate(ordered):
        if server[into].last_stream == 0:
            server[into].first_stream = position
        server[into].last_stream = position + 1
    stream = k.records(k.STREAM, max(len(ordered), 1), fill=-1)
    stream.sorts = 0
    for row, key, sorts in zip(table, keys, draws, strict=False):
        row.to = place[key]
        stream[place[key]].server, stream[place[key]].sorts = key[0], sorts
    return stream, server


def _places(legs: list[_Leg], table: k.Records, number: dict[Server, int], chip: Chip) -> k.Records:
    """The places, and where legs lead."""
    place = k.records(k.PLACE, len(number), fill=-1)
    place.waiting = place.granted = place.unsent = place.free = 0
    place.depth = place.output_depth = k.NEVER
    place.policy = k.POLICY_BLOCK
    for (kind, of), own in number.items():
        row = place[own]
        row.number = of
        if kind == "link":
            row.kind = k.PLACE_LINK
            row.depth = _or_any(chip.architecture.network_on_chip.link_depth)
        elif kind == "serialiser":
            row.kind, row.partner = k.PLACE_SERIALISER, number["core", of]
        else:
            costs = chip.core(of)
            row.kind, row.partner = k.PLACE_CORE, number["serialiser", of]
            row.depth, row.output_depth = _or_any(costs.input_depth), _or_any(costs.output_depth)
            row.policy = POLICIES[costs.policy]
    for row, leg in zip(table, legs, strict=False):
        row.to = number[leg.target]
    return place


def _or_any(depth: int | None) -> int:
    return k.NEVER if depth is None else depth


def is_computed_ahead(network: Network, chip: Chip, seeded: bool) -> bool:
    """Whether all queues are unbounded, and what a message waits for is known when it is sent.

    Spikes must join a serialiser in the order in which they are emitted: not with seeded ties, on cycles, or
    where parts that get ready in different ways share a core. And a core must not mix services that take
    time with such that take none.
    """
    if seeded or network.cycles or chip.architecture.network_on_chip.link_depth is not None:
        return False
    by_core: dict[int, list[Part]] = {}
    for parts in chip.mapping.parts.values():
        for part in parts:
            by_core.setdefault(part.core, []).append(part)
    return all(_core_is_computed_ahead(network, chip, core, parts) for core, parts in by_core.items())


def _core_is_computed_ahead(network: Network, chip: Chip, core: int, parts: list[Part]) -> bool:
    costs = chip.core(core)
    if costs.input_depth is not None or costs.output_depth is not None:
        return False
    ready: set[Part | int] = set()
    takes_time: set[bool] = set()
    for part in parts:
        neuron = network.populations[part.population].neuron
        at_once = neuron.tested == "at delivery"
        if neuron.tested == "after deliveries":
            ready.add(part)
            takes_time.add(costs.update > 0)
        elif at_once:
            ready.add(costs.fire)
        elif neuron.emits != "nothing":
            ready.add(0)
        if core != INPUT_PORT and not neuron.is_input:
            service = int(costs.decode.min()) + int(chip.synapse(part.population, core).min())
            takes_time.add(service + costs.update * at_once > 0)
    return len(ready) <= 1 and len(takes_time) <= 1


# -- what changes while a sample runs ----------------------------------------------------------------------


def fresh_streams(routes: Routes, cores: int, messages: int) -> Streams:
    """The streams of a chip that is computed ahead, as a sample begins, for so many messages at once."""
    servers = len(routes.server)
    leaves = 1 << (servers - 1).bit_length()
    tree = np.full(2 * leaves, servers - 1, dtype=np.int64)
    tree[leaves : leaves + servers] = np.arange(servers)
    return Streams(
        stream=routes.stream.copy(),
        server=routes.server.copy(),
        tree=tree,
        message=k.records(k.MESSAGE, messages),
        serialiser=np.zeros(1 + cores, dtype=np.int64),  # the input port's first
    )


def fresh_queues(routes: Routes, messages: int) -> Queues:
    """The places of any other chip, as a sample begins."""
    return Queues(
        place=routes.place.copy(),
        message=k.records(k.QUEUED_MESSAGE, messages),
        event=k.records(k.PENDING, messages),
    )


def waits(queues: Queues) -> dict[int, tuple[int, int, int]]:
    """Of every blocked serialiser's core what ``failures.deadlock`` wants to know."""
    place, found = queues.place, {}
    for row in place[(place.kind == k.PLACE_SERIALISER) & (place.awaits >= 0)]:
        first = place[row.awaits]
        link = int(first.number) if first.kind == k.PLACE_LINK else -1
        since, at = 0, row
        while at.awaits >= 0:
            since = max(since, int(queues.message[at.served].end))
            at = place[at.awaits]
        found[int(row.number)] = (int(at.number), since, link)
    return found
