"""Results files as earlier versions wrote them."""

import h5py
import numpy as np

from eventsnn.results.results import Results
from eventsnn.results.table import TRACE_FIELDS


def write_older(saved, path, without=()):
    """The same as written before there were checksums and small traces, and a recording could fail."""
    left_out = {"checksum", "contents", "classes", "sources"}
    with h5py.File(saved) as file, h5py.File(path, "w") as old:
        old.attrs.update({name: value for name, value in file.attrs.items() if name not in left_out})
        old.attrs["schema"] = 1

        def copy(name, item):
            dataset = isinstance(item, h5py.Dataset) and name not in without
            if dataset and not name.startswith(("failures/", "trace/")):
                old[name] = item[...]

        file.visititems(copy)
        traces = [sample.trace for sample in Results.load(saved).table.samples]
        old["trace/start"] = file["trace/start"][...]
        for name in TRACE_FIELDS:
            old[f"trace/{name}"] = np.concatenate([trace[name] for trace in traces])
    return path
