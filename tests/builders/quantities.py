"""Quantities of accelerator files, as documents hold them."""

import numpy as np


def quantity(value, unit):
    value = value.item() if isinstance(value, np.generic) else value
    return {"value": value, "unit": unit, "kind": "assumed", "source": "drawn by a test"}
