"""What runs produce: records of samples, their files, and what is read from them."""

from eventsnn.results.journal import Journal, open_results, unfinished_run
from eventsnn.results.store import read_results, write_results
from eventsnn.results.table import CounterHistory, FailedSample, ResultTable, SampleRecord

__all__ = [
    "CounterHistory",
    "FailedSample",
    "Journal",
    "ResultTable",
    "SampleRecord",
    "open_results",
    "read_results",
    "unfinished_run",
    "write_results",
]
