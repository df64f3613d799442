"""What was edited or mixed since it was written is refused when it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workflow_src.data.chunk_reader import ChunkReader
from workflow_src.data.recordings import Recording
from workflow_src.data.split_files import ROW_COLUMNS, SplitTable, read_split, write_split
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.errors import BadData

from ..split_summaries import split_summary

FACTS = Heading("bench", "test")


def write(folder: Path, value: float = 1.0) -> None:
    signal = np.full((5000, 1), value, np.float32)
    one = Recording("r", "007", "c", "run", signal, ("vibration",), 100.0, "normal")
    write_store([one], folder, FACTS)


def replaced(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


@pytest.mark.parametrize(("old", "new"), [('"normal"', '"inner"'), ("100.0", "200.0"), ("7", "8")])
def test_a_table_edited_by_hand(tmp_path: Path, old: str, new: str) -> None:
    write(tmp_path)
    replaced(tmp_path, "recordings.csv", old, new)
    with pytest.raises(BadData, match=r"recordings\.csv[\s\S]*edited[\s\S]*snakemake .*--force"):
        _ = Store(tmp_path).table


@pytest.mark.parametrize("name", ["recordings.h5", "manifest.json"])
def test_files_of_two_stores(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a", 1.0)
    write(tmp_path / "b", 2.0)
    (tmp_path / "b" / name).replace(tmp_path / "a" / name)
    store = Store(tmp_path / "a")
    direct = ChunkReader(Store(tmp_path / "a"), ["r"], [(5000, 1)])
    for _ in range(2):  # a second try is no way around
        with pytest.raises(BadData, match=r"another store's[\s\S]*snakemake .*--force"):
            store.read("r", 0, 10)
        with pytest.raises(BadData, match=r"another store's[\s\S]*snakemake .*--force"):
            direct.read(0, 0, np.empty((10, 1), np.float32))


def test_a_store_of_before_there_were_sums(tmp_path: Path) -> None:
    write(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["table_sha256"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert Store(tmp_path).table["unit_id"].tolist() == ["007"]


def split(count: int = 8) -> SplitTable:
    rows = pd.DataFrame(dict.fromkeys(ROW_COLUMNS, ["x"] * count))
    rows["span"], rows["start"] = range(count), range(0, 7 * count, 7)
    rows["part"] = ["train"] * (count - 1) + ["test"]
    spans = {"train": count - 1, "val": 0, "test": 1}
    return SplitTable(rows, split_summary(spans=spans, strength="run", rate_hz=0.1 + 0.2))


def edited_rows(folder: Path) -> None:
    replaced(folder, "split.csv", "test", "train")


def edited_summary(folder: Path) -> None:
    replaced(folder, "split.json", '"run"', '"unit"')


def mixed(folder: Path) -> None:
    before = (folder / "split.csv").read_bytes()
    write_split(SplitTable(split().rows.assign(part="train"), split().summary), folder)
    (folder / "split.csv").write_bytes(before)


@pytest.mark.parametrize("edit", [edited_rows, edited_summary, mixed])
def test_a_split_that_is_not_what_was_written(tmp_path: Path, edit: Callable[[Path], None]) -> None:
    write_split(split(), tmp_path)
    assert read_split(tmp_path).summary.model_copy(update={"sha256": None}) == split().summary
    edit(tmp_path)
    with pytest.raises(BadData, match=r"cannot be read[\s\S]*SHA-256[\s\S]*rm .*split\.csv"):
        read_split(tmp_path)


def test_a_split_of_before_there_were_sums(tmp_path: Path) -> None:
    write_split(split(), tmp_path)
    split().summary.write(tmp_path / "split.json")
    assert read_split(tmp_path).summary == split().summary
