from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from workflow_src import cells as paths
from workflow_src.__main__ import main
from workflow_src.cells import Cell
from workflow_src.configuration import Dataset, load
from workflow_src.data.splits import make_split
from workflow_src.errors import BadData
from workflow_src.evaluation import write_metrics
from workflow_src.features.table import FeatureTable
from workflow_src.predictions import (
    SPAN_COLUMNS,
    Predictions,
    ScoreFacts,
    TaskPredictions,
    write_predictions,
)
from workflow_src.scheduling.events import Ended, read_event
from workflow_src.scheduling.journal import Journal
from workflow_src.tables.paper import write_tables
from workflow_src.tables.plan import ModelEntry, TablePlan, TaskSetEntry
from workflow_src.tables.results import COLUMNS, Missing, collect, read_results, write_results
from workflow_src.tables.show import show

from ..small_cells import MODEL, write_cell


def test_the_long_table_holds_every_score(bearing: Any) -> None:
    plan = bearing.plan
    assert write_results(plan.to_json()) == Path("demo/results.csv")
    table = pd.read_csv("demo/results.csv")
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 9
    best = table[(table["model"] == "patchtst") & (table["seed"] == 44)]
    assert best[["dataset", "task", "row", "metric", "value"]].values.tolist() == [
        ["bearing", "classification", "model", "macro_f1", 0.9]
    ]
    assert table["fold"].isna().all()


def test_folds_stand_in_a_column_and_reasons_are_kept(study: Any) -> None:
    study.models = {"fno": ModelEntry("FNO", "network")}
    study.dataset("uestc.fold2")
    study.classify("uestc.fold2", "fno", (0.5, "absent from test: ball", 0.5))
    frame = collect(study.plan.cells, "demo").frame
    assert frame["dataset"].unique().tolist() == ["uestc"]
    assert frame["fold"].tolist() == [2, 2, 2]
    assert frame["value"].isna().tolist() == [False, True, False]
    assert frame["undefined"].tolist() == ["", "absent from test: ball", ""]


def test_the_order_of_the_cells_changes_no_byte(bearing: Any) -> None:
    plan = bearing.plan
    collect(plan.cells, "demo")
    first = Path("demo/results.csv").read_bytes()
    collect(plan.cells[::-1], "demo")
    assert Path("demo/results.csv").read_bytes() == first
    assert sorted(p.name for p in Path("demo").iterdir()) == ["results", "results.csv"]


@pytest.mark.parametrize(
    ("events", "reason", "lack"),
    [
        ([], "not run", ""),
        ([("started", {})], "running, or stopped without an end", ""),
        ([("started", {}), ("ended", {"cause": "diverged"})], "loss diverged", "error"),
        ([("started", {}), ("ended", {"cause": "done"})], "trained, not scored yet", ""),
        (
            [("started", {}), ("ended", {"cause": "host_oom"})] * 3,
            "out of host memory (3 attempts)",
            "OOM",
        ),
    ],
)
def test_why_a_cell_is_missing(
    bearing: Any, events: list[tuple[str, dict[str, Any]]], reason: str, lack: str
) -> None:
    cell = Cell("bearing", "fno", "all", 43)
    (paths.results("demo", cell) / "metrics.json").unlink()
    for event, told in events:
        line = read_event({"event": event, **told})
        assert line is not None
        Journal(paths.runs("demo", cell) / "attempts.jsonl").append(line)
    found = read_results(bearing.plan.cells, "demo", partial=True)
    assert found.missing == {cell: Missing(reason, lack)}


def test_a_missing_or_damaged_file_is_named(bearing: Any) -> None:
    file = paths.results("demo", Cell("bearing", "fno", "all", 43)) / "metrics.json"
    text = file.read_text()
    for broken in (text[:20], "[]", text.replace('"seed": 43', '"seed": 44')):
        file.write_text(broken)
        with pytest.raises(BadData, match=str(file)):
            read_results(bearing.plan.cells, "demo", partial=True)
    file.unlink()
    with pytest.raises(BadData, match="snakemake partial_tables"):
        read_results(bearing.plan.cells, "demo")


def test_partial_results_leave_the_whole_ones_alone(bearing: Any) -> None:
    plan = bearing.plan
    write_results(plan.to_json())
    whole = Path("demo/results.csv").read_bytes()
    file = paths.results("demo", plan.cells[0]) / "metrics.json"
    file.unlink()
    assert write_results(plan.to_json(), partial=True) == Path("demo/tables/partial/results.csv")
    assert Path("demo/results.csv").read_bytes() == whole


