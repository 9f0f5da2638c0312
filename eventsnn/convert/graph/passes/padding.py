"""Zero padding before a convolution or an average, merged into its own.

Not before a max-pool: a padded zero takes part in the maximum, the pool's own padding never does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eventsnn.convert.graph.operations import AveragePool, Convolution, Windows

Int64 = NDArray[np.int64]
Borders = tuple[tuple[int, int], tuple[int, int]]


def borders_of(places: Int64) -> Borders:
    """Rows and columns of zeros (before, after) around places of shape (channels, y, x), on all channels."""
    _, kept_rows, kept_columns = np.nonzero(places >= 0)
    if not kept_rows.size:
        return (0, 0), (0, 0)
    rows, columns = np.unique(kept_rows), np.unique(kept_columns)
    height, width = places.shape[1:]
    return (
        (int(rows[0]), height - 1 - int(rows[-1])),
        (int(columns[0]), width - 1 - int(columns[-1])),
    )


def without(places: Int64, borders: Borders) -> Int64:
    """The places inside borders."""
    (top, bottom), (left, right) = borders
    height, width = places.shape[1:]
    return np.ascontiguousarray(places[:, top : height - bottom, left : width - right])


def convolution_of_padded(convolution: Convolution, places: Int64) -> tuple[Convolution, Int64]:
    """The convolution that reads rearranged values without their borders, and the places inside."""
    borders = borders_of(places)
    (top, bottom), (left, right) = borders
    (above, below), (before, after) = convolution.padding
    padding = ((above + top, below + bottom), (before + left, after + right))
    return replace(convolution, padding=padding), without(places, borders)


def average_of_padded(pool: AveragePool, places: Int64) -> tuple[AveragePool, Int64]:
    """The average (with its divisor) that reads rearranged values without their borders.

    Unchanged where a window would be left without anything to read.
    """
    borders = borders_of(places)
    inside = without(places, borders)
    rows = _inside(pool.rows, borders[0][0], inside.shape[1])
    columns = _inside(pool.columns, borders[1][0], inside.shape[2])
    if rows is None or columns is None:
        return pool, places
    return AveragePool(rows, columns, pool.divisor), inside


def _inside(windows: Windows, before: int, length: int) -> Windows | None:
    """Windows on what ``before`` zeros preceded; None where one reads nothing of it."""
    first, end = [], []
    for start, stop in zip(windows.first, windows.end, strict=True):
        read = [place for place in range(start - before, stop - before, windows.step) if 0 <= place < length]
        if not read:
            return None
        first.append(read[0])
        end.append(read[-1] + 1)
    return Windows(tuple(first), tuple(end), windows.step)
