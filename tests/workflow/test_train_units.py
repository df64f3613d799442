"""A curve over the number of training units, by the real Snakemake."""

from __future__ import annotations

import csv
import io
import json

import pytest

from .conftest import Project

pytestmark = pytest.mark.slow

FOLDS = [1, 1, "all"]  # units of each class in training
RIG = {
    "source": "simulated",
    "simulated": {"kind": "bearing", "units_per_class": 5, "samples": 2048, "speeds_rpm": [1500]},
    "unit": "g",
    "amplitude_comparable": False,
}
DATASET = {
    "rig": "bench",
    "span": {"window": 256, "horizon": 32, "per_recording": 2},
    "split": {
        "strategy": "unit",
        "test_share": 0.25,
        "validation": {"strategy": "unit", "share": 0.25},
        "train_units": [1, "all"],
        "draws": 2,
    },
}


def drawn(project: Project, fold: int) -> dict[str, set[str]]:
    with (project.folder / f"data/curve.fold{fold}/split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {p: {r["unit_id"] for r in rows if r["part"] == p} for p in ("train", "val", "test")}


def test_a_curve_is_trained_and_shown(fresh: Project) -> None:
    fresh.edit("rigs/bench.yaml", **RIG)
    fresh.edit("datasets/curve.yaml", **DATASET)
    fresh.edit(
        "config.yaml",
        datasets=["curve"],
        models=["dlinear", "trivial"],
        task_sets=["classification"],
        training={"epochs": 1, "batch_size": 64},
    )
    outcome = fresh.snakemake()
    assert outcome.code == 0, outcome.text
    assert outcome.rules["recordings"] == 1
    assert outcome.rules["split"] == outcome.rules["train"] == len(FOLDS)
    made = [drawn(fresh, fold) for fold in range(len(FOLDS))]
    assert all((m["test"], m["val"]) == (made[0]["test"], made[0]["val"]) for m in made)
    assert made[0]["train"] != made[1]["train"]
    for fold, number in enumerate(FOLDS):
        folder = fresh.folder / f"data/curve.fold{fold}"
        facts = json.loads((folder / "split.json").read_text())
        assert (facts["train_units"]["number"], facts["strength"]) == (number, "unit")
        counts = {units["train"] for units in facts["units_per_class"].values()}
        assert counts == {1} if number == 1 else min(counts) > 1
        assert made[fold]["train"] <= made[2]["train"]
        assert json.loads((folder / "audit.json").read_text())["shared_pairs"] == 0
    table = fresh.tables["classification_simulated.md"].decode()
    assert "macro F1 (simulated rigs): score over training units" in table
    assert "curve, 1 unit<br>" in table
    assert "curve, all units<br>" in table
    rows = list(csv.DictReader(io.StringIO(fresh.tables["classification_simulated.csv"].decode())))
    mine = [r for r in rows if r["row"] == "DLinear" and r["metric"] == "macro_f1"]
    assert [r["datasets"].split() for r in mine] == [
        ["curve.fold0", "curve.fold1"],
        ["curve.fold2"],
    ]
    assert float(mine[0]["min"]) <= float(mine[0]["mean"]) <= float(mine[0]["max"])
    assert fresh.snakemake().nothing_to_do