def test_scores_of_other_settings_are_none(bearing: Any) -> None:
    stale = Cell("bearing", "fno", "all", 43)
    bearing.score(stale, {"classification": {"model": {"macro_f1": 0.1}}}, identity="before")
    bearing.train(stale, seconds=1.0)
    plan = bearing.plan
    found = read_results(plan.cells, "demo", partial=True, identity_of=lambda _: "now")
    assert found.missing == {stale: Missing("trained with other settings; not run since")}
    assert (len(found.frame), found.training) == (8, {})
    assert not read_results(plan.cells, "demo", partial=True).missing
    write_results(plan.to_json(), True, lambda _: "now")
    assert len(pd.read_csv("demo/tables/partial/results.csv")) == 8
    write_tables(plan.to_json(), True, lambda _: "now")
    table = pd.read_csv("demo/tables/partial/classification.csv").set_index("row")
    reason = "no result: trained with other settings; not run since"
    assert table.loc["FNO", "note"] == f"2 of 3 seeds; {reason} (seed 43)"
    assert f"{reason} (seed 43)" in show(plan.to_json(), True, lambda _: "now")
    with pytest.raises(BadData, match="trained with other settings"):
        write_tables(plan.to_json(), identity_of=lambda _: "now")


def test_scores_without_an_identity_are_not_current(bearing: Any) -> None:
    cell = bearing.plan.cells[0]
    file = paths.results("demo", cell) / "metrics.json"
    content = json.loads(file.read_text())
    del content["identity"]
    file.write_text(json.dumps(content))
    plan = bearing.plan
    found = read_results(plan.cells, "demo", partial=True, identity_of=lambda _: "now")
    assert list(found.missing) == [cell]


def test_the_verb_keeps_the_identity_of_the_cell(bearing: Any, monkeypatch: Any) -> None:
    told: list[Any] = []
    monkeypatch.setattr("workflow_src.evaluation.write_metrics", lambda *all_: told.extend(all_))
    dataset = {"rig": "r", "span": {"window": 4, "horizon": 1}, "split": {"strategy": "unit"}}
    names = {"dataset": "d", "model": "m", "task_set": "t", "seed": 1}
    cell = write_cell(Path("s/results"), names, dataset, MODEL, ["classification"], {})
    features = FeatureTable(Path("data/d/features.h5"))
    for more in ([], ["--features"], ["--features", str(features.path)]):  # of no rule, of a rule
        assert main(["evaluate", str(cell), *more]) == 0
    identity = json.loads(cell.read_text())["identity"]
    files = [cell.with_name("predictions.h5"), cell.with_name("metrics.json")]
    every = [*files, Cell("d", "m", "t", 1), identity]
    assert told == [*every, None, *every, None, *every, features]


def test_the_plan_survives_json(bearing: Any, tmp_path: Path) -> None:
    plan = bearing.plan
    text = plan.to_json()
    (tmp_path / "plan.json").write_text(text)
    for source in (text, json.loads(text), tmp_path / "plan.json"):
        assert TablePlan.from_json(source) == plan


def test_from_real_predictions_to_a_table(study: Any) -> None:
    """What evaluation writes is what the tables read."""
    study.models = {"fno": ModelEntry("FNO", "network")}
    study.seeds = (1,)
    study.dataset("bearing")
    spans = pd.DataFrame(
        {c: [0.0] * 4 if c in ("start", "time_s", "life_s", "onset_s") else ["x"] * 4
         for c in SPAN_COLUMNS}
    ).assign(part="test", recording_id=list("abcd"))  # fmt: skip
    task = TaskPredictions(
        mask=np.ones(4, bool),
        target=np.array([0.0, 0, 1, 1]),
        outputs={"model": np.array([[1, 0], [1, 0], [0, 1], [1, 0]], np.float32)},
    )
    facts = ScoreFacts(classes=("normal", "inner"))
    folder = paths.results("demo", study.plan.cells[0])
    folder.mkdir(parents=True)
    write_predictions(folder / "p.h5", Predictions(spans, {"classification": task}, facts))
    write_metrics(folder / "p.h5", folder / "metrics.json", study.plan.cells[0], "x")
    write_results(study.plan.to_json())
    write_tables(study.plan.to_json())
    table = pd.read_csv("demo/tables/classification.csv")
    assert table["mean"].tolist() == pytest.approx([(4 / 5 + 2 / 3) / 2])


def test_show(bearing: Any) -> None:
    text = show(bearing.plan.to_json())
    lines = text.splitlines()
    assert lines[0] == "  [9/9 cells]  1 rig x 3 models x 1 task set x 3 seeds      0 failed"
    title = lines.index("  Classification, macro F1")
    assert any("bearing" in line for line in lines[title : title + 4])
    assert max(map(len, lines)) < 100
    assert any("PatchTST" in line and "0.850 ± 0.050" in line for line in lines)
    assert "  tables: demo/tables/classification.{csv,md,html,tex}" in lines
    assert "  all results: demo/results.csv" in lines
    assert "\x1b" not in text
    assert "\x1b[1m0.850" in show(bearing.plan.to_json(), styled=True)


