"""Thresholds with a guarantee: from recorded runs, by tests that hold for any finite number of samples."""

from eventsnn.calibration.certify import calibrate
from eventsnn.calibration.coverage import calibrate_sets
from eventsnn.calibration.risks import RISKS

__all__ = ["RISKS", "calibrate", "calibrate_sets"]
