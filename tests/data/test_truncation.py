"""Truncated runs: one snapshot each, the last that may be seen, and the challenge's own lives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_src.artifacts.split_summary import ByPart
from workflow_src.classic.run import run_classic
from workflow_src.configuration import load
from workflow_src.configuration.schema import Dataset
from workflow_src.data.prepare import prepare_rig, prepare_split
from workflow_src.data.split_files import read_split
from workflow_src.data.splits import make_split
from workflow_src.data.store import Store
from workflow_src.data.truncation import read_truncation
from workflow_src.errors import BadData, UserError
from workflow_src.files import write_text
from workflow_src.predictions import TruncatedRun, read_predictions
from workflow_src.tasks.rul_prediction.score import score

from ..recordings import RECORDINGS

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "config"
SPLIT = {
    "strategy": "unit",
    "test": {"unit_id": ["b2", "b3"]},
    "truncation": "cut.csv",
    "validation": {"strategy": "none"},
}
CUT = "run_id,truncation_s,official_rul_s\nb2,25,10\nb3,30,7\nb9,5,5\n"


def runs() -> pd.DataFrame:
    """Four runs of six snapshots, ten seconds apart, that live 50 s."""
    rows = [
        {"recording_id": f"b{u}_{k}", "unit_id": f"b{u}", "run_id": f"b{u}", "time_s": 10.0 * k}
        for u in range(4)
        for k in range(6)
    ]
    known = {"condition": "c", "fault": "", "length": 30, "rate_hz": 100.0, "channels": 1}
    known |= {"channel_kinds": "vibration", "life_s": 50.0, "onset_s": np.nan}
    return pd.DataFrame(rows).assign(**known)


def made(folder: Path, text: str = CUT, table: pd.DataFrame | None = None, **split: Any) -> Any:
    (folder / "cut.csv").write_text(text)
    keys = {"rig": "r", "span": {"window": 8, "horizon": 2}, "split": {**SPLIT, **split}}
    table = runs() if table is None else table
    return make_split(table, Dataset.model_validate(keys), "d", folder)


def test_one_snapshot_a_run_and_all_its_windows(tmp_path: Path) -> None:
    split = made(tmp_path)
    test = split.rows[split.rows["part"] == "test"]
    assert set(test["recording_id"]) == {"b2_2", "b3_3"}  # at 20 s of 25, at 30 s of 30
    assert len(test) == 2 * 3
    summary = split.summary
    assert summary.truncation == {
        "b2": TruncatedRun(
            truncation_s=25.0, snapshot_s=20.0, official_rul_s=10.0, full_run_rul_s=25.0
        ),
        "b3": TruncatedRun(
            truncation_s=30.0, snapshot_s=30.0, official_rul_s=7.0, full_run_rul_s=20.0
        ),
    }
    assert summary.excluded == {"of truncated runs, not the last snapshot before": 10}
    assert summary.recordings == ByPart(12, 0, 2)
    told = "; ".join(summary.reasons)
    assert "2 of the 3 test runs of cut.csv are there: not comparable" in told
    assert "up to 5 s before" in told
    assert "b2: official RUL 10 s, by its full run 25 s" in told
    assert summary.score_facts().longest_training_life_s == 50
    whole = summary.model_copy(update={"truncation": None}).score_facts()
    assert whole.model_fields_set == {"classes", "strength"}


def _untimed() -> pd.DataFrame:
    table = runs()
    table.loc[table["recording_id"] == "b2_4", "time_s"] = np.nan
    return table


@pytest.mark.parametrize(
    ("text", "keys", "says"),
    [
        ("run_id,truncation_s,official_rul_s\nb2,25,10\n", {}, "run b3 has no truncation"),
        (CUT + "b1,20,5\n", {}, "The run b1 has a truncation, but is no test run"),
        (CUT.replace("b2,25", "b2,-5"), {}, "table of truncations cannot be read"),
        (CUT + "b2,30,5\n", {}, "table of truncations cannot be read"),
        (CUT.replace("official_rul_s", "rul"), {}, "columns run_id, truncation_s"),
        (CUT, {"table": _untimed()}, "a recording of it has no time"),
        (CUT, {"table": runs().query("recording_id != 'b2_0' and time_s != 10 and time_s != 20")},
         "truncated before its first recording"),
        (CUT, {"table": runs().query("run_id != 'b2' or time_s == 0")}, "is one recording"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    tmp_path: Path, text: str, keys: dict[str, Any], says: str
) -> None:
    with pytest.raises((UserError, BadData), match=says):
        made(tmp_path, text, **keys)


def test_the_last_snapshot_has_no_first_to_be_relative_to() -> None:
    keys = {"rig": "r", "span": {"window": 8, "horizon": 2}, "split": SPLIT}
    with pytest.raises(ValueError, match="relative to what"):
        Dataset.model_validate({**keys, "amplitude": "relative"})


@pytest.fixture(scope="module")
def femto(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (RECORDINGS / "FEMTO").is_dir():
        pytest.skip("no recordings: set PHM_DATA_ROOT to their folder")
    folder = tmp_path_factory.mktemp("femto")
    before = Path.cwd()
    os.chdir(folder)
    try:
        part = _configuration().rig_part("femto")
        prepare_rig(
            "femto", part, description="", data_root=RECORDINGS, config_folder=CONFIG / "rigs"
        )
    finally:
        os.chdir(before)
    return folder


def _configuration() -> Any:
    run = {
        "study": "s",
        "datasets": ["femto_phm2012", "femto_lobo"],
        "models": ["trivial"],
        "task_sets": ["all"],
        "seeds": [1],
        "hardware": "local",
        "training": {"epochs": 1, "batch_size": 16},
    }
    return load(run, CONFIG)


@pytest.mark.slow
def test_the_challenge_on_the_recordings(femto: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times and lives against the recordings; the score of the clock against one by hand."""
    monkeypatch.chdir(femto)
    configuration, name = _configuration(), "femto_phm2012"
    prepare_split(name, configuration.split_part(name), config_folder=CONFIG / "datasets")
    summary = read_split(femto / "data" / name).summary
    found = summary.truncation
    full = {run: one.full_run_rul_s for run, one in found.items()}
    assert full == {"Bearing1_3": 5730.0, "Bearing1_4": 2890.0, "Bearing2_4": 1390.0}
    assert found["Bearing1_4"].official_rul_s == 339.0
    table = read_truncation(CONFIG / "datasets" / "femto_phm2012.csv", "")
    assert len(table) == 11
    assert (table["truncation_s"] % 10 == 0).all()

    cell = femto / "s" / "results" / name / "trivial" / "all" / "seed1" / "cell.json"
    write_text(cell, configuration.resolve(name, "trivial", "all", 1).to_json())
    run_classic(cell)
    predictions = read_predictions(cell.parent / "predictions.h5")
    assert (predictions.spans["part"] == "test").sum() == 3
    values = score(predictions, "clock").values
    life = np.mean(list(summary.training_lives_s.values()))
    longest = max(summary.training_lives_s.values())

    def by_hand(key: str) -> float:
        scores = []
        for one in found.values():
            left = min(max(life - one.snapshot_s, 0.0), longest)
            left = max(left - (one.truncation_s - one.snapshot_s), 0.0)
            error = 100 * (getattr(one, key) - left) / getattr(one, key)
            scores.append(0.5 ** (-error / 5) if error <= 0 else 0.5 ** (error / 20))
        return float(np.mean(scores))

    assert values["phm2012"] == pytest.approx(by_hand("official_rul_s"), rel=1e-3)
    assert values["phm2012_full_run"] == pytest.approx(by_hand("full_run_rul_s"), rel=1e-3)


@pytest.mark.slow
def test_leave_one_bearing_out_needs_no_list(femto: Path) -> None:
    with Store(femto / "data" / "femto") as store:
        table = store.table
    units = ("1_1", "1_2", "1_3", "1_4", "2_1", "2_2", "2_4", "3_1", "3_2")
    datasets = {n: d for n, d in _configuration().datasets.items() if n.startswith("femto_lobo")}
    assert len(datasets) == len(units)
    for unit, (name, one) in zip(units, datasets.items(), strict=True):
        rows = make_split(table, one, name).rows
        listed = {"test": {"unit_id": [f"Bearing{unit}"]}, "rotation": None}
        other = one.model_copy(update={"split": one.split.model_copy(update=listed)})
        pd.testing.assert_frame_equal(rows, make_split(table, other, name).rows)
