"""How other packages count operations, as extra columns beside the true count (``docs/countings.md``).

A counting is a module of its own here, and an entry of ``COUNTINGS``. Definitions were read in the packages'
source; nothing of theirs is used.
"""

from eventsnn.insight.countings.activity import Activity
from eventsnn.insight.countings.base import Counting
from eventsnn.insight.countings.layers import Layer, layers_of
from eventsnn.insight.countings.table import COUNTINGS, Countings, chosen_countings

__all__ = ["COUNTINGS", "Activity", "Counting", "Countings", "Layer", "chosen_countings", "layers_of"]
