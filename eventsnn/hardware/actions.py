"""The action table: what each thing an accelerator does costs in time and energy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eventsnn.hardware.quantities import Quantity

# Which actions may take a random time: those of a message on its way.
RANDOM = ("input", "serialise", "hop_x", "hop_y", "bus", "decode", "synapse")


class Strict(BaseModel):
    """A part of an architecture file: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Jitter(Strict):
    """How an action's time varies from one time to the next about its mean, ``Action.time``.

    ``deviation`` is the standard deviation; 0 makes the time constant. ``empirical`` draws from ``values``,
    observed times in the deviation's place, scaled to the mean.
    """

    distribution: Literal["uniform", "normal", "lognormal", "gamma", "empirical"]
    deviation: Quantity | None = None
    values: tuple[Quantity, ...] = Field(default=(), max_length=4096)

    @model_validator(mode="after")
    def _one_of_both(self) -> Jitter:
        if self.distribution == "empirical":
            if not self.values or self.deviation is not None:
                raise ValueError("an empirical distribution has 'values', observed times, and no 'deviation'")
        elif self.deviation is None or self.values:
            raise ValueError(f"a {self.distribution} distribution has a 'deviation', and no 'values'")
        return self


class Action(Strict):
    """What one action costs. A missing part costs nothing."""

    time: Quantity | None = None
    energy: Quantity | None = None
    jitter: Jitter | None = None

    @model_validator(mode="after")
    def _jitter_about_a_time(self) -> Action:
        if self.jitter is not None and self.time is None:
            raise ValueError("jitter varies a time about its mean, and no time is given")
        return self

    def over(self, other: Action) -> Action:
        """This action, with what it leaves out taken from another; a time brings its jitter along."""
        timed = other if self.time is None else self
        energy = other.energy if self.energy is None else self.energy
        return Action(time=timed.time, energy=energy, jitter=timed.jitter)


class CoreActions(Strict):
    """What a core does; a kind of core may override any of them.

    ``serialise``: one message through the output. ``decode``: one message accepted. ``synapse``: time per
    cycle of the processing elements, energy per synaptic operation. ``multiply``: energy per operation of a
    graded payload. ``access``: one neuron visited in a step, whether anything happened to it or not.
    ``update``: a threshold test, time per cycle of the processing elements, energy per neuron; in steps, of
    a neuron that holds charge, has a current or was delivered to, on top of ``access``. ``fire``: one spike.
    """

    serialise: Action = Action()
    decode: Action = Action()
    synapse: Action = Action()
    multiply: Action = Action()
    access: Action = Action()
    update: Action = Action()
    fire: Action = Action()


class Actions(CoreActions):
    """All actions.

    Beside those of cores: ``input``: one event through the sensor's port. ``hop_x``, ``hop_y``: one mesh hop.
    ``bus``: one message over the bus. ``step``: what a timestep costs the whole accelerator. ``decision``:
    time per exit check, energy per readout value compared.
    """

    input: Action = Action()
    hop_x: Action = Action()
    hop_y: Action = Action()
    bus: Action = Action()
    step: Action = Action()
    decision: Action = Action()

    @model_validator(mode="after")
    def _jitter_where_modelled(self) -> Actions:
        for name in type(self).model_fields:
            refuse_jitter(name, getattr(self, name))
        return self


def refuse_jitter(name: str, action: Action) -> None:
    """Refuse a random time where none is modelled."""
    if action.jitter is not None and name not in RANDOM:
        raise ValueError(f"actions.{name}.jitter: times may vary for {', '.join(RANDOM)} only")


# Which action's energy a counter is charged: in the event schedule, and what differs in steps.
ACTION_OF_COUNTER: dict[str, str] = {
    "input_events": "input",
    "spikes_positive": "fire",
    "spikes_negative": "fire",
    "synaptic_operations": "synapse",
    "multiplications": "multiply",
    "neuron_updates": "update",
    "current_updates": "update",
    "decision_operations": "decision",
    "messages_sent": "serialise",
    "hops_x": "hop_x",
    "hops_y": "hop_y",
    "bus_transfers": "bus",
    "messages_received": "decode",
    "synapses_served": "synapse",
    "neuron_accesses": "access",
    "active_updates": "update",
    "compares": "update",
    "steps": "step",
}
# In steps neurons are accessed and updated, and synapses are paid for in the step of their messages.
NOT_IN_STEPS = ("neuron_updates", "current_updates", "compares", "synaptic_operations")


def charged(steps: bool) -> dict[str, str]:
    """The counters that cost energy and the action each is charged; ``steps`` for the step schedule."""
    return {
        counter: action
        for counter, action in ACTION_OF_COUNTER.items()
        if not (steps and counter in NOT_IN_STEPS)
    }
