"""What runs produce: counters, digests, tables, and their files."""

from eventsnn.results.counters import COLUMN, COUNTERS, HARDWARE_COUNTERS, MODEL_COUNTERS
from eventsnn.results.digest import SampleDigest, run_digest
from eventsnn.results.journal import Journal, open_results, unfinished_run
from eventsnn.results.store import read_results, write_results
from eventsnn.results.table import CounterHistory, FailedSample, ResultTable, SampleRecord

__all__ = [
    "COLUMN",
    "COUNTERS",
    "HARDWARE_COUNTERS",
    "MODEL_COUNTERS",
    "CounterHistory",
    "FailedSample",
    "Journal",
    "ResultTable",
    "SampleDigest",
    "SampleRecord",
    "open_results",
    "read_results",
    "run_digest",
    "unfinished_run",
    "write_results",
]
