"""What is counted, and the hash over all of it: the names of counters, and the digest."""

from eventsnn.counting.counters import COLUMN, COUNTERS, HARDWARE_COUNTERS, MODEL_COUNTERS
from eventsnn.counting.digest import SampleDigest, run_digest

__all__ = ["COLUMN", "COUNTERS", "HARDWARE_COUNTERS", "MODEL_COUNTERS", "SampleDigest", "run_digest"]
