"""The arrays of a file of PHM-Vibench: which can be used, and their samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from workflow_src.data.external import as_signal
from workflow_src.data.own_samples import own_member
from workflow_src.data.report import DataReport
from workflow_src.data.sources.phm_vibench.axes import time_axis
from workflow_src.data.sources.phm_vibench.table import MetadataRow
from workflow_src.errors import BadData, UserError

LEFT_OUT = "left out"
SWAPPED = "a record (C, L), as the table says"
UNTOLD = "a record of which neither shape nor table says which axis is time"


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, opened without a lock; ``UserError`` if it is missing, ``BadData`` if damaged."""
    if not path.is_file():
        raise UserError(
            "A file of PHM-Vibench is missing.",
            where=str(path),
            remedy="mend `path:` under `phm_vibench:` of the rig, or `data_root:` of the config "
            "(or the environment variable PHM_DATA_ROOT)",
        )
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise BadData(
            "A file of PHM-Vibench is damaged or was cut short.",
            where=str(path),
            found=str(error),
            remedy="fetch the file again",
        ) from error
    with file:
        yield file


class Record(NamedTuple):
    """The samples of a row, (L, C) float32; ``turned`` if the file holds them as (C, L)."""

    signal: NDArray[np.float32]
    turned: bool


def read_record(file: h5py.File, row: MetadataRow, report: DataReport) -> Record | None:
    """The samples of a row; None, reported, where they cannot be used.

    The array decides on length and channels; where the table says otherwise, that is reported.
    Where the shape is unusual the table decides which axis is time. Raises ``BadData`` where the
    file is damaged, and for a record whose samples lie in another file.
    """
    where, dataset = f"Id {row.id}", own_member(file, row.id)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "iuf":
        found = f"dtype {dataset.dtype}" if isinstance(dataset, h5py.Dataset) else "a group"
        report.add("a record that holds no numbers", LEFT_OUT, where, found)
        return None
    shape = dataset.shape
    if not (len(shape) in (1, 2) or (len(shape) == 3 and shape[2] == 1)):
        kind = "a record whose shape is not (L,), (L, C) or (L, C, 1)"
        report.add(kind, LEFT_OUT, where, f"shape {shape}")
        return None
    if 0 in shape:
        what = "samples" if shape[0] == 0 else "channels"
        report.add(f"a record with zero {what}", LEFT_OUT, where, f"shape {shape}")
        return None
    axis = time_axis(shape, row)
    if axis is None:
        said = f"table Sample_lenth {row.length}, Channel {row.channels}"
        report.add(UNTOLD, LEFT_OUT, where, f"shape {shape}, {said}")
        return None
    try:
        signal = as_signal(dataset[()], None)
    except OSError as error:
        raise BadData(
            "A record of PHM-Vibench is damaged or was cut short.",
            where=f"{file.filename}, {where}",
            found=str(error),
            remedy="fetch the file again",
        ) from error
    if not np.isfinite(signal).all():
        count = int((~np.isfinite(signal)).sum())
        kind = "a record with samples that are not finite"
        report.add(kind, LEFT_OUT, where, f"{count} of {signal.size}")
        return None
    if axis == "second":
        signal = np.ascontiguousarray(signal.T)  # (C, L) -> (L, C)
        report.add(SWAPPED, "its samples are copied, (L, C)", where, f"shape {shape}")
    _compare(row, signal.shape[0], signal.shape[1], report)
    return Record(signal, axis == "second")


def _compare(row: MetadataRow, length: int, channels: int, report: DataReport) -> None:
    for name, said, found in (
        ("Sample_lenth", row.length, length),
        ("Channel", row.channels, channels),
    ):
        if said is None:
            kind = f"a record whose {name} the table does not say"
            report.add(kind, "taken from the array", f"Id {row.id}", f"array {found}")
        elif said != found:
            detail = f"table {said}, array {found}"
            report.add(f"a wrong {name}", "the array decides", f"Id {row.id}", detail)


def compare_keys(
    keys: set[str], known: set[str], rows: list[MetadataRow], report: DataReport
) -> list[MetadataRow]:
    """The rows that have a record; rows without one and records without a row are reported.

    ``keys`` are those of the file, ``known`` all Ids of the table.
    """
    for key in sorted(keys - known, key=lambda key: (len(key), key)):
        report.add("a record without a row in the table", LEFT_OUT, f"record {key}")
    for row in rows:
        if row.id not in keys:
            file = row.cells.get("File", "")
            report.add("a row without a record in the file", LEFT_OUT, f"Id {row.id}", file)
    return [row for row in rows if row.id in keys]
