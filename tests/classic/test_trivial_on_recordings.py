"""Trivial rows on measured vibration: the levels that a table on these rigs must show."""

import numpy as np
import pandas as pd
import pytest

from workflow_src.classic.problem import Problem
from workflow_src.classic.trivial import Options, predict
from workflow_src.evaluation import evaluate
from workflow_src.predictions import SPAN_COLUMNS, ScoreFacts

from ..recordings import RECORDINGS

WINDOW, HORIZON = 2048, 96


class FemtoSource:
    """The official division: learning runs are training, full test runs are test."""

    def __init__(self, root):
        manifest = pd.read_csv(root / "MANIFEST.csv")
        chosen = manifest["dataset"].eq("FEMTO") & manifest["file"].str.contains("acc_")
        files = manifest[chosen].sort_values(["run_id", "snapshot_index"], ignore_index=True)
        life = 10.0 * files["n_snapshots_life"]
        self.rul = files["rul_s"].to_numpy(float) / life.to_numpy(float)
        self.signals = []
        for name in files["file"]:
            text = (root / name).read_text()
            mark = ";" if ";" in text[:200] else ","
            table = np.array([line.split(mark)[4:6] for line in text.splitlines()], np.float32)
            self.signals.append(table[: WINDOW + HORIZON])
        self.table = pd.DataFrame({column: ["x"] * len(files) for column in SPAN_COLUMNS})
        self.table["recording_id"], self.table["run_id"] = files["file"], files["run_id"]
        self.table["part"] = files["split_hint"].where(files["split_hint"].eq("train"), "test")
        self.table["life_s"], self.table["time_s"] = life, life - files["rul_s"]
        self.table["condition"] = files["run_id"].str.extract(r"(Bearing\d)", expand=False)
        self.table[["start", "onset_s"]] = 0.0

    def rows(self, part):
        return np.flatnonzero(self.table["part"] == part)

    def read(self, rows):
        return _Arrays(np.stack([self.signals[row] for row in rows]), self.rul[rows])

    def frame(self, rows):
        return self.table.iloc[rows].reset_index(drop=True)


class _Arrays:
    def __init__(self, signal, rul):
        self.window, self.horizon, self.rul = signal[:, :WINDOW], signal[:, WINDOW:], rul
        self.fault, self.anomaly = np.full(len(rul), -1), np.full(len(rul), np.nan)


@pytest.fixture(scope="module")
def femto():
    if not (RECORDINGS / "FEMTO").is_dir():
        pytest.skip(f"no FEMTO recordings under {RECORDINGS}: set PHM_DATA_ROOT")
    return FemtoSource(RECORDINGS)


@pytest.mark.slow
def test_levels_on_femto(femto):
    found = predict(
        Problem(femto, ["rul_prediction", "signal_prediction"], ScoreFacts(), 0), Options()
    )
    scores = evaluate(found)
    rul = {row: values.values["rmse"] for row, values in scores["rul_prediction"].items()}
    assert rul["training mean"] == pytest.approx(0.296, abs=0.002)
    assert rul["clock"] == pytest.approx(0.191, abs=0.001)
    assert rul["clock per condition"] == pytest.approx(0.110, abs=0.001)
    nmse = {row: values.values["nmse"] for row, values in scores["signal_prediction"].items()}
    assert nmse["input mean"] == pytest.approx(0.98, abs=0.03)
    assert nmse["AR(32)"] == pytest.approx(0.98, abs=0.03)
    assert scores["signal_prediction"]["AR(32)"].values["nmse_step_1"] < 0.9
