"""Ways to call the workflow: elsewhere, wrongly, without torch, on Slurm, on what exists."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("profile", ["local", "slurm-a100"])
def test_parsing_imports_no_heavy_package(fresh, tmp_path, profile):
    for name in ("torch", "pytorch_lightning", "matplotlib", "sklearn"):
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name} imported in parsing')\n")
    fresh.environment["PYTHONPATH"] = str(tmp_path)
    outcome = fresh.dry(profile=profile)
    assert outcome.code == 0, outcome.text
    assert outcome.rules["train"] == 2


@pytest.mark.parametrize(
    ("profile", "gpu"), [("slurm-a100", "a100"), ("slurm-v100", "v100"), ("slurm-cpu", None)]
)
def test_a_slurm_profile_dry_runs_with_a_request_a_cell(fresh, profile, gpu):
    names = {"a100": "a100-80g", "v100": "v100-16g", None: "cpu"}
    fresh.edit("site.yaml", **{names[gpu]: {"partition": "their-queue", "account": "phm"}})
    fresh.edit("config.yaml", requests=[{"cells": "*", "memory_mb": 5000, "runtime_minutes": 90}])
    outcome = fresh.dry(profile=profile)
    assert outcome.code == 0, outcome.text
    asked = outcome.resources("train")
    assert (asked["mem_mb"], asked["runtime"]) == ("5200", "90")
    assert (asked.get("gpu"), asked.get("gpu_model")) == (("1", gpu) if gpu else (None, None))
    assert (asked["slurm_partition"], asked["slurm_account"]) == ("their-queue", "phm")
    assert "gpu" not in outcome.resources("classic")
    assert outcome.rules["train"] == 2
    tables = outcome.resources("paper_tables")  # bootstraps: not on the submit host
    assert (tables["mem_mb"], tables["runtime"], "gpu" in tables) == ("2000", "60", False)
    assert re.search(r"^rule paper_tables:", outcome.text, re.MULTILINE)


def test_another_directory_holds_all_that_is_written(fresh, tmp_path):
    fresh.edit("config.yaml", models=["trivial"])
    before = {path for path in fresh.folder.rglob("*") if "__pycache__" not in path.parts}
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    outcome = fresh.snakemake("--directory", str(elsewhere))
    assert outcome.code == 0, outcome.text
    assert (elsewhere / "tiny" / "results.csv").exists()
    assert (elsewhere / "data" / "tiny" / "recordings.h5").exists()
    after = {path for path in fresh.folder.rglob("*") if "__pycache__" not in path.parts}
    assert after == before
    assert fresh.snakemake("--directory", str(elsewhere)).nothing_to_do


def test_the_snakefile_may_be_called_from_anywhere(fresh, tmp_path):
    outcome = fresh.snakemake(
        "--dry-run", "--snakefile", str(fresh.folder / "Snakefile"), where=tmp_path
    )
    assert outcome.code == 0, outcome.text


def test_config_on_the_command_line_needs_the_hardware_again(fresh):
    refused = fresh.dry("--config", "study=mine")
    assert refused.code != 0
    assert "The key `hardware` is missing." in refused.text
    assert "--config study=mine hardware=local" in refused.text
    accepted = fresh.dry("--config", "study=mine", "hardware=local")
    assert accepted.code == 0, accepted.text
    assert "output: mine/results.csv" in accepted.text


def test_the_values_of_config_are_yaml(fresh):
    outcome = fresh.dry(
        "--config", "study=Mine", "hardware=local", "seeds=[42,43]",
        "training={fused_optimizer: false, epochs: 3}",
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    assert outcome.rules["train"] == 4
    assert "output: Mine/results.csv" in outcome.text
    assert "Mine/results/tiny/fno/all/seed43/metrics.json" in outcome.text
    refused = fresh.dry("--config", "hardware=local", "seeds=[010]")
    assert refused.code != 0
    assert "`010` without quotes has more than one reading" in refused.text
    assert "--config 'seeds=[10]'" in refused.text
    assert "Traceback" not in refused.text


def test_without_a_profile_a_run_is_planned_for_this_machine(fresh):
    outcome = fresh.bare("--dry-run")
    assert outcome.code == 0, outcome.text
    assert outcome.rules["train"] == 2
    assert outcome.text.count("planned with `local`") == 1
    planned = fresh.dry()
    assert planned.code == 0, planned.text
    assert "planned with" not in planned.text
    refused = fresh.bare("--dry-run", "--config", "study=mine")
    assert refused.code != 0
    assert "The key `hardware` is missing." in refused.text


def test_another_python_than_that_of_the_environment_is_named(fresh):
    done = subprocess.run(
        [sys.executable, "-S", "-m", "workflow_src", "status"],
        cwd=fresh.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert ". .venv/bin/activate" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_task_set_of_which_no_task_is_left_is_a_note(fresh):
    fresh.edit("config.yaml", task_sets=["rul"], models=["dlinear", "trivial"])
    fresh.edit("datasets/tiny.yaml", unsupported_tasks="drop")
    rig = {"kind": "bearing", "units_per_class": 3, "samples": 640}  # no run to failure
    fresh.edit("rigs/tiny.yaml", simulated=rig)
    outcome = fresh.snakemake()
    assert outcome.code == 0, outcome.text
    table = (fresh.folder / "tiny/tables/rul_prediction_simulated.md").read_text(encoding="utf-8")
    assert "Not shown: tiny rig (task dropped: no run to failure" in table
    for ending in ("tex", "html"):
        text = (fresh.folder / f"tiny/tables/rul_prediction_simulated.{ending}").read_text("utf-8")
        assert "Not shown: tiny rig" in text
    assert fresh.snakemake().nothing_to_do


def test_a_wrong_key_is_one_message_with_place_and_correction(fresh):
    path = fresh.folder / "config" / "models" / "dlinear.yaml"
    text = path.read_text(encoding="utf-8") + "training:\n  learning_rat: 0.01\n"
    path.write_text(text, encoding="utf-8")
    refused = fresh.dry()
    assert refused.code != 0
    assert "There is no key `training.learning_rat`; the nearest is `learning_rate`." in (
        refused.text
    )
    assert f"config/models/dlinear.yaml, line {len(text.splitlines())}" in refused.text
    assert "learning_rate: 0.01" in refused.text
    assert refused.text.count("There is no key") == 1
    assert "Traceback" not in refused.text
    assert not refused.jobs


def test_partial_tables_of_an_unfinished_study_pull_no_training(finished):
    """Also where a cell waits for a retraining."""
    assert finished.verb("forget", "tiny/tiny/dlinear/all/1").code == 0
    finished.edit("models/fno.yaml", training={"learning_rate": 0.002})
    weights = finished.kept("fno").read("model.safetensors")
    outcome = finished.snakemake("partial_tables")
    assert outcome.code == 0, outcome.text
    assert outcome.rules == {"partial_tables": 1}
    table = finished.folder / "tiny" / "tables" / "partial" / "classification_simulated.md"
    text = table.read_text(encoding="utf-8")
    assert re.search(r"\| DLinear \| –<sup>", text)
    assert re.search(r"\| FNO \| –<sup>", text), "the score of other settings is shown"
    assert "trained with other settings" in text
    assert not (finished.kept("dlinear").results / "model.safetensors").exists()
    assert finished.kept("fno").read("model.safetensors") == weights
