"""Writes small files in the format of PHM-Vibench, with each defect that the real ones have."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from workflow_src.configuration.phm_vibench import COLUMNS
from workflow_src.data.recordings import NORMAL, Recording

Rows = list[dict[str, Any]]
Arrays = dict[str, Any]
FLAGS = ("Fault_Diagnosis", "Anomaly_Detection", "Remaining_Life", "Digital_Twin_Prediction")
SHAPES = ("(L, C, 1)", "(L, C)", "(L,)")


@dataclass(frozen=True)
class Written:
    """The two files."""

    path: Path
    metadata: Path


def write_files(
    folder: Path,
    recordings: Iterable[Recording],
    *,
    name: str = "RM_099_TEST",
    dataset_id: int = 99,
    first_id: int = 100,
    defects: Iterable[str] = (),
    table: str = "metadata.xlsx",
    encoding: str = "utf-8",
    shape: str = "(L, C, 1)",
    dtype: str = "float64",
) -> Written:
    """`<name>.h5` and its table, from recordings; `defects` are names of DEFECTS, in order."""
    rows, arrays = [], {}
    for key, recording in enumerate(recordings, first_id):
        rows.append(_row(key, recording, name, dataset_id))
        arrays[str(key)] = _array(recording.signal, shape, dtype)
    _number(rows)
    for defect in defects:
        DEFECTS[defect](rows, arrays)
    return write_rows(folder, rows, arrays, name=name, table=table, encoding=encoding)


def write_rows(
    folder: Path,
    rows: Rows,
    arrays: Arrays,
    *,
    name: str,
    table: str = "metadata.xlsx",
    encoding: str = "utf-8",
) -> Written:
    """`<name>.h5` from arrays by Id, and its table."""
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(folder / f"{name}.h5", folder / table)
    with h5py.File(written.path, "w") as file:
        for own, samples in arrays.items():
            if samples.dtype == object:
                file.create_dataset(own, data=samples, dtype=h5py.string_dtype())
            else:
                file[own] = samples
    _write_table(written.metadata, rows, encoding)
    return written


def _array(signal: Any, shape: str, dtype: str) -> Any:
    samples = signal.astype(dtype)
    if shape == "(L,)":
        assert samples.shape[1] == 1
        return samples[:, 0]  # (L, 1) -> (L,)
    return samples[:, :, np.newaxis] if shape == "(L, C, 1)" else samples  # (L, C) -> (L, C, 1)


def _row(key: int, recording: Recording, name: str, dataset_id: int) -> dict[str, Any]:
    length, channels = recording.signal.shape
    fails = recording.life_s is not None
    return {
        **dict.fromkeys(COLUMNS, ""),
        "Id": key,
        "Dataset_id": dataset_id,
        "Name": name,
        "File": recording.attributes.get("file", f"{recording.unit_id}/{recording.recording_id}"),
        "Visiable": 1,
        "Label": recording.fault,  # a number once all are known
        "Label_Description": recording.fault or "",
        "RUL_label": recording.run_id if fails else 0.0,  # likewise
        "Domain_id": recording.condition,  # likewise
        "Domain_description": recording.condition,
        "Sample_rate": recording.rate_hz or "",
        "Sample_lenth": length,
        "Channel": channels,
        "Fault_Diagnosis": 1,
        "Anomaly_Detection": 1,
        "Remaining_Life": int(fails),
        "Digital_Twin_Prediction": 1,
    }


def _number(rows: Rows) -> None:
    """Numbers in place of classes, conditions and runs, as the benchmark gives them."""
    faults = sorted({row["Label"] for row in rows} - {None, NORMAL})
    numbers = {NORMAL: 0, None: -1, **{fault: k for k, fault in enumerate(faults, 1)}}
    domains = sorted({row["Domain_id"] for row in rows})
    runs: dict[str, Rows] = defaultdict(list)
    for row in rows:
        row["Label"] = numbers[row["Label"]]
        row["Domain_id"] = domains.index(row["Domain_id"])
        if isinstance(row["RUL_label"], str):
            runs[row["RUL_label"]].append(row)
    for members in runs.values():
        for k, row in enumerate(members):
            row["RUL_label"] = 1 - k / max(len(members) - 1, 1)


def _write_table(path: Path, rows: Rows, encoding: str) -> None:
    if path.suffix == ".xlsx":
        pd.DataFrame(rows, columns=list(COLUMNS)).to_excel(path, index=False)
        return
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))


# ------------------------------------------------------------------------------- defects


def _set(**cells: Any) -> Callable[[Rows, Arrays], None]:
    """Cells of the first row."""
    return lambda rows, arrays: rows[0].update(cells)


def _set_all(**cells: Any) -> Callable[[Rows, Arrays], None]:
    return lambda rows, arrays: [row.update(cells) for row in rows]  # type: ignore[func-returns-value]


def _array_of_first(make: Callable[[Any], Any]) -> Callable[[Rows, Arrays], None]:
    def change(rows: Rows, arrays: Arrays) -> None:
        key = str(rows[0]["Id"])
        arrays[key] = make(arrays[key])

    return change


def _with_nan(samples: Any) -> Any:
    spoiled = samples.copy()
    spoiled[3] = np.nan
    return spoiled


def _mixed_flags(rows: Rows, arrays: Arrays) -> None:
    """1, TRUE, "TRUE", 1.0 for yes and 0, FALSE, empty for no, in turn."""
    yes, no = (1, True, "TRUE", 1.0, "true"), (0, False, "FALSE", "", float("nan"))
    for place, row in enumerate(rows):
        for flag in FLAGS:
            row[flag] = (yes if row[flag] else no)[place % 5]


def _record_without_row(rows: Rows, arrays: Arrays) -> None:
    arrays["9999"] = np.zeros((10, 1, 1))


def _row_without_record(rows: Rows, arrays: Arrays) -> None:
    del arrays[str(rows[0]["Id"])]


def _twice(rows: Rows, arrays: Arrays) -> None:
    rows.append(dict(rows[0]))


def _one_domain(rows: Rows, arrays: Arrays) -> None:
    for row in rows:
        row["Domain_id"] = 0


def _cut_run(rows: Rows, arrays: Arrays) -> None:
    """The last snapshot of the first run is in neither file."""
    last = next(row for row in rows if row["RUL_label"] == 0 and row["Remaining_Life"])
    rows.remove(last)
    del arrays[str(last["Id"])]


def _second_dataset(rows: Rows, arrays: Arrays) -> None:
    """The same records once more, as another Dataset_id of the same file."""
    for row in list(rows):
        key = row["Id"] + 5000
        rows.append({**row, "Id": key, "Dataset_id": row["Dataset_id"] + 1})
        arrays[str(key)] = arrays[str(row["Id"])]


def _two_descriptions(rows: Rows, arrays: Arrays) -> None:
    first = next(row for row in rows if row["Label"] == 1)
    first["Label_Description"] = "something else"


def _shared_description(rows: Rows, arrays: Arrays) -> None:
    """The last record of Label 1 bears a Label of its own, described as before."""
    last = [row for row in rows if row["Label"] == 1][-1]
    last["Label"] = 2


DEFECTS: dict[str, Callable[[Rows, Arrays], None]] = {
    "text instead of numbers": _array_of_first(
        lambda samples: np.array(["0.1;0.2"] * len(samples), dtype=object)
    ),
    "zero channels": _array_of_first(lambda samples: np.zeros((600, 0, 1))),
    "zero samples": _array_of_first(lambda samples: np.zeros((0, 2, 1))),
    "four dimensions": _array_of_first(lambda samples: np.zeros((9, 1, 1, 1))),
    "not finite": _array_of_first(_with_nan),
    "record without row": _record_without_row,
    "row without record": _row_without_record,
    "mixed flags": _mixed_flags,
    "odd flag": _set(Remaining_Life="perhaps"),
    "wrong length": _set(Sample_lenth=77),
    "wrong channels": _set(Channel=9),
    "no length": _set(Sample_lenth=float("nan")),
    "no rate": _set(Sample_rate=""),
    "rate of zero": _set(Sample_rate=0),
    "rate in kilohertz": _set(Sample_rate="25.600"),
    "degrading": _set(Label=-1),
    "no label": _set(Label=float("nan")),
    "half a label": _set(Label=1.5),
    "label below -1": _set(Label=-2),
    "label without flags": _set(Fault_Diagnosis=0, Anomaly_Detection=float("nan")),
    "hidden": _set(Visiable=0),
    "id twice": _twice,
    "no id": _set(Id=""),
    "one domain": _one_domain,
    "two descriptions": _two_descriptions,
    "shared description": _shared_description,
    "life without flag": _set(Remaining_Life=0),
    "life above 1": _set(RUL_label=17),
    "constant life": _set_all(RUL_label=0.0, Remaining_Life=1),
    "wrong life": _set(RUL_label=0.6),
    "cut run": _cut_run,
    "second dataset": _second_dataset,
}
