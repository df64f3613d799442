"""Naive windows: only where they are allowed, and never without the word leaky."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.artifacts.split_summary import LeakyWindows, SplitSummary
from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.cells import Cell
from workflow_src.configuration import load
from workflow_src.configuration.schema import Dataset
from workflow_src.data.leaky_windows import leak
from workflow_src.data.prepare import prepare_rig, prepare_split
from workflow_src.data.splits import make_split
from workflow_src.errors import UserError
from workflow_src.tables.paper import write_tables
from workflow_src.tables.plan import DatasetEntry, ModelEntry, TablePlan, TaskSetEntry
from workflow_src.tables.show import show

from ..examples import examples
from ..recordings import RECORDINGS

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "config"
NAIVE = {
    "strategy": "naive_windows",
    "allow_leakage": True,
    "test_share": 0.3,
    "validation": {"strategy": "naive_windows", "share": 0.2},
}


def recordings(lengths: list[int]) -> pd.DataFrame:
    rows = [
        {"recording_id": f"r{i}", "unit_id": f"u{i}", "run_id": f"r{i}", "length": length,
         "fault": "normal" if i % 2 else "inner"}
        for i, length in enumerate(lengths)
    ]  # fmt: skip
    known = {"condition": "c", "rate_hz": 100.0, "channels": 1, "channel_kinds": "vibration"}
    return pd.DataFrame(rows).assign(**known, time_s=np.nan, life_s=np.nan, onset_s=np.nan)


def dataset(stride: int = 2, **split: Any) -> Dataset:
    keys = {"rig": "r", "span": {"window": 8, "horizon": 2, "stride": stride}}
    return Dataset.model_validate({**keys, "split": {**NAIVE, **split}})


@examples(30)
@given(lengths=st.lists(st.integers(60, 120), min_size=1, max_size=4), stride=st.integers(1, 14))
def test_the_leak_is_counted_as_by_hand(lengths: list[int], stride: int) -> None:
    split = make_split(recordings(lengths), dataset(stride), "d")
    rows = split.rows
    sharing = 0
    for one in rows[rows["part"] == "test"].itertuples():
        others = rows[(rows["recording_id"] == one.recording_id) & (rows["part"] != "test")]
        sharing += any(
            set(range(one.start, one.start + 10)) & set(range(s, s + 10)) for s in others["start"]
        )
    tested = int((rows["part"] == "test").sum())
    assert split.summary.leaky == LeakyWindows(test_windows=tested, sharing_samples=sharing)
    if stride >= 10:
        assert sharing == 0
    shares = rows.groupby("recording_id")["part"].apply(lambda p: (p == "test").mean())
    assert shares.between(0.15, 0.45).all()  # 0.3 of at least five


def test_facts_and_independence_of_the_order() -> None:
    table = recordings([200, 300, 250])
    split = make_split(table, dataset(), "d")
    assert split.summary.strength == "leaky"
    assert split.summary.gap == 0
    assert "leaky" in split.summary.reasons[0]
    assert set(split.rows["part"]) == {"train", "val", "test"}
    again = make_split(table.iloc[::-1], dataset(), "d").rows
    key = ["recording_id", "start", "part"]
    assert sorted(map(tuple, again[key].to_numpy())) == sorted(
        map(tuple, split.rows[key].to_numpy())
    )
    other = make_split(table, dataset(seed=1), "d").rows
    assert (other["part"] != split.rows["part"]).any()
    none = make_split(table, dataset(validation={"strategy": "none"}), "d")
    assert set(none.rows["part"]) == {"train", "test"}
    assert leak(none.rows, 10).test_windows == none.summary.spans.test


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ({"allow_leakage": False}, "every table made with it says leaky"),
        ({"validation": {"strategy": "time_block"}}, "or neither of them is"),
        ({"test": {"unit_id": ["u1"]}}, "reads no `test`"),
        ({"gap": 5}, "leaves no gap"),
    ],
)
def test_what_it_does_not_read(split: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        dataset(**split)


def _run() -> dict[str, Any]:
    return {
        "study": "s",
        "datasets": ["cwru_naive"],
        "models": ["trivial"],
        "task_sets": ["all"],
        "seeds": [1],
        "hardware": "local",
        "training": {"epochs": 1, "batch_size": 16},
    }


def test_without_leave_the_error_shows_the_yaml(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "datasets" / "cwru_naive.yaml"
    path.write_text(path.read_text().replace("  allow_leakage: true\n", ""))
    with pytest.raises(UserError, match="allow_leakage: true"):
        load(_run(), tmp_path)


@pytest.mark.slow
def test_every_table_says_leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped dataset on the recordings, from its split to CSV, Markdown, LaTeX and screen."""
    if not (RECORDINGS / "CWRU").is_dir():
        pytest.skip("no recordings: set PHM_DATA_ROOT to their folder")
    monkeypatch.chdir(tmp_path)
    configuration = load(_run(), CONFIG)
    prepare_rig("cwru", configuration.rig_part("cwru"), description="", data_root=RECORDINGS,
                config_folder=CONFIG / "rigs")  # fmt: skip
    part = configuration.split_part("cwru_naive")
    prepare_split("cwru_naive", part, config_folder=CONFIG / "datasets")
    path = Path("data/cwru_naive/split.json")
    summary, before = SplitSummary.read(path), path.read_bytes()
    summary.write(path)
    assert path.read_bytes() == before
    leaky = summary.leaky
    assert leaky is not None
    assert leaky.sharing_samples > 0.99 * leaky.test_windows > 0
    cell = Cell("cwru_naive", "trivial", "all", 1)
    plan = TablePlan(
        "s",
        (cell,),
        {"trivial": ModelEntry("trivial", "classic", "trivial")},
        {"cwru_naive": DatasetEntry("CWRU, random windows", "", "cwru", "real")},
        {"all": TaskSetEntry(("classification", "anomaly_detection"), False)},
    )
    folder = Path("s/results/cwru_naive/trivial/all/seed1")
    folder.mkdir(parents=True)
    rows = {"majority class": {"values": {"macro_f1": 0.4}, "undefined": {}}}
    scores = {"classification": rows, "anomaly_detection": {}}
    content = {"cell": vars(cell), "identity": "now", "scores": scores}
    (folder / "metrics.json").write_text(json.dumps(content))
    TrainingReport(cell=cell, identity="x").write(folder / "training.json")
    written = {path.name: path.read_text() for path in write_tables(plan.to_json())}
    for task in ("classification", "anomaly_detection"):
        lines = written[f"{task}.csv"].splitlines()[1:]
        assert all(
            "CWRU, random windows (leaky),cwru_naive,leaky," in x.replace('"', "") for x in lines
        )
        for ending in ("md", "html", "tex"):
            text = written[f"{task}.{ending}"]
            assert "CWRU, random windows (leaky)" in text
            footnote = text[text.index("Leaky: ") :]
            assert "568 of 568 test windows share samples with training" in footnote
    shown = show(plan.to_json())
    assert "(leaky)" in shown
    assert "568 of 568 test windows share samples" in " ".join(shown.split())
