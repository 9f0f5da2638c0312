"""Neuron models, one file a kind: what a population does with charge, and what others need to know of it.

A new kind is a frozen dataclass derived from ``Neuron`` with a ``kind`` of its own, given to
``register_neurons``: the network file reads and writes it by its fields. It does what its ``rule`` says.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from eventsnn.arguments import shown
from eventsnn.errors import InvalidNetwork
from eventsnn.network.neurons.base import (
    CHARGE_LIMIT,
    LEAK_ONE,
    LOGIT_BITS,
    LONGEST_INTERVAL,
    LONGEST_SETTLE,
    NEURON_KINDS,
    RULES,
    THRESHOLD_LIMIT,
    Neuron,
    leak_factor_of,
    neuron_parameters,
    register_neurons,
)
from eventsnn.network.neurons.first_spike import FirstSpike
from eventsnn.network.neurons.input import Input
from eventsnn.network.neurons.integrate_and_fire import IntegrateAndFire
from eventsnn.network.neurons.max_gate import MaxGate
from eventsnn.network.neurons.readout import Readout
from eventsnn.network.neurons.signed import Signed
from eventsnn.network.neurons.softmax import Softmax

Found = TypeVar("Found")

Rate = IntegrateAndFire
"""The same class by the name of its ``kind``: what files, checksums and ``--neuron rate`` call it."""

for _kind in (Input, Signed, IntegrateAndFire, FirstSpike, Readout, MaxGate, Softmax):
    register_neurons(_kind)


def unknown_kind(population: Any) -> InvalidNetwork:
    """The error of whoever meets neurons that it has no rule for."""
    return InvalidNetwork(
        f"population {population.name!r} has neurons of kind {shown(population.neuron)}, which are not "
        f"simulated here; known are {', '.join(NEURON_KINDS)}"
    )


def by_rule(table: Mapping[str, Found], population: Any) -> Found:
    """The entry of a table for the rule of a population's neurons, or the error that names the rule."""
    rule = population.neuron.rule
    if rule not in table:
        raise InvalidNetwork(
            f"population {population.name!r} of {population.neuron.kind} neurons follows the rule "
            f"{shown(rule)}, which is not simulated here; known are {', '.join(table)}"
        )
    return table[rule]


def known_neuron(population: Any) -> Neuron:
    """The neurons of a population, or the error that names them where kind or rule is not known here."""
    neuron = population.neuron
    if type(neuron) not in NEURON_KINDS.values():
        raise unknown_kind(population)
    by_rule(RULES, population)
    found: Neuron = neuron
    return found


__all__ = [
    "CHARGE_LIMIT",
    "LEAK_ONE",
    "LOGIT_BITS",
    "LONGEST_INTERVAL",
    "LONGEST_SETTLE",
    "NEURON_KINDS",
    "RULES",
    "THRESHOLD_LIMIT",
    "FirstSpike",
    "Input",
    "IntegrateAndFire",
    "MaxGate",
    "Neuron",
    "Readout",
    "Signed",
    "Softmax",
    "by_rule",
    "known_neuron",
    "leak_factor_of",
    "neuron_parameters",
    "register_neurons",
    "unknown_kind",
]
