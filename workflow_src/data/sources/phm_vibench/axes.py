"""Which axis of a record is time: by its shape, or where that is unusual by the table."""

from __future__ import annotations

from typing import Literal

from workflow_src.configuration.folder import MOST_COLUMNS
from workflow_src.data.sources.phm_vibench.table import MetadataRow

Axis = Literal["first", "second"]


def time_axis(shape: tuple[int, ...], row: MetadataRow) -> Axis | None:
    """The axis of time of a record (L,), (L, C), (C, L), each perhaps with a last axis of 1.

    None where the shape says nothing and the table does not say enough: a record of more channels
    than samples, or of many, may have its axes swapped or hold windows that are stacked.
    """
    first, second = (*shape, 1)[:2]
    if second <= min(first, MOST_COLUMNS):
        return "first"
    as_it_is = (row.length == first) + (row.channels == second)
    swapped = (row.length == second) + (row.channels == first)
    if as_it_is == 2:
        return "first"
    if swapped > as_it_is and first <= min(second, MOST_COLUMNS):
        return "second"
    return None
