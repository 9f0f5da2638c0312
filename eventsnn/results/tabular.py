"""Tables on disk, of a kind that the name's ending says: csv, json, parquet, nc (NetCDF, by xarray)."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest, MissingExtra
from eventsnn.output import HDF5, JSON, replaced_whole, require_replaceable
from eventsnn.results.latency import time_passed
from eventsnn.results.table import SCALAR_FIELDS, ResultTable

if TYPE_CHECKING:
    import xarray

Columns = dict[str, NDArray[Any]]
NETCDF_FORMAT = "eventsnn-table"


def sample_columns(table: ResultTable) -> Columns:
    """Every scalar, latency and digest of each sample, shape (samples,)."""
    found = {name: table.column(name) for name in SCALAR_FIELDS}
    latencies = np.array([sample.latency_s for sample in table.samples])
    found["latency_s"] = time_passed(latencies, table.configuration)
    found["digest"] = np.array([sample.digest for sample in table.samples])
    return found


def plain_rows(columns: Columns) -> list[dict[str, Any]]:
    """Rows of JSON values; what is not known (NaN) is None."""
    values = {
        name: [None if isinstance(v, float) and math.isnan(v) else v for v in column.tolist()]
        for name, column in columns.items()
    }
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _write_csv(path: str | os.PathLike[str], columns: Columns, about: dict[str, Any]) -> None:
    del about  # a csv file has rows and nothing else
    rows = plain_rows(columns)
    header = ",".join(columns)
    with (
        replaced_whole(path, header.encode()) as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(["" if v is None else v for v in row.values()] for row in rows)


def _write_json(path: str | os.PathLike[str], columns: Columns, about: dict[str, Any]) -> None:
    with replaced_whole(path, JSON) as aside:
        text = json.dumps({**about, "rows": plain_rows(columns)}, allow_nan=False)
        aside.write_text(text + "\n", encoding="utf-8")


def _write_parquet(path: str | os.PathLike[str], columns: Columns, about: dict[str, Any]) -> None:
    try:
        import pandas
        import pyarrow  # noqa: F401 -- pandas needs it
    except ImportError as error:
        raise _missing("Parquet files", "pandas and pyarrow") from error
    frame = pandas.DataFrame(columns)
    frame.attrs = about
    with replaced_whole(path, b"PAR1") as aside:
        frame.to_parquet(aside, index=False, engine="pyarrow")


def _write_netcdf(path: str | os.PathLike[str], columns: Columns, about: dict[str, Any]) -> None:
    try:
        import h5netcdf  # noqa: F401 -- xarray needs it
    except ImportError as error:
        raise _missing("NetCDF files", "xarray and h5netcdf") from error
    require_replaceable(path, HDF5, NETCDF_FORMAT)
    dataset = dataset_of({name: (("row",), column) for name, column in columns.items()}, about)
    # NetCDF has no truth values.
    dataset = dataset.map(lambda v: v.astype("i1") if v.dtype == bool else v, keep_attrs=True)
    # HDF5 would ask for the lock that we hold on the file aside.
    with replaced_whole(path, HDF5) as aside, TemporaryDirectory() as folder:
        made = Path(folder) / "table.nc"
        dataset.to_netcdf(made, engine="h5netcdf")
        aside.write_bytes(made.read_bytes())


WRITERS: dict[str, Callable[[str | os.PathLike[str], Columns, dict[str, Any]], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".nc": _write_netcdf,
}


def write_table(path: str | os.PathLike[str], columns: Columns, about: dict[str, Any]) -> None:
    """Write columns of equal length as the kind of file that the name says.

    Parameters
    ----------
    path : path
        Ending in one of ``WRITERS``.
    columns : dict of arrays
        Of numbers, truth values or text, shape (rows,).
    about : dict
        JSON values that stand beside the rows where the kind of file has room for them.

    Raises
    ------
    InvalidRequest
        Another ending, or a path that cannot be written.
    MissingExtra
        The kind of file needs an extra that is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in WRITERS:
        raise InvalidRequest(f"{path} has the ending {ending!r}; allowed are {', '.join(WRITERS)}")
    WRITERS[ending](path, columns, about)


def dataset_of(
    variables: dict[str, tuple[tuple[str, ...], NDArray[Any]]],
    about: dict[str, Any],
    coordinates: dict[str, Any] | None = None,
) -> xarray.Dataset:
    """An ``xarray.Dataset`` of named dimensions; JSON values go into its attributes as text.

    Raises
    ------
    MissingExtra
        xarray is not installed.
    """
    try:
        import xarray
    except ImportError as error:
        raise _missing("datasets with named dimensions", "xarray") from error
    kept = {name: v if isinstance(v, str | int | float) else json.dumps(v) for name, v in about.items()}
    return xarray.Dataset(variables, coordinates, {"format": NETCDF_FORMAT} | kept)


def _missing(what: str, packages: str) -> MissingExtra:
    return MissingExtra(f"{what} need {packages}: pip install 'eventsnn[tables]', or choose .csv or .json")
