"""A split comes back from its file as it was written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from workflow_src.data import split_files
from workflow_src.data.split_files import ROW_COLUMNS, SplitTable, read_split, write_split
from workflow_src.errors import BadData

from ..split_summaries import split_summary

NAMES = ["007", "1e3", "100", "NA", "", "True", 'ü, "x"', "100.0"]


def table(count: int) -> SplitTable:
    names = [NAMES[i % len(NAMES)] for i in range(count)]
    rows = pd.DataFrame(dict.fromkeys(ROW_COLUMNS, names))
    rows["span"], rows["start"] = range(count), range(0, 7 * count, 7)
    rows["part"] = "train"
    return SplitTable(rows, split_summary(spans={"train": count, "val": 0, "test": 0}))


@pytest.mark.parametrize("count", [1, 8, 100])
def test_names_that_look_like_something_else_stay_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(split_files, "_AT_ONCE", 30)
    wanted = table(count)
    write_split(wanted, tmp_path)
    found = read_split(tmp_path).rows
    assert list(found.columns) == list(ROW_COLUMNS)
    for name in ROW_COLUMNS:
        assert found[name].tolist() == wanted.rows[name].tolist()
    assert found["recording_id"].dtype == "category"


def test_a_file_without_a_row_or_a_column_is_no_split(tmp_path: Path) -> None:
    write_split(table(8), tmp_path)
    path = tmp_path / "split.csv"
    lines = path.read_text().splitlines(keepends=True)
    for text in (lines[0], "", "span,part\n0,train\n"):
        path.write_text(text)
        with pytest.raises(BadData, match="cannot be read"):
            read_split(tmp_path)
