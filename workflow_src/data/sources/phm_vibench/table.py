"""The metadata table of PHM-Vibench: from its cells to rows that say one thing each."""

from __future__ import annotations

import csv
import difflib
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd

from workflow_src.data.report import DataReport
from workflow_src.data.sources.folder.table_rows import text_lines
from workflow_src.errors import BadData, UserError

ENCODINGS = ("utf-8-sig", "gbk")
REQUIRED = ("Id", "Dataset_id", "Label")
FLAGS = ("Visiable", "Fault_Diagnosis", "Anomaly_Detection", "Remaining_Life")
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


@dataclass(frozen=True)
class MetadataRow:
    """One row: its cells as text ("" for none), and those that are read as something else.

    A flag or a number is None where its cell is empty or says neither.
    """

    id: str
    cells: Mapping[str, str]
    label: int | None
    rul: float | None
    rate_hz: float | None
    length: int | None
    channels: int | None
    flags: Mapping[str, bool | None]


def read_table(path: Path) -> pd.DataFrame:
    """All cells of the table as text, stripped, "" for an empty one or for NaN.

    Raises ``UserError`` for a missing table, ``BadData`` for one that cannot be read, has lines of
    different widths or lacks the columns Id, Dataset_id or Label.
    """
    if not path.is_file():
        raise UserError(
            "The metadata table of a rig is missing.",
            where=str(path),
            remedy="mend `metadata:` under `phm_vibench:` of the rig, or `data_root:` of the "
            "config (or the environment variable PHM_DATA_ROOT)",
        )
    try:
        frame = _frame(path)
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadData(
            "The metadata table cannot be read.",
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            expected="an .xlsx file, or a .csv file in UTF-8 or GBK",
        ) from error
    frame.columns = [str(name).strip() for name in frame.columns]
    lacking = [name for name in REQUIRED if name not in frame.columns]
    if lacking:
        raise BadData(
            f"The metadata table has no column {', '.join(lacking)}.",
            where=str(path),
            found=f"columns {', '.join(frame.columns)}",
        )
    text = frame.map(lambda cell: str(cell).strip())
    return text.where(~text.isin(["nan", "NaN", "NAN", "None", "<NA>"]), "")


def _frame(path: Path) -> pd.DataFrame:
    if path.suffix.lower() == ".xlsx":
        return pd.read_excel(path, dtype=str, na_filter=False)
    raw = path.read_bytes()
    for encoding in ENCODINGS:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        even = StringIO()  # pandas would move the cells of a line that is longer than the header
        csv.writer(even).writerows(cells for _, cells in text_lines(path, text))
        even.seek(0)
        return pd.read_csv(even, dtype=str, na_filter=False, index_col=False)
    raise ValueError("neither UTF-8 nor GBK")


def number(text: str) -> float | None:
    """A cell as a finite number, None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole(text: str) -> int | None:
    """A cell as a whole number (``3`` or ``3.0``), None for anything else."""
    value = number(text)
    return int(value) if value is not None and value.is_integer() else None


def flag(text: str) -> bool | None:
    """1, 1.0, TRUE, True, yes -> True; 0, 0.0, FALSE, no -> False; anything else -> None."""
    lower = text.strip().strip("\"'").lower()
    return True if lower in _YES else False if lower in _NO else None


def select_rows(
    table: pd.DataFrame, dataset_ids: Sequence[int], path: Path, report: DataReport
) -> list[MetadataRow]:
    """The rows of these Dataset_ids, one an Id, in the order of their Ids.

    Raises ``UserError`` for a Dataset_id that the table does not have.
    """
    ids = table["Dataset_id"].map(whole)
    present = sorted({int(value) for value in ids.dropna()})
    for wanted in dataset_ids:
        if wanted not in present:
            near = difflib.get_close_matches(str(wanted), [str(p) for p in present], n=1)
            raise UserError(
                f"The metadata table has no row of Dataset_id {wanted}.",
                where=str(path),
                found=f"Dataset_id {', '.join(map(str, present))}",
                remedy=f"under `phm_vibench:` of the rig: `dataset_ids: [{(near or ['ID'])[0]}]`",
            )
    rows: dict[str, MetadataRow] = {}
    for line, cells in table[ids.isin(list(dataset_ids))].iterrows():
        row = _row({str(name): str(cell) for name, cell in cells.items()}, report)
        if row is None:
            where = f"data row {int(str(line)) + 1}"
            report.add("a row without an Id", "left out", where, f"Id {cells['Id']!r}")
        elif row.id in rows:
            report.add("an Id in two rows", "the first row counts", f"Id {row.id}")
        else:
            rows[row.id] = row
    return sorted(rows.values(), key=lambda row: int(row.id))


def _row(cells: dict[str, str], report: DataReport) -> MetadataRow | None:
    key = whole(cells["Id"])
    if key is None:
        return None
    flags = {name: flag(cells.get(name, "")) for name in FLAGS}
    for name in FLAGS:
        text = cells.get(name, "")
        if text and flags[name] is None:
            kind = "a flag that is neither yes nor no"
            report.add(kind, "read as empty", f"Id {key}", f"{name} {text!r}")
    label = whole(cells["Label"])
    if cells["Label"] and label is None:
        kind = "a Label that is no whole number"
        report.add(kind, "no class", f"Id {key}", f"Label {cells['Label']!r}")
    rul = number(cells.get("RUL_label", ""))
    if rul is not None and not 0 <= rul <= 1:
        report.add("a RUL_label outside of 0 to 1", "ignored", f"Id {key}", f"RUL_label {rul:g}")
        rul = None
    return MetadataRow(
        id=str(key),
        cells=cells,
        label=label,
        rul=rul,
        rate_hz=number(cells.get("Sample_rate", "")),
        length=whole(cells.get("Sample_lenth", "")),
        channels=whole(cells.get("Channel", "")),
        flags=flags,
    )
