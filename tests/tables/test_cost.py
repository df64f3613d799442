from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from workflow_src.cells import Cell
from workflow_src.errors import BadData
from workflow_src.tables.cost import cost_table, rules_table
from workflow_src.tables.results import read_results

HEAD = "s\th:m:s\tmax_rss\tmax_vms\n"


def test_cost_of_each_network_and_dataset(bearing: Any) -> None:
    for seed, peak in ((42, 300.0), (43, 500.0)):
        bearing.train(
            Cell("bearing", "patchtst", "all", seed),
            parameters=1234,
            epochs=20,
            seconds=10.0 * (seed - 41),
            seconds_per_epoch=0.5,
            peak_rss_mb=peak,
            attempts=1,
            micro_batch_size=32,
            accelerator="cpu",
        )
    plan = bearing.plan
    paper = cost_table(plan, read_results(plan.cells, "demo"))
    (table,) = paper.tables
    records = paper.data.set_index("model")
    assert list(records.index) == ["PatchTST", "FNO"]
    row = records.loc["PatchTST"]
    assert row["seconds"] == 30
    assert row["peak_rss_mb"] == 500
    assert row["parameters"] == 1234
    assert (row["cells"], row["trained"], row["hardware"]) == (3, 2, "cpu")
    texts = [entry.text for entry in table.blocks[0][0].entries]
    assert texts == ["2/3", "1,234", "20.0", "–", "0.50", "30.0", "500", "2", "32", "cpu"]
    assert any("left out" in note for note in table.notes)


def test_cost_of_each_rule(bearing: Any) -> None:
    root = Path("demo/benchmarks")
    for rule, name, line in (
        ("train", "bearing/fno/all/seed42.tsv", "10.5\t0:00:10\t100.25\t1\n"),
        ("train", "bearing/fno/all/seed43.tsv", "20.0\t0:00:20\t300.5\t1\n"),
        ("evaluate", "bearing/fno/all/seed42.tsv", "0.2\t0:00:00\t-\t-\n"),
        ("results.tsv", "", "1.0\t0:00:01\t50\t1\n"),
    ):
        path = root / rule / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + line)
    for left in ("old/fno/all/seed42.tsv", "bearing/fno/all/seed7.tsv"):
        path = root / "train" / left
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + "999\t0:00:20\t9999\t1\n")
    (root / "finetune/old").mkdir(parents=True)
    Path("data/benchmarks").mkdir()
    Path("data/benchmarks/bearing.split.tsv").write_text(HEAD + "2.0\t0:00:02\t60\t1\n")
    Path("data/benchmarks/foreign.split.tsv").write_text(HEAD + "9.0\t0:00:09\t90\t1\n")
    paper = rules_table(bearing.plan)
    (table,) = paper.tables
    rows = {row.label: [entry.text for entry in row.entries] for row in table.blocks[0]}
    assert rows == {
        "evaluate": ["1", "0.2", "–"],
        "results": ["1", "1.0", "50"],
        "split": ["1", "2.0", "60"],
        "train": ["2", "30.5", "300"],
    }
    assert isinstance(paper.data, pd.DataFrame)


def test_a_damaged_benchmark_is_named(bearing: Any) -> None:
    path = Path("demo/benchmarks/train/bearing/fno/all/seed42.tsv")
    path.parent.mkdir(parents=True)
    path.write_text("nonsense\n")
    with pytest.raises(BadData, match=str(path)):
        rules_table(bearing.plan)
