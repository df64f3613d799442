"""What runs again after a change, and what does not."""

from __future__ import annotations

import time

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.slow


def _predictions(path):
    arrays = {}
    with h5py.File(path, "r", locking=False) as file:
        file.visititems(
            lambda name, item: (
                arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return arrays


def _modified(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_one_command_trains_every_cell_and_writes_every_table(first_run):
    project, outcome = first_run
    assert outcome.rules == {
        "recordings": 1,
        "split": 1,
        "features": 1,
        "forecast": 1,
        "cell": 3,
        "train": 2,
        "classic": 1,
        "evaluate": 3,
        "results": 1,
        "paper_tables": 1,
        "all": 1,
    }
    for task in ("classification", "anomaly_detection", "signal_prediction", "rul_prediction"):
        for ending in ("csv", "md", "tex"):
            assert project.tables[f"{task}_simulated.{ending}"]
    for model in ("dlinear", "fno"):
        assert project.kept(model).event_names == ["started", "ended"]
        assert project.kept(model).epochs == [1, 2]


def test_a_second_run_has_nothing_to_do_and_touches_nothing(finished):
    before = _modified(finished.folder / "tiny")
    assert finished.snakemake().nothing_to_do
    assert _modified(finished.folder / "tiny") == before


def test_deleted_metrics_are_scored_again_without_training(finished, table_rules):
    before = finished.kept("fno").read("metrics.json")
    tables = finished.tables
    (finished.kept("fno").results / "metrics.json").unlink()
    outcome = finished.snakemake()
    assert outcome.code == 0, outcome.text
    assert outcome.rules == {"evaluate": 1, **table_rules}
    assert finished.kept("fno").read("metrics.json") == before
    assert finished.tables == tables


def test_deleted_predictions_cost_no_epoch(finished, table_rules):
    fno, dlinear = finished.kept("fno"), finished.kept("dlinear")
    history = (fno.runs / "history.csv").read_bytes()
    weights, arrays = fno.read("model.safetensors"), _predictions(fno.results / "predictions.h5")
    (fno.results / "predictions.h5").unlink()
    outcome = finished.snakemake()
    assert outcome.code == 0, outcome.text
    assert outcome.rules == {"train": 1, "evaluate": 1, **table_rules}
    assert (fno.runs / "history.csv").read_bytes() == history
    assert fno.event_names == ["started", "ended"] * 2
    assert fno.events[-1]["cause"] == "done"
    assert fno.read("model.safetensors") == weights
    again = _predictions(fno.results / "predictions.h5")
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    assert dlinear.event_names == ["started", "ended"]
    assert finished.snakemake().nothing_to_do


@pytest.mark.parametrize("name", ["cell.json", "training.json", "model.safetensors"])
def test_no_deleted_result_is_passed_over(finished, name):
    (finished.kept("fno").results / name).unlink()
    assert ("train", "fno") in finished.dry().jobs
    assert finished.dry().rules["train"] == 1


def test_a_store_written_again_costs_no_epoch(finished):
    (finished.folder / "data" / "tiny" / "recordings.h5").unlink()
    outcome = finished.snakemake("--forcerun", "recordings")
    assert outcome.code == 0, outcome.text
    assert outcome.rules["train"] == 2
    for model in ("dlinear", "fno"):
        assert finished.kept(model).epochs == [1, 2]
    assert finished.snakemake().nothing_to_do


def test_a_learning_rate_retrains_its_model_alone_from_the_first_epoch(finished, table_rules):
    fno, dlinear = finished.kept("fno"), finished.kept("dlinear")
    fno_files = _modified(fno.results)
    old = {name: (dlinear.runs / name).read_bytes() for name in ("identity", "model.safetensors")}
    finished.edit("models/dlinear.yaml", training={"learning_rate": 0.01})
    outcome = finished.snakemake()
    assert outcome.code == 0, outcome.text
    assert outcome.rules == {"cell": 1, "train": 1, "evaluate": 1, **table_rules}
    assert {model for _, model in outcome.jobs if model} == {"dlinear"}
    assert dlinear.cell["training"]["learning_rate"] == 0.01
    assert dlinear.epochs == [1, 2]
    assert "resumed" not in dlinear.event_names
    (aside,) = (dlinear.runs / "aside").iterdir()
    for name, content in old.items():
        assert (aside / name).read_bytes() == content
        assert (dlinear.runs / name).read_bytes() != content
    assert (aside / "history.csv").exists()
    assert _modified(fno.results) == fno_files
    assert finished.snakemake().nothing_to_do


def test_what_is_asked_for_never_reruns_anything(finished):
    finished.edit(
        "config.yaml",
        request={"memory_mb": 3456, "runtime_minutes": 77, "micro_batch_size": 16},
        requests=[{"cells": "*/fno/*", "checkpoint_minutes": 3}],
    )
    finished.edit("site.yaml", local={"partition": "long", "account": "phm"})
    finished.edit("rigs/tiny.yaml", description="Said in other words.")
    assert finished.dry().nothing_to_do
    asked = finished.dry("--forcerun", "train").resources("train")
    assert asked["mem_mb"] == "3656"  # with the Snakemake inside the job
    assert (asked["runtime"], asked["micro_batch_size"]) == ("77", "16")
    assert (asked["slurm_partition"], asked["slurm_account"]) == ("long", "phm")


def test_other_threads_rerun_nothing(finished):
    assert finished.dry("--set-threads", "train=2").nothing_to_do


def test_labels_and_notes_rewrite_tables_only(finished, table_rules):
    finished.edit("models/dlinear.yaml", label="A linear model")
    finished.edit("datasets/tiny.yaml", note="units never seen")
    outcome = finished.snakemake()
    assert outcome.code == 0, outcome.text
    assert set(outcome.rules) <= set(table_rules)
    table = finished.tables["classification_simulated.md"].decode()
    assert "A linear model" in table
    assert "units never seen" in table


def test_tables_that_are_asked_for_cost_no_training(finished, table_rules):
    own = {"name": "own", "task": "classification", "metrics": ["log_loss"], "models": ["fno"]}
    finished.edit("config.yaml", tables=["default", own])
    outcome = finished.snakemake()
    assert outcome.code == 0, outcome.text
    assert set(outcome.rules) <= set(table_rules)
    text = (finished.folder / "tiny/tables/own.md").read_text(encoding="utf-8")
    assert "| FNO |" in text
    assert finished.dry().nothing_to_do
    finished.edit("config.yaml", tables=[{**own, "metrics": ["los_log"]}])
    assert "metrics: [log_loss]" in finished.dry().text


def test_a_forgotten_cell_starts_anew_alone_with_what_is_asked_for_now(finished, table_rules):
    dlinear = finished.kept("dlinear")
    weights = dlinear.read("model.safetensors")
    said = finished.verb("forget", "tiny/tiny/dlinear/all/1")
    assert said.code == 0, said.text
    assert not dlinear.runs.exists()
    finished.edit("config.yaml", request={"checkpoint_minutes": 3})
    begun = time.time()
    outcome = finished.snakemake()
    assert outcome.code == 0, outcome.text
    assert outcome.rules == {"cell": 1, "train": 1, "evaluate": 1, **table_rules}
    assert dlinear.event_names == ["started", "ended"]
    assert dlinear.events[0]["time"] >= begun
    assert dlinear.events[0]["told"]["checkpoint_minutes"] == 3
    assert dlinear.epochs == [1, 2]
    assert dlinear.read("model.safetensors") == weights  # same inputs, same numbers
