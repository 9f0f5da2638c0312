"""What a whole network costs by the step after which it stops: published tables and affine laws."""

from eventsnn.hardware.stepped.costs import StepCosts, load_step_costs, step_cost_names
from eventsnn.hardware.stepped.stops import Stepped, cost_of_stops

__all__ = ["StepCosts", "Stepped", "cost_of_stops", "load_step_costs", "step_cost_names"]