@pytest.mark.fast_cases("12")
@pytest.mark.parametrize("length", [4, 12])
def test_a_wide_table_goes_on_beneath(
    study: Any, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.task_sets = {"all": TaskSetEntry(("anomaly_detection",), False)}
    names = [f"rig{i:02}{'x' * length}" for i in range(12)]
    for name in names:
        study.dataset(name)
    for i, cell in enumerate(study.plan.cells):
        row = "RMS stump" if cell.model == "trivial" else "model"
        scores = {"auroc": 0.5 + i / 1000, "recall": 0.5, "false_alarm_rate": i / 1000}
        if cell.model == "fno":
            scores["false_alarm_rate"] = f"no healthy span in the validation part of {cell.dataset}"
        study.score(cell, {"anomaly_detection": {row: scores}})
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, show(study.plan.to_json()).splitlines())) <= 80
    monkeypatch.setenv("COLUMNS", "118")
    lines = show(study.plan.to_json()).splitlines()
    assert max(map(len, lines)) <= 118
    of_fno = [line for line in lines if "FNO" in line]
    assert 3 <= len(of_fno) < 12
    assert max(map(len, of_fno)) > 70  # a line is filled, not one column a piece
    data = pd.read_csv(write_tables(study.plan.to_json())[0])
    data = data[(data["row"] == "FNO") & (data["metric"] == "auroc")].set_index("label")
    shown = [f"{data.loc[name, 'mean']:.3f} ±" for name in names]
    assert [f"{text} ±" for text in re.findall(r"(0\.\d{3}) ±", " ".join(of_fno))] == shown
    text = "\n".join(lines)
    assert all(name[:5] in text for name in names)
    headed = [line for line in lines if "AUROC" in line or "mean rank" in line]
    assert len(headed) == len(of_fno) + 1  # the title says it too


def test_show_counts_what_failed(bearing: Any) -> None:
    cell = Cell("bearing", "fno", "all", 43)
    (paths.results("demo", cell) / "metrics.json").unlink()
    Journal(paths.runs("demo", cell) / "attempts.jsonl").append(Ended(cause="error"))
    text = show(bearing.plan.to_json(), partial=True)
    assert text.startswith("  [8/9 cells]")
    assert "1 failed" in text
    assert "2 of 3 seeds; no result: ended by an error (seed 43)" in text


@pytest.mark.slow
def test_planning_imports_nothing_heavy() -> None:
    heavy = "('torch', 'matplotlib', 'rich', 'workflow_src.tables.results')"
    code = f"import sys, workflow_src.tables.plan; print([m for m in {heavy} if m in sys.modules])"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_the_plan_of_the_repository() -> None:
    root = Path(__file__).parents[2]
    config = yaml.safe_load((root / "config/config.yaml").read_text(encoding="utf-8"))
    configuration = load({**config, "hardware": "local"}, root / "config")
    plan = TablePlan.from_configuration(configuration)
    assert plan.cells == tuple(paths.grid(configuration))
    assert plan.models["trivial"].kind == "classic"
    assert {d.origin for d in plan.datasets.values()} <= {"real", "simulated"}
    assert TablePlan.from_json(plan.to_json()) == plan
    for name, dataset in plan.datasets.items():
        assert dataset.noise_db == configuration.datasets[name].test_noise_db
    fewer = TablePlan.from_configuration(configuration, plan.cells[:1])
    assert list(fewer.datasets) == [plan.cells[0].dataset]


def test_a_real_split_has_the_facts_that_tables_show(study: Any) -> None:
    units = [(fault, unit) for fault in ("normal", "inner") for unit in range(3)]
    table = pd.DataFrame(
        {
            "recording_id": [f"{fault}{unit}" for fault, unit in units],
            "unit_id": [f"{fault}{unit}" for fault, unit in units],
            "run_id": [f"{fault}{unit}" for fault, unit in units],
            "condition": "1200",
            "length": 100,
            "fault": [fault for fault, _ in units],
            "life_s": np.nan,
            "time_s": np.nan,
            "channel_kinds": "vibration",
            "rate_hz": 1000.0,
        }
    )
    split = {"strategy": "unit", "test_share": 0.3, "validation": {"strategy": "none"}}
    dataset = Dataset.model_validate(
        {"rig": "bearing", "span": {"window": 8, "horizon": 2}, "split": split}
    )
    study.models = {"fno": ModelEntry("FNO", "network")}
    study.seeds = (1,)
    study.dataset("bearing", make_split(table, dataset, "bearing").summary)
    study.classify("bearing", "fno", (0.5,))
    written = write_tables(study.plan.to_json())
    text = next(path for path in written if path.name == "classification.md").read_text("utf-8")
    assert "bearing<br>unit |" in text
    assert "- Units in train/test: 2/1 per class." in text
