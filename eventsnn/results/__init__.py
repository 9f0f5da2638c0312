"""What runs produce: counters, digests, tables, and their files."""

from eventsnn.results.counters import COLUMN, COUNTERS, HARDWARE_COUNTERS, MODEL_COUNTERS
from eventsnn.results.digest import SampleDigest, run_digest
from eventsnn.results.store import Journal, read_results, write_results
from eventsnn.results.table import CounterHistory, ResultTable, SampleRecord

__all__ = [
    "COLUMN",
    "COUNTERS",
    "HARDWARE_COUNTERS",
    "MODEL_COUNTERS",
    "CounterHistory",
    "Journal",
    "ResultTable",
    "SampleDigest",
    "SampleRecord",
    "read_results",
    "run_digest",
    "write_results",
]
